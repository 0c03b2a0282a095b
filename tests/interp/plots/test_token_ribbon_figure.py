"""The token ribbon shows each token where it lies, says what it is, and heeds menus and clicks."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from interp.plots import plot
from interp.plots.ribbon_layout import LINE_WIDTH, Strip
from interp.plots.token_ribbon import MOST_NEURONS
from interp.plots.tokens import visible
from tests.interp.plots.browser import Watched, opened
from tests.interp.plots.synthetic import HOSTILE
from tests.interp.plots.synthetic_ribbon import NEURONS, token_ribbon

TOKENS = st.lists(st.text(max_size=20), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=3))
def test_every_token_lies_in_one_line_of_its_text_and_beside_its_neighbours(texts: list[list[str]]) -> None:
    tokens = [token for text in texts for token in text]
    text = np.repeat(np.arange(len(texts)), [len(each) for each in texts])
    strip = Strip.of(tokens, text, np.arange(len(tokens)) // 2)
    assert [place for line in strip.lines for place in range(line.start, line.stop)] == list(range(len(tokens)))
    for number, line in enumerate(strip.lines):
        inside = slice(line.start, line.stop)
        assert len(set(text[inside])) == 1
        assert strip.width[inside].sum() <= LINE_WIDTH
        low, high = strip.range_of(number)
        assert low < strip.left[inside].min()
        assert (strip.left + strip.width)[inside].max() <= high + 0.5
    edges, column = strip.columns()
    assert (np.diff(edges) >= 0).all()
    real = column >= 0
    np.testing.assert_array_equal(column[real], np.arange(len(tokens)))
    np.testing.assert_allclose(edges[:-1][real], strip.left)
    np.testing.assert_allclose(edges[1:][real], strip.left + strip.width)


def test_a_line_ends_between_words_where_it_can() -> None:
    strip = Strip.of(["abcde"] * 40, np.zeros(40, int), np.arange(40) // 4)
    assert [line.start % 4 for line in strip.lines] == [0] * len(strip.lines)
    assert len(strip.lines) > 1
    assert strip.lines[0].name.endswith(f", part 1 of {len(strip.lines)}")


def test_the_figure_holds_what_the_result_says() -> None:
    result = token_ribbon()
    figure = plot(result).plotly
    chosen, random = (trace for trace in figure.data if trace.type == "heatmap")
    data = result.data
    column = [place for place, told in enumerate(chosen.customdata[0]) if told[0]]
    assert len(column) == data.sizes["token"]
    z = (data["activation"] - data["mean"]).values / np.where(data["sd"] > 0, data["sd"], np.inf)
    np.testing.assert_allclose(np.array(chosen.z)[:, column], z.T, rtol=1e-5, atol=1e-6)
    assert np.isnan(np.delete(np.array(chosen.z), column, 1)).all(), "nothing is drawn after the end of a line"
    assert [told[4] for told in np.array(chosen.customdata)[1, column]] == [
        f"{value:.4g}" for value in np.float32(data["activation"].values[:, 1])
    ]
    assert chosen.coloraxis == random.coloraxis
    curve, beside = figure.data[:2]
    assert (curve.name, beside.name) == ("L0N3", "random L0N9")
    np.testing.assert_allclose(np.array(curve.y)[column], z[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(np.isnan(np.array(curve.x)), np.isnan(np.array(curve.y)))
    lines = [shape for shape in figure.layout.shapes if shape.type == "line"]
    assert len(lines) == int(data["switch"].sum())


def test_languages_differ_in_colour_and_in_pattern_and_tokens_without_one_are_grey() -> None:
    figure = plot(token_ribbon()).plotly
    bands = [trace for trace in figure.data if trace.type == "bar" and trace.showlegend is None]
    assert [band.name for band in bands] == ["no language", "de", "&lt;b&gt;tr&lt;/b&gt;"]
    assert len({band.marker.color for band in bands}) == len({band.marker.pattern.shape for band in bands}) == 3


def test_surprisal_is_left_out_where_it_was_not_measured() -> None:
    result = token_ribbon()
    figure = plot(result).plotly
    (bars,) = [trace for trace in figure.data if trace.name == "surprisal"]
    ran = result.data["ran"].values
    np.testing.assert_allclose(bars.y, result.data["surprisal_nats"].values[ran])
    (strokes,) = [trace for trace in figure.data if trace.name == "surprisal, random weights"]
    np.testing.assert_allclose(strokes.y, 8.0)


def test_many_neurons_and_tokens_are_cut_and_the_caption_says_so() -> None:
    result = token_ribbon()
    data = result.data.isel(neuron=[0] * 40).assign_coords(neuron=np.array([f"L0N{n}" for n in range(40)], object))
    data = data.isel(token=np.resize(np.arange(17), 600)).assign_coords(token=np.arange(600))
    caption = plot(dataclasses.replace(result, data=data)).caption
    assert f"The first {MOST_NEURONS} of 40 neurons are drawn." in caption
    assert "The first 500 tokens are drawn." in caption
    assert "are drawn" not in plot(result).caption


def _place(page: Page, panel: int, row: float, token: int) -> list[float]:
    """Where on the page the middle of a cell lies; panels are counted from 1."""
    return page.evaluate(
        """([panel, row, token]) => {
            const element = document.querySelector(".interp-plot");
            const {_fullLayout: layout, data} = element;
            const heat = data.find((trace) => trace.type === "heatmap");
            const columns = heat.customdata[0].map((told, at) => (told[0] ? at : -1)).filter((at) => at >= 0);
            const at = columns[token];
            const edges = element.calcdata[data.indexOf(heat)][0].x;
            const box = element.getBoundingClientRect();
            const [x, y] = [layout[`xaxis${panel > 1 ? panel : ""}`], layout[`yaxis${panel > 1 ? panel : ""}`]];
            return [
                box.left + x._offset + x.l2p((edges[at] + edges[at + 1]) / 2),
                box.top + y._offset + y.l2p(row),
            ];
        }""",
        [panel, row, token],
    )


def _hover(page: Page, panel: int, row: float, token: int, expected: str) -> str:
    """Point at a cell and wait for the box that says what is expected."""
    x, y = _place(page, panel, row, token)
    page.mouse.move(x - 1, y - 1)
    page.mouse.move(x, y)
    said = "(words) => document.querySelector('.hoverlayer').textContent.includes(words)"
    page.wait_for_function(said, arg=expected)
    return page.locator(".hoverlayer").text_content()


def _open(watched: Watched) -> Page:
    watched.draw_all()
    watched.page.locator(".interp-plot").scroll_into_view_if_needed()
    watched.page.evaluate("window.scrollTo(0, 60)")
    return watched.page


@pytest.mark.browser
def test_hovering_says_token_language_surprisal_and_activation(browser: Browser, tmp_path: Path) -> None:
    result = token_ribbon()
    with opened(browser, plot(result).write_html(tmp_path / "ribbon.html")) as watched:
        page = _open(watched)
        token = 4  # <s>, a switch
        row = result.data.isel(token=token)
        shown = _hover(page, 3, 1, token, "L1N7")
        for expected in (
            f"{np.float32(row['activation'].values[1]):.4g}",
            "<s> (4), <b>tr</b>, switch",
            f"surprisal {float(row['surprisal_nats']):.2f} nats",
        ):
            assert expected in shown
        assert "L1N7" not in _hover(page, 1, 0.6, token, "<s> (4), <b>tr</b>, switch")
        _hover(page, 1, 0.6, 0, "<bos> (0), no language")
        assert "L0N9" in _hover(page, 4, 0, 0, "not measured")
        watched.check_calm()


@pytest.mark.browser
def test_clicking_a_row_chooses_its_neuron(browser: Browser, tmp_path: Path) -> None:
    result = token_ribbon()
    with opened(browser, plot(result).write_html(tmp_path / "ribbon.html")) as watched:
        page = _open(watched)
        for panel, row in ((3, 1), (4, 2), (3, 0)):
            page.mouse.click(*_place(page, panel, row, 6))
            name = NEURONS[row]
            page.wait_for_function(
                "(name) => document.querySelector('.interp-plot').data[0].name === name "
                "&& [...document.querySelectorAll('.updatemenu-item-text')].some((one) => one.textContent === name)",
                arg=name,
            )
            curve, frames = page.evaluate(
                "() => { const {data, layout} = document.querySelector('.interp-plot');"
                "return [data[0].text.filter((v) => v !== null && !Number.isNaN(v)),"
                "layout.shapes.slice(0, 2).map((s) => s.y0)]; }"
            )
            np.testing.assert_allclose(curve, result.data["activation"].values[:, row], rtol=1e-4, atol=1e-6)
            assert frames == [row - 0.5] * 2
            assert name in page.locator(".legend").text_content()
        watched.check_calm()


@pytest.mark.browser
def test_the_menus_choose_a_text_and_a_neuron(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, plot(token_ribbon()).write_html(tmp_path / "ribbon.html")) as watched:
        page = _open(watched)
        page.locator(".updatemenu-header").nth(0).click()
        page.locator(".updatemenu-dropdown-button", has_text="2: <bos>·one·iki").click()
        page.wait_for_function("() => document.querySelector('.interp-plot')._fullLayout.xaxis5.range[0] > 50")
        starts = page.evaluate(
            "() => { const layout = document.querySelector('.interp-plot')._fullLayout;"
            "return ['', 2, 3, 4, 5].map((n) => layout[`xaxis${n}`].range[0]); }"
        )
        assert len(set(starts)) == 1
        assert "L0N3" in _hover(page, 3, 0, len(HOSTILE) + 3, "·iki (2), <b>tr</b>, switch")
        page.locator(".interp-plot").focus()
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        page.wait_for_selector(".interp-spoken:has-text('·one (1)')", state="attached")
        page.locator(".updatemenu-header").nth(1).click()
        page.locator(".updatemenu-dropdown-button", has_text="L2N0").click()
        page.wait_for_function("() => document.querySelector('.interp-plot').data[0].name === 'L2N0'")
        watched.check_calm()


@pytest.mark.browser
def test_tokens_are_shown_as_text_and_keys_read_them(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, plot(token_ribbon()).write_html(tmp_path / "ribbon.html")) as watched:
        page = _open(watched)
        cells = page.locator(".bartext").all_text_contents()
        for token in ("<s>", "👩‍💻", "\n", " leading", "&lt", "$x^2$", ""):
            assert visible(token) in cells
        assert any("سلام" in cell for cell in cells)
        assert page.title() == "Token ribbon"
        assert page.locator(".interp-plot a, .interp-plot img").count() == 0
        page.locator(".interp-plot").focus()
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        page.wait_for_selector(".interp-spoken:has-text('<s> (4)')", state="attached")
        watched.check_calm()
