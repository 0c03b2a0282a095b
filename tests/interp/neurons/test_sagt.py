"""Turkish-German, token by token, with models of any kind.

With `INTERP_SAGT` set to a directory that holds the treebank's `*.conllu`, its sentences are read; else five of the
same shape, made for these tests.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interp.languages import TaggedText, code_mix, read_tagged
from interp.models import load_model
from interp.neurons.ribbon import token_ribbon
from interp.neurons.units import Neurons
from interp.plots import plot
from tests.bench.sagt import LANGUAGES, byte_gpt2, counts

MADE = Path(__file__).parent / "sagt_shape.conllu"
CORPUS = os.environ.get("INTERP_SAGT")
EXPECTED = {
    "made": (5, 32, {"DE": 14, "TR": 10, "OTHER": 6, "MIXED": 1, "LANG3": 1}, 11),
    "qtd_sagt-ud-train": (578, 10005, {"DE": 5143, "TR": 3649, "OTHER": 1034, "MIXED": 109, "LANG3": 70}, 1232),
    "qtd_sagt-ud-dev": (801, 12959, {"DE": 6453, "TR": 5013, "OTHER": 1286, "MIXED": 145, "LANG3": 62}, 1607),
}
"""Sentences, words as they are written, their tags, and switch points between all tags but OTHER."""


def _files() -> dict[str, list[TaggedText]]:
    if CORPUS is None:
        return {"made": read_tagged(MADE)}
    files = {path.stem: read_tagged(path) for path in sorted(Path(CORPUS).glob("*.conllu"))}
    assert files, f"INTERP_SAGT={CORPUS} holds no *.conllu"
    return files


@pytest.fixture(scope="module")
def texts() -> list[TaggedText]:
    return next(iter(_files().values()))[:5]


def test_the_treebank_is_read_and_counted() -> None:
    for name, sentences in _files().items():
        told = counts(sentences)
        if name in EXPECTED:
            assert (told["sentences"], told["words"], told["tags"], told["switch_points"]) == EXPECTED[name]
        assert 0 <= told["mean_of_sentences"]["cmi"] <= 100
        assert told["switch_points_de_tr"] == sum(len(code_mix(one.languages).switch_points) for one in sentences)


def test_words_are_written_whole_and_spaced_as_they_were() -> None:
    read = {text.name: text for text in read_tagged(MADE)}
    assert read["MADE-02"].text == "Ich fahre yarın nach Ankara'ya, tamam mı?"
    assert read["MADE-03"].words == ("Evdeydi", "und", "dann", "sözlüydü", "die", "Prüfung", ".")
    assert read["MADE-04"].languages == ("DE", "MIXED", "TR", "LANG3", "OTHER")
    assert Counter(read["MADE-05"].languages) == {"DE": 5, "OTHER": 1}
    # DE, TR, DE: the mixed word and the English one have no one language of the two.
    assert code_mix(read["MADE-03"].languages).switch_points == (1, 3, 4)
    assert code_mix(read["MADE-04"].languages).switch_points == (2,)


def _check(model: Any, texts: Sequence[TaggedText], control: Any = None) -> None:
    """Every word has its tokens and its language, every switch its mark, and all of it is drawn."""
    neurons = Neurons(np.array([0, 1]), np.array([1, 0]))
    result = token_ribbon(model, texts, neurons, languages=LANGUAGES, random_weights=control)
    data = result.data
    for number, text in enumerate(texts):
        mine = data.isel(token=np.flatnonzero(data["text"].values == number))
        for word, tag in enumerate(text.languages):
            there = mine["language"].values[mine["word"].values == word]
            assert len(there) > 0
            assert set(there) == {tag if tag in LANGUAGES else ""}
        at = mine["word"].values[mine["switch"].values]
        assert tuple(at) == code_mix(text.languages, languages=LANGUAGES).switch_points
    words = data["word"].values
    assert np.isfinite(data["surprisal_nats"].values[words > 0]).all()
    figure = plot(result)
    assert len([shape for shape in figure.plotly.layout.shapes if shape.type == "line"]) == int(data["switch"].sum())


def test_polyglot_reads_it_token_by_token(texts: list[TaggedText]) -> None:
    _check(load_model("zoo:polyglot"), texts, load_model("random:zoo:polyglot"))


def test_a_gpt2_over_bytes_reads_it_token_by_token(texts: list[TaggedText], tmp_path: Path) -> None:
    model = load_model(str(byte_gpt2(tmp_path)))
    _check(model, texts)
    surprisal = token_ribbon(model, texts, Neurons(np.array([0]), np.array([0])), languages=LANGUAGES)
    # Random weights know next to nothing: about as much as one byte in 257.
    assert float(surprisal.data["surprisal_nats"].mean()) == pytest.approx(np.log(257), rel=0.05)


def test_an_encoder_of_word_pieces_reads_it_token_by_token(
    texts: list[TaggedText], family_model: Callable[[str], Any]
) -> None:
    first = [TaggedText(text.words[:8], text.languages[:8], text.spaced[:8]) for text in texts]
    _check(family_model("bert"), first)  # the tiny model has room for 64 tokens
