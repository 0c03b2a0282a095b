import sys
from collections.abc import Iterator

import pytest

from interp.plots import notebook, plot
from tests.interp.plots import synthetic


@pytest.fixture(autouse=True)
def fresh_notebook() -> Iterator[None]:
    notebook.forget_bundles()
    yield
    notebook.forget_bundles()


def _run(monkeypatch: pytest.MonkeyPatch, cell: str, count: int) -> None:
    monkeypatch.setattr(notebook, "_running_cell", lambda: (cell, count))


def test_the_bundle_is_embedded_once() -> None:
    figure = plot(synthetic.probe_by_layer())
    first, second = (figure._repr_mimebundle_()["text/html"] for _ in range(2))
    assert len(first) > 1_000_000
    assert len(second) < 60_000


def test_a_cell_that_is_run_again_carries_its_bundle_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _run(monkeypatch, "a", 1)
    assert notebook.claim_bundle("plotly") == "plotly"
    assert notebook.claim_bundle("plotly") is None, "the second figure of the same run"
    _run(monkeypatch, "b", 2)
    assert notebook.claim_bundle("plotly") is None
    assert notebook.claim_bundle("circuitsvis") == "circuitsvis"
    _run(monkeypatch, "a", 3)
    assert notebook.claim_bundle("plotly") == "plotly"


def test_where_cells_have_no_name_the_bundle_is_embedded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "_running_cell", lambda: (None, 1))
    assert notebook.claim_bundle("plotly") == "plotly"
    monkeypatch.setattr(notebook, "_running_cell", lambda: (None, 2))
    assert notebook.claim_bundle("plotly") is None


def test_colab_shares_nothing_between_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    assert [notebook.claim_bundle("plotly") for _ in range(2)] == ["plotly", "plotly"]


def test_the_attention_viewer_needs_no_bundle() -> None:
    html = plot(synthetic.attention())._repr_mimebundle_()["text/html"]
    assert len(html) < 80_000
    assert 'interp-bundle">' not in html


def test_every_front_end_has_something_to_show() -> None:
    shown = plot(synthetic.head_scores())._repr_mimebundle_()
    assert shown["image/png"].startswith("iVBOR")
    assert shown["text/plain"].startswith("Head scores")
    assert "http://" not in shown["text/html"].replace("http://www.w3.org", "")[:4000]
