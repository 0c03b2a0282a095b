"""Activations with a label and a group for each sample, checked when made."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from interp.errors import InputError

FEWEST_PER_CLASS = 5
"""Samples that a class needs before a probe of it means anything."""

# One axis each, its length left open: where lengths differ, our refusal is to say so, not the type checker.
Labels = Shaped[np.ndarray, " _"]
"""Class of each sample."""
Groups = Shaped[np.ndarray, " _"]
"""Group of each sample."""
Rows = Int[np.ndarray, " _"]
"""Places of samples."""


@dataclass(frozen=True)
class LabelledActivations:
    """One vector per layer and sample, with each sample's label and group.

    A group is what must not be split between fitting and testing: the text, the document, the author. Samples of one
    group are alike for reasons that have nothing to do with the label.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, one class, a class of too few samples, one group, or a
            sample that is the same in two groups, so that a probe could be tested on what it was fitted to.
    """

    X: Float[np.ndarray, "layer sample d_model"]
    labels: Labels
    """Class of each sample: text or whole numbers."""
    groups: Groups
    layers: tuple[int, ...] = ()
    """Number of each layer in the stack; by default 0, 1, 2, ..."""

    def __post_init__(self) -> None:
        n_layers, n_samples, _ = self.X.shape
        if not self.layers:
            object.__setattr__(self, "layers", tuple(range(n_layers)))
        if len(self.layers) != n_layers or len(set(self.layers)) != n_layers:
            raise InputError(f"Layer numbers {self.layers} for a stack of {n_layers}. Give each its own number.")
        for name in ("labels", "groups"):
            if len(getattr(self, name)) != n_samples:
                raise InputError(f"{len(getattr(self, name))} {name} for {n_samples} samples. Give one for each.")
        if bad := int((~np.isfinite(self.X)).sum()):
            raise InputError(
                f"{bad} of {self.X.size} activations are NaN or infinite. Capture in a wider dtype, such as float32."
            )
        check_labels(self.labels)
        if len(np.unique(self.groups)) < 2:
            raise InputError("All samples are in one group, so none can be held out. Expected at least 2 groups.")
        self._refuse_twins()

    def _refuse_twins(self) -> None:
        rows = np.ascontiguousarray(self.X.transpose(1, 0, 2)).reshape(len(self.labels), -1)
        home: dict[bytes, int] = {}
        for sample, row in enumerate(rows):
            twin = home.setdefault(row.tobytes(), sample)
            if self.groups[twin] != self.groups[sample]:
                raise InputError(
                    f"Samples {twin} and {sample} have identical activations at every layer but are in groups "
                    f"{self.groups[twin].item()!r} and {self.groups[sample].item()!r}, so a probe could be tested on "
                    "what it was fitted to. Drop one of them, or put them in one group."
                )

    @property
    def n_layers(self) -> int:
        """Number of layers in the stack."""
        return len(self.X)


def check_labels(labels: Labels) -> None:
    """Refuse labels from which no probe can be fitted.

    Raises:
        InputError: no samples, labels that are neither text nor whole numbers, one class, or a class of too few
            samples.
    """
    if not len(labels):
        raise InputError("There are no samples. Expected labelled samples of at least two classes.")
    if labels.dtype.kind not in "Uiub":
        raise InputError(
            f"The labels are of type {labels.dtype}, such as {labels.tolist()[0]!r}. Expected classes: text or whole "
            "numbers. Convert them with .astype(str)."
        )
    names, counts = np.unique(labels, return_counts=True)
    classes = names.tolist()
    if len(classes) < 2:
        raise InputError(f"All {len(labels)} samples have the label {classes[0]!r}. Expected at least two classes.")
    if counts.min() < FEWEST_PER_CLASS:
        raise InputError(
            f"Class {classes[counts.argmin()]!r} has {counts.min()} samples. "
            f"Expected at least {FEWEST_PER_CLASS} of each class: add samples, or leave the class out."
        )


def count_groups(labels: Labels, groups: Groups) -> dict[object, int]:
    """Count the groups in which each class occurs."""
    return {label: len(np.unique(groups[labels == label])) for label in np.unique(labels).tolist()}
