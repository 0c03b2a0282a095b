"""Models for the tests of patching."""

from functools import cache

import pytest

from interp.models import load_model


@pytest.fixture(scope="module")
def wide(family_directory):
    """Tiny models in float64, by family."""
    return cache(lambda name: load_model(str(family_directory(name)), dtype="float64"))
