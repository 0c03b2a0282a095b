"""A null distribution over random-weights models, for scores of many heads by many detectors at once."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

HeadScores = Float[np.ndarray, "detector layer head"]
ControlScores = Float[np.ndarray, "model detector layer head"]

DIMS = ("detector", "layer", "head")
LEVEL = 0.05
"""Chance, accepted, that any head of a random-weights model passes by any detector."""
LEAST = 0.1
"""A found head is at least this far above the mean control head: a tenth of the attention, of the tokens, ..."""
SPREAD_FLOOR = 0.05
"""Share of `least` below which a detector's spread over control heads is not believed."""


@dataclass(frozen=True)
class AgainstRandom:
    """Scores of one model's heads against the heads of random-weights models, all detectors together."""

    threshold: Float[np.ndarray, " detector"]
    found_above: Float[np.ndarray, " detector"]
    p_corrected: HeadScores
    q_fdr: HeadScores

    def found(self, low: HeadScores, *others: HeadScores) -> Bool[np.ndarray, "detector layer head"]:
        """Tell which heads stand out, from the lower ends of their intervals.

        p_corrected says how surprising a score is; the lower end must also clear `found_above` and every other control.
        """
        clear = low > self.found_above[:, None, None]
        for other in others:
            clear &= low > other
        return clear & (self.p_corrected <= LEVEL)


@dataclass(frozen=True)
class Measured:
    """Scores of one model's heads, with the ends of their intervals."""

    score: HeadScores
    low: HeadScores
    high: HeadScores
    other: HeadScores
    """What the same heads score where there is nothing to find."""


@dataclass(frozen=True)
class _Null:
    """Distances from the mean control head, in spreads, so that detectors of any scale are one family."""

    mean: Float[np.ndarray, " detector"]
    spread: Float[np.ndarray, " detector"]
    largest: Float[np.ndarray, " model"]
    """Of each random-weights model the largest distance of any head by any detector."""
    every: Float[np.ndarray, " control"]
    """All distances of all control heads, in order."""

    @classmethod
    def of(cls, controls: ControlScores, least: float) -> "_Null":
        """Measure each random-weights model against the others, as the model in question is against all of them."""
        n, floor = len(controls), max(SPREAD_FLOOR * least, np.finfo(np.float64).tiny)
        flat = controls.reshape(*controls.shape[:2], -1).astype(np.float64)
        mean, spread = flat.mean((0, 2)), np.maximum(flat.std((0, 2)), floor)
        centred = flat - mean[:, None]
        if n == 1:
            apart = centred / spread[:, None]
        else:
            # Of the others of each model: their sums are the whole's less its own.
            n_others = (n - 1) * flat.shape[2]
            off = -centred.sum(2) / n_others
            squares = (centred**2).sum(2)
            others = np.sqrt(np.maximum((squares.sum(0) - squares) / n_others - off**2, 0))
            apart = (centred - off[..., None]) / np.maximum(others, floor)[..., None]
        return cls(mean, spread, apart.max((1, 2)), np.sort(apart.ravel()))

    def distance(self, scores: HeadScores) -> HeadScores:
        """Distances of a model's heads."""
        return (scores - self.mean[:, None, None]) / self.spread[:, None, None]


def against_random(scores: HeadScores, controls: ControlScores, *, least: float = LEAST) -> AgainstRandom:
    """Compare scores with those of random-weights models.

    `p_corrected` is corrected over all heads and detectors by the maximum (max-T): the null distribution is, of each
    random-weights model, the largest distance from the mean control head that any of its heads reaches by any detector,
    in spreads of that detector, each model measured against the others. p = (1 + models that reach as far) /
    (1 + models). A random-weights model has a head with p <= a by any detector with a chance of at most a: the
    family-wise error, and so the false discovery rate, is kept. p cannot be below 1 / (1 + models): 19 models are
    needed for 0.05.

    `q_fdr` is Benjamini and Hochberg over all heads and detectors, from each head's distance among those of all control
    heads by all detectors; finer, but it takes tails of detectors for alike and heads of one model for independent.

    Args:
        scores: One model's heads.
        controls: The heads of random-weights models of the same shape.
        least: Smallest distance from the mean control head that counts as found, fixed before looking: a head may
            surprise and yet do next to nothing.

    Returns:
        Also `threshold`, the score from which p_corrected is below 0.05 (or as small as it can be), and `found_above`,
        the threshold or the mean control head plus `least`, whichever is larger.

    Source: Westfall & Young 1993, Resampling-Based Multiple Testing, sec. 2.3; Phipson & Smyth 2010 (arXiv:1603.05766)
    for the added 1; Benjamini & Hochberg 1995, Controlling the False Discovery Rate.
    """
    null = _Null.of(controls, least)
    distance = null.distance(scores)
    p = (1 + (null.largest[:, None, None, None] >= distance).sum(0)) / (1 + len(controls))
    alone = (1 + len(null.every) - np.searchsorted(null.every, distance, side="left")) / (1 + len(null.every))
    q = stats.false_discovery_control(alone.ravel()).reshape(alone.shape)
    reached = np.sort(null.largest)[-max(1, int(LEVEL * (1 + len(controls))))]
    threshold = null.mean + null.spread * reached
    return AgainstRandom(threshold, np.maximum(threshold, null.mean + least), p, q)


def beside_random(
    measured: Measured, controls: ControlScores, *, beats: Bool[np.ndarray, " detector"]
) -> dict[str, tuple[tuple[str, ...] | str, np.ndarray]]:
    """Set out a model's heads beside those of random-weights models, as variables of a result.

    Args:
        measured: The model's heads.
        controls: The heads of random-weights models.
        beats: Of which detectors a found head's interval must also lie above what it scores where nothing is to find.
    """
    against = against_random(measured.score, controls)
    found = against.found(measured.low, np.where(beats[:, None, None], measured.other, -np.inf))
    by_head = {"score": measured.score, "score_low": measured.low, "score_high": measured.high}
    by_head |= {"control": controls.mean(0), "p_corrected": against.p_corrected, "q_fdr": against.q_fdr, "found": found}
    by_detector = {"threshold": against.threshold, "found_above": against.found_above}
    return {name: (DIMS, array) for name, array in by_head.items()} | {
        name: ("detector", array) for name, array in by_detector.items()
    }


def smallest_p(n_models: int) -> float:
    """Compute the smallest p_corrected that so many random-weights models allow."""
    return 1 / (1 + n_models)


def smallest_q(n_models: int, n_scores: int) -> float:
    """Compute the q_fdr of a head that is further away than all control heads when no other head of its model is.

    Args:
        n_models: Random-weights models.
        n_scores: Scores of one model: heads times detectors.
    """
    return n_scores / (1 + n_models * n_scores)
