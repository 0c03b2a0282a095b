"""Models shared by all tests: one tiny model per family, built and loaded once and never changed."""

import os

# Before torch is imported anywhere: tiny models run fastest on one thread, and workers must not fight over the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Spelled again here, so that tests without models import neither torch nor transformers.
FAMILY_NAMES = (
    "gpt2",
    "llama",
    "qwen2",
    "qwen3",
    "gemma2",
    "gemma3",
    "gpt_neox",
    "mistral",
    "mixtral",
    "gpt_oss",
    "bert",
)


@pytest.fixture(scope="session")
def family_directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Directory of a family's tiny model by name; made on first use. Copy it before changing anything in it."""
    from tests import families

    root = tmp_path_factory.mktemp("families")

    def directory(name: str) -> Path:
        return root / name if (root / name).exists() else families.build_family(name, root / name)

    return directory


@pytest.fixture(scope="session")
def family_model(family_directory: Callable[[str], Path]) -> Callable[[str], Any]:
    """A family's tiny model by name, loaded once by `load_model`. Leave it as you found it."""
    from interp.models import load_model

    loaded: dict[str, Any] = {}

    def model(name: str) -> Any:
        if name not in loaded:
            loaded[name] = load_model(str(family_directory(name)))
        return loaded[name]

    return model


@pytest.fixture(params=FAMILY_NAMES)
def family(request: pytest.FixtureRequest) -> str:
    """Run the test once for each family's name."""
    return request.param


@pytest.fixture
def tiny(family_model: Callable[[str], Any]) -> Any:
    """The plainest model: GPT-2's family, 3 layers of 4 heads."""
    return family_model("gpt2")
