"""Laws of the lens itself: what it says after the last layer, and what TransformerLens says in between."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformer_lens.tools.analysis.logit_lens import logit_lens

from interp.errors import ModelError
from interp.lens import reading
from interp.lens.material import LensMaterial
from interp.lens.token_languages import TokenShares
from interp.models import encode, facts
from interp.neurons.passes import Places
from interp.prompts import TokenBatch
from interp.run import forward
from tests.families import SENTENCES


def _material(model: Any) -> LensMaterial:
    """All positions of texts of unlike lengths but their last, each token speaking for two languages at random."""
    batch = TokenBatch.of([encode(model, text) for text in SENTENCES])
    row, pos = np.nonzero(batch.mask)
    own = np.random.default_rng(0).random((facts(model).d_vocab, 1))
    return LensMaterial(
        batch=batch,
        places=Places(row, pos),
        languages=("en", "fr"),
        actual=row % 2,
        document=row,
        tokens=TokenShares(np.concatenate([own, 1 - own], 1)),
        what="by hand",
    )


def test_after_the_last_layer_the_lens_is_the_model(family: str, family_model: Callable[[str], Any]) -> None:
    if family == "bert":
        pytest.skip("has no lens")
    model = family_model(family)
    material = _material(model)
    read = reading.read_lens(model, material)
    probs = forward(model, material.batch)[material.places.row, material.places.pos].softmax(-1).double().numpy()
    np.testing.assert_allclose(read.mass[:, -1], probs @ material.tokens.shares, atol=2e-6)
    np.testing.assert_allclose(read.entropy[:, -1], -(probs * np.log2(probs)).sum(1), atol=2e-5)
    np.testing.assert_allclose(read.top[:, -1], material.tokens.shares[probs.argmax(1)], atol=1e-6)
    assert np.abs(read.mass[:, -1] - read.mass[:, 0]).max() > 0.01, "the layers must differ, or this proves little"


def test_every_layer_is_what_transformer_lens_reads(tiny: Any) -> None:
    material = _material(tiny)
    read = reading.read_lens(tiny, material)
    for row in range(len(material.batch)):
        tokens = torch.from_numpy(material.batch.tokens[row : row + 1, : material.batch.lengths[row]])
        oracle = logit_lens(tiny, tokens, positions=None, return_type="probs")
        assert oracle.labels == ["0_pre", "1_pre", "2_pre", "final_post"]
        here = material.places.row == row
        probs = oracle.values[:, 0].swapaxes(0, 1).double().numpy()
        np.testing.assert_allclose(read.mass[here], probs @ material.tokens.shares, atol=1e-6)
        bits = oracle.readout.entropy[:, 0].T.numpy() / np.log(2)
        np.testing.assert_allclose(read.entropy[here], bits, atol=1e-5)


def test_a_place_reads_the_same_however_rows_are_packed(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = reading.read_lens(tiny, _material(tiny))
    monkeypatch.setattr(reading, "PROBABILITIES_AT_ONCE", 3 * facts(tiny).d_vocab)
    np.testing.assert_allclose(reading.read_lens(tiny, _material(tiny)).mass, whole.mass, atol=1e-6)


def test_a_last_layer_that_is_not_the_models_output_is_refused(tiny: Any) -> None:
    material = _material(tiny)
    at = tuple(torch.from_numpy(places) for places in (material.places.row, material.places.pos))
    stream = reading._stream(tiny, material.batch, at)
    reading._check_last(tiny, material.batch, at, stream[-1])
    with pytest.raises(ModelError, match="differs from the model's own output"):
        reading._check_last(tiny, material.batch, at, stream[0])


def test_an_encoder_has_no_lens(family_model: Callable[[str], Any]) -> None:
    model = family_model("bert")
    with pytest.raises(ModelError, match="no logit lens"):
        reading.read_lens(model, _material(model))


def test_decided_by_hand() -> None:
    """Leads and loses the lead, leads from the middle on, never leads, is tied at the last layer."""
    own = np.array([[0.5, 0.1, 0.5, 0.6], [0.1, 0.3, 0.3, 0.3], [0.1, 0.1, 0.1, 0.1], [0.4, 0.4, 0.4, 0.2]])
    others = np.full((4, 4, 2), 0.2)
    actual = np.array([0, 1, 2, 1])
    mass = np.stack([np.insert(others[place], actual[place], own[place], 1) for place in range(4)])
    stays = reading.decided_by(mass, actual)
    assert stays.astype(int).tolist() == [[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
