"""Activations with a label and a group for each sample, checked when made."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from probes.samples.labels import FEWEST_PER_CLASS as FEWEST_PER_CLASS
from probes.samples.labels import AnyLabels, LabelKind, are_classes, check_labels_of
from probes.samples.labels import Groups as Groups
from probes.samples.labels import Labels as Labels
from probes.samples.labels import Rows as Rows
from probes.samples.labels import check_labels as check_labels


@dataclass(frozen=True)
class LabelledActivations:
    """One vector per layer and sample, with each sample's label and group.

    A group is what must not be split between fitting and testing: the text, the document, the author. Samples of one
    group are alike for reasons that have nothing to do with the label.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, labels that are not of their kind or of which no probe can
            be fitted (one class, a class of too few samples, numbers that do not vary), one group, or a sample that is
            the same in two groups, so that a probe could be tested on what it was fitted to.
    """

    X: Float[np.ndarray, "layer sample d_model"]
    labels: AnyLabels
    """Class of each sample: text or whole numbers; for other kinds of label, truth values or numbers."""
    groups: Groups
    layers: tuple[int, ...] = ()
    """Number of each layer in the stack; by default 0, 1, 2, ..."""
    label_kind: LabelKind = "classes"
    """What the labels are; decides what is asked of them."""

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
        check_labels_of(self.label_kind, self.labels)
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


def count_groups(labels: AnyLabels, groups: Groups) -> dict[object, int]:
    """Count the groups in which each class occurs.

    Raises:
        InputError: labels that are not classes.
    """
    if not are_classes(labels):
        raise InputError(
            f"The labels are of type {labels.dtype} and shape {labels.shape}. Expected one class for each sample, "
            "which this measure needs."
        )
    return {label: len(np.unique(groups[labels == label])) for label in np.unique(labels).tolist()}
