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
# An opener of phrases and words that no other language has, so that a word tells its language.
CLAUSES = {
    "en": ("and with", "old clock house letter window door night morning"),
    "fr": ("et avec", "maison ils étaient était été nuit sombre vieille"),
    "de": ("und mit", "alte Uhr Haus Brief Fenster Tür Nacht Morgen"),
    "es": ("y con", "casa vieja carta ventana puerta noche mañana año"),
}
N_SENTENCES = 60


def novel(code: str, number: int) -> str:
    rng = np.random.default_rng([number, *code.encode()])
    lines = [" ".join(rng.choice(WORDS[code].split(), size=60)) + "." for _ in range(20)]
    return "\n".join([OPENING.format(number=number, code=code), *lines])


def sentence(language: str, number: int) -> str:
    """Three clauses, each of which holds the sentence's number."""
    openers, words = (part.split() for part in CLAUSES[language])
    rng = np.random.default_rng([number, *language.encode()])
    clauses = [" ".join([first, str(number), *rest]) for first, *rest in rng.choice(words, size=(3, 3)).tolist()]
    return f"{clauses[0]}, {openers[0]} {clauses[1]} {openers[1]} {clauses[2]}."


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus directory in the layout of `zoo.corpus`: four novels a language, of which the last two are held out.

    And sixty aligned sentences, of which those whose number ends in 9 are held out.
    """
    directory = tmp_path_factory.mktemp("corpus")
    for folder in ("novels", "parallel"):
        (directory / folder).mkdir()
    for code in WORDS:
        text = "\n\n".join(novel(code, number) for number in range(N_NOVELS))
        (directory / "novels" / f"{code}.train.txt").write_text(text + "\n", encoding="utf-8")
    for language in CLAUSES:
        text = "".join(sentence(language, number) + "\n" for number in range(N_SENTENCES))
        (directory / "parallel" / f"{language}.txt").write_text(text, encoding="utf-8")
    return directory


@pytest.fixture(scope="session")
def recipe() -> Any:
    from interp.models.zoo.recipe import Recipe

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
    from interp.models.zoo import tokenizer
    from interp.models.zoo.recipe import build_model

    directory = tmp_path_factory.mktemp("uniform")
    model = build_model(recipe)
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
            pytest.skip("zoo:polyglot has no weights here: train it with interp zoo train polyglot.")
        return load_model(f"{prefix}zoo:polyglot")

    return load
