"""Writing files so that a reader sees the old file or the new one, never half of one."""

import os
from collections.abc import Callable
from pathlib import Path

from interp.errors import InputError


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary file beside `path`, then move it into place.

    Returns:
        `path`.
    """
    part = _part(path)
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def check_output(path: Path, *, force: bool = False) -> Path:
    """Refuse an output that cannot be written, before anything expensive runs.

    Raises:
        InputError: the file exists and `force` is off, or its directory is missing or not writable.
    """
    if path.is_dir():
        raise InputError(f"{path} is a directory. Expected the path of a file to write.")
    if path.exists() and not force:
        raise InputError(f"{path} exists and was kept. Give another path, or --force to replace it.")
    parent = path.parent
    if not parent.is_dir():
        raise InputError(f"The directory {parent} does not exist. Make it first, or write elsewhere.")
    try:
        # Asked by doing: permissions alone do not tell of read-only and virtual file systems.
        write_atomically(part := _part(path).with_suffix(".try"), Path.touch)
        part.unlink()
    except OSError as error:
        raise InputError(f"The directory {parent} is not writable: {error.strerror}. Write elsewhere.") from error
    return path


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")
