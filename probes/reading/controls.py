"""What a probe reaches where there is nothing to learn."""

import numpy as np

from interp.errors import InputError
from probes.samples.data import Groups, Labels
from probes.samples.labels import AnyLabels


def shuffled_labels(labels: AnyLabels, groups: Groups, *, seed: int = 0) -> AnyLabels:
    """Permute labels between groups: the same labels, on the wrong samples.

    Where every group has one label, whole groups exchange labels, so that a probe may still profit from samples of one
    group being alike, as it may with the true labels. Where a group has several labels, samples exchange them singly.
    Of several labels to a sample, all go together.

    Args:
        labels: Class of each sample, or a number, or a row of truth values.
        groups: Group of each sample.
        seed: Decides the permutation.

    Raises:
        InputError: no permutation could differ from the true labels.
    """
    rng = np.random.default_rng(seed)
    names, first, member = np.unique(groups, return_index=True, return_inverse=True)
    of_group = labels[first]
    pure = bool((of_group[member] == labels).all())
    permutable = of_group if pure else labels
    if len(np.unique(permutable, axis=0)) < 2 or len(names) < 2:
        raise InputError("Labels cannot be permuted between fewer than two groups or classes. Give more of both.")
    while True:
        drawn = rng.permutation(permutable)
        if not np.array_equal(drawn, permutable):
            return drawn[member] if pure else drawn


def majority_accuracy(labels: Labels) -> float:
    """Compute the accuracy of always answering the most frequent class, known beforehand.

    The most that an answer without looking can reach on these samples.
    """
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))
