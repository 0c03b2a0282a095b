"""Make token text visible: whitespace, control characters and direction marks become marks that can be read."""

import html
import unicodedata

_MARKS = {" ": "·", "\n": "⏎", "\t": "⇥"}
_EMPTY = "∅"
_DOTTED_CIRCLE = "◌"
_JOINERS = "\u200c\u200d"
_RESERVED = {*_MARKS.values(), _EMPTY, _DOTTED_CIRCLE, "⟨", "⟩"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"}
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"


def visible(text: str) -> str:
    """Write a token so that every character of it can be seen, and two different tokens never look alike.

    A space becomes `·`, a newline `⏎`, a tab `⇥`, nothing at all `∅`. Other characters that a browser would hide or
    obey (control characters, direction overrides, zero-width and unusual spaces), and the marks themselves, become
    their code point, `⟨U+202E⟩`. The joiners that emoji and several scripts need are kept between two characters.
    """
    if not text:
        return _EMPTY
    last = len(text) - 1
    shown = "".join(_show(char, inside=0 < place < last) for place, char in enumerate(text))
    return _DOTTED_CIRCLE + shown if unicodedata.combining(shown[0]) else shown


def _show(char: str, *, inside: bool) -> str:
    if char in _MARKS:
        return _MARKS[char]
    if char in _JOINERS and inside:
        return char
    if char in _RESERVED or unicodedata.category(char) in _HIDDEN:
        return f"⟨U+{ord(char):04X}⟩"
    return char


def clip(text: str, width: int = 14) -> str:
    """Shorten text to at most `width` characters, the last of them `…`: longer tick labels cover the axis title."""
    return text if len(text) <= width else text[: width - 1] + "…"


def isolate(text: str) -> str:
    """Keep right-to-left text from reordering what stands beside it; other text is returned as it is."""
    if any(unicodedata.bidirectional(char) in {"R", "AL", "AN"} for char in text):
        return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"
    return text


def plotly_text(text: str) -> str:
    """Escape text for plotly's labels, which read `<b>` as bold, `&lt` as `<` and `$x$` as mathematics."""
    return html.escape(text, quote=False).replace("$", "&#36;")


def tick_label(text: str, index: int) -> str:
    """Write a token as an axis label of a plotly figure: visible, clipped, with its index, escaped."""
    return f"{isolate(plotly_text(clip(visible(text))))} {index}"


def hover_label(text: str) -> str:
    """Write a token in full for a plotly hover box."""
    return isolate(plotly_text(clip(visible(text), 120)))
