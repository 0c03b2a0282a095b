from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.interp.plots.browser import launch


# Not for the session: Playwright keeps an event loop running, and other tests (notebooks) start their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launch()
