"""Does a subspace carry what the model answers by? Exchange it between prompts, beside all that should fail."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.models import facts, provenance
from interp.prompts import PromptSet
from interp.results import Result
from interp.run.interchange import Interchange, Pairs
from interp.run.subspaces import span_of
from interp.sites import Site
from interp.types import Model
from probes.use.interchange_study import (
    DAS,
    MEANS,
    AnyBasis,
    InterchangePlan,
    Side,
    Study,
    interchange_dataset,
    split_pairs,
)

ROUNDING = 1e-6
"""Share of the largest activation up to which base and source count as equal."""

_METHOD = (
    "At one position of each prompt the part of the activation at {site} that lies in a subspace is replaced by that "
    "of the corrupted twin (clean is the base, corrupted the source), and the clean prompt runs on. iia, interchange "
    "intervention accuracy: share of held-out pairs whose most likely token among the {n_choices} answers is then the "
    "source's. effect: how far the logit difference between the two answers moves toward the source's, in nats. das: "
    "subspace of rank {rank} learned on the other pairs to make the model say the source's answer (DAS, Geiger et al. "
    "2024; {epochs} epochs); mean_difference: the {rank} largest directions between the means of the answers there. "
    "Intervals are 95 % by bootstrap over held-out pairs, without learning anew; p by flipping signs of pairs, "
    "corrected over all comparisons. A learned subspace is an existence proof: DAS can use what the model never uses "
    "itself, and where base and source differ in one thing only, it may move whatever goes with it. Trust the distance "
    "to all controls, not iia by itself."
)
_CONTROL = (
    "placebo: each base moved as far inside random subspaces of equal rank ({n} draws); arbitrary: DAS with the same "
    "budget trained on random answers, one for each source text, and tested on the true ones; untrained: DAS on the "
    "same architecture with random weights. fit, control_arbitrary_fit and control_untrained_fit are shares of the "
    "pairs trained on that say what was trained: how much the method can make of anything. everything: the whole "
    "activation exchanged, the most that a subspace is expected to reach here"
)


def interchange_probe(
    model: Model,
    control_model: Model,
    prompts: PromptSet,
    site: Site,
    *,
    positions: Int[np.ndarray, " _"] | None = None,
    subspaces: Mapping[str, Float[np.ndarray, "_ _"]] | None = None,
    plan: InterchangePlan | None = None,
) -> Result:
    """Measure whether exchanging a subspace between prompts exchanges the model's answers.

    Args:
        model: A hooked model.
        control_model: The same architecture with random weights.
        prompts: Clean (base) and corrupted (source) prompts that differ in what is looked for, with both answers.
        site: A residual stream between blocks, `attn_out` or `mlp_out`.
        positions: Where in each clean prompt, and at the aligned place of its twin; by default the last tokens.
        subspaces: Rows that span further subspaces by name, such as `{"probe": probe.coef_}`.
        plan: Rank, budget, placebos and split.

    Returns:
        By subspace (`das`, `mean_difference` and those given): `iia` beside `control_placebo`, `effect` beside
        `control_placebo_effect`, and `above_placebo` with p; for DAS `control_arbitrary` and `control_untrained`.
        Positive: the answer moves toward the source's.

    Raises:
        InputError: prompts without answers, positions that have no aligned place, subspaces that do not fit, too few
            different prompts to hold some out, a base equal to its source everywhere, or a control model that is none.
        SiteError: a site where no subspace can be interchanged.

    Source: Geiger, Wu, Potts, Icard & Goodman 2024, Finding Alignments Between Interpretable Causal Variables and
    Distributed Neural Representations (arXiv:2303.02536); controls of Arora, Jurafsky & Potts 2024, CausalGym
    (arXiv:2402.12560).
    """
    plan = plan or InterchangePlan()
    _check(model, control_model, prompts, plan)
    given = _given(model, subspaces or {})
    trained_on, tested_on = split_pairs(prompts, plan.test_share, seed=plan.seed)
    pairs = _pairs(prompts, positions)
    both = Interchange.at(model, site, pairs)
    if (both.source - both.base).abs().max() <= ROUNDING * both.base.abs().max():
        raise InputError(
            f"At {site} every base equals its source at these positions but for rounding, so there is nothing to "
            "exchange. Look at or after the first token in which they differ."
        )
    untrained = Interchange.at(control_model, site, pairs)
    if both.base.shape != untrained.base.shape or torch.equal(both.base, untrained.base):
        raise InputError(
            f"The control model has activations of width {untrained.d_model} at {site} and the model {both.d_model}, "
            "or they are equal. Give the same architecture with random weights: load_model('random:...')."
        )
    answers = np.searchsorted(pairs.choices, _answers(prompts))
    study = Study(
        Side(both.take(trained_on), answers[:, trained_on]), Side(both.take(tested_on), answers[:, tested_on]), plan
    )
    bases = study.bases(given)
    data = study.measure(bases)
    data |= study.untrained(untrained.take(trained_on), untrained.take(tested_on))
    return Result(
        kind="interchange",
        data=interchange_dataset(data, bases, plan.seed),
        unit="interchange intervention accuracy (share of held-out pairs)",
        sign="Larger: more answers become those of the source; a positive effect moves toward the source's answer.",
        method=_METHOD.format(site=site, n_choices=len(pairs.choices), rank=plan.rank, epochs=plan.epochs),
        provenance=provenance(
            model,
            tokens=[pairs.base.tokens, pairs.base.mask, pairs.source.tokens, pairs.base_pos, pairs.source_pos],
            call=f"interchange_probe('{site}', {list(bases)}, {plan})",
            seed=plan.seed,
        ),
        baselines=study.baselines(),
        notes={
            "site": str(site),
            "n_train": len(trained_on),
            "n_test": len(tested_on),
            "rank": {name: basis.shape[1] for name, basis in bases.items()},
            "control": _CONTROL.format(n=plan.n_placebos),
        },
    )


def _check(model: Model, control_model: Model, prompts: PromptSet, plan: InterchangePlan) -> None:
    if control_model is model:
        raise InputError(
            "The control model is the model itself. Give one with random weights: load_model('random:...')."
        )
    prompts.require_answers("interchange accuracy", "answer", "wrong_answer")
    if plan.rank >= (width := facts(model).d_model):
        raise InputError(f"Rank {plan.rank} of a width of {width} exchanges everything. Expected less.")


def _given(model: Model, subspaces: Mapping[str, Float[np.ndarray, "_ _"]]) -> dict[str, AnyBasis]:
    if taken := sorted({DAS, MEANS} & set(subspaces)):
        raise InputError(f"{taken[0]!r} is made here. Give the subspace another name.")
    for name, rows in subspaces.items():
        if rows.shape[1] != facts(model).d_model:
            raise InputError(f"Subspace {name!r} has rows of width {rows.shape[1]}. Expected {facts(model).d_model}.")
    return {name: span_of(rows) for name, rows in subspaces.items()}


def _pairs(prompts: PromptSet, positions: Int[np.ndarray, " _"] | None) -> Pairs:
    base, source = prompts.batch("clean"), prompts.batch("corrupted")
    choices = np.unique(_answers(prompts))
    if positions is None:
        return Pairs(base, source, base.lengths - 1, source.lengths - 1, choices)
    if len(positions) != len(prompts):
        raise InputError(f"{len(positions)} positions for {len(prompts)} prompts. Give one for each.")
    twins = [dict(pair.aligned_positions.tolist()).get(int(pos)) for pair, pos in zip(prompts, positions, strict=True)]
    if None in twins:
        bad = twins.index(None)
        raise InputError(
            f"Position {positions[bad]} of prompt {bad} has no aligned place in its twin. Give one that has."
        )
    return Pairs(base, source, positions, np.array(twins), choices)


def _answers(prompts: PromptSet) -> Int[np.ndarray, "2 prompt"]:
    """Token ids of the base's own answers and of the source's."""
    return np.array([[pair.answer for pair in prompts], [pair.wrong_answer for pair in prompts]])
