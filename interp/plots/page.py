"""HTML of a figure: a fragment for notebooks, or a page of its own."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from interp.plots import pack

if TYPE_CHECKING:
    from interp.plots.figure import Figure

_TEMPLATES = Path(__file__).parent / "templates"
_VIEWER = ["attention.js", "attention_input.js"]
_DRAWING = ["figures.js"]
_STYLES = ["figures.css"]


def environment(*folders: Path) -> jinja2.Environment:
    """Return templates of these folders and of this one; text is escaped, and a missing value is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([os.fspath(folder) for folder in (*folders, _TEMPLATES)]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def figure_scripts(*, viewer: bool = True) -> list[str]:
    """Return the scripts that draw figures, to be placed after them; with or without the attention viewer."""
    return [pack.read_static(name) for name in ([*_VIEWER, *_DRAWING] if viewer else _DRAWING)]


def figure_styles() -> str:
    """Return the style sheet of figures."""
    return "\n".join(pack.read_static(name) for name in _STYLES)


def safe(text: str) -> Markup:
    """Mark code or styles of our own as not to be escaped; never call it with words from outside."""
    return Markup(text)


def context(bundles: list[str], scripts: list[str]) -> dict[str, object]:
    """Return what every template needs: code, styles, bundles and the policy that allows exactly these."""
    return {
        "json": pack.json_script,
        "styles": safe(figure_styles()),
        "scripts": [safe(code) for code in scripts],
        "bundles": [pack.bundle(name) for name in bundles],
        "policy": pack.content_policy([*scripts, *(pack.bundle_source(name) for name in bundles)]),
    }


def fragment_html(figure: "Figure", bundle: str | None) -> str:
    """Return a figure as HTML to be placed in a page that somebody else writes, such as a notebook."""
    scripts = figure_scripts(viewer=figure.kind == "attention")
    template = environment().get_template("fragment.html")
    return template.render(figure=figure, **context([bundle] if bundle else [], scripts))


def page_html(figure: "Figure") -> str:
    """Return a figure as a whole page that needs no network."""
    template = environment().get_template("page.html")
    return template.render(figure=figure, **context([figure.bundle] if figure.bundle else [], figure_scripts()))
