"""Activations of contrast pairs: a text answered one way and the other, with what tells which answer is right."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from probes.samples.data import Groups, LabelledActivations, Labels, Rows
from probes.samples.labels import check_labels_of
from probes.samples.split import Fold, group_folds

Pairs = Float[np.ndarray, "pair 2 d_model"]
# The number of halves is left open: where it is not 2, our refusal is to say so, not the type checker.
Stack = Float[np.ndarray, "layer pair half d_model"]


@dataclass(frozen=True)
class ContrastPairs:
    """Two vectors per layer and pair, with each pair's label, group and template.

    Raises:
        InputError: other than two halves or two classes, a number of templates other than that of pairs, halves that
            are the same in every pair, or anything `LabelledActivations` refuses.
    """

    X: Stack
    labels: Labels
    """One of two classes for each pair: which of its halves is right, or whatever else is looked for."""
    groups: Groups
    """What must not be split between fitting and testing."""
    layers: tuple[int, ...] = ()
    """Number of each layer in the stack; by default 0, 1, 2, ..."""
    templates: Groups = field(default_factory=lambda: np.zeros(0, int))
    """Wording of the two answers of each pair; by default the same for all."""

    def __post_init__(self) -> None:
        if self.X.shape[2] != 2:
            raise InputError(
                f"Activations of shape {self.X.shape}. Expected [layer, pair, 2, d_model]: the two halves of each pair."
            )
        if not len(self.templates):
            object.__setattr__(self, "templates", np.zeros(self.X.shape[1], int))
        if len(self.templates) != self.X.shape[1]:
            raise InputError(f"{len(self.templates)} templates for {self.X.shape[1]} pairs. Give one for each.")
        object.__setattr__(self, "layers", self.samples.layers)
        check_labels_of("binary", self.labels)
        same = (self.X[:, :, 0] == self.X[:, :, 1]).all(axis=(1, 2))
        if same.any():
            raise InputError(
                f"At layer {self.layers[int(same.argmax())]} the two halves of every pair are the same. "
                "Expected halves that end in different answers, each read at its last token."
            )

    @cached_property
    def samples(self) -> LabelledActivations:
        """The pairs as samples, both halves in one vector."""
        return LabelledActivations(flat(self.X), self.labels, self.groups, self.layers)


def flat(X: Stack) -> Float[np.ndarray, "layer pair both"]:
    """Put both halves into one vector."""
    return X.reshape(*X.shape[:2], -1)


def contrast_folds(
    labels: Labels, groups: Groups, templates: Groups, *, n_splits: int = 5, seed: int = 0
) -> list[Fold]:
    """Split pairs into folds by group, so that every template is among those fitted to.

    Raises:
        InputError: a template that a fold would be tested on without having met it, or anything `group_folds` refuses.
    """
    folds = group_folds(labels, groups, n_splits=n_splits, seed=seed)
    for fold in folds:
        if len(unseen := np.setdiff1d(templates, templates[fold.train])):
            raise InputError(
                f"A fold is fitted without template {unseen.tolist()[0]!r}, whose mean it could not take off. "
                "Give more groups of it, or leave it out, or try another seed."
            )
    return folds


def even_templates(X: Pairs, templates: Groups, train: Rows) -> Pairs:
    """Move the mean of each half in each template to its mean over all, as the pairs fitted to have them.

    Without this, what the words of one answer do stands out more than anything that pairs of all templates share.
    """
    names, member = np.unique(templates, return_inverse=True)
    fitted, of = X[train], member[train]
    means = np.stack([fitted[of == number].mean(0) for number in range(len(names))])
    return X - (means - fitted.mean(0))[member]
