"""A null distribution over random-weights models, for scores of many heads at once."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

HeadScores = Float[np.ndarray, "detector layer head"]
ControlScores = Float[np.ndarray, "model detector layer head"]

FDR = 0.05
"""Share of false heads among the found ones that is accepted."""
CLEARANCE = 2.0
"""A found head is further from the mean control head than any control head, by at least this factor."""
LEAST = 0.1
"""And by at least this much, in shares: a tenth of the attention, of the eigenvalues, of the tokens."""


@dataclass(frozen=True)
class AgainstRandom:
    """Scores of one model's heads against the heads of random-weights models, each detector by itself."""

    threshold: Float[np.ndarray, " detector"]
    found_above: Float[np.ndarray, " detector"]
    p_corrected: HeadScores
    q_fdr: HeadScores

    def found(self, low: HeadScores, *others: HeadScores) -> Bool[np.ndarray, "detector layer head"]:
        """Tell which heads stand out, from the lower ends of their intervals.

        q_fdr says how surprising a score is; the lower end must also clear `found_above` and every other control.
        """
        clear = low > self.found_above[:, None, None]
        for other in others:
            clear &= low > other
        return clear & (self.q_fdr <= FDR)


def against_random(scores: HeadScores, controls: ControlScores, *, least: float = LEAST) -> AgainstRandom:
    """Compare scores with those of random-weights models, in every way that is told."""
    return AgainstRandom(
        critical_values(controls),
        found_above(controls, least=least),
        corrected_p(scores, controls),
        q_values(scores, controls),
    )


def critical_values(controls: ControlScores) -> Float[np.ndarray, " detector"]:
    """Find, for each detector, the largest score that any head of any random-weights model reaches.

    A head above it has the smallest corrected p that this number of random-weights models allows.
    """
    return controls.max(axis=(0, 2, 3))


def found_above(controls: ControlScores, *, least: float = LEAST) -> Float[np.ndarray, " detector"]:
    """Compute the score a head must clear to be found: twice as far from the mean control head as the largest one.

    The largest of n random-weights models is passed by one random-weights model in n + 1, for every detector anew: with
    a dozen detectors that is no rare event. Twice that distance is passed by none of them unless the null has heavy
    tails, and needs no unit, so that it is the same rule for shares of attention and for ratios of eigenvalues. But
    random weights may attend so evenly that twice nothing is nothing, and any trained head clears it: hence `least`.

    Args:
        controls: Scores of all heads of the random-weights models.
        least: Smallest distance from the mean control head that counts.
    """
    mean = controls.mean(axis=(0, 2, 3))
    return mean + np.maximum(CLEARANCE * (critical_values(controls) - mean), least)


def corrected_p(scores: HeadScores, controls: ControlScores) -> HeadScores:
    """Compute p-values against random weights, corrected over all heads by the maximum (max-T).

    The null distribution is the score of the best head of each random-weights model. p = (1 + models whose best head
    scores at least as much) / (1 + models). The chance that any head of a random-weights model has p <= a is at most a.
    It cannot be smaller than 1 / (1 + models): 19 models are needed for 0.05.

    Source: Westfall & Young 1993, Resampling-Based Multiple Testing, sec. 2.3; Phipson & Smyth 2010
    (arXiv:1603.05766) for the added 1.
    """
    best = controls.max(axis=(2, 3))
    reached = best[:, :, None, None] >= scores
    return (1 + reached.sum(0)) / (1 + len(controls))


def pooled_p(scores: HeadScores, controls: ControlScores) -> HeadScores:
    """Compute each head's p-value by itself, against all heads of all random-weights models together.

    p = (1 + control heads that score at least as much) / (1 + control heads). It cannot be smaller than
    1 / (1 + models x heads). Heads of one model share its weights, so that this null is worth fewer heads than it has.
    """
    null = np.sort(controls.swapaxes(0, 1).reshape(controls.shape[1], -1))
    below = [np.searchsorted(heads, found, side="left") for heads, found in zip(null, scores, strict=True)]
    return (1 + null.shape[1] - np.stack(below)) / (1 + null.shape[1])


def q_values(scores: HeadScores, controls: ControlScores) -> HeadScores:
    """Correct `pooled_p` over the heads by Benjamini and Hochberg, for each detector by itself.

    Among heads with a q up to 0.05, no more than 5 % are expected to be false. A head that stands out alone has the
    smallest q of heads / (1 + models x heads): more than 0.05 with 19 models, less with 20.

    Source: Benjamini & Hochberg 1995, Controlling the False Discovery Rate.
    """
    p = pooled_p(scores, controls)
    return stats.false_discovery_control(p.reshape(len(p), -1), axis=1).reshape(p.shape)


def smallest_q(n_models: int, n_heads: int) -> float:
    """Compute the q_fdr of a head that scores more than all control heads when no other head of its model does."""
    return n_heads / (1 + n_models * n_heads)
