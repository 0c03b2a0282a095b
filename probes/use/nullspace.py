"""Erase a concept by projecting out one linear classifier after another (INLP), stopped by held-out accuracy."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import clone
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.errors import InputError
from probes.estimators.linear import LogisticProbe
from probes.reading.controls import majority_accuracy
from probes.reading.intervals import Estimate, accuracy_over_groups
from probes.samples.data import Groups, LabelledActivations, Labels
from probes.samples.split import Fold, group_folds
from probes.use.erasure import Eraser

MAX_ROUNDS = 30
SMALLEST_SHARE = 1e-8
"""Share of a direction's (or a coordinate's) size below which what is left of it after projecting is rounding."""

ROUNDING = 1e-12
"""Share of the largest coordinate below which another one is what the projection in float64 rounds."""

Stop = Literal["majority", "max_rounds", "nothing_left"]
_SAID = {
    "majority": "",
    "max_rounds": ", stopped by their number while the labels can still be told",
    "nothing_left": ", stopped with no direction left while the labels can still be told",
}


@dataclass(frozen=True)
class NullspaceFit:
    """What iterative nullspace projection removed, and what a classifier still found after each round."""

    eraser: Eraser
    """The orthogonal projection of all rounds; of rank 0 where the labels could not be told to begin with."""
    accuracy: Float[np.ndarray, " state"]
    """Held-out accuracy of a new classifier before the first round, and after each."""
    accuracy_low: Float[np.ndarray, " state"]
    """Lower end of its 95 % interval over held-out groups."""
    accuracy_high: Float[np.ndarray, " state"] = field(repr=False)
    majority: float
    """Accuracy of always saying the most frequent class of the held-out samples."""
    rounds: int
    """Classifiers projected out."""
    stopped: Stop
    """Why it ended: `majority` is what was wanted; `max_rounds` and `nothing_left` leave the concept in."""


def nullspace(
    X: Float[np.ndarray, "_ d_model"],
    labels: Labels,
    groups: Groups,
    *,
    probe: LogisticProbe | None = None,
    max_rounds: int = MAX_ROUNDS,
    n_splits: int = 3,
    seed: int = 0,
) -> NullspaceFit:
    """Fit linear classifiers one after another and project out what each reads, until a new one reads nothing.

    Each round fits a classifier to the samples held in, in the directions that are left, and removes the span of its
    weights; it ends as soon as the lower end of the interval of the held-out accuracy is at the majority's. The
    projection is orthogonal and keeps the mean of the samples held in. With few held-out groups the interval is wide
    and it stops early: look at `accuracy`. Unlike `leace` nothing is proven of the samples fitted to, and many more
    directions go than a linear reader needs, so that other things may be damaged: compare with `random_eraser` of
    equal rank. That a concept is gone says nothing about whether the model uses it.

    Args:
        X: Activations, one row for each sample.
        labels: Class of each sample.
        groups: What must not be split between fitting and testing.
        probe: Settings of the classifiers.
        max_rounds: Most classifiers to project out; reaching it is said in `stopped` and in the eraser's `how`.
        n_splits: One share in so many of the groups is held out.
        seed: Decides which groups are held out, and the resamples.

    Raises:
        InputError: lengths that do not fit, values that are not finite, no rounds, too few groups, or a classifier
            that does not converge.

    Source: Ravfogel, Elazar, Gonen, Twiton & Goldberg 2020, Null It Out (arXiv:2004.07667), algorithm 1.
    """
    if max_rounds < 1:
        raise InputError(f"{max_rounds} rounds project nothing out. Expected at least 1.")
    LabelledActivations(X[None], labels, groups)
    fold = group_folds(labels, groups, n_splits=n_splits, seed=seed)[0]
    # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
    with threadpool_limits(1):
        rounds = _Rounds(X.astype(np.float64), labels, groups, fold, probe or LogisticProbe(), seed)
        return rounds.run(max_rounds)


@dataclass(frozen=True)
class _Rounds:
    X: Float[np.ndarray, "sample d_model"]
    labels: Labels
    groups: Groups
    fold: Fold
    probe: LogisticProbe
    seed: int

    def run(self, max_rounds: int) -> NullspaceFit:
        basis = np.zeros((self.X.shape[1], 0))
        found: list[Estimate] = []
        majority = majority_accuracy(self.labels[self.fold.test])
        stopped: Stop = "max_rounds"
        # Without a total: how many rounds it takes is not known before.
        with tqdm(desc="project out", unit="round", leave=False, delay=2) as bar:
            for number in range(max_rounds + 1):
                estimate, read = self._classify(basis)
                found.append(estimate)
                if estimate.low <= majority:
                    stopped = "majority"
                    break
                if number == max_rounds:
                    break
                wider = _widened(basis, read)
                if wider.shape[1] == basis.shape[1] or wider.shape[1] == len(basis):
                    stopped = "nothing_left"
                    break
                basis = wider
                bar.update()
        return self._fit(basis, found, majority, stopped)

    def _classify(self, basis: Float[np.ndarray, "d_model rank"]) -> tuple[Estimate, Float[np.ndarray, "row d_model"]]:
        """Held-out accuracy in the directions left, and what the classifier reads."""
        left = self._left(basis)
        train, test = self.fold.train, self.fold.test
        fitted = clone(self.probe).fit(left[train], self.labels[train])
        correct = fitted.predict(left[test]) == self.labels[test]
        return accuracy_over_groups(correct[None], self.groups[test], seed=self.seed), fitted.coef_

    def _left(self, basis: Float[np.ndarray, "d_model rank"]) -> Float[np.ndarray, "sample d_model"]:
        train = self.fold.train
        centred = self.X - self.X[train].mean(0)
        left = centred - centred @ basis @ basis.T
        # A coordinate of which rounding is left would be blown up by the standardisation, which knows `train` only.
        before, after = np.abs(centred[train]).max(0), np.abs(left[train]).max(0)
        left[:, after <= np.maximum(SMALLEST_SHARE * before, ROUNDING * before.max())] = 0
        return left

    def _fit(self, basis: np.ndarray, found: list[Estimate], majority: float, stopped: Stop) -> NullspaceFit:
        rounds = len(found) - 1
        how = f"INLP, {rounds} {'round' if rounds == 1 else 'rounds'}{_SAID[stopped]}"
        left = torch.from_numpy(basis)
        mean = torch.from_numpy(self.X[self.fold.train].mean(0))
        accuracy, low, high = (np.array([getattr(one, end) for one in found]) for end in ("value", "low", "high"))
        eraser = Eraser(left, left.T.contiguous(), mean, how)
        return NullspaceFit(eraser, accuracy, low, high, majority, rounds, stopped)


def _widened(
    basis: Float[np.ndarray, "d_model rank"], read: Float[np.ndarray, "row d_model"]
) -> Float[np.ndarray, "d_model wider"]:
    """Add to an orthonormal basis what rows span beyond it."""
    size = np.linalg.norm(read)
    new = read.T / size if size else read.T
    # What the basis spans already is no new direction.
    new = new - basis @ (basis.T @ new)
    vectors, sizes, _ = np.linalg.svd(new, full_matrices=False)
    joined = np.concatenate([basis, vectors[:, sizes > SMALLEST_SHARE]], axis=1)
    # Orthonormal but for rounding as it is; this keeps it so over many rounds.
    return np.linalg.qr(joined)[0]
