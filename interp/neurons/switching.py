"""Code-switching neurons: the definition, and the search. The definition is this project's own.

A unit (a neuron, a head, a direction) follows code-switching where, on half of the documents, its activation at switch
tokens differs from its activation at matched tokens that are none, and all of this holds:

1. `q_fdr` below 0.05: AUROC of switch tokens against matches, two-sided, by exchange of labels within whole documents,
   corrected over all units (Benjamini-Hochberg).
2. It replicates: on the other half of the documents the AUROC lies on the same side, one-sided, corrected over the
   units that passed 1.
3. It is no neuron of something else: its distance from 0.5 on the other half is larger than that by which it tells
   tokens apart, where no switch is, by language, script, frequency, position in the text, punctuation before them, or
   being inside a word.

`found` says that all three hold. Such a unit is a candidate: it earns the name of a code-switching neuron only where
`switch_tests` shows that setting it changes the language of the next word more than setting others like it does.

A switch token is the first token of the first word of another language; its match is a token of the same language,
place in word and frequency band (for built switches, the same token in the same sentence after its own language). The
same contrast is taken just before: last token before the switch, against ends of words before which a phrase may begin.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from scipy import stats

from interp.models import provenance
from interp.neurons.factors import factor_aurocs
from interp.neurons.passes import UnitKind, read_units
from interp.neurons.rank_evidence import LEVEL, RankEvidence, rank_evidence
from interp.neurons.switch_material import Pairs, SwitchMaterial
from interp.results import Result
from interp.types import Model

N_SHUFFLES = 20
_METHOD = (
    "This project's own definition. AUROC of a unit's activation at first tokens of a new language against matched "
    "tokens; p: normal approximation to the exchange of labels within whole documents, q: Benjamini-Hochberg over all "
    "units; interval: 95 % bootstrap over documents. Replication on the other half of the documents. A unit is found "
    "where q < 0.05, the other half agrees (q < 0.05 over those, one-sided), and its AUROC there is farther from 0.5 "
    "than that of every other factor. That a unit follows switches does not show that it does anything: see the "
    "causal tests."
)
_UNITS = {"neurons": ("neuron", "switching_neurons"), "heads": ("head", "switching_heads")}

Grid = Float[np.ndarray, "layer unit"]


@dataclass(frozen=True)
class Evidence:
    """Both halves, for every unit of every layer, units in one row."""

    found: RankEvidence
    replicated: RankEvidence
    shape: tuple[int, int]

    def shuffled(self, rng: np.random.Generator) -> "Evidence":
        """The same with labels exchanged in random documents."""
        return Evidence(self.found.shuffled(rng), self.replicated.shuffled(rng), self.shape)

    def passes(self, other: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The three conditions, and all of them together.

        Args:
            other: Largest distance from 0.5 of any other factor, by unit; zero where there is none.
        """
        q, sign = stats.false_discovery_control(self.found.p), np.sign(self.found.z)
        first, again = q < LEVEL, np.ones(len(q))
        if first.any():
            again[first] = stats.false_discovery_control(self.replicated.p_in_direction(sign)[first])
        held = np.abs(self.replicated.auroc - 0.5)
        apart = held > (0.0 if other is None else other)
        replicates = first & (again < LEVEL)
        return {"q_fdr": q, "replication_q_fdr": again, "separate": apart, "found": replicates & apart}


def switch_evidence(
    model: Model, halves: tuple[SwitchMaterial, SwitchMaterial], kind: UnitKind = "neurons", *, where: str = "at"
) -> Evidence:
    """Compare every unit's activation at switches and at matches, in both halves.

    Args:
        model: A hooked model.
        halves: What `SwitchMaterial.halves` gave.
        kind: Which units.
        where: `at` the first token of the new language, or `before` it.
    """
    found = []
    shape = (0, 0)
    for half in halves:
        pairs: Pairs = getattr(half, where)
        switch, matched = (
            read_units(model, half.tokens.batch, places, kind) for places in (pairs.switch, pairs.matched)
        )
        shape = (switch.shape[1], switch.shape[2])
        found.append(rank_evidence(_flat(switch), _flat(matched), pairs.document))
    return Evidence(found[0], found[1], shape)


def find_switching_units(
    model: Model, material: SwitchMaterial, kind: UnitKind = "neurons", *, seed: int = 0
) -> Result:
    """Find the units that follow code-switching, as this module defines it.

    Args:
        model: A hooked model.
        material: Switches beside matches, and sentences of one language.
        kind: `neurons` or `heads` (length of what a head writes).
        seed: Decides the split, the shuffles and the resamples.

    Returns:
        A `switching_neurons` (or `switching_heads`) result over `layer` and `neuron` (or `head`): `score`, the AUROC on
        the first half, with interval, `control` (labels exchanged), `p`, `q_fdr`; `replication` on the second half with
        its interval and q; `before` and `before_q_fdr`, the same just before the switch; `factor`, AUROCs of other
        factors; `separate` and `found`. Above 0.5 means more activation at switches.

    Raises:
        InputError: fewer than four documents with switches.
        SiteError: the model shows no such units.
    """
    halves, rng = material.halves(seed=seed), np.random.default_rng(seed)
    at = switch_evidence(model, halves, kind)
    before = switch_evidence(model, halves, kind, where="before")
    factors = factor_aurocs(model, material.tokens, material.plain, kind, seed=seed)
    other = np.max([np.abs(values - 0.5) for values in factors.values()], axis=0).ravel()
    passed, early = at.passes(other), before.passes(other)
    shuffles = [at.shuffled(rng) for _ in range(N_SHUFFLES)]
    low, high = at.found.interval(seed=seed)
    again_low, again_high = at.replicated.interval(seed=seed)
    units = {
        "score": at.found.auroc,
        "score_low": low,
        "score_high": high,
        "control": shuffles[0].found.auroc,
        "p": at.found.p,
        "replication": at.replicated.auroc,
        "replication_low": again_low,
        "replication_high": again_high,
        **passed,
        "before": before.replicated.auroc,
        "before_q_fdr": early["q_fdr"],
        "found_before": early["found"],
    }
    dim, name = _UNITS[kind]
    dims = ("layer", dim)
    data = xr.Dataset(
        {name: (dims, values.reshape(at.shape)) for name, values in units.items()}
        | {"factor_auroc": (("factor", *dims), np.stack(list(factors.values())))},
        {"layer": np.arange(at.shape[0]), dim: np.arange(at.shape[1]), "factor": list(factors)},
    )
    return Result(
        kind=name,
        data=data,
        unit="AUROC (probability that a switch token's activation is above a match's)",
        sign="Above 0.5 means more activation at switches, below it less; 0.5 says nothing.",
        method=_METHOD,
        provenance=provenance(
            model, tokens=[material.tokens.batch.tokens], call=f"find_switching_units({kind!r}, seed={seed})", seed=seed
        ),
        notes=_notes(halves, (at, before), (passed, early), shuffles, other),
    )


def _flat(values: Float[np.ndarray, "pair layer unit"]) -> Float[np.ndarray, "pair cell"]:
    return values.reshape(len(values), -1)


def _notes(
    halves: tuple[SwitchMaterial, SwitchMaterial],
    evidence: tuple[Evidence, Evidence],
    passed: tuple[dict[str, np.ndarray], dict[str, np.ndarray]],
    shuffles: list[Evidence],
    other: np.ndarray,
) -> dict[str, Any]:
    at, before = evidence
    n_units = len(other)
    shuffled = [one.passes(other) for one in shuffles]
    return {
        "control": "the same contrast with the labels of whole documents exchanged at random",
        "n_samples": sum(len(half.at) for half in halves),
        "n_groups": sum(len(half.documents) for half in halves),
        "n_significant": int((passed[0]["q_fdr"] < LEVEL).sum()),
        "n_replicated": int((passed[0]["replication_q_fdr"] < LEVEL).sum()),
        "n_found": int(passed[0]["found"].sum()),
        "n_found_before": int(passed[1]["found"].sum()),
        "n_significant_before": int((passed[1]["q_fdr"] < LEVEL).sum()),
        "shuffled_significant": float(np.mean([(one["q_fdr"] < LEVEL).mean() for one in shuffled])),
        "shuffled_found": float(np.mean([one["found"].mean() for one in shuffled])),
        "detectable_auroc": at.found.detectable(n_units),
        "detectable_auroc_alone": at.replicated.detectable(),
        "detectable_auroc_before": before.found.detectable(n_units),
    }
