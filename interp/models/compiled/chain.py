"""The plan of a random circuit: which step each layer takes, and where the word that comes out stood in the prompt.

A step either moves a noted word on by a fixed distance, for every position at once (a shift), or looks for a noted word
and notes what stands there (a jump). A jump composes through its query, its key or its value with earlier steps.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from interp.models.compiled.language import TOKEN

Anchor = Literal["last", "repeated"]

_FARTHEST_SHIFT, _FARTHEST_POINTER = 6, 8
"""In words; prompts are long enough that such a distance never leaves them."""


@dataclass(frozen=True)
class Step:
    """What one working head does; a shift has `back`, a jump has `query` and `key`."""

    value: str
    writes: str
    says: str
    back: int | None = None
    query: str = TOKEN
    key: str = TOKEN


@dataclass(frozen=True)
class Pointer:
    """The word noted at the last position: the one `offset` places from the last word, or from its earlier twin."""

    anchor: Anchor
    offset: int


@dataclass(frozen=True)
class Chain:
    """The steps, and the place of the answer that they find."""

    steps: tuple[Step, ...]
    anchor: Anchor
    offset: int
    repeats: bool
    """Whether the last word must stand earlier as well."""
    offsets_from_last: frozenset[int]
    """Places, counted from the last word, where its twin must not stand."""

    @property
    def says(self) -> str:
        """The prompts, in words."""
        if self.anchor == "repeated":
            return f"the last word stood earlier once; the answer stands {self.offset:+d} words from there"
        return f"the answer stands {-self.offset} words before the last"


@dataclass
class _Growth:
    """What has been noted so far: words at fixed distances, and pointers."""

    rng: np.random.Generator
    shifts: dict[str, int]
    """Distance of each space that holds, at every position, the word so many places before."""
    pointer: Pointer | None = None
    newest: str = TOKEN
    repeats: bool = False
    from_last: frozenset[int] = frozenset()


def grow_chain(rng: np.random.Generator, depth: int) -> Chain:
    """Take one random step for each layer, each of which needs the one before."""
    growth, steps = _Growth(rng, {TOKEN: 0}), []
    for number in range(depth):
        options = _options(growth, f"noted{number}")
        step, growth = options[int(rng.integers(len(options)))]
        steps.append(step)
    end = growth.pointer or Pointer("last", -growth.shifts[growth.newest])
    return Chain(tuple(steps), end.anchor, end.offset, growth.repeats, growth.from_last | {end.offset})


def _options(growth: _Growth, writes: str) -> list[tuple[Step, _Growth]]:
    """All steps that use what was noted last and stay inside the prompt."""
    if growth.pointer is not None:
        return _jumps(growth, writes, growth.newest, growth.pointer, list(growth.shifts), list(growth.shifts))
    far, shifts, newest = growth.shifts[growth.newest], list(growth.shifts), growth.newest
    options = []
    for back in (1, 2, 3):
        if far + back <= _FARTHEST_SHIFT:
            step = Step(newest, writes, f"'{newest}' from {back} before", back=back)
            options.append((step, _Growth(growth.rng, {**growth.shifts, writes: far + back}, None, writes)))
    if far:
        options += _jumps(growth, writes, TOKEN, Pointer("repeated", 0), [newest], shifts)
        options += _jumps(growth, writes, newest, Pointer("last", -far), shifts, shifts)
    return options


def _jumps(
    growth: _Growth, writes: str, query: str, at: Pointer, keys: list[str], values: list[str]
) -> list[tuple[Step, _Growth]]:
    """Jumps that end inside the prompt and on another word than the one whose twin is looked for."""
    options = []
    for key in keys:
        for value in values:
            found = at.offset + growth.shifts[key]
            end = Pointer(at.anchor, found - growth.shifts[value])
            if _is_inside(at.anchor, found, end.offset):
                step = Step(value, writes, f"'{value}' where '{key}' is '{query}' here", None, query, key)
                passed = {at.offset, end.offset} if at.anchor == "last" else set()
                repeats = growth.repeats or at.anchor == "repeated"
                grown = _Growth(growth.rng, growth.shifts, end, writes, repeats, growth.from_last | passed)
                options.append((step, grown))
    return options


def _is_inside(anchor: Anchor, found: int, end: int) -> bool:
    if anchor == "repeated":
        return end != 0 and max(abs(found), abs(end)) <= _FARTHEST_POINTER
    return found <= 0 and -_FARTHEST_POINTER <= end < 0
