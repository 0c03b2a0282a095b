"""Where tokens lie in a ribbon: as wide as they are written, cut into lines that fit a page."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from interp.plots.tokens import clip, visible

LINE_WIDTH = 104
"""Characters of a line: what a page of 1,100 pixels shows without shrinking them."""
_NARROWEST = 2


@dataclass(frozen=True)
class Line:
    """A stretch of one text that is shown at once."""

    name: str
    """Which text, how it begins, and which part of it; visible, not escaped."""
    start: int
    """First token."""
    stop: int
    """One after the last token."""


@dataclass(frozen=True)
class Strip:
    """All lines one after the other along one axis, each in a stretch of the same width, in characters."""

    shown: list[str]
    """Each token as it is written in its cell; visible, clipped, not escaped."""
    left: Float[np.ndarray, " token"]
    width: Float[np.ndarray, " token"]
    lines: list[Line]
    stretch: float

    @classmethod
    def of(cls, tokens: Sequence[str], text: Int[np.ndarray, " token"], word: Int[np.ndarray, " token"]) -> "Strip":
        """Lay out tokens.

        Args:
            tokens: Text of each token.
            text: Which text it belongs to.
            word: Which word of its text; a line begins with a word where it can.
        """
        shown = [clip(visible(token)) for token in tokens]
        width = np.array([_cell_width(each) for each in shown], float)
        lines = [line for number in np.unique(text).tolist() for line in _lines(number, text, word, width, shown)]
        stretch = max(width[line.start : line.stop].sum() for line in lines) + 1.0
        left = np.zeros(len(width))
        for place, line in enumerate(lines):
            inside = width[line.start : line.stop]
            left[line.start : line.stop] = place * stretch + np.cumsum(inside) - inside
        return cls(shown, left, width, lines, float(stretch))

    @property
    def centre(self) -> Float[np.ndarray, " token"]:
        """Middle of each token."""
        return self.left + self.width / 2

    def range_of(self, line: int) -> list[float]:
        """The part of the axis that shows a line."""
        return [line * self.stretch - 0.5, (line + 1) * self.stretch - 0.5]

    def columns(self) -> tuple[Float[np.ndarray, " edge"], Int[np.ndarray, " column"]]:
        """Edges of a heatmap's columns, and the token of each; -1 for the empty one that ends every line."""
        edges: list[float] = [0.0]
        token: list[int] = []
        for place, line in enumerate(self.lines):
            inside = range(line.start, line.stop)
            edges += [*(self.left[inside] + self.width[inside]).tolist(), (place + 1) * self.stretch]
            token += [*inside, -1]
        return np.array(edges), np.array(token)


def _cell_width(shown: str) -> int:
    marks = sum(unicodedata.combining(char) > 0 or char in "\u200c\u200d\ufe0f" for char in shown)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in shown)
    return max(_NARROWEST, len(shown) - marks + wide + 1)


def _lines(
    number: int, text: np.ndarray, word: np.ndarray, width: Float[np.ndarray, " token"], shown: list[str]
) -> list[Line]:
    places = np.flatnonzero(text == number)
    cuts, start, stop = [], int(places[0]), int(places[-1]) + 1
    while width[start:stop].sum() > LINE_WIDTH:
        most = start + max(1, int((np.cumsum(width[start:stop]) <= LINE_WIDTH).sum()))
        begins = [place for place in range(start + 1, most + 1) if word[place] != word[place - 1]]
        cuts.append((start, begins[-1] if begins else most))
        start = cuts[-1][1]
    cuts.append((start, stop))
    beginning = clip("".join(shown[places[0] : stop]), 44)
    parts = [f", part {place + 1} of {len(cuts)}" if len(cuts) > 1 else "" for place in range(len(cuts))]
    return [Line(f"{number + 1}: {beginning}{part}", *cut) for part, cut in zip(parts, cuts, strict=True)]
