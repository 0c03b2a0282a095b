"""Pack data and code for one HTML file: escaped JSON, deflated base64, and the hashes a content policy needs."""

import base64
import hashlib
import json
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from markupsafe import Markup

from interp.errors import InputError

_STATIC = Path(__file__).parent / "static"
_BUNDLES = {"plotly": "package_data/plotly.min.js", "circuitsvis": "dist/cdn/iife.js"}
_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def deflate(data: bytes) -> str:
    """Return data as base64 of a zlib stream, which browsers read with `DecompressionStream("deflate")`."""
    return base64.b64encode(zlib.compress(data, 9)).decode()


def json_script(value: Any) -> Markup:
    """Return JSON that may stand inside a script element: no `<`, `>` or `&` is left in it.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return Markup(json.dumps(value, allow_nan=False, separators=(",", ":")).translate(_ESCAPES))


def source_hash(code: str) -> str:
    """Return the content-policy source expression of an inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def read_static(name: str) -> str:
    """Read a script or style sheet shipped with this package; line ends are `\\n` everywhere, as the hash needs."""
    return (_STATIC / name).read_text(encoding="utf-8")


@cache
def bundle_source(name: str) -> str:
    """Read a JavaScript bundle from the installed wheel of `plotly` or `circuitsvis`, without importing it.

    Raises:
        InputError: the wheel is not installed or has no bundle in it.
    """
    spec = find_spec(name)
    path = Path((spec.submodule_search_locations or [""])[0]) / _BUNDLES[name] if spec else None
    if path is None or not path.is_file():
        raise InputError(f"The package {name!r} with its JavaScript bundle is not installed. Run: pip install {name}")
    return path.read_bytes().decode("utf-8").replace("\r\n", "\n")


@cache
def bundle(name: str) -> dict[str, str]:
    """Return a bundle ready to embed: its name and its deflated code."""
    return {"name": name, "deflated": deflate(bundle_source(name).encode())}


def content_policy(scripts: list[str]) -> str:
    """Return a content security policy under which exactly these scripts run and nothing is fetched.

    Bundles are unpacked into inline scripts, so that their hash is checked as well and no `blob:` script is allowed.
    """
    hashes = " ".join(source_hash(code) for code in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
