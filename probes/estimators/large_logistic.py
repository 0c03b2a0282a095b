"""Logistic regression on activations that may be larger than memory: scikit-learn's answer in tens of passes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Shaped
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from interp.errors import InputError
from probes.estimators.linear import places, probabilities, unit
from probes.estimators.softmax_descent import Objective, descend
from probes.samples.data import Labels, Rows
from probes.samples.row_blocks import RowBlocks, Samples, blocks_of

DEFAULT_C, LARGEST_PENALTY = 0.01, 0.1
FEW_SAMPLES = f"and a penalty per sample of at most {LARGEST_PENALTY}"
"""In a cell of few samples, a penalty meant for many would leave nothing to read."""


class LargeLogisticProbe(ClassifierMixin, BaseEstimator):
    """Multinomial logistic regression on standardised activations, from memory or from a memory map.

    It minimises what `make_pipeline(StandardScaler(), LogisticRegression(C=C))` minimises, to the same tolerance, but
    in whitened coordinates and block by block. Products are taken in float32 (float64 where the activations are) and
    added up in float64. Data of more than `max_bytes` are read anew in every pass and never copied whole.

    A probe that reads a label well shows that the label can be read off linearly; it is not evidence that the model
    uses it.

    Args:
        C: Inverse strength of the squared penalty on standardised coordinates, as in scikit-learn. None: 0.01, or more
            where samples are few, so that the penalty per sample is at most 0.1.
        tol: Largest component of the gradient of the mean loss at which to stop, as in scikit-learn.
        max_iter: Most steps of the descent.
        max_bytes: Hold the rows in memory where they take no more than this.
        seed: Decides the rows from which correlations are estimated: the way to the answer, not the answer.

    Source: Boehning 1992, Multinomial logistic regression algorithm (Ann. Inst. Statist. Math. 44): the bound on the
    Hessian by the Gram matrix, in which the descent is whitened.
    """

    classes_: Shaped[np.ndarray, " class"]
    """Sorted."""
    coef_: Float[np.ndarray, "row d_model"]
    """Logits per unit of activation: one row for two classes (positive: the second), else one for each class."""
    intercept_: Float[np.ndarray, " row"]
    """Logits of a zero activation."""
    n_iter_: Int[np.ndarray, " 1"]
    """Passes over the rows that the descent took, after the one for means and correlations."""
    n_features_in_: int
    centre_: Float[np.ndarray, " d_model"]
    """Mean of the activations fitted to."""

    def __init__(
        self, C: float | None = 0.01, *, tol: float = 1e-4, max_iter: int = 1000, max_bytes: int = 2**30, seed: int = 0
    ) -> None:
        self.C = C
        self.tol = tol
        self.max_iter = max_iter
        self.max_bytes = max_bytes
        self.seed = seed

    def fit(self, X: Samples, y: Labels, *, rows: Rows | None = None) -> "LargeLogisticProbe":
        """Fit to labelled activations.

        Args:
            X: Activations, one row for each sample, in memory or memory-mapped.
            y: Class of each sample.
            rows: Which samples to fit to; by default all. Without copying them, as `X[rows]` would.

        Raises:
            InputError: settings that are not above zero, lengths that do not fit, one class, NaN or infinity, or no
                convergence.
        """
        fitted = fit_labellings(self, X, [y], rows=rows)[0]
        self.__dict__.update({name: value for name, value in vars(fitted).items() if name.endswith("_")})
        return self

    def decision_function(self, X: Samples, *, rows: Rows | None = None) -> Float[np.ndarray, "..."]:
        """Logits of each sample: one number for two classes (positive: the second), else one for each class."""
        check_is_fitted(self)
        logits = decide_labellings([self], X, rows=rows)[0]
        return logits[:, 0] if len(self.coef_) == 1 else logits

    def predict(self, X: Samples, *, rows: Rows | None = None) -> Shaped[np.ndarray, " _"]:
        """Most probable class of each sample."""
        logits = self.decision_function(X, rows=rows)
        return self.classes_[places(logits)]

    def predict_proba(self, X: Samples, *, rows: Rows | None = None) -> Float[np.ndarray, "_ class"]:
        """Probability of each class."""
        return probabilities(self.decision_function(X, rows=rows))

    @property
    def penalty_in_words(self) -> str:
        """How strong the penalty is."""
        return f"C={self.C:g}" if self.C is not None else f"C={DEFAULT_C}, {FEW_SAMPLES}"

    @property
    def direction_(self) -> Float[np.ndarray, "*class d_model"]:
        """Unit vector along which activations speak more for a class: the second of two, or one row for each class.

        In the coordinates of the activations. It is where this probe reads, which need not be where the model reads.

        Raises:
            InputError: weights that are all zero.
        """
        check_is_fitted(self)
        return unit(self.coef_[0] if len(self.coef_) == 1 else self.coef_)


def fit_labellings(
    probe: LargeLogisticProbe, X: Samples, labellings: Sequence[Labels], *, rows: Rows | None = None
) -> list[LargeLogisticProbe]:
    """Fit one probe for each labelling of the same samples, for little more than the price of one.

    The rows are read, and their correlations taken, once for all. Meant for true labels beside shuffled ones.

    Args:
        probe: The settings; it is left as it is.
        X: Activations, one row for each sample, in memory or memory-mapped.
        labellings: Classes of each sample, the same classes in each labelling.
        rows: Which samples to fit to; by default all.

    Raises:
        InputError: as `LargeLogisticProbe.fit`, or labellings of different classes.
    """
    _check_settings(probe)
    fitted_to = [_check_labelling(X, labels, rows) for labels in labellings]
    classes = [np.unique(labels) for labels in fitted_to]
    if not all(np.array_equal(classes[0], others) for others in classes):
        raise InputError("The labellings have different classes. Expected the same classes, on other samples.")
    if len(classes[0]) < 2:
        raise InputError(f"All samples have the label {classes[0].tolist()[0]!r}. Expected at least two classes.")
    blocks = RowBlocks.of(X, rows, max_bytes=probe.max_bytes, seed=probe.seed)
    codes = np.stack([np.searchsorted(classes[0], labels) for labels in fitted_to])
    objective = Objective(blocks, codes, len(classes[0]), penalty_per_sample(probe.C, len(blocks)))
    weights, intercepts, passes = descend(objective, tol=probe.tol, max_iter=probe.max_iter)
    return [_fitted(probe, blocks, classes[0], *each, passes) for each in zip(weights, intercepts, strict=True)]


def decide_labellings(
    probes: Sequence[LargeLogisticProbe], X: Samples, *, rows: Rows | None = None
) -> Float[np.ndarray, "labelling _ row"]:
    """Logits of each sample by each of several probes fitted to the same rows, in one pass over those asked for.

    Raises:
        InputError: NaN or infinity.
    """
    n, shape = len(X) if rows is None else len(rows), (len(probes), len(probes[0].coef_))
    coef = np.concatenate([each.coef_ for each in probes])
    shift = probes[0].centre_.astype(np.float64 if X.dtype.itemsize > 4 else np.float32)
    base = np.concatenate([each.intercept_ for each in probes]) + coef @ shift.astype(np.float64)
    narrow, logits = coef.T.astype(shift.dtype), np.empty((n, len(coef)))
    for part in blocks_of(n):
        block = np.asarray(X[part] if rows is None else X[rows[part]])
        logits[part] = np.subtract(block, shift, dtype=shift.dtype) @ narrow + base
    if not np.isfinite(logits).all():
        raise InputError("The activations hold NaN or infinity. Capture in a wider dtype, such as float32.")
    return logits.reshape(n, *shape).swapaxes(0, 1)


def penalty_per_sample(C: float | None, n_samples: int) -> float:
    """How much the squared weights count beside the mean loss; of None, `DEFAULT_C`'s up to `LARGEST_PENALTY`."""
    return min(LARGEST_PENALTY, 1 / (DEFAULT_C * n_samples)) if C is None else 1 / (C * n_samples)


def _check_settings(probe: LargeLogisticProbe) -> None:
    if not ((probe.C is None or probe.C > 0) and probe.tol > 0 and probe.max_iter > 0):
        raise InputError(
            f"C is {probe.C}, tol {probe.tol} and max_iter {probe.max_iter}. Expected all of them above zero."
        )


def _check_labelling(X: Samples, labels: Labels, rows: Rows | None) -> Labels:
    if len(labels) != len(X):
        raise InputError(f"{len(labels)} labels for {len(X)} samples. Give one for each.")
    if labels.dtype.kind not in "Uiub":
        raise InputError(f"The labels are of type {labels.dtype}. Expected classes: text or whole numbers.")
    return labels if rows is None else labels[rows]


def _fitted(
    probe: LargeLogisticProbe,
    blocks: RowBlocks,
    classes: Shaped[np.ndarray, " class"],
    weights: Float[np.ndarray, "row d_model"],
    intercepts: Float[np.ndarray, " row"],
    passes: int,
) -> LargeLogisticProbe:
    made = clone(probe)
    made.classes_ = classes
    made.coef_ = weights / blocks.scale
    made.intercept_ = intercepts - made.coef_ @ blocks.centre
    made.n_iter_ = np.array([passes])
    made.n_features_in_ = weights.shape[1]
    made.centre_ = blocks.centre
    return made
