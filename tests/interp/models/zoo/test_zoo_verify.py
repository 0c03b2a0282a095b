"""Cards measured again."""

import json
import math

import pytest

from interp import zoo_verify
from interp.errors import ModelError
from interp.zoo_verify import Check, verify


def test_a_share_of_samples_may_differ_by_three_standard_errors_and_others_by_rounding():
    # 47 of 50: three times sqrt(49/54 * 5/54 / 54), counting two more on either side.
    allowed = 3 * math.sqrt(49 / 54 * 5 / 54 / 54)
    assert Check("share", 0.94, 0.94 - allowed + 1e-9, 50).holds
    assert not Check("share", 0.94, 0.94 - allowed - 1e-9, 50).holds
    assert not Check("loss", 0.94, 0.94 - 0.005).holds
    # At 1 a standard error by the plain formula would be 0, and one tipped sample a difference.
    assert Check("share", 1.0, 0.98, 50).holds


def test_figures_are_compared_by_name_and_samples_by_their_number():
    told, measured = {"a": 1.0, "b": 0.5}, {"a": 1.0, "b": 0.6, "new": 3.0}
    assert zoo_verify._compare(told, measured, {"b": 40}) == [Check("a", 1.0, 1.0), Check("b", 0.5, 0.6, 40)]


@pytest.fixture
def card_of(monkeypatch, tmp_path):
    def write(card):
        (tmp_path / "card.json").write_text(json.dumps(card))
        monkeypatch.setattr(zoo_verify, "model_directory", lambda _: tmp_path)
        monkeypatch.setattr(zoo_verify, "load_model", lambda _: None)

    return write


def test_held_out_figures_are_measured_with_the_corpus_only(card_of, monkeypatch, tmp_path):
    card_of({"figures": {"x": 1.0}, "held_out_figures": {"y": 2.0, "s": 0.5}, "n_sampled_held_out": {"s": 9}})
    monkeypatch.setitem(zoo_verify._MEASURED, "polyglot", lambda *_: {"x": 1.0})
    monkeypatch.setattr(zoo_verify, "_measure_held_out", lambda *_: {"y": 2.5, "s": 0.6})
    assert verify("polyglot") == [Check("x", 1.0, 1.0)]
    checks = verify("polyglot", corpus=tmp_path)
    assert checks == [Check("x", 1.0, 1.0), Check("y", 2.0, 2.5), Check("s", 0.5, 0.6, 9)]
    assert [check.holds for check in checks] == [True, False, True]


def test_a_card_without_held_out_figures_is_no_use_with_a_corpus(card_of, tmp_path):
    card_of({"figures": {"x": 1.0}})
    with pytest.raises(ModelError, match="nothing of held-out text"):
        verify("polyglot", corpus=tmp_path)


def test_a_card_of_which_nothing_can_be_measured_is_refused(card_of, monkeypatch):
    card_of({"figures": {"x": 1.0}})
    monkeypatch.setitem(zoo_verify._MEASURED, "polyglot", lambda *_: {"y": 1.0})
    with pytest.raises(ModelError, match="No figure"):
        verify("polyglot")
