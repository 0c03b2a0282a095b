"""The control for script: a text in Latin letters, whatever it was written in."""

import re
import unicodedata
from dataclasses import replace
from typing import overload

from anyascii import anyascii

from interp.languages.tagged import TaggedText

_UNKNOWN = "?"


@overload
def romanise(text: str, *, keep_latin: bool = False) -> str: ...
@overload
def romanise(text: TaggedText, *, keep_latin: bool = False) -> TaggedText: ...
def romanise(text: str | TaggedText, *, keep_latin: bool = False) -> str | TaggedText:
    """Write a text in ASCII, word by word: as many words as before, the whitespace between them unchanged.

    Letters are replaced one by one, without knowledge of the language: a reader of it would often choose others, and
    vowels that a script does not write stay unwritten. What tells two languages apart after this is not their script;
    their letters' frequencies and words still do.

    Args:
        text: A text, or one whose words carry tags, which stay with them.
        keep_latin: Leave Latin letters with marks as they are, such as `ü`: only other scripts are replaced.

    Returns:
        ASCII but for letters that were kept; a word that the table cannot write is `?`.

    Example:
        >>> romanise("Ольга любит Zürich")
        "Ol'ga lyubit Zurich"

    Source: anyascii (github.com/anyascii/anyascii), a table of every Unicode character, ISC licence.
    """
    if isinstance(text, TaggedText):
        return replace(text, words=tuple(_word(word, keep_latin) for word in text.words))
    return re.sub(r"\S+", lambda found: _word(found[0], keep_latin), text)


def _word(word: str, keep_latin: bool) -> str:
    composed = unicodedata.normalize("NFC", word)
    written = "".join(char if keep_latin and _is_latin(char) else anyascii(char) for char in composed)
    return re.sub(r"\s+", "", written) or _UNKNOWN


def _is_latin(char: str) -> bool:
    return unicodedata.name(char, "").startswith("LATIN ")
