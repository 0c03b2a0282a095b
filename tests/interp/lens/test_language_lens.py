from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interp.errors import InputError
from interp.languages import TaggedText
from interp.languages.parallel_words import word_prompts
from interp.lens import labelled_material, language_lens, text_material, word_material
from interp.models import load_model
from interp.neurons.labelled import label_tokens
from interp.neurons.next_language import LanguageVocabulary, learn_vocabulary
from interp.plots import plot
from interp.results import Result
from interp.types import Model
from tests.interp.lens import planted


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted")


@pytest.fixture(scope="module")
def model(directory: Path) -> Model:
    return planted.planted_model(directory)


@pytest.fixture(scope="module")
def vocabulary(model: Model) -> LanguageVocabulary:
    return learn_vocabulary(model, planted.texts(200, seed=9), smoothing=1e-9)


@pytest.fixture(scope="module")
def result(model: Model, vocabulary: LanguageVocabulary, directory: Path) -> Result:
    material = text_material(model, planted.texts(), vocabulary)
    return language_lens(model, material, control=load_model(f"random:{directory}", seed=1))


def test_the_planted_layer_is_found_in_every_text_and_in_every_language(result: Result) -> None:
    data = result.data
    for name in ("decided_at", "decided_at_low", "decided_at_high"):
        np.testing.assert_allclose(data[name], planted.LAYER, rtol=1e-12)
    np.testing.assert_allclose(data["overall_decided_at"], planted.LAYER, rtol=1e-12)
    for layer in data["layer"].values:
        np.testing.assert_allclose(data["decided"].sel(layer=layer), float(layer >= planted.LAYER))


def test_mass_and_entropy_by_hand(result: Result) -> None:
    for layer, right in ((0, 0.0), (planted.LAYER, planted.RIGHT)):
        own, wrong = planted.mass_by_hand(right, planted.WRONG)
        here = result.data.sel(layer=layer, actual="bb")
        np.testing.assert_allclose(here["mass"].sel(language=["bb", "cc"]), [own, wrong], rtol=1e-5)
        logits = np.array([right] * 8 + [planted.WRONG] * 8 + [0.0] * 10)
        probs = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(here["entropy"], -(probs * np.log2(probs)).sum(), rtol=1e-5)
    assert result.data["top"].sel(layer=0, actual="bb", language="cc") == pytest.approx(1)
    assert result.data["top"].sel(layer=3, actual="bb", language="bb") == pytest.approx(1)


def test_neither_shuffled_words_nor_random_weights_find_it(result: Result) -> None:
    data = result.data
    for control in ("control", "control_shuffled"):
        assert float(data[f"{control}_overall_decided"][-1]) < 0.6
    last = data.isel(layer=-1)
    own = [last["mass"].sel(actual=name, language=name).item() for name in planted.LANGUAGES]
    dealt = [last["control_shuffled_mass"].sel(actual=name, language=name).item() for name in planted.LANGUAGES]
    assert max(dealt) < 0.7 * min(own)


def test_intervals_hold_the_mean_and_shrink_to_it_where_texts_agree(result: Result) -> None:
    for name in ("mass", "entropy", "decided", "control_mass", "control_decided_at"):
        low, mean, high = (result.data[f"{name}{end}"].values for end in ("_low", "", "_high"))
        assert (low <= mean + 1e-12).all()
        assert (mean <= high + 1e-12).all()
    assert (result.data["control_mass_high"] > result.data["control_mass_low"]).any()


def test_a_result_is_kept_and_drawn(result: Result, tmp_path: Path) -> None:
    again = Result.load(result.save(tmp_path / "lens.safetensors"))
    assert "random weights" in plot(again).control
    np.testing.assert_array_equal(again.data["mass"], result.data["mass"])


def test_switched_texts_are_read_where_asked(model: Model, vocabulary: LanguageVocabulary) -> None:
    """Before a switch the planted model goes on in the language of the word before, which is then not the next one."""
    words = ("aa1", "aa2", "bb3", "bb4", "aa5", "cc1", "cc2", "aa1")
    text = TaggedText(words, tuple(word[:2] for word in words), (True,) * len(words))
    tokens = label_tokens(model, [text] * 3, languages=vocabulary.languages)
    before_switch = np.roll(tokens.switch, -1, axis=1)
    wrong = language_lens(model, labelled_material(tokens, vocabulary, at=before_switch))
    assert float(wrong.data["overall_decided"][-1]) == 0
    within = language_lens(model, labelled_material(tokens, vocabulary, at=~before_switch & (tokens.word < 6)))
    assert float(within.data["overall_decided"][-1]) == 1
    np.testing.assert_allclose(within.data["decided_at"], planted.LAYER)


def test_parallel_words_of_the_shipped_model_and_their_intervals_are_over_words(tiny: Any) -> None:
    words = {"en": ["dog", "tree", "cat", "mat"], "fr": ["chien", "arbre", "le", "pain"]}
    material = word_material(tiny, word_prompts(words, n_shots=1))
    # `mat` stays apart from `pain`, but `tree`, `dog`, `cat` do from theirs, too: nothing is left out.
    assert material.n_dropped == 0
    result = language_lens(tiny, material)
    assert (result.notes["n_samples"], result.notes["n_groups"]) == (8, 4)
    assert result.data["mass"].dims == ("actual", "language", "layer")
    assert "words dealt out" in result.notes["control"]


def test_what_cannot_be_used_is_refused(model: Model, vocabulary: LanguageVocabulary, tiny: Any) -> None:
    texts = planted.texts()
    material = text_material(model, texts, vocabulary)
    with pytest.raises(InputError, match="model's own weights"):
        language_lens(model, material, control=model)
    with pytest.raises(InputError, match="other layers or another tokenizer"):
        language_lens(model, material, control=tiny)
    with pytest.raises(InputError, match="0 shuffles"):
        language_lens(model, material, n_shuffles=0)
    with pytest.raises(InputError, match="one string"):
        text_material(model, {**texts, "aa": "aa1 aa2"}, vocabulary)
    with pytest.raises(InputError, match="same languages"):
        text_material(model, {"aa": texts["aa"], "bb": texts["bb"]}, vocabulary)
    with pytest.raises(InputError, match="'cc' has 1 texts"):
        text_material(model, {**texts, "cc": texts["cc"][:1]}, vocabulary)
    with pytest.raises(InputError, match="no place to read at"):
        text_material(model, {language: [f"{language}1"] * 4 for language in planted.LANGUAGES}, vocabulary)
    with pytest.raises(InputError, match="All 2 words"):
        word_material(tiny, word_prompts({"en": ["lion", "rose"], "fr": ["lion", "rose"]}, n_shots=1))
    with pytest.raises(InputError, match="No prompts"):
        word_material(tiny, [])
