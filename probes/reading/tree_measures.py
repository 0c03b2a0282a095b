"""What is predicted of syntax trees, and its measures as functions of how often each sentence counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from probes.estimators.tree_scores import LENGTHS, edges_found, roots_found, spearman_by_sentence
from probes.reading.intervals import Measure
from probes.samples.trees import TreeLabels

Predicted = Sequence[Float[np.ndarray, "..."]]
"""Of each sentence a distance for each two words, or a depth for each word."""
BySentence = Float[np.ndarray, " sentence"]
MakeMeasure = Callable[[BySentence, Int[np.ndarray, " sentence"]], Measure]


def scores(name: str, predicted: Predicted, true: Predicted) -> BySentence:
    """Score every sentence: edges or roots found, or a Spearman correlation."""
    return np.asarray(SCORES[name](predicted, true), np.float64)


def share(found: BySentence, of: Shaped[np.ndarray, " sentence"]) -> Measure:
    """Share of what there is to find that is found, over all sentences together."""
    return lambda weights: _ratio(weights @ found, weights @ of)


def mean_over_lengths(values: BySentence, lengths: Int[np.ndarray, " sentence"]) -> Measure:
    """Mean over sentences of one length, then over lengths, sentences of 5 to 50 words.

    Undefined (NaN) where none of these lengths counts.
    """
    inside = of_length(lengths)
    member = np.unique(lengths[inside], return_inverse=True)[1]
    each = np.eye(member.max(initial=0) + 1)[member]

    def measure(weights: Float[np.ndarray, "draw sentence"]) -> Float[np.ndarray, " draw"]:
        counts, sums = weights[:, inside] @ each, (weights[:, inside] * values[inside]) @ each
        means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
        return _ratio(means.sum(1), (counts > 0).sum(1))

    return measure


def of_length(lengths: Int[np.ndarray, " sentence"]) -> Shaped[np.ndarray, " sentence"]:
    """Whether each sentence is of a length that counts in Spearman correlations."""
    return (lengths >= LENGTHS[0]) & (lengths <= LENGTHS[1])


def _ratio(part: Shaped[np.ndarray, " draw"], whole: Shaped[np.ndarray, " draw"]) -> Float[np.ndarray, " draw"]:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


SCORES: Mapping[str, Callable[..., np.ndarray]] = {
    "uuas": edges_found,
    "spearman": spearman_by_sentence,
    "root_accuracy": roots_found,
}
"""What each measure counts in a sentence."""
MEASURES: Mapping[str, MakeMeasure] = {
    "uuas": lambda found, lengths: share(found, lengths - 1),
    "spearman": mean_over_lengths,
    "root_accuracy": lambda found, lengths: share(found, np.ones_like(lengths)),
}
"""How it is put together over sentences, from scores and lengths; linear in the scores."""


@dataclass(frozen=True)
class TreeKind:
    """What a probe predicts of a tree, and how that is measured."""

    what: str
    measures: tuple[str, ...]
    """Names in `MEASURES`; the first is the answer."""
    unit: str
    sign: str
    fitted: str
    """What is fitted to what, in a formula."""
    measured: str
    """What the measures are, in words."""

    def targets(self, trees: TreeLabels) -> list[Float[np.ndarray, "..."]]:
        """Distance of each two words of every sentence, or depth of each word."""
        of = trees.distances if self is DISTANCES else trees.depths
        return [of(sentence).astype(np.float64) for sentence in range(len(trees))]

    def in_order(self, trees: TreeLabels) -> list[Float[np.ndarray, "..."]]:
        """What the order of words alone predicts, if each hangs on the one before it."""
        places = [np.arange(length, dtype=np.float64) for length in trees.lengths]
        return [np.abs(place[:, None] - place) for place in places] if self is DISTANCES else places


DISTANCES = TreeKind(
    what="distances in the syntax tree",
    measures=("uuas", "spearman"),
    unit="UUAS (share of the edges of the trees)",
    sign="A larger number means that more edges of held-out trees are found.",
    fitted="|B (h_i - h_j)|^2 is fitted to the distances of words",
    measured="uuas: share of the true edges, over all sentences together, that the minimum spanning tree of the "
    "predicted distances holds; spearman: mean over words, then sentences of one length, then lengths from 5 to 50 "
    "(DSpr)",
)
DEPTHS = TreeKind(
    what="depths in the syntax tree",
    measures=("spearman", "root_accuracy"),
    unit="Spearman correlation of depths (mean over sentences of 5 to 50 words)",
    sign="A larger number means that words of held-out sentences are more nearly in the order of their depths.",
    fitted="|B h_i|^2 is fitted to the depths of words",
    measured="spearman: mean over sentences of one length, then over lengths from 5 to 50 (NSpr); root_accuracy: share "
    "of sentences whose root has the least predicted depth",
)
