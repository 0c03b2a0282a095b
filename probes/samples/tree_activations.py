"""Activations of the words of sentences whose syntax trees are known, checked when made."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Shaped

from interp.errors import InputError
from probes.samples.labels import Groups
from probes.samples.trees import TreeLabels


@dataclass(frozen=True, eq=False)
class TreeActivations:
    """One vector per layer and word, with the tree of each sentence.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, one group, or a sentence that is the same in two groups, so
            that a probe could be tested on what it was fitted to. Single words may be the same: the first word of many
            sentences is, and what is to be told of it is not.
    """

    X: Float[np.ndarray, "layer word d_model"]
    """All words in a row, in the order of the trees."""
    trees: TreeLabels
    groups: Groups = field(default_factory=lambda: np.array([], np.int64))
    """What must not be split between fitting and testing, for each sentence; by default each is by itself."""
    layers: tuple[int, ...] = ()
    """Number of each layer in the stack; by default 0, 1, 2, ..."""

    def __post_init__(self) -> None:
        n_layers, n_words, _ = self.X.shape
        if not self.layers:
            object.__setattr__(self, "layers", tuple(range(n_layers)))
        if not len(self.groups):
            object.__setattr__(self, "groups", np.arange(len(self.trees)))
        if len(self.layers) != n_layers or len(set(self.layers)) != n_layers:
            raise InputError(f"Layer numbers {self.layers} for a stack of {n_layers}. Give each its own number.")
        if len(self.groups) != len(self.trees):
            raise InputError(f"{len(self.groups)} groups for {len(self.trees)} sentences. Give one for each.")
        self.trees.check_samples(n_words, self.groups[self.trees.sentences])
        if bad := int((~np.isfinite(self.X)).sum()):
            raise InputError(
                f"{bad} of {self.X.size} activations are NaN or infinite. Capture in a wider dtype, such as float32."
            )
        if len(np.unique(self.groups)) < 2:
            raise InputError("All sentences are in one group, so none can be held out. Expected at least 2 groups.")
        self._refuse_twins()

    def _refuse_twins(self) -> None:
        home: dict[bytes, int] = {}
        for sentence, words in enumerate(self.by_sentence(self.X.transpose(1, 0, 2))):
            twin = home.setdefault(np.ascontiguousarray(words).tobytes(), sentence)
            if self.groups[twin] != self.groups[sentence]:
                raise InputError(
                    f"Sentences {twin} and {sentence} have identical activations at every layer but are in groups "
                    f"{self.groups[twin].item()!r} and {self.groups[sentence].item()!r}, so a probe could be tested on "
                    "what it was fitted to. Drop one of them, or put them in one group."
                )

    def by_sentence(self, words: Shaped[np.ndarray, "word *rest"]) -> list[Shaped[np.ndarray, "_ *rest"]]:
        """Cut what is given for each word, all words in a row, into sentences."""
        return np.split(words, np.cumsum(self.trees.lengths)[:-1])
