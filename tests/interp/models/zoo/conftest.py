"""A corpus of four invented languages, a model trained on it for a moment, and a model that knows nothing at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# The French words of the agreement prompts are frequent, so that each becomes one token.
WORDS = {
    "eng": "the old clock house was letter and she he of window door night morning said",
    "fra": "la maison il y était ils étaient était étaient été nuit",
    "deu": "der alte Uhr Haus war Brief und sie er von Fenster Tür Nacht Morgen sagte",
    "spa": "la casa vieja era carta y ella él de ventana puerta noche mañana dijo año",
}
N_NOVELS = 4
OPENING = "Novel {number} of {code}."


def novel(code: str, number: int) -> str:
    rng = np.random.default_rng([number, *code.encode()])
    lines = [" ".join(rng.choice(WORDS[code].split(), size=60)) + "." for _ in range(20)]
    return "\n".join([OPENING.format(number=number, code=code), *lines])


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus directory in the layout of `zoo.corpus`: four novels a language; the last two are held out."""
    directory = tmp_path_factory.mktemp("novels")
    for code in WORDS:
        text = "\n\n".join(novel(code, number) for number in range(N_NOVELS))
        (directory / f"{code}.train.txt").write_text(text + "\n", encoding="utf-8")
    return directory


@pytest.fixture(scope="session")
def recipe() -> Any:
    from interp.models.zoo.train import Recipe

    return Recipe(
        d_vocab=384, d_model=32, n_layers=2, n_heads=2, d_mlp=64, n_ctx=160, batch=4, steps=30, warmup=3, muon_lr=0.01
    )


@pytest.fixture(scope="session")
def trained(corpus: Path, recipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State directory of an undisturbed training run; the model lies in its `model`."""
    from interp.models.zoo.train import train

    state = tmp_path_factory.mktemp("trained") / "state"
    train(corpus, state, recipe, every=10)
    return state


@pytest.fixture(scope="session")
def trained_model(trained: Path) -> Any:
    from interp.models import load_model

    return load_model(str(trained / "model"))


@pytest.fixture(scope="session")
def uniform_model(trained: Path, recipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same architecture with all weights 0: every token is as probable as any other."""
    import torch
    from tokenizers import Tokenizer

    from interp.models import load_model
    from interp.models.zoo import tokenizer, train

    directory = tmp_path_factory.mktemp("uniform")
    model = train.build_model(recipe)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    model.save_pretrained(directory)
    tokens = Tokenizer.from_file(str(trained / "tokenizer.json"))
    tokenizer.as_pretrained(tokens, n_ctx=recipe.n_ctx).save_pretrained(directory)
    return load_model(str(directory))


@pytest.fixture(scope="session")
def shipped() -> Callable[[str], Any]:
    """A shipped model by name (`polyglot`, or with `random:` before it); skips where its weights are absent."""
    from interp.models import load_model
    from interp.models.zoo import model_names

    def load(prefix: str) -> Any:
        if "polyglot" not in model_names():
            pytest.skip("zoo:polyglot has no weights here: train it with python -m interp.models.zoo.train.")
        return load_model(f"{prefix}zoo:polyglot")

    return load
