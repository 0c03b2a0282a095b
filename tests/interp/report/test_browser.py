import csv
import dataclasses
import io
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser

from interp.report import Report, Section, Table, write_report
from tests.interp.plots import synthetic
from tests.interp.plots.browser import hover_cell, opened

pytestmark = pytest.mark.browser
EVIL = "</script><script>document.title='x'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def report_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = [synthetic.attention(), synthetic.head_scores(), synthetic.patch_sweep(), synthetic.probe_by_layer()]
    table = Table("Facts", pd.DataFrame({"fact": ["layers", "=1+1"], "value": [6, 0.5]}))
    sections = [Section("Facts", "Words.", tables=[table]), Section("Figures", "More words.", results)]
    return write_report(
        Report("A calm report", "Subtitle", sections), tmp_path_factory.mktemp("report") / "report.html"
    )


@pytest.fixture(scope="session")
def hostile_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every word that can come from outside tries to run."""
    results = []
    for made in (synthetic.patch_sweep(), synthetic.attention(), synthetic.head_scores(), synthetic.probe_by_layer()):
        notes = made.notes | {"site": EVIL, "direction": EVIL, "control": EVIL}
        origin = dataclasses.replace(made.provenance, model=EVIL, call=EVIL, versions={EVIL: EVIL})
        words = {"unit": EVIL, "sign": EVIL, "method": EVIL, "baselines": {EVIL: 1.0}}
        results.append(dataclasses.replace(made, notes=notes, provenance=origin, **words))
    scores = results[2]
    renamed = scores.data.assign_coords(detector=[EVIL, *scores.data["detector"].values[1:]])
    results[2] = dataclasses.replace(scores, data=renamed)
    table = Table(EVIL, pd.DataFrame({EVIL: [EVIL]}), EVIL)
    report = Report(EVIL, EVIL, [Section(EVIL, EVIL, results, [table])])
    return write_report(report, tmp_path_factory.mktemp("report") / "hostile.html")


def test_every_figure_is_drawn_without_a_network(browser: Browser, report_path: Path) -> None:
    with opened(browser, report_path) as watched:
        watched.draw_all()
        assert watched.page.locator(".interp-figure[data-drawn]").count() == 4
        assert watched.page.locator(".interp-plot").count() == 3
        assert watched.page.locator(".interp-fallback").count() == 0
        assert watched.page.title() == "A calm report"
        watched.check_calm()


def test_figures_wait_until_they_come_into_view(browser: Browser, report_path: Path) -> None:
    with opened(browser, report_path) as watched:
        watched.page.wait_for_selector(".interp-figure[data-drawn]")
        assert watched.page.locator(".interp-figure[data-drawn]").count() < 4
        watched.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        watched.page.wait_for_function("() => document.querySelectorAll('.interp-figure[data-drawn]').length === 4")
        watched.check_calm()


def test_no_word_from_outside_runs(browser: Browser, hostile_path: Path) -> None:
    with opened(browser, hostile_path) as watched:
        watched.draw_all()
        page = watched.page
        assert page.title() == EVIL
        assert page.locator("img").count() == 0, "neither a fallback nor an injected picture is left"
        own = page.locator("script").count()
        assert own == page.locator("script[type='application/json']").count() + 4
        for where in ("h1", "h2 >> nth=1", ".subtitle", ".words", "td >> nth=-1", "th[scope=col]", ".notes p >> nth=1"):
            assert EVIL in page.locator(where).first.text_content()
        hovered = hover_cell(page, "#figure-1-1 .interp-plot", 0, 0)
        assert "</script><script>document.title='x'</script>" in hovered
        titles = page.locator("#figure-1-3 .interp-plot .annotation-text").all_text_contents()
        assert EVIL in titles
        watched.check_calm()


def test_a_script_put_into_the_page_is_refused(browser: Browser, report_path: Path) -> None:
    with opened(browser, report_path) as watched:
        watched.page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "document.title = 'x'";
                document.body.append(script);
                document.body.insertAdjacentHTML("beforeend", "<img src='data:,' onerror=\\"document.title='y'\\">");
            }"""
        )
        answer = watched.page.evaluate("fetch('data:text/plain,z').then(() => 'fetched', () => 'refused')")
        assert answer == "refused"
        assert watched.page.title() == "A calm report"


def test_without_scripts_the_page_can_be_read(browser: Browser, report_path: Path) -> None:
    with opened(browser, report_path, java_script_enabled=False) as watched:
        pictures = watched.page.locator(".interp-fallback")
        assert pictures.count() == 4
        assert all(box["height"] > 20 for box in (picture.bounding_box() for picture in pictures.all()))
        assert watched.page.locator("noscript p").is_visible()
        assert not watched.page.locator("button:visible").count()


def test_light_and_dark(browser: Browser, report_path: Path) -> None:
    for scheme, other in (("light", "dark"), ("dark", "light")):
        with opened(browser, report_path, color_scheme=scheme) as watched:
            watched.draw_all()
            before = _ink(watched.page)
            assert len(set(before)) == 1, "text in figures has the ink of the page"
            watched.page.locator("#theme").click()
            assert watched.page.evaluate("document.documentElement.dataset.theme") == other
            watched.page.wait_for_function(
                f"() => getComputedStyle(document.querySelector('.ytitle')).fill !== {before[0]!r}"
            )
            after = _ink(watched.page)
            assert len(set(after)) == 1
            assert set(after) != set(before)
            watched.check_calm()


def _ink(page) -> list[str]:
    titles = page.locator(".ytitle").evaluate_all("all => all.map((one) => getComputedStyle(one).fill)")
    return [*titles, page.evaluate("getComputedStyle(document.body).color")]


def test_the_table_of_a_figure_can_be_saved(browser: Browser, report_path: Path) -> None:
    with opened(browser, report_path) as watched:
        with watched.page.expect_download() as download:
            watched.page.locator("#figure-2-3 [data-save=csv]").click()
        text = Path(download.value.path()).read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    result = synthetic.patch_sweep()
    assert len(rows) == result.data["effect"].size
    cell = next(row for row in rows if row["layer"] == "2" and row["pos"] == "1")
    assert float(cell["effect"]) == pytest.approx(float(result.data["effect"].values[2, 1]), rel=1e-5)
    assert cell["label"] == "<img src=x onerror=alert(1)>"
    assert next(row for row in rows if row["pos"] == "14")["label"] == "'=1+1"


@pytest.mark.parametrize(
    ("figure", "format_"), [("#figure-2-1", "png"), ("#figure-2-3", "svg"), ("#figure-2-4", "png")]
)
def test_pictures_can_be_saved(browser: Browser, report_path: Path, figure: str, format_: str) -> None:
    with opened(browser, report_path) as watched:
        with watched.page.expect_download() as download:
            watched.page.locator(f"{figure} [data-save={format_}]").click()
        data = Path(download.value.path()).read_bytes()
        assert data.startswith(b"\x89PNG" if format_ == "png" else b"<svg")
        watched.check_calm()


def test_everything_can_be_reached_by_keys(browser: Browser, report_path: Path) -> None:
    with opened(browser, report_path) as watched:
        watched.draw_all()
        seen = set()
        for _ in range(60):
            watched.page.keyboard.press("Tab")
            seen.add(
                watched.page.evaluate(
                    "(({tagName, className, id}) => `${tagName} ${id || className}`.trim())(document.activeElement)"
                )
            )
        for expected in ("A skip", "BUTTON theme", "CANVAS interp-heads", "CANVAS interp-pattern", "SELECT", "SUMMARY"):
            assert expected in seen
        assert any(place.startswith("DIV interp-plot") for place in seen)


def test_a_narrow_screen_does_not_scroll_sideways(browser: Browser, report_path: Path) -> None:
    with opened(browser, report_path) as watched:
        watched.page.set_viewport_size({"width": 390, "height": 800})
        watched.draw_all()
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_click_on_a_head_opens_its_pattern_on_the_same_page(browser: Browser, tmp_path: Path) -> None:
    heads, patterns = synthetic.head_scores(), synthetic.attention()
    page = write_report(Report("Heads", "", [Section("Both", "", [heads, patterns])]), tmp_path / "report.html")
    n_layers, n_heads = heads.data.sizes["layer"], heads.data.sizes["head"]
    with opened(browser, page) as watched:
        watched.draw_all()
        plot_area = watched.page.locator(".interp-plot .nsewdrag").first
        plot_area.scroll_into_view_if_needed()
        box = plot_area.bounding_box()
        assert box is not None
        layer, head = 1, 2
        x, y = box["x"] + (head + 0.5) / n_heads * box["width"], box["y"] + (layer + 0.5) / n_layers * box["height"]
        watched.page.mouse.move(x, y)
        watched.page.mouse.click(x, y)
        watched.page.wait_for_selector("text=L1H2 · trained weights")
        watched.check_calm()
