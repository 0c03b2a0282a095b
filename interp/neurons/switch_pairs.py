"""Switches of real text, paired with tokens that are none; and whether neurons found elsewhere follow them, too."""

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from scipy import stats

from interp.errors import InputError
from interp.models import provenance
from interp.neurons.labelled import LabelledTokens
from interp.neurons.matching import after_punctuation, match_places
from interp.neurons.passes import Places, read_units
from interp.neurons.rank_evidence import RankEvidence, rank_evidence
from interp.neurons.switch_material import N_MATCHES, Continuations, Pairs, SwitchMaterial, word_ends
from interp.neurons.units import Neurons
from interp.results import Result
from interp.statistics import bootstrap_interval
from interp.types import Model

N_DRAWS = 200
_METHOD = (
    "Neurons found on other material, tried on these switches: AUROC of their activation at switch tokens against "
    "matched tokens of the same language, place in word, frequency band, quarter of the text and punctuation before, "
    "of texts of nearest length, signed so that above 0.5 is the direction found before. p one-sided, by exchange of "
    "labels within documents; q over the neurons; interval by bootstrap over documents. Control: the mean of {n_draws} "
    "draws of as many random neurons of the same layers and activity, each signed as its neuron was found to be. A "
    "neuron that does not follow these switches may follow others."
)


def pair_switches(model: Model, tokens: LabelledTokens, *, seed: int = 0) -> SwitchMaterial:
    """Pair every switch of labelled texts with tokens that are none, of texts of one language.

    Args:
        model: The model that the texts were cut for.
        tokens: Texts with switches, and texts without to match them from.
        seed: Decides the matches.

    Returns:
        Material whose switches have no known continuation but their own. A match lies in another document than its
        switch.

    Raises:
        InputError: no switch, or none with a match.
    """
    rng, closed = np.random.default_rng(seed), after_punctuation(model, tokens)
    mixed = tokens.switch.any(1)
    row, pos = np.nonzero(tokens.switch)
    if not len(row) or mixed.all():
        raise InputError(
            f"{int(mixed.sum())} of {mixed.size} texts have a switch. Expected some with and some without one."
        )
    plain = np.flatnonzero(~mixed)
    starts, ends = (
        _inside(plain, allowed[plain] & (tokens.language[plain] >= 0) & (tokens.word[plain] > 0))
        for allowed in (tokens.place_in_word == 0, word_ends(tokens))
    )
    pairs = []
    for positives, candidates in ((Places(row, pos), starts), (Places(row, pos - 1), ends)):
        chosen, matches = match_places(tokens, positives, candidates, rng, n_matches=N_MATCHES, also=closed)
        pairs.append(Pairs(positives[chosen], matches, tokens.text[positives.row[chosen]]))
    return SwitchMaterial(tokens, plain, pairs[0], pairs[1], _cases(tokens, row, pos))


def replicate_switching(
    model: Model, material: SwitchMaterial, found: Result, neurons: Neurons, *, n_draws: int = N_DRAWS, seed: int = 0
) -> Result:
    """Try neurons that were found on one material on another.

    Args:
        model: A hooked model.
        material: The other material; all of its documents are used.
        found: The `switching_neurons` result they were found in; their directions are its scores'.
        neurons: Which of them.
        n_draws: Random sets of neurons.
        seed: Decides draws and resamples.

    Returns:
        A `switching_replication` result over `unit`: `score` with interval, `p`, `q_fdr`, `control`; and once `mean`
        with interval, `control_mean` and its ends over the draws (`low`, `high`), and `p_rank`.
    """
    batch = material.tokens.batch
    switch, matched = (read_units(model, batch, places) for places in (material.at.switch, material.at.matched))
    shape = switch.shape[1:]
    evidence = rank_evidence(switch.reshape(len(switch), -1), matched.reshape(len(matched), -1), material.at.document)
    sign = np.sign(found.data["score"].values - 0.5)[neurons.layer, neurons.neuron]
    activity, rng = np.abs(matched).mean(0).astype(np.float64), np.random.default_rng(seed)
    mine = _part(evidence, shape, neurons)
    draws = np.stack([_signed(_part(evidence, shape, _like(neurons, activity, rng)), sign) for _ in range(n_draws)])
    low, high = mine.interval(seed=seed)
    p = mine.p_in_direction(sign)
    effect, means = _signed(mine, sign).mean(), draws.mean(1)
    scale = len(mine.lead) / (2 * mine.n_pairs**2)
    ends = bootstrap_interval(0.5 + (mine.lead * sign).mean(1) * scale, seed=seed)
    once = {"mean": effect, "mean_low": float(ends[0]), "mean_high": float(ends[1])}
    once |= {"control_mean": means.mean(), "control_mean_low": means.min(), "control_mean_high": means.max()}
    once["p_rank"] = (1 + (means >= effect).sum()) / (1 + n_draws)
    units = {
        "score": _signed(mine, sign),
        "score_low": np.where(sign > 0, low, 1 - high),
        "score_high": np.where(sign > 0, high, 1 - low),
        "control": draws.mean(0),
        "p": p,
        "q_fdr": stats.false_discovery_control(p),
    }
    return Result(
        kind="switching_replication",
        data=xr.Dataset(
            {name: ("unit", values) for name, values in units.items()}
            | {name: ((), float(value)) for name, value in once.items()},
            {"unit": neurons.names},
        ),
        unit="AUROC in the direction found before",
        sign="Above 0.5 means that the neuron does at these switches what it does at those it was found on.",
        method=_METHOD.format(n_draws=n_draws),
        provenance=provenance(
            model, tokens=[batch.tokens], call=f"replicate_switching({len(neurons)} neurons, seed={seed})", seed=seed
        ),
        notes={
            "control": "random neurons of the same layers and activity",
            "n_samples": len(material.at),
            "n_groups": len(np.unique(material.at.document)),
            "n_switches": len(np.unique(np.stack([material.at.switch.row, material.at.switch.pos]), axis=1).T),
            "detectable_auroc": mine.detectable(),
        },
    )


def _inside(rows: np.ndarray, allowed: np.ndarray) -> Places:
    row, pos = np.nonzero(allowed)
    return Places(rows[row], pos)


def _cases(tokens: LabelledTokens, row: Int[np.ndarray, " switch"], pos: Int[np.ndarray, " switch"]) -> Continuations:
    old = np.array([_language_before(tokens.language[number, :place]) for number, place in zip(row, pos, strict=True)])
    unknown = np.full(len(row), -1)
    return Continuations(tokens.text[row], old, tokens.language[row, pos], row, pos, unknown, unknown, unknown, unknown)


def _language_before(language: Int[np.ndarray, " pos"]) -> int:
    return int(language[language >= 0][-1])


def _part(evidence: RankEvidence, shape: tuple[int, ...], neurons: Neurons) -> RankEvidence:
    flat = neurons.layer * shape[1] + neurons.neuron
    return RankEvidence(evidence.lead[:, flat], evidence.n_pairs)


def _like(neurons: Neurons, activity: Float[np.ndarray, "layer neuron"], rng: np.random.Generator) -> Neurons:
    """Others in the order of the neurons' layers, so that each takes the sign of one of its layer."""
    drawn = neurons.like(activity, rng)
    order = np.argsort(np.argsort(neurons.layer, kind="stable"), kind="stable")
    by_layer = np.argsort(drawn.layer, kind="stable")[order]
    return Neurons(drawn.layer[by_layer], drawn.neuron[by_layer])


def _signed(evidence: RankEvidence, sign: Float[np.ndarray, " unit"]) -> Float[np.ndarray, " unit"]:
    return 0.5 + sign * (evidence.auroc - 0.5)
