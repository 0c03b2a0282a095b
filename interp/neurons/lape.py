"""Language activation probability entropy: neurons that fire in few of the languages."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import entr

from interp.errors import InputError

RATE = 0.01
"""Share of all neurons taken, as published; an older commit of the source has 0.05."""
PERCENTILE = 0.95


@dataclass(frozen=True)
class Lape:
    """Entropies, and the neurons with the lowest."""

    entropy: Float[np.ndarray, "layer neuron"]
    """In nats, from 0 (fires in one language alone) to ln(languages); 0, too, for a neuron that never fires."""
    active: Bool[np.ndarray, "layer neuron"]
    """Fires often in some language: its probability there lies above the percentile of all probabilities."""
    selected: Bool[np.ndarray, "layer neuron"]
    """Active, and among the lowest entropies."""
    assigned: Bool[np.ndarray, "language layer neuron"]
    """Selected, and firing often in this language: a neuron may belong to several."""
    bar: float
    """Probability that counts as often."""


def lape(
    probability: Float[np.ndarray, "language layer neuron"],
    *,
    rate: float = RATE,
    filter_percentile: float = PERCENTILE,
    activation_percentile: float = PERCENTILE,
) -> Lape:
    """Find language-specific neurons by the entropy of their firing over languages.

    p' = p / sum over languages of p, and the entropy is -sum p' ln p' with 0 ln 0 = 0. A neuron is dropped when its
    probability is in no language above the filter's percentile of all probabilities, the round(percentile N)-th
    smallest of N. Of the others the round(rate x all neurons) with the lowest entropy are taken, and each is given to
    every language in which its probability is above the activation percentile. Always that many are taken, also
    where no neuron knows any language: significance is another question, see `language_neurons`. Where entropies tie,
    the first layer and neuron go first; the source leaves ties to torch. Where fewer pass the filter than are asked
    for, fewer are taken; the source fills up with neurons that it then gives to no language.

    Args:
        probability: Share of the tokens of each language at which a neuron fires; see `NeuronCounters.probability`.
        rate: Share of all neurons to take.
        filter_percentile: Of all probabilities; a share.
        activation_percentile: Of all probabilities; a share.

    Raises:
        InputError: probabilities or shares outside 0 to 1, or a rate that takes no neuron.

    Source: Tang et al. 2024, Language-Specific Neurons, ACL (arXiv:2402.16438), sec. 2.2, and its `identify.py`.
    """
    _check(probability, rate, (filter_percentile, activation_percentile))
    summed = probability.sum(0)
    entropy = entr(probability / np.where(summed > 0, summed, 1)).sum(0)
    active = np.any(probability > _percentile(probability, filter_percentile), axis=0)
    n_taken = min(round(rate * entropy.size), int(active.sum()))
    ranked = np.where(active, entropy, np.inf).ravel()
    selected = np.zeros(entropy.size, bool)
    selected[np.argsort(ranked, kind="stable")[:n_taken]] = True
    selected = selected.reshape(entropy.shape)
    bar = _percentile(probability, activation_percentile)
    return Lape(entropy, active, selected, selected & (probability > bar), bar)


def _percentile(values: np.ndarray, share: float) -> float:
    """The k-th smallest with k = round(share N), as torch.kthvalue counts."""
    place = round(values.size * share) - 1
    return float(np.partition(values, place, axis=None)[place])


def _check(probability: np.ndarray, rate: float, percentiles: tuple[float, ...]) -> None:
    if not ((probability >= 0) & (probability <= 1)).all():
        raise InputError("Probabilities lie outside 0 to 1, or are no numbers. Expected shares of tokens.")
    n_neurons = probability[0].size
    if not 0 < rate <= 1 or round(rate * n_neurons) < 1:
        raise InputError(f"A rate of {rate} takes no one of {n_neurons} neurons. Expected a share up to 1.")
    if any(round(share * probability.size) < 1 or share > 1 for share in percentiles):
        raise InputError(f"Percentiles {percentiles} are no places among the probabilities. Expected shares up to 1.")
