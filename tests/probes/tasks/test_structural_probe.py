"""Structural probes of a model: which words of which sentences, their vectors, and numbers beside their controls."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from interp.errors import InputError
from interp.models import encode, load_model
from interp.prompts import TokenBatch
from interp.run import capture
from interp.sites import Site
from probes.estimators import TreeDepthProbe, TreeDistanceProbe
from probes.samples.trees import ROOT
from probes.tasks import structural_probe as module
from probes.tasks.conllu import TaggedWord
from probes.tasks.structural_probe import DROPPED, read_sentences, structural_probe
from probes.tasks.treebank import ParsedSentence

NOUNS = ["cat", "dog", "king", "woman", "child", "man"]
HEADS = (2, 2, 3, ROOT, 6, 6, 3, 3)
"""Of `The old cat sees a small dog.`: articles and adjectives on their nouns, those and the full stop on the verb."""


def parsed(text: str, heads: tuple[int, ...]) -> ParsedSentence:
    """Words parted by spaces, the signs . , and ! tagged as punctuation."""
    words, start = [], 0
    for form in text.split():
        start = text.index(form, start)
        words.append(TaggedWord(start, start + len(form), "PUNCT" if form in ".,!" else "X"))
        start += len(form)
    return ParsedSentence(text, tuple(words), heads)


def sentence(number: int) -> ParsedSentence:
    first, second = NOUNS[number % 6], NOUNS[(number // 6 + number + 1) % 6]
    return parsed(f"The old {first} sees a small {second} .", HEADS)


def by_words(text: str) -> np.ndarray:
    """One number for each word, after one that stands for the beginning."""
    return np.array([1, *(int.from_bytes(word.encode()[:7]) for word in text.split(" ") if word)], np.int64)


@pytest.fixture(scope="module")
def model():
    return load_model("zoo:polyglot")


@pytest.fixture(scope="module")
def untrained():
    return load_model("random:zoo:polyglot", seed=1)


@pytest.fixture(scope="module")
def sentences():
    return [sentence(number) for number in range(24)] + [parsed("It rains .", (1, ROOT, 1))]


def test_punctuation_is_taken_out_of_trees_and_words_stand_at_their_last_token():
    (read,), dropped = read_sentences([parsed("Well , he sleeps now .", (3, 0, 3, ROOT, 1, 3))], by_words, None)
    # `now` hangs on the comma, which hangs on `Well`.
    assert read.heads == (2, 2, ROOT, 0)
    assert read.positions.tolist() == [1, 3, 4, 5]
    assert len(read.ids) == 7
    assert dropped == dict.fromkeys(DROPPED, 0)


def test_sentences_left_out_are_counted_by_reason():
    kept = parsed("he sleeps now .", (1, ROOT, 1, 1))
    given = [
        kept,
        parsed("he sleeps now !", (1, ROOT, 1, 1)),
        parsed("he sleeps !", (1, ROOT, 1)),
        parsed("! he sleeps now", (ROOT, 0, 0, 0)),
        parsed("he sleeps here now and now and now", (1, ROOT, 1, 1, 1, 1, 1, 1)),
        replace(kept, text="hesleeps now .", words=tuple(map(_moved, kept.words))),
    ]
    read, dropped = read_sentences(given, by_words, 8)
    assert [each.heads for each in read] == [(1, ROOT, 1)]
    assert dropped == {
        "punctuation is the root": 1,
        "too few words": 1,
        "no token for a word": 1,
        "too long": 1,
        "reads as one before": 1,
    }
    assert len(read_sentences(given, by_words, None)[0]) == 2


def _moved(word: TaggedWord) -> TaggedWord:
    """Where the word is when the space at 2 is gone."""
    return TaggedWord(word.start - (word.start > 2), word.end - (word.end > 2), word.tag)


@pytest.mark.parametrize("probe", [TreeDistanceProbe, TreeDepthProbe])
def test_a_model_by_layer_beside_its_controls(model, untrained, sentences, probe):
    settings = probe(rank=4, n_epochs=2)
    result = structural_probe(model, untrained, sentences, partial(encode, model), probe=settings, n_splits=2)
    assert result.data["layer"].values.tolist() == [-1, 0, 1, 2, 3]
    main = "uuas" if probe is TreeDistanceProbe else "spearman"
    assert next(iter(result.data.data_vars)) == main
    for name in ("", "control_shuffled_", "control_random_weights_", "control_linear_"):
        assert result.data[f"{name}{main}"].dims == ("layer",)
    assert len(np.unique(result.data[f"control_linear_{main}"])) == 1
    assert not np.array_equal(result.data[main], result.data[f"control_random_weights_{main}"])
    # The old cat sees a small dog: as a chain, 3 of 6 edges; depths 2 2 1 0 2 2 1.
    if main == "uuas":
        assert float(result.data["control_linear_uuas"][0]) == 0.5
    notes = result.notes
    assert notes["n_sentences"] == 24 - notes["dropped"]["reads as one before"]
    assert notes["n_words"] == 7 * notes["n_sentences"]
    assert notes["dropped"]["too few words"] == 1
    assert notes["sites"][:2] == ["L0 resid_pre", "L0 resid_post"]
    assert "Punctuation" in result.method
    assert f"{probe.__name__}(n_epochs=2, rank=4)" in result.provenance.call


def test_vectors_are_those_at_the_last_token_of_each_word(model, untrained, sentences, monkeypatch):
    taken = {}

    def keep(data, control, *args, **kwargs):
        taken.update(data=data, control=control)
        raise InputError("enough")

    monkeypatch.setattr(module, "probe_trees", keep)
    with pytest.raises(InputError, match="enough"):
        structural_probe(model, untrained, sentences[5:9], partial(encode, model), n_splits=2)
    for each, name in ((model, "data"), (untrained, "control")):
        X = taken[name].X if name == "data" else taken[name]
        for place, (start, end) in ((0, (0, 3)), (2, (8, 8 + len(NOUNS[5])))):
            # A model that reads from left to right gives a word the same vector if the text ends there.
            ids = encode(each, sentences[5].text[:end])
            assert start < end
            sites = [Site(0, "resid_pre"), Site(3, "resid_post")]
            run = capture(each, TokenBatch.of([ids]), sites)
            for layer, site in ((0, sites[0]), (4, sites[1])):
                np.testing.assert_allclose(X[layer, place], run[site][0, -1].numpy(), atol=1e-4)
    assert [heads.tolist() for heads in taken["data"].trees.heads] == [[2, 2, 3, ROOT, 6, 6, 3]] * 4
    assert taken["data"].layers == (-1, 0, 1, 2, 3)


def test_what_cannot_be_fitted_is_refused_before_the_model_is_run(model, untrained, sentences, monkeypatch):
    def run(*args):
        raise AssertionError("run")

    monkeypatch.setattr(module, "capture_samples", run)
    for given, probe, n_splits, words in (
        (sentences, TreeDistanceProbe(rank=0), 5, "Expected all above zero"),
        (sentences, TreeDistanceProbe(rank=257), 5, "rank 257 from activations 256 wide"),
        (sentences, TreeDepthProbe(), 1, "1 folds"),
        (sentences[:4], TreeDepthProbe(), 5, "5 folds of 4 groups"),
        (sentences[-1:], TreeDepthProbe(), 5, "None of 1 sentences is left: .*'too few words': 1"),
        ([parsed(f"he sees {noun} .", (1, ROOT, 1, 1)) for noun in NOUNS], TreeDepthProbe(), 2, "0 sentences of 5"),
    ):
        with pytest.raises(InputError, match=words):
            structural_probe(model, untrained, given, partial(encode, model), probe=probe, n_splits=n_splits)


def test_the_model_is_no_control_of_itself(model, sentences):
    with pytest.raises(InputError, match="the very same"):
        structural_probe(model, model, sentences, partial(encode, model), n_splits=2)
