"""Line-aligned texts: files of which line i says the same in every language."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from interp.errors import InputError

_CODE = re.compile(r"[a-z]{2,3}([-_]\w+)*")


@dataclass(frozen=True)
class AlignedTexts:
    """The same lines in several languages."""

    lines: dict[str, list[str]]
    """By language; equal places mean the same."""
    ids: tuple[str, ...]
    """What the corpus calls each line; its number in the files, counted from 1, where the corpus says nothing."""
    n_dropped: int = 0
    """Lines that were left out in all languages because one of them was empty."""

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, chosen: slice) -> "AlignedTexts":
        return AlignedTexts({name: rows[chosen] for name, rows in self.lines.items()}, self.ids[chosen])


def read_aligned_texts(
    source: str | Path | Mapping[str, str | Path], *, ids: str | Path | Mapping[str, str | Path] | None = None
) -> AlignedTexts:
    """Read line-aligned files, and leave out in all of them the lines that are empty in one.

    Args:
        source: A file for each language; or a directory of files named by code, such as `de.txt`, with `de.ids` beside
            each or beside none, and whatever else. Files are UTF-8, a line ends with a line feed; spaces around a line
            are dropped.
        ids: One file with the name of every line, or one for each language, which must then say the same.

    Returns:
        The lines in the order of the files, languages in the order given (of a directory: by name).

    Raises:
        InputError: fewer than two languages, a file that cannot be read or is no UTF-8, files of unequal numbers of
            lines, ids that differ between languages, or no line that all languages have.

    Example:
        >>> read_aligned_texts({"de": "de.txt", "tr": "tr.txt"}).lines["tr"]  # doctest: +SKIP
    """
    files = dict(source) if isinstance(source, Mapping) else _files(Path(source), ".txt")
    if not isinstance(source, Mapping) and ids is None:
        ids = {name: path for name, path in _files(Path(source), ".ids").items() if name in files} or None
    if len(files) < 2:
        raise InputError(f"{sorted(files)} is nothing to align. Expected files of two or more languages.")
    rows = {name: _lines(Path(path)) for name, path in files.items()}
    _check_equal({str(files[name]): len(found) for name, found in rows.items()})
    n_lines = len(next(iter(rows.values())))
    names = _ids(ids, n_lines)
    kept = [place for place in range(n_lines) if all(found[place] for found in rows.values())]
    if not kept:
        raise InputError(f"None of {n_lines} lines is filled in all of {sorted(files)}. Expected aligned text.")
    return AlignedTexts(
        {name: [found[place] for place in kept] for name, found in rows.items()},
        tuple(names[place] for place in kept),
        n_lines - len(kept),
    )


def _files(directory: Path, suffix: str) -> dict[str, Path]:
    if not directory.is_dir():
        raise InputError(f"There is no directory {directory}. Expected one with files such as de.txt, or a mapping.")
    found = {path.name.removesuffix(suffix): path for path in sorted(directory.glob(f"*{suffix}"))}
    return {name: path for name, path in found.items() if _CODE.fullmatch(name)}


def _lines(path: Path) -> list[str]:
    """Lines as a line feed ends them: other characters that some call line ends are part of a sentence."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}. Expected a file of UTF-8 text.") from error
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {number}: byte {error.object[error.start]:#04x} is no UTF-8. Write the file as UTF-8."
        ) from error
    rows = [line.strip() for line in text.split("\n")]
    return rows[:-1] if not rows[-1] else rows


def _check_equal(counts: Mapping[str, int]) -> None:
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(f"The files have unequal numbers of lines: {told}. Expected line i of each to say the same.")


def _ids(ids: str | Path | Mapping[str, str | Path] | None, n_lines: int) -> list[str]:
    if ids is None:
        return [str(number) for number in range(1, n_lines + 1)]
    named = {name: Path(path) for name, path in (ids if isinstance(ids, Mapping) else {"": ids}).items()}
    read = {name: _lines(path) for name, path in named.items()}
    _check_equal({"the texts": n_lines} | {str(named[name]): len(found) for name, found in read.items()})
    (first, wanted), *others = read.items()
    for name, found in others:
        for number, (one, two) in enumerate(zip(wanted, found, strict=True), start=1):
            if one != two:
                raise InputError(
                    f"Line {number} is {one!r} in {named[first]} and {two!r} in {named[name]}. Expected the same "
                    "names in the same order."
                )
    return wanted
