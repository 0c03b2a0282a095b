import subprocess
import sys

import pytest

from interp.errors import ModelError
from interp.models import zoo


def test_names_are_those_of_directories_with_a_config(tmp_path, monkeypatch):
    (tmp_path / "half").mkdir()
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "config.json").write_text("{}")
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    assert zoo.model_names() == ["whole"]
    assert zoo.model_directory("whole") == tmp_path / "whole"


@pytest.mark.parametrize("name", ["", "nothing", "..", "../zoo", "a/b"])
def test_other_names_are_refused(name):
    with pytest.raises(ModelError, match="No shipped model"):
        zoo.model_directory(name)


def test_names_cost_neither_torch_nor_transformer_lens():
    heavy = "{'torch', 'transformers', 'transformer_lens', 'huggingface_hub'}"
    code = f"import sys, interp.models.zoo, interp.models.sources; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
