"""Positions of a stream in bins that double in length, and means over each of them, without keeping every loss."""

import math
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

PER_DOUBLING = 3


def bin_edges(n_positions: int, marks: list[int]) -> Int[np.ndarray, " edge"]:
    """Edges of bins over positions 0 to `n_positions - 1`, about three for each doubling.

    Args:
        n_positions: Positions in all.
        marks: Positions that must be edges, such as the one where the cache is full; others than these may move.
    """
    corners = sorted({1, n_positions} | {mark for mark in marks if 1 < mark < n_positions})
    edges = {0, *corners}
    for start, stop in pairwise(corners):
        n = max(1, round(math.log2(stop / start) * PER_DOUBLING))
        edges |= {round(start * (stop / start) ** (step / n)) for step in range(n)}
    return np.array(sorted(edges), dtype=np.int64)


class BinnedLosses:
    """Sums of losses by stream and bin, over all positions or only some."""

    def __init__(self, n_streams: int, edges: Int[np.ndarray, " edge"], only: Int[np.ndarray, " pos"] | None = None):
        self.edges, self.only = edges, only
        self.totals = np.zeros((n_streams, len(edges) - 1))
        self.counts = np.zeros(len(edges) - 1, np.int64)

    def add(self, positions: Int[np.ndarray, " pos"], losses: Float[np.ndarray, "stream pos"]) -> None:
        """Count losses at some positions."""
        if self.only is not None:
            chosen = np.isin(positions, self.only)
            positions, losses = positions[chosen], losses[:, chosen]
        places = np.searchsorted(self.edges, positions, side="right") - 1
        np.add.at(self.totals.T, places, losses.T)
        np.add.at(self.counts, places, 1)

    @property
    def ran(self) -> np.ndarray:
        """Which bins hold any loss."""
        return self.counts > 0

    @property
    def means(self) -> Float[np.ndarray, "stream bin"]:
        """Mean loss of each stream in each bin; NaN where nothing was counted."""
        return np.where(self.ran, self.totals / np.maximum(self.counts, 1), np.nan)
