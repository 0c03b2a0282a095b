"""One short hash for each sample, so that equal samples are found without holding any."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from jaxtyping import Shaped, UInt64

from interp.errors import InputError
from probes.samples.data import Groups

_BYTES = 16


class RowDigests:
    """Hashes of samples, each over its activations at every site; 16 bytes for each sample."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, cells: Sequence[Shaped[np.ndarray, "_ _"]]) -> None:
        """Hash the next samples, given at every site."""
        whole = [np.ascontiguousarray(cell) for cell in cells]
        for rows in zip(*whole, strict=True):
            digest = blake2b(digest_size=_BYTES)
            for row in rows:
                digest.update(row)
            self._parts.append(digest.digest())

    @property
    def fingerprint(self) -> str:
        """Hash of all samples in their order, in 32 hexadecimal digits."""
        return blake2b(b"".join(self._parts), digest_size=_BYTES).hexdigest()

    @property
    def values(self) -> UInt64[np.ndarray, "_ 2"]:
        """The hashes as pairs of numbers."""
        return np.frombuffer(b"".join(self._parts), np.uint64).reshape(-1, 2)


def refuse_twins(digests: RowDigests, groups: Groups) -> None:
    """Refuse a sample that is the same in two groups: a probe could be tested on what it was fitted to.

    Raises:
        InputError: naming both samples.
    """
    values, member = digests.values, np.unique(groups, return_inverse=True)[1]
    # Equal hashes come to stand side by side; if they are of several groups, two neighbours are.
    order = np.lexsort([values[:, 1], values[:, 0]])
    same = (values[order[1:]] == values[order[:-1]]).all(1)
    leaks = np.flatnonzero(same & (member[order[1:]] != member[order[:-1]]))
    if len(leaks):
        one, other = sorted(order[leaks[0] : leaks[0] + 2].tolist())
        raise InputError(
            f"Samples {one} and {other} have identical activations at every site but are in groups "
            f"{groups[one].item()!r} and {groups[other].item()!r}, so a probe could be tested on what it was fitted "
            "to. Drop one of them, or put them in one group."
        )
