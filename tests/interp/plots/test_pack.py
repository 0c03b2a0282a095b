import base64
import hashlib
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import InputError
from interp.plots import pack


@given(st.text())
def test_json_in_a_script_holds_no_markup_and_reads_back(text: str) -> None:
    written = pack.json_script({"text": text})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"text": text}


def test_numbers_that_json_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        pack.json_script([float("nan")])


@given(st.binary())
def test_deflated_data_reads_back(data: bytes) -> None:
    assert zlib.decompress(base64.b64decode(pack.deflate(data))) == data


def test_the_policy_allows_exactly_these_scripts_and_no_network() -> None:
    policy = pack.content_policy(["one()"])
    digest = base64.b64encode(hashlib.sha256(b"one()").digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_bundles_come_from_the_installed_wheels() -> None:
    assert "plotly.js v" in pack.bundle_source("plotly")[:100]
    assert "CircuitsVis" in pack.bundle_source("circuitsvis")


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install plotly"):
        pack.bundle_source.__wrapped__("plotly")
