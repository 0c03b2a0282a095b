"""Language activation probability entropy: by hand, and against a plain transcription of the published procedure."""

import numpy as np
import pytest
import torch

from interp.errors import InputError
from interp.neurons.lape import lape

LN2, LN3 = np.log(2), np.log(3)


def by_hand() -> np.ndarray:
    """Twenty neurons in two layers, three languages.

    All but three fire at 0.3 of the tokens of every language. Of the 60 probabilities, the 57th smallest (0.95 x 60)
    is 0.3, and three lie above it: 0.8, 0.6 and 0.6.
    """
    probability = np.full((3, 2, 10), 0.3)
    probability[:, 0, 4] = 0.8, 0.1, 0.1
    probability[:, 1, 7] = 0.6, 0.6, 0.0
    probability[:, 1, 2] = 0.05, 0.0, 0.0
    return probability


def test_three_languages_worked_by_hand():
    found = lape(by_hand(), rate=0.1)
    assert found.bar == 0.3
    # -0.8 ln 0.8 - 2 x 0.1 ln 0.1 = 0.178515 + 0.460517
    assert found.entropy[0, 4] == pytest.approx(0.639032, abs=1e-6)
    assert found.entropy[1, 7] == pytest.approx(LN2)
    assert found.entropy[1, 2] == 0
    assert found.entropy[0, 0] == pytest.approx(LN3)
    # The neuron of entropy 0 fires in no language often enough.
    assert np.argwhere(found.active).tolist() == [[0, 4], [1, 7]]
    assert np.argwhere(found.selected).tolist() == [[0, 4], [1, 7]]
    assert np.argwhere(found.assigned).tolist() == [[0, 0, 4], [0, 1, 7], [1, 1, 7]]


def test_the_rate_takes_the_lowest_entropies_of_all_neurons():
    assert np.argwhere(lape(by_hand(), rate=0.05).selected).tolist() == [[0, 4]]
    # Three were asked for, two are active.
    assert lape(by_hand(), rate=0.15).selected.sum() == 2


def test_above_the_bar_is_strictly_above():
    # The 58th smallest is 0.6: only 0.8 is above it.
    found = lape(by_hand(), rate=0.1, filter_percentile=0.97, activation_percentile=0.97)
    assert found.bar == 0.6
    assert np.argwhere(found.assigned).tolist() == [[0, 0, 4]]


def test_filter_and_assignment_have_percentiles_of_their_own():
    found = lape(by_hand(), rate=0.1, activation_percentile=0.97)
    assert found.selected.sum() == 2
    assert np.argwhere(found.assigned).tolist() == [[0, 0, 4]]
    found = lape(by_hand(), rate=0.1, filter_percentile=0.97)
    assert np.argwhere(found.assigned).tolist() == [[0, 0, 4]]


def published(over_zero: torch.Tensor, n: torch.Tensor, top_rate: float, filter_rate: float, bar_ratio: float):
    """The published procedure, line by line: `over_zero` is `[layer, neuron, language]`."""
    probs = over_zero / n
    normed = probs / probs.sum(dim=-1, keepdim=True)
    normed[torch.isnan(normed)] = 0
    log_probs = torch.where(normed > 0, normed.log(), 0)
    entropy = -torch.sum(normed * log_probs, dim=-1)
    flattened = probs.flatten()
    top = flattened.kthvalue(round(len(flattened) * filter_rate)).values.item()
    entropy[(probs > top).sum(dim=-1) == 0] = torch.inf
    _, index = entropy.flatten().topk(round(entropy.numel() * top_rate), largest=False)
    row, column = index // entropy.size(1), index % entropy.size(1)
    selected = probs[row, column].transpose(0, 1)
    bar = flattened.kthvalue(round(len(flattened) * bar_ratio)).values.item()
    language, place = torch.where(selected > bar)
    return {(int(k), int(row[i]), int(column[i])) for k, i in zip(language, place, strict=True)}


@pytest.mark.parametrize("seed", range(6))
def test_random_counts_give_what_the_published_procedure_gives(seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(5_000, 9_000, 4)
    probability = rng.beta(0.5, 2, (3, 200, 1)) * rng.beta(1, 1, (3, 200, 4))
    counts = rng.binomial(n, probability)
    counts[0, :3] = 0
    options = (0.01, 0.95, 0.95) if seed < 3 else (0.05, 0.9, 0.8)
    theirs = published(torch.from_numpy(counts).double(), torch.from_numpy(n), *options)
    ours = lape(
        np.moveaxis(counts / n, -1, 0), rate=options[0], filter_percentile=options[1], activation_percentile=options[2]
    )
    assert {tuple(cell) for cell in np.argwhere(ours.assigned).tolist()} == theirs
    assert len(theirs) >= 6
    assert ours.selected.sum() == round(600 * options[0])


def test_a_neuron_that_never_fires_is_never_taken():
    probability = by_hand()
    probability[:, 0, 9] = 0
    found = lape(probability, rate=0.1)
    assert found.entropy[0, 9] == 0
    assert not found.active[0, 9]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probability": by_hand() * 2}, "outside 0 to 1"),
        ({"probability": by_hand() * np.nan}, "no numbers"),
        ({"rate": 0.01}, "takes no one of 20"),
        ({"rate": 1.5}, "takes no one"),
        ({"filter_percentile": 0.0}, "no places"),
        ({"activation_percentile": 1.2}, "no places"),
    ],
)
def test_what_means_nothing_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        lape(**({"probability": by_hand(), "rate": 0.1} | change))
