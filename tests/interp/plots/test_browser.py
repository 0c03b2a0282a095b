import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from interp.plots import Figure, notebook, plot
from interp.plots.circuitsvis import attention_heads
from interp.plots.tokens import visible
from interp.plots.triangle import LARGEST_ERROR
from tests.interp.plots import synthetic
from tests.interp.plots.browser import Watched, hover_cell, opened

pytestmark = pytest.mark.browser
MAKERS = [synthetic.patch_sweep, synthetic.attention, synthetic.head_scores, synthetic.probe_by_layer]


@pytest.fixture(autouse=True)
def fresh_notebook() -> Iterator[None]:
    notebook.forget_bundles()
    yield
    notebook.forget_bundles()


def _cells(path: Path, fragments: list[str]) -> Path:
    """A page as a notebook exports it: outputs one after the other, no content policy of ours."""
    outputs = "".join(f"<div class='output'>{fragment}</div>" for fragment in fragments)
    path.write_text(
        f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>calm</title></head><body>{outputs}</body></html>"
    )
    return path


def _html(figure: Figure) -> str:
    return figure._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("maker", MAKERS)
def test_a_figure_of_its_own_page_draws_without_a_network(browser: Browser, tmp_path: Path, maker) -> None:
    path = plot(maker()).write_html(tmp_path / "figure.html")
    with opened(browser, path) as watched:
        watched.draw_all()
        assert watched.page.locator(".interp-box canvas, .interp-box svg").count() > 0
        watched.check_calm()


def test_two_notebook_outputs_share_one_bundle(browser: Browser, tmp_path: Path) -> None:
    fragments = [
        _html(plot(synthetic.patch_sweep())),
        _html(plot(synthetic.probe_by_layer())),
        _html(plot(synthetic.attention())),
    ]
    assert len(fragments[1]) < 60_000
    for order in (fragments, fragments[::-1]):
        with opened(browser, _cells(tmp_path / "notebook.html", order)) as watched:
            watched.draw_all()
            assert watched.page.locator(".interp-plot svg.main-svg").count() >= 2
            assert watched.page.locator(".interp-attention").count() == 1
            assert watched.page.title() == "calm"
            watched.check_calm()


def test_a_figure_whose_bundle_is_gone_keeps_its_picture_and_says_so(browser: Browser, tmp_path: Path) -> None:
    _html(plot(synthetic.probe_by_layer()))
    with opened(browser, _cells(tmp_path / "notebook.html", [_html(plot(synthetic.probe_by_layer()))])) as watched:
        watched.page.wait_for_selector("text=Waiting for the first figure")
        assert watched.page.locator(".interp-fallback").is_visible()


def test_circuitsvis_draws_hostile_tokens_and_runs_none(browser: Browser, tmp_path: Path) -> None:
    figures = [attention_heads(synthetic.attention()), attention_heads(synthetic.attention(), layer=1)]
    path = _cells(tmp_path / "notebook.html", [_html(figure) for figure in figures])
    assert path.stat().st_size < 900_000
    with opened(browser, path) as watched:
        watched.draw_all()
        watched.page.wait_for_selector("text=L1H3 >> nth=0")
        for canvas in watched.page.locator(".interp-white canvas").all()[-1:]:
            canvas.hover(position={"x": 400, "y": 60})
        assert watched.page.title() == "calm"
        assert watched.page.locator("img:not(.interp-fallback)").count() == 0
        watched.check_calm()


def test_hovering_the_heatmap_shows_token_index_and_value(browser: Browser, tmp_path: Path) -> None:
    result = synthetic.patch_sweep()
    with opened(browser, plot(result).write_html(tmp_path / "figure.html")) as watched:
        watched.draw_all()
        shown = hover_cell(watched.page, ".interp-plot", 2, 1)
        assert "<img·src=x·onerror=alert(1)>" in shown
        assert "position 1, layer 2" in shown
        value = float(result.data["effect"].values[2, 1])
        control = float(result.data["control"].values[2, 1])
        assert f"effect {value:+.4g}" in shown
        assert f"control {control:+.4g}" in shown
        assert "corrected p 0.001" in shown
        watched.check_calm()


def test_keys_read_the_heatmap(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, plot(synthetic.patch_sweep()).write_html(tmp_path / "figure.html")) as watched:
        watched.draw_all()
        watched.page.locator(".interp-plot").focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown"):
            watched.page.keyboard.press(key)
        watched.page.wait_for_selector(".interp-spoken:has-text('position 3, layer 1')", state="attached")
        assert "<s>" in watched.page.locator(".interp-spoken").text_content()


def test_keys_read_a_list_of_effects(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, plot(synthetic.effects()).write_html(tmp_path / "figure.html")) as watched:
        watched.draw_all()
        watched.page.locator(".interp-plot").focus()
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp"):
            watched.page.keyboard.press(key)
        # The second largest effect.
        watched.page.wait_for_selector(".interp-spoken:has-text('control +0.5')", state="attached")
        watched.check_calm()


def test_every_label_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, plot(synthetic.patch_sweep()).write_html(tmp_path / "figure.html")) as watched:
        watched.draw_all()
        ticks = watched.page.locator(".xaxislayer-above .xtick text").all_text_contents()
        for expected in ("<s> 3", "&lt 4", "👩‍💻 5", "⏎ 7", "·leading 8", "$x^2$ 12", "=1+1 14", "∅ 15"):
            assert expected in ticks
        assert any("سلام" in tick for tick in ticks)
        assert watched.page.title().startswith("Patching")
        assert watched.page.locator(".interp-plot a, .interp-plot img").count() == 0


def test_nothing_offers_to_upload_the_figure(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, plot(synthetic.patch_sweep()).write_html(tmp_path / "figure.html")) as watched:
        watched.draw_all()
        names = watched.page.locator(".modebar-btn").evaluate_all("buttons => buttons.map((one) => one.dataset.title)")
        assert names[:2] == ["Download PNG", "Download SVG"]
        assert not [name for name in names if re.search("share|cloud|chart studio|plotly", name or "", re.IGNORECASE)]


def test_pictures_can_be_saved(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, plot(synthetic.patch_sweep()).write_html(tmp_path / "figure.html")) as watched:
        watched.draw_all()
        for title, start in (("Download PNG", b"\x89PNG"), ("Download SVG", b"<svg")):
            watched.page.locator(".interp-plot").hover()
            with watched.page.expect_download() as download:
                watched.page.locator(f".modebar-btn[data-title='{title}']").click()
            assert Path(download.value.path()).read_bytes().startswith(start)
        watched.check_calm()


def _open_head(watched: Watched, layer: int, head: int) -> None:
    step = watched.page.evaluate(
        "interpFigures.draw(document.querySelector('.interp-figure')).then((h) => h.viewer.step)"
    )
    watched.page.locator(".interp-heads").click(
        position={"x": 30 + (head + 0.5) * step, "y": 18 + (layer + 0.5) * step}
    )
    watched.page.wait_for_selector(f"text=L{layer}H{head} ·")


def _point_at(watched: Watched, dest: int, src: int) -> str:
    margin, size = watched.page.evaluate(
        "interpFigures.draw(document.querySelector('.interp-figure')).then((h) => [h.viewer.margin, h.viewer.cellSize])"
    )
    watched.page.locator(".interp-pattern").hover(
        position={"x": margin + (src + 0.5) * size, "y": margin + (dest + 0.5) * size}
    )
    return watched.page.locator(".interp-readout").text_content()


@pytest.mark.parametrize("causal", [True, False])
def test_the_viewer_reads_the_numbers_of_the_result(browser: Browser, tmp_path: Path, causal: bool) -> None:
    result = synthetic.attention(causal=causal)
    with opened(browser, plot(result).write_html(tmp_path / "figure.html")) as watched:
        watched.draw_all()
        _open_head(watched, 2, 3)
        for dest, src in ((5, 2), (15, 0), (7, 7), *(() if causal else ((2, 9),))):
            shown = _point_at(watched, dest, src)
            numbers = [float(number) for number in re.findall(r"weights? (\d\.\d{4})", shown)]
            expected = [float(result.data[name].values[0, 2, 3, dest, src]) for name in ("pattern", "control_pattern")]
            np.testing.assert_allclose(numbers, expected, atol=LARGEST_ERROR + 5e-5)
            assert f"{visible(synthetic.HOSTILE[dest])}\u2069 ({dest})" in shown
            assert f"{visible(synthetic.HOSTILE[src])}\u2069 ({src})" in shown
        watched.check_calm()


def test_the_viewer_shows_hostile_tokens_as_text(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, plot(synthetic.attention()).write_html(tmp_path / "figure.html")) as watched:
        watched.draw_all()
        shown = watched.page.locator(".interp-token").all_text_contents()
        assert shown == [visible(token) for token in synthetic.HOSTILE]
        assert watched.page.title() == "Attention patterns"
        assert watched.page.locator("img").count() == 0
        watched.check_calm()


def test_a_token_colours_the_ones_it_looks_at(browser: Browser, tmp_path: Path) -> None:
    result = synthetic.attention()
    with opened(browser, plot(result).write_html(tmp_path / "figure.html")) as watched:
        watched.draw_all()
        watched.page.locator(".interp-token").nth(4).hover()
        grounds = watched.page.locator(".interp-token").evaluate_all("all => all.map((one) => one.style.background)")
        assert all(ground == "transparent" for ground in grounds[5:]), "later tokens of a causal model"
        weights = result.data["pattern"].values[0, 0, 0, 4, :5]
        blues = [int(re.findall(r"\d+", ground)[0]) if "rgb" in ground else 255 for ground in grounds[:5]]
        assert np.argmin(blues) == weights.argmax(), "the strongest weight has the darkest ground"


def test_the_viewer_works_by_keys_and_switches_prompt_and_weights(browser: Browser, tmp_path: Path) -> None:
    result = synthetic.attention()
    with opened(browser, plot(result).write_html(tmp_path / "figure.html")) as watched:
        watched.draw_all()
        page = watched.page
        page.locator(".interp-heads").focus()
        for key in ("ArrowRight", "ArrowDown"):
            page.keyboard.press(key)
        page.wait_for_selector("text=L1H1 · trained weights")
        page.get_by_role("button", name="Random weights").click()
        page.wait_for_selector("text=L1H1 · random weights (control)")
        page.locator("select").select_option("1")
        page.wait_for_function("() => document.querySelectorAll('.interp-token').length === 7")
        page.locator(".interp-heads").focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.className") == "interp-pattern"
        page.keyboard.press("ArrowUp")
        shown = page.locator(".interp-readout").text_content()
        assert "\u2068·there\u2069 (5) → \u2068Once\u2069 (0)" in shown
        number = float(re.search(r"random weights (\d\.\d{4})", shown)[1])
        assert number == pytest.approx(
            float(result.data["control_pattern"].values[1, 1, 1, 5, 0]), abs=LARGEST_ERROR + 5e-5
        )
        watched.check_calm()


@pytest.mark.parametrize(("n_layers", "n_heads", "n_pos"), [(32, 32, 64), (1, 12, 512)])
def test_large_patterns_draw(browser: Browser, tmp_path: Path, n_layers: int, n_heads: int, n_pos: int) -> None:
    result = synthetic.attention([["tok"] * n_pos], n_layers, n_heads)
    with opened(browser, plot(result).write_html(tmp_path / "figure.html")) as watched:
        watched.draw_all()
        _open_head(watched, n_layers - 1, n_heads - 1)
        shown = _point_at(watched, n_pos - 1, 5)
        expected = float(result.data["pattern"].values[0, -1, -1, -1, 5])
        assert float(re.search(r" weight (\d\.\d{4})", shown)[1]) == pytest.approx(expected, abs=LARGEST_ERROR + 5e-5)
        watched.check_calm()
