import json

import pytest

from interp import zoo_verify
from interp.cli import app
from interp.models.zoo import WEIGHTS, model_names
from interp.zoo_verify import Check, verify


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        app(["zoo", *arguments])
    return stopped.value.code, capsys.readouterr()


def test_every_shipped_model_is_listed_and_has_a_card(capsys):
    code, seen = run(capsys, "list")
    assert code == 0
    assert seen.out.split() == [f"zoo:{name}" for name in model_names()]
    for name in model_names():
        code, seen = run(capsys, "card", name)
        assert code == 0
        assert f"# zoo:{name}" in seen.out


def test_all_weights_together_stay_under_thirty_megabytes():
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) < 30e6


def test_a_card_that_holds_is_told_so_and_its_figures_are_those_of_the_card(capsys):
    code, seen = run(capsys, "verify", "modular", "--json")
    assert code == 0
    checks = json.loads(seen.out)["checks"]
    assert len(checks) == 4
    assert all(check["holds"] for check in checks)


def test_a_figure_that_moved_does_not_hold(capsys, monkeypatch):
    assert Check("loss", 1.0, 1.0039).holds
    assert not Check("loss", 1.0, 1.0041).holds
    monkeypatch.setitem(zoo_verify._MEASURED, "modular", lambda *_: {"accuracy, held-out pairs": 0.5})
    code, seen = run(capsys, "verify", "modular")
    assert code == 1
    assert "DIFFERS" in seen.out


def test_an_unknown_model_is_refused(capsys):
    code, seen = run(capsys, "verify", "polyglott")
    assert code == 2
    assert "zoo:polyglot" in seen.err


@pytest.mark.slow
def test_every_card_holds():
    for name in model_names():
        assert [check for check in verify(name) if not check.holds] == [], name
