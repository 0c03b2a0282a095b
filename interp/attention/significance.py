"""A null distribution over random-weights models, for scores of many heads at once."""

import numpy as np
from jaxtyping import Float

HeadScores = Float[np.ndarray, "detector layer head"]


def critical_values(controls: Float[np.ndarray, "model detector layer head"]) -> Float[np.ndarray, " detector"]:
    """Find, for each detector, the largest score that any head of any random-weights model reaches.

    A head above it has the smallest corrected p that this number of random-weights models allows.
    """
    return controls.max(axis=(0, 2, 3))


def corrected_p(scores: HeadScores, controls: Float[np.ndarray, "model detector layer head"]) -> HeadScores:
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
