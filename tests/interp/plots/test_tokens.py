import html
import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from interp.plots.tokens import clip, hover_label, isolate, plotly_text, tick_label, visible

ANY_TEXT = st.text(st.characters(), max_size=12)
_CODE = re.compile(r"⟨U\+([0-9A-F]{4,6})⟩")


def _reveal(shown: str) -> str:
    """Undo `visible`, by its description alone."""
    if shown == "∅":
        return ""
    shown = shown.removeprefix("◌").replace("·", " ").replace("⏎", "\n").replace("⇥", "\t")
    return _CODE.sub(lambda match: chr(int(match[1], 16)), shown)


def test_whitespace_has_its_own_marks() -> None:
    assert visible(" a b\n\t") == "·a·b⏎⇥"
    assert visible("") == "∅"


def test_a_direction_override_is_named_and_not_obeyed() -> None:
    assert visible("\u202eabc") == "⟨U+202E⟩abc"
    assert visible("\u200b") == "⟨U+200B⟩"
    assert visible("\u00a0") == "⟨U+00A0⟩"


def test_an_emoji_of_several_parts_stays_whole() -> None:
    assert visible("👩‍💻") == "👩‍💻"


@given(ANY_TEXT)
def test_no_two_tokens_look_alike(text: str) -> None:
    assert _reveal(visible(text)) == text


@given(ANY_TEXT)
def test_everything_shown_can_be_seen(text: str) -> None:
    shown = visible(text)
    assert shown
    inside = shown[1:-1].replace("\u200c", "").replace("\u200d", "")
    assert not any(
        unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"}
        for char in shown[0] + inside + shown[-1]
    )


@given(ANY_TEXT)
def test_plotly_text_holds_no_markup_and_reads_back(text: str) -> None:
    escaped = plotly_text(text)
    assert not set("<>$") & set(escaped)
    assert html.unescape(escaped) == text or "&" in text or "\r" in text or "\x00" in text
    assert re.sub("&(amp|lt|gt|#36);", lambda match: html.unescape(match[0]), escaped) == text


def test_an_ampersand_is_escaped_once() -> None:
    assert plotly_text("&lt <b>") == "&amp;lt &lt;b&gt;"


def test_tick_labels_are_clipped_before_they_are_escaped() -> None:
    assert tick_label("<" * 40, 3) == "&lt;" * 13 + "… 3"
    assert len(clip("x" * 15)) == 14
    assert clip("x" * 14) == "x" * 14


def test_the_index_of_a_right_to_left_token_stays_on_its_right() -> None:
    assert tick_label("سلام", 6) == "\u2068سلام\u2069 6"
    assert isolate("plain") == "plain"
    assert hover_label("a" * 130).endswith("…")
