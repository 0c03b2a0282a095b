"""One thing in many forms: its name in several languages, in another script and romanised, its emoji, and nonsense.

The nonsense symbol has as many characters, each of as many bytes, as the emoji, and no meaning that a corpus could have
taught: private-use characters. What an emoji does that its nonsense symbol does not is not a matter of its length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from interp.errors import InputError
from interp.languages.romanise import romanise

WORD, NONSENSE = "word", "nonsense"
"""Names of the plain form, which all others are compared with, and of the form without meaning."""
SLOT = "{}"
_TABLE = Path(__file__).parent / "text" / "symbol_sets.tsv"
_NAMES = {"en": WORD, "fr": "french", "de": "german", "es": "spanish", "ru": "russian", "emoji": "emoji"}
_ONE_BYTE, _TWO_BYTES = "qxzjkvw", [chr(code) for code in range(0x07CA, 0x07EB)]
"""Stand-ins where there are no private-use characters: rare letters, and N'Ko."""
_PRIVATE = {3: (0xE000, 0x1000), 4: (0xF0000, 0x1000)}
"""First private-use character and how many are drawn from, by bytes."""


@dataclass(frozen=True)
class SymbolSet:
    """One concept and its forms, as they are written inside a sentence.

    Raises:
        InputError: the plain word is missing, or a form is empty.
    """

    concept: str
    forms: dict[str, str]

    def __post_init__(self) -> None:
        if WORD not in self.forms or not all(form.strip() for form in self.forms.values()):
            raise InputError(
                f"The forms of {self.concept!r} are {self.forms}. Expected {WORD!r} among them, and none of them empty."
            )


@dataclass(frozen=True)
class Carrier:
    """A sentence with a slot: what stands before it, and after it.

    Raises:
        InputError: no slot or several, or nothing on one of its sides.
    """

    text: str

    def __post_init__(self) -> None:
        if self.text.count(SLOT) != 1 or not self.before or not self.after.strip():
            raise InputError(f"The carrier {self.text!r} needs {SLOT!r} once, with words before and after it.")

    @property
    def before(self) -> str:
        """The sentence up to the slot, without the space before it, which belongs to what is put there."""
        return self.text.split(SLOT)[0].rstrip()

    @property
    def after(self) -> str:
        """The sentence from the slot on."""
        return self.text.split(SLOT)[1]


CARRIERS = tuple(
    Carrier(text)
    for text in (
        "He looked at the {} for a long time, and then he went back to his friends.",
        "She spoke of the {} again, but nobody in the room answered her.",
        "They had seen the {} before, and they did not wish to see it again.",
        "I thought of the {} all night, and in the morning I told my brother.",
    )
)
"""English sentences into which every shipped concept fits."""


def read_symbol_sets(n: int | None = None, *, seed: int = 0) -> list[SymbolSet]:
    """The shipped concepts: word, three translations, Russian, romanised Russian, emoji, nonsense of equal bytes.

    Args:
        n: Only the first so many.
        seed: Decides the nonsense.
    """
    header, *rows = (line.split("\t") for line in _TABLE.read_text(encoding="utf-8").splitlines())
    rng = np.random.default_rng(seed)
    sets = []
    for row in rows[:n]:
        forms = {_NAMES[name]: text for name, text in zip(header, row, strict=True)}
        made = {"romanised": romanise(forms["russian"]).replace("'", ""), NONSENSE: nonsense_like(forms["emoji"], rng)}
        sets.append(SymbolSet(forms[WORD], forms | made))
    return sets


def nonsense_like(text: str, rng: np.random.Generator) -> str:
    """Draw a symbol without meaning, of as many characters as `text`, each of as many UTF-8 bytes."""
    return "".join(_meaningless(len(char.encode()), rng) for char in text)


def _meaningless(n_bytes: int, rng: np.random.Generator) -> str:
    if n_bytes in _PRIVATE:
        first, count = _PRIVATE[n_bytes]
        return chr(first + int(rng.integers(count)))
    few: Sequence[str] = _ONE_BYTE if n_bytes == 1 else _TWO_BYTES
    return few[int(rng.integers(len(few)))]
