"""A real browser without a network, and a page that remembers all that went wrong on it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-prefers-reduced-motion"]


@dataclass
class Watched:
    """An open page with what it complained about and asked for."""

    page: Page
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def draw_all(self) -> None:
        self.page.evaluate("interpFigures.drawAll()")
        assert self.page.locator(".interp-figure[data-drawn]").count() == self.page.locator(".interp-figure").count()

    def check_calm(self) -> None:
        """Nothing was logged as an error, nothing asked for, no dialog opened."""
        assert self.faults == []
        assert [url for url in self.requests if not url.startswith(("file:", "blob:", "data:"))] == []
        assert sum(url.startswith("file:") for url in self.requests) == 1


def launch() -> Iterator[Browser]:
    """Start Debian's Chromium, or skip with the line that says how to get one."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no browser: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, path: Path, **settings: Any) -> Iterator[Watched]:
    """Open a file with the network off."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900}, **settings)
    watched = Watched(context.new_page())
    page = watched.page
    page.on(
        "console", lambda message: watched.faults.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: watched.faults.append(str(error)))
    page.on("request", lambda request: watched.requests.append(request.url))
    page.on("dialog", lambda dialog: (watched.faults.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.goto(path.as_uri())
    yield watched
    context.close()


def hover_cell(page: Page, plot: str, layer: int, column: int) -> str:
    """Point at a cell of the first panel of a plotly figure and return the text that appears."""
    place = page.evaluate(
        """([plot, layer, column]) => {
            const element = document.querySelector(plot);
            element.scrollIntoView({block: "center", behavior: "instant"});
            const {_fullLayout: layout} = element;
            const box = element.getBoundingClientRect();
            const {xaxis: x, yaxis: y} = layout;
            return [box.left + x._offset + x.l2p(column), box.top + y._offset + y.l2p(layer)];
        }""",
        [plot, layer, column],
    )
    page.mouse.move(place[0] - 2, place[1] - 2)
    page.mouse.move(*place)
    page.wait_for_function("(plot) => document.querySelector(`${plot} .hoverlayer`).textContent !== ''", arg=plot)
    return page.locator(f"{plot} .hoverlayer").text_content()
