"""Scores of every neuron for every language by every method, and which neurons each method finds."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from interp.errors import InputError
from interp.neurons.activity import TextActivity
from interp.neurons.average_precision import null_p, of_ranks, ranked_neurons, ranks_from_top
from interp.neurons.lape import PERCENTILE, RATE, lape
from interp.neurons.separation import Relabellings, auroc_of_ranks, mean_difference

METHODS = ("lape", "average_precision", "average_precision_bottom", "mean_difference", "auroc")
ALPHA = 0.05

OfLanguage = Float[np.ndarray, "layer neuron language"]
ByMethod = Float[np.ndarray, "method layer neuron language"]


@dataclass(frozen=True)
class Selection:
    """What each method asks of a neuron it finds, fixed before looking; on top of it, q up to 0.05.

    Raises:
        InputError: a share or a number that means nothing.
    """

    rate: float = RATE
    """LAPE: share of all neurons with the lowest entropies."""
    percentile: float = PERCENTILE
    """LAPE: of all probabilities; a neuron belongs to the languages in which its own is above."""
    n_each: int | None = None
    """Average precision: neurons at the top, and at the bottom, for each language; by default `rate` of all neurons.
    The source takes 1,000, under 1 % of its models' neurons."""
    least_difference: float = 1.2
    """Mean difference: in pooled standard deviations. Two normal distributions so far apart have AUROC 0.8."""
    least_auroc: float = 0.8
    """AUROC: of texts of the language against all others."""

    def __post_init__(self) -> None:
        if not (0 < self.rate <= 1 and 0 < self.percentile <= 1 and 0 <= self.least_auroc <= 1):
            raise InputError(f"{self} holds a share outside 0 to 1. Expected shares.")
        if self.n_each is not None and self.n_each < 1:
            raise InputError(f"n_each is {self.n_each}. Expected at least one neuron, or None.")

    def n_taken(self, n_neurons: int) -> int:
        """Neurons that average precision takes at the top for each language."""
        return self.n_each if self.n_each is not None else max(1, round(self.rate * n_neurons))


@dataclass(frozen=True)
class Scored:
    """What all methods say of all neurons."""

    score: ByMethod
    p: ByMethod
    q: ByMethod
    found: Bool[np.ndarray, "method layer neuron language"]
    surprising: Bool[np.ndarray, "method"]
    """Whether any neuron has a q up to 0.05, whatever else the method asks."""


@dataclass(frozen=True)
class Ranked:
    """What of some texts does not depend on their labels, so that every shuffle shares it."""

    activity: TextActivity
    top: Int[np.ndarray, "text layer neuron"]
    bottom: Int[np.ndarray, "text layer neuron"]
    ranks: Float[np.ndarray, "text layer neuron"]

    @classmethod
    def of(cls, activity: TextActivity) -> "Ranked":
        """Rank the texts by every neuron's activity."""
        top, bottom = ranks_from_top(activity.mean), ranks_from_top(-activity.mean)
        # Ties share the mean of their places: between the texts at most as high, and those as high or higher.
        return cls(activity, top, bottom, (bottom + (len(activity) + 1 - top)) / 2)

    def scores(self, language: Int[np.ndarray, " text"]) -> ByMethod:
        """Scores under these labels, in the order of `METHODS`."""
        labelled = self.activity.relabelled(language)
        entropy = lape(labelled.probability).entropy
        never = labelled.probability.sum(0) == 0
        entropy = np.where(never, np.log(len(labelled.languages)), entropy)
        by_language = []
        for number in range(len(labelled.languages)):
            ours = language == number
            by_language.append(
                [
                    entropy,
                    of_ranks(self.top, ours),
                    of_ranks(self.bottom, ours),
                    mean_difference(self.activity.mean, ours),
                    auroc_of_ranks(self.ranks, ours),
                ]
            )
        return np.moveaxis(np.array(by_language), 0, -1)


@dataclass(frozen=True)
class Evidence:
    """Everything that p-values of these texts rest on, whatever their labels: documents dealt out anew."""

    ranked: Ranked
    first: Int[np.ndarray, " document"]
    """A text of each document."""
    firing: Relabellings
    means: Relabellings
    ranks: Relabellings
    top: Int[np.ndarray, "document layer neuron"]
    """Documents ranked by their mean, the first being the highest."""
    bottom: Int[np.ndarray, "document layer neuron"]

    @classmethod
    def of(cls, activity: TextActivity) -> "Evidence":
        """Rank texts and documents, and sum what documents are dealt out with."""
        ranked = Ranked.of(activity)
        documents, first, of_text = np.unique(activity.document, return_index=True, return_inverse=True)
        n_tokens = activity.n_tokens[:, None, None]
        expected = n_tokens * (activity.fires.sum(0) / n_tokens.sum())
        top, bottom = ranked.top, ranked.bottom
        if len(documents) < len(activity):
            means = np.zeros((len(documents), *activity.mean.shape[1:]))
            np.add.at(means, of_text, activity.mean)
            means /= np.bincount(of_text)[:, None, None]
            top, bottom = ranks_from_top(means), ranks_from_top(-means)
        else:
            top, bottom = top[first], bottom[first]
        dealt = [
            Relabellings.of(v, activity.document) for v in (activity.fires - expected, activity.mean, ranked.ranks)
        ]
        return cls(ranked, first, *dealt, top, bottom)

    def scored(self, language: Int[np.ndarray, " text"], selection: Selection) -> Scored:
        """Score under these labels, test, and find."""
        score, p = self.ranked.scores(language), self._p(language[self.first])
        q = np.stack([stats.false_discovery_control(each.ravel()).reshape(each.shape) for each in p])
        chosen = self._chosen(score, language, selection)
        return Scored(score, p, q, chosen & (q <= ALPHA), np.any(q <= ALPHA, axis=(1, 2, 3)))

    def _p(self, language: Int[np.ndarray, " document"]) -> ByMethod:
        n, found = len(language), []
        for number in range(len(self.ranked.activity.languages)):
            ours = language == number
            by_rank = [null_p(of_ranks(ranks, ours), n, int(ours.sum())) for ranks in (self.top, self.bottom)]
            found.append([self.firing.p(ours), *by_rank, self.means.p(ours), self.ranks.p(ours)])
        return np.moveaxis(np.array(found), 0, -1)

    def _chosen(self, score: ByMethod, language: np.ndarray, selection: Selection) -> np.ndarray:
        probability = self.ranked.activity.relabelled(language).probability
        share = selection.percentile
        specific = lape(probability, rate=selection.rate, filter_percentile=share, activation_percentile=share).assigned
        n_each = selection.n_taken(score[0, ..., 0].size)
        each = range(score.shape[-1])
        ranked = [ranked_neurons(score[1, ..., k], score[2, ..., k], n_each=n_each) for k in each]
        return np.stack(
            [
                np.moveaxis(specific, 0, -1),
                np.stack([found.top for found in ranked], -1),
                np.stack([found.bottom for found in ranked], -1),
                score[3] >= selection.least_difference,
                score[4] >= selection.least_auroc,
            ]
        )
