"""A planted model of which one language is written in another script: its neurons fall when it is romanised."""

import numpy as np
import pytest

from interp.errors import InputError
from interp.models import load_model
from interp.neurons.scoring import Selection
from interp.neurons.script import follow_script
from interp.results import Result
from tests.interp.neurons.planted import N_CONCEPTS, draw_rows, plant

WRITTEN = {"aa": "abcdef", "bb": "ghijkl", "cc": "щдфгйц"}
"""What the words of each language begin with here; a number follows, and no other word is known to the model."""
CHOSEN = Selection(least_auroc=0.95)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    directory = tmp_path_factory.mktemp("script")
    plant(directory)
    tokenizer = directory / "tokenizer.json"
    content = tokenizer.read_text("utf-8")
    for name, prefix in WRITTEN.items():
        content = content.replace(f'"{name}', f'"{prefix}')
    tokenizer.write_text(content, "utf-8")
    rows, _ = draw_rows(24, texts_each=1)
    words = [f"{name}{concept}" for name in WRITTEN.values() for concept in range(N_CONCEPTS)]
    texts = {name: [" ".join(words[token - 2] for token in ids[1:]) for ids in each] for name, each in rows.items()}
    return follow_script(load_model(str(directory)), texts, selection=CHOSEN)


def test_neurons_of_another_script_fall_when_romanised_and_the_others_stand(result: Result) -> None:
    data = result.data
    assert (data["n_found"].values >= 8).all()
    romanised = data["auroc"].sel(version="romanised")
    assert (romanised.sel(language=["aa", "bb"]) > 0.98).all()
    assert float(romanised.sel(language="cc")) < 0.55
    assert float(data["kept"].sel(version="romanised", language="cc")) <= 0.25


def test_what_reads_single_words_stands_when_words_are_shuffled_and_falls_with_the_letters(result: Result) -> None:
    scores = result.data["auroc"]
    np.testing.assert_allclose(scores.sel(version="words shuffled"), scores.sel(version="as written"), atol=0.02)
    assert (scores.sel(version="letters shuffled") < 0.6).all()
    assert (scores.sel(version="as written") > 0.98).all()


def test_random_neurons_tell_nothing(result: Result) -> None:
    np.testing.assert_allclose(result.data["control"].sel(version="as written"), 0.5, atol=0.12)
    low, high, score = (result.data[name].values for name in ("auroc_low", "auroc_high", "auroc"))
    assert (low <= score + 1e-9).all()
    assert (score <= high + 1e-9).all()


def test_too_few_lines_are_refused() -> None:
    with pytest.raises(InputError, match=r"\['aa'\] have fewer than four"):
        follow_script(object(), {"aa": ["x"] * 3, "bb": ["y"] * 4})
