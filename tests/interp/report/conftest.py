from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.interp.plots.browser import launch


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    yield from launch()
