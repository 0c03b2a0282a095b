"""The figure: a picture with its words, ready for a notebook, a page of its own or a report."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io

from interp.files import check_output, write_atomically
from interp.plots import notebook, page


@dataclass(frozen=True)
class Figure:
    """One drawn result; exactly one of `plotly` and `viewer` is set."""

    title: str
    how_to_read: str
    """What a cell is, the sign, what the control is, and what the figure is not evidence of."""
    caption: str
    """Unit, number of prompts, interval, thresholds."""
    control: str
    """What the control beside the effect is."""
    png: bytes
    """A small picture for readers without JavaScript."""
    plotly: go.Figure | None = None
    """The plain plotly figure, to change or to export with plotly's own tools."""
    viewer: dict[str, Any] | None = None
    """Data for a viewer of our own; `kind` says which."""

    @property
    def kind(self) -> str:
        """What draws it: `plotly`, `attention` or `circuitsvis`."""
        return str(self.viewer["kind"]) if self.viewer else "plotly"

    @property
    def bundle(self) -> str | None:
        """The JavaScript bundle that it needs on its page, if any."""
        return None if self.kind == "attention" else self.kind

    @property
    def height(self) -> int:
        """Height in pixels to keep free before it is drawn."""
        return int(self.plotly.layout.height or 400) if self.plotly else 420

    @property
    def png_base64(self) -> str:
        """The small picture as text."""
        return base64.b64encode(self.png).decode()

    def drawing(self) -> dict[str, Any]:
        """Return what the page's script draws from, ready for JSON."""
        if self.viewer:
            return self.viewer
        return {"kind": "plotly", "figure": json.loads(plotly.io.to_json(self.plotly, validate=False))}

    def write_html(self, path: str | Path, *, force: bool = False) -> Path:
        """Write one HTML file that opens without a network.

        Raises:
            InputError: the file exists and `force` is off, or it cannot be written there.
        """
        target = check_output(Path(path), force=force)
        return write_atomically(target, lambda part: part.write_bytes(page.page_html(self).encode()))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002
        """Return HTML for notebooks, with a picture and words where HTML is not shown; nothing is fetched."""
        return {
            "text/html": page.fragment_html(self, bundle=notebook.claim_bundle(self.bundle)),
            "image/png": self.png_base64,
            "text/plain": f"{self.title}. {self.caption}",
        }
