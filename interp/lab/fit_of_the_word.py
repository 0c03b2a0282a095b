"""Fit of the word: how often a model switches language against how well the other language's word fits.

Beside the measured rate stands what a perfectly calibrated model would do (`closed_form`), and three controls: the same
architecture with random weights, the same rates with the fit dealt out anew among the places, and, where token
frequencies are given, a model that knows those alone.

Source: the question is of Li et al. 2025 (arXiv:2507.15849), who find that reinforcement learning on verifiable rewards
brings code-switching; the closed form and the task are this project's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from scipy import stats

from interp.errors import InputError
from interp.lab.switch_rate import TEMPERATURES, Choice, SwitchRate, closed_form, share_of_other, switch_rate
from interp.models import facts, provenance
from interp.results import Result
from interp.statistics import bootstrap_interval
from interp.types import Model

N_SHUFFLES = 200
N_CURVE = 81
_METHOD = (
    "At {n} places with words of both languages that fit, the share of the other language among those words, their "
    "probabilities raised to the power 1/T and made to sum to one; T = 0 takes the most probable. By the number of "
    "fitting words of the own language. Predicted: a calibrated model whose corpus has a share {epsilon:.4g} of the "
    "other language, {source}. Intervals: 95 %, bootstrap over places, Wilson's at T = 0 and for greedy decoding; the "
    "words and the model stay the same ones. Greedy: the most probable token of the whole vocabulary. A rate that "
    "follows the prediction is no evidence of a preference for switching: frequencies alone predict it."
)

_ByFit = Float[np.ndarray, "temperature n_words"]


def fit_of_the_word(
    model: Model,
    choices: Sequence[Choice],
    *,
    control: Model,
    epsilon: float | None = None,
    unigram: Float[np.ndarray, " token"] | None = None,
    temperatures: Sequence[float] = TEMPERATURES,
    seed: int = 0,
) -> Result:
    """Measure a model's switches against the fit of the word, beside the closed form and its controls.

    Args:
        model: A hooked decoder.
        choices: Places, each with the words of both languages that fit there; `draw_choices` or `choice_from_text`.
        control: The same architecture with random weights.
        epsilon: Share of the other language's words in the corpus; by default the mean share at temperature 1.
        unigram: How frequent each token is, for a control that knows nothing else; words must then be one token.
        temperatures: From 0.
        seed: Decides resamples and shuffles.

    Returns:
        Kind `fit_of_the_word` over `temperature` and `n_words`, the fitting words of the own language: `share` with
        its interval, `predicted`, `control` (random weights), `control_shuffled` with the range of its shuffles, and
        `greedy`. More is more of the other language.

    Raises:
        InputError: fewer than two places for some number of words, or a control with the model's own weights.
    """
    n_words = np.array([len(choice.home) for choice in choices])
    _check(model, control, n_words)
    rate, untrained = (switch_rate(each, choices, temperatures=temperatures) for each in (model, control))
    cells = Cells(n_words, seed)
    given = epsilon is not None
    assumed = epsilon if epsilon is not None else _epsilon(rate)
    dims = ("temperature", "n_words")
    shuffled, shuffled_low, shuffled_high = cells.shuffled(rate.share)
    variables = {
        **named("share", dims, cells.intervals(rate.share, np.array(temperatures) == 0)),
        "predicted": (dims, cells.mean(_predicted(choices, temperatures, assumed))),
        "control": (dims, cells.mean(untrained.share)),
        "control_shuffled": (dims, shuffled),
        "control_shuffled_low": (dims, shuffled_low),
        "control_shuffled_high": (dims, shuffled_high),
        **named("greedy", dims[1:], cells.intervals(rate.greedy[None].astype(float), np.array([True]))[:, 0]),
        "control_greedy": (dims[1:], cells.mean(untrained.greedy[None].astype(float))[0]),
        "fitting": (dims[1:], cells.mean(rate.fitting[None])[0]),
        "n": (dims[1:], cells.counts),
        **_curve(cells.sizes, temperatures, assumed),
    }
    if unigram is not None:
        variables["control_unigram"] = (dims, cells.mean(_of_unigram(choices, unigram, temperatures)))
    call = f"fit_of_the_word({len(choices)} choices, epsilon={epsilon}, temperatures={list(temperatures)}, seed={seed})"
    source = "as given" if given else "its own share at T = 1, so that only the course with T and n is predicted"
    return Result(
        kind="fit_of_the_word",
        data=xr.Dataset(
            variables, {"temperature": list(temperatures), "n_words": cells.sizes, "curve": np.arange(N_CURVE)}
        ),
        unit="share of the other language",
        sign="More is more of the other language",
        method=_METHOD.format(n=len(choices), epsilon=assumed, source=source),
        provenance=provenance(model, tokens=[choice.context for choice in choices], call=call, seed=seed),
        baselines={"epsilon": assumed, "switches greedily from n": (1 - assumed) / assumed},
        notes={
            "n_samples": len(choices),
            "epsilon": assumed,
            "n_shuffles": N_SHUFFLES,
            "control": "the same architecture with random weights; the fit dealt out anew among the places"
            + ("" if unigram is None else "; a model that knows how frequent each word is, and nothing else"),
        },
    )


@dataclass(frozen=True)
class Cells:
    """Places in cells by the number of fitting words."""

    n_words: Int[np.ndarray, " choice"]
    seed: int

    @property
    def sizes(self) -> Int[np.ndarray, " cell"]:
        """The numbers of words, in order."""
        return np.unique(self.n_words)

    @property
    def counts(self) -> Int[np.ndarray, " cell"]:
        """Places of each."""
        return np.unique(self.n_words, return_counts=True)[1]

    def mean(
        self, values: Float[np.ndarray, "row choice"], n_words: Int[np.ndarray, " choice"] | None = None
    ) -> Float[np.ndarray, "row cell"]:
        """Mean over the places of each cell."""
        of = self.n_words if n_words is None else n_words
        return np.stack([values[:, of == n].mean(1) for n in self.sizes], 1)

    def intervals(self, values: Float[np.ndarray, "row choice"], binary: np.ndarray) -> Float[np.ndarray, "3 row cell"]:
        """Mean, lower and upper end; of rows that are `binary` by Wilson's interval, which has a width at 0, too."""
        found = np.empty((3, len(values), len(self.sizes)))
        found[0] = self.mean(values)
        for cell, n in enumerate(self.sizes):
            here = values[:, self.n_words == n]
            found[1:, :, cell] = bootstrap_interval(here.T, seed=self.seed)
            for row in np.flatnonzero(binary):
                of = stats.binomtest(round(here[row].sum()), here.shape[1]).proportion_ci(method="wilson")
                found[1:, row, cell] = min(of.low, found[0, row, cell]), max(of.high, found[0, row, cell])
        return found

    def shuffled(self, values: Float[np.ndarray, "row choice"]) -> Float[np.ndarray, "3 row cell"]:
        """Mean over shuffles of the cells among the places, and the range of 95 % of them."""
        rng = np.random.default_rng(self.seed)
        runs = np.stack([self.mean(values, rng.permutation(self.n_words)) for _ in range(N_SHUFFLES)])
        return np.stack([runs.mean(0), *np.percentile(runs, [2.5, 97.5], axis=0)])


def named(
    name: str, dims: tuple[str, ...], found: Float[np.ndarray, "3 ..."]
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Give a mean and the ends of its interval their names in a result."""
    return {f"{name}{end}": (dims, of) for end, of in zip(("", "_low", "_high"), found, strict=True)}


def _epsilon(rate: SwitchRate) -> float:
    if 1.0 not in rate.temperatures:
        raise InputError(f"Temperatures {list(rate.temperatures)} leave out 1. Give it, or epsilon.")
    return float(rate.share[rate.temperatures.index(1.0)].mean())


def _predicted(
    choices: Sequence[Choice], temperatures: Sequence[float], epsilon: float
) -> Float[np.ndarray, "temperature choice"]:
    return np.array(
        [[closed_form(len(of.home), t, epsilon, n_other=len(of.other)) for of in choices] for t in temperatures]
    )


def _of_unigram(
    choices: Sequence[Choice], unigram: Float[np.ndarray, " token"], temperatures: Sequence[float]
) -> Float[np.ndarray, "temperature choice"]:
    if any(len(word) > 1 for choice in choices for word in choice.words):
        raise InputError("A unigram model knows words of one token only. Leave unigram out, or give such words.")
    # Half an occurrence for tokens never seen: their logarithm would be infinite.
    log_probs = [np.log(unigram[[word[0] for word in choice.words]] + 0.5) for choice in choices]
    return np.array(
        [
            [share_of_other(of, len(choice.home), t) for of, choice in zip(log_probs, choices, strict=True)]
            for t in temperatures
        ]
    )


def _curve(
    sizes: Int[np.ndarray, " cell"], temperatures: Sequence[float], epsilon: float
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """The closed form between the measured numbers of words, to be drawn; one word of the other language."""
    fine = np.geomspace(sizes.min(), sizes.max(), N_CURVE)
    at_all = np.stack([closed_form(fine, t, epsilon) for t in temperatures])
    return {"curve_n": (("curve",), fine), "curve_share": (("temperature", "curve"), at_all)}


def _check(model: Model, control: Model, n_words: Int[np.ndarray, " choice"]) -> None:
    sizes, counts = np.unique(n_words, return_counts=True)
    if not len(sizes) or counts.min() < 2:
        raise InputError(
            f"Places by number of fitting words: {dict(zip(sizes.tolist(), counts.tolist(), strict=True))}. Expected "
            "two or more of each, to have an interval."
        )
    if facts(model).fingerprint == facts(control).fingerprint:
        raise InputError("The control model has the model's own weights. Load random: before the model's name.")
