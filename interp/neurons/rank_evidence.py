"""How well a unit tells switch tokens from their matches: AUROC, with a permutation test that keeps documents whole.

Ranks are taken over all tokens of a contrast together. A document's lead is the sum, over its pairs, of the switch
token's rank minus its match's; the AUROC is one half plus the leads' sum over twice the square of the number of pairs.
Under the null the labels of a document's pairs may all be exchanged at once, which turns the sign of its lead. So the
null distribution is that of a sum of leads with random signs, whose normal approximation is used, because a correction
over thousands of units needs p-values that no number of draws reaches. Such sums have thinner tails than a normal
variable of the same variance, so far out the approximation errs towards larger p-values.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from interp.errors import InputError
from interp.statistics import bootstrap_interval

POWER = 0.8
LEVEL = 0.05

Units = Float[np.ndarray, " unit"]


@dataclass(frozen=True)
class RankEvidence:
    """Leads of every document for every unit."""

    lead: Float[np.ndarray, "document unit"]
    n_pairs: int

    @property
    def auroc(self) -> Units:
        """Probability that a switch token's activation is above a match's; 0.5 says nothing."""
        return 0.5 + self.lead.sum(0) / (2 * self.n_pairs**2)

    @property
    def z(self) -> Units:
        """Sum of leads in standard deviations of its null distribution; 0 for a unit that never differs."""
        spread = np.sqrt((self.lead**2).sum(0))
        return np.divide(self.lead.sum(0), spread, out=np.zeros_like(spread), where=spread > 0)

    @property
    def p(self) -> Units:
        """Two-sided p-values, each of its unit alone."""
        return 2 * stats.norm.sf(np.abs(self.z))

    def p_in_direction(self, sign: Units) -> Units:
        """One-sided p-values of a direction named beforehand: 1 for more activation at switches, -1 for less."""
        return stats.norm.sf(sign * self.z)

    def interval(self, *, seed: int = 0) -> tuple[Units, Units]:
        """95 % bootstrap interval of the AUROC over documents, ranks held fixed."""
        scale = len(self.lead) / (2 * self.n_pairs**2)
        return bootstrap_interval(0.5 + self.lead * scale, seed=seed)

    def shuffled(self, rng: np.random.Generator) -> "RankEvidence":
        """Exchange the labels of random documents: what there is to find where there is nothing."""
        return RankEvidence(self.lead * rng.choice([-1.0, 1.0], (len(self.lead), 1)), self.n_pairs)

    def permutation_p(self, *, n_draws: int = 10_000, seed: int = 0) -> Units:
        """Two-sided p-values by drawn exchanges, none below 1 / (1 + n_draws); what `p` approximates."""
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], (n_draws, len(self.lead)))
        observed = np.abs(self.lead.sum(0)) * (1 - 1e-9)
        return (1 + (np.abs(signs @ self.lead) >= observed).sum(0)) / (1 + n_draws)

    def detectable(self, n_tests: int = 1) -> float:
        """Smallest AUROC above 0.5 found with a probability of 0.8, for the median unit.

        Args:
            n_tests: Units that are corrected over, as if a single one of them had an effect.
        """
        spread = np.sqrt((self.lead**2).sum(0)) / (2 * self.n_pairs**2)
        reach = stats.norm.isf(LEVEL / (2 * n_tests)) + stats.norm.isf(1 - POWER)
        moving = spread[spread > 0]
        return min(1.0, 0.5 + float(reach * np.median(moving))) if len(moving) else 1.0


def rank_evidence(
    switch: Float[np.ndarray, "pair unit"], matched: Float[np.ndarray, "pair unit"], document: Int[np.ndarray, " pair"]
) -> RankEvidence:
    """Compare what units do at switch tokens and at their matches.

    Args:
        switch: Activations at switch tokens.
        matched: At their matches, in the same order.
        document: Of each pair.

    Raises:
        InputError: fewer than two documents.
    """
    documents, number = np.unique(document, return_inverse=True)
    if len(documents) < 2:
        raise InputError(f"Pairs of {len(documents)} document give no test. Expected switches of at least two.")
    ranks = stats.rankdata(np.concatenate([switch, matched]), axis=0)
    lead = np.zeros((len(documents), switch.shape[1]))
    np.add.at(lead, number, ranks[: len(switch)] - ranks[len(switch) :])
    return RankEvidence(lead, len(document))
