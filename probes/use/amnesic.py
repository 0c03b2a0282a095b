"""Amnesic probing: does the model's answer change when a concept is erased, and come back with the right label?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.results import Result
from interp.run import Patch
from interp.sites import Site
from interp.statistics import sign_flips
from interp.types import Model
from probes.tasks.task import ProbeTask, capture_samples
from probes.use.about import call_of, notes_on, provenance_on
from probes.use.answers import Answer, answers
from probes.use.erasure import Eraser, leace, random_eraser
from probes.use.labelled import Edits, at_labels, check_every_prompt, check_vectors, class_means, placed
from probes.use.means import means
from probes.use.nullspace import nullspace

N_RANDOM = 10
"""Random erasures beside each erasure."""

_METHOD = (
    "Amnesic probing (Elazar et al. 2021). At each site by itself the labels are erased from the labelled positions, "
    "{erased}, and the model runs on. The effect is how far the answer moves, without "
    "sign, as a mean over prompts; intervals are 95 % by bootstrap over prompts; p is two-sided, by flipping signs of "
    "above_control, corrected over sites (below 0 is no sign of use, however small p). An effect above the control "
    "says that the answer depends on what a linear reader of the labels finds there, or on what goes with it. None "
    "says that it does not depend on it at this site and these positions: the concept may be used before, or from "
    "elsewhere."
)
_ERASED = {
    "leace": "by LEACE fitted to these very samples",
    "inlp": "by iterative nullspace projection (INLP), whose classifiers are stopped by their accuracy on held-out "
    "groups",
}
_CONTROL = (
    "{n_random} erasures of equally many random directions, each the mean over prompts. Beside it: reinjected, where "
    "the mean of the true label is put back into what was erased, and everything, where each labelled position becomes "
    "the mean of all of them"
)


@dataclass(frozen=True)
class Inject:
    """Erase, and put back what belongs to a label: the part of its class mean that was erased.

    With the true labels this restores what the concept itself did, and nothing else that went with it.
    """

    eraser: Eraser
    means: Float[Tensor, "batch pos d_model"] = field(repr=False)
    """Mean activation of the label wanted at each position; the eraser's mean where nothing is to be put in."""

    def __call__(self, activation: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        put_back = self.eraser.removed(self.means.to(activation.device))
        return (activation - self.eraser.removed(activation) + put_back).to(activation.dtype)


def amnesic_probe(
    model: Model,
    task: ProbeTask,
    answer: Answer,
    sites: Sequence[Site],
    *,
    erase: str = "leace",
    n_random: int = N_RANDOM,
    seed: int = 0,
) -> Result:
    """Measure whether a model's answer depends on a concept, by erasing it at one site after another.

    The labels are erased where the task has them: to erase a concept from a whole text, label all of its tokens.

    Args:
        model: A hooked model.
        task: Labelled positions, at least one in each prompt.
        answer: What the model says, such as `next_token_divergence(task)`.
        sites: Where to erase: residual streams, `attn_out` or `mlp_out`.
        erase: `leace` changes the activations least; `inlp`, as in the paper, takes more directions, and so takes more
            of what else there is.
        n_random: Random erasures beside each.
        seed: Decides the random directions, the resamples and for INLP the groups held out.

    Returns:
        By site: `effect` beside `control`, `above_control` between the two prompt by prompt with two-sided `p` and
        `p_corrected` (over sites), `reinjected`, `restored` (effect minus reinjected) and `everything`. Positive: the
        answer moves.

    Raises:
        InputError: no sites or controls, sites that hold no vector for each position, labels that are not classes, a
            prompt without labels, a concept that fills the activations, or labels that cannot be erased.
        SiteError: a site that the model lacks, or where an edit has no effect.

    Source: Elazar, Ravfogel, Jacovi & Goldberg 2021, Amnesic Probing (TACL 9, arXiv:2006.00995); controls of sec. 3.2.
    """
    _check(task, sites, erase, n_random)
    activations = capture_samples(model, task, list(sites))
    moves, erasers = [], []
    with tqdm(total=len(sites), desc="erase", unit="site", leave=False, delay=2) as bar:
        for site, X in zip(sites, activations, strict=True):
            eraser = _eraser(X, task, erase, seed)
            randoms = [random_eraser(X, eraser.rank, seed=seed + number) for number in range(n_random)]
            read = answers(model, task.batch, answer, _arms(task, site, X, eraser, randoms))
            plain = read.pop("plain")
            moves.append(np.abs(np.stack([*read.values()]) - plain))
            erasers.append(eraser)
            bar.update()
    call = call_of("amnesic_probe", task, answer, sites, erase=erase, n_random=n_random, seed=seed)
    return Result(
        kind="amnesic_probe",
        data=_dataset(np.stack(moves), sites, [eraser.rank for eraser in erasers], seed),
        unit=answer.unit,
        sign=f"A larger effect means that the answer moves more, either way. {answer.sign}",
        method=_METHOD.format(erased=_ERASED[erase]),
        provenance=provenance_on(model, task, call, seed=seed),
        baselines={answer.name: float(plain.mean())},
        notes=notes_on(task, answer, _CONTROL.format(n_random=n_random))
        | {
            "n_positions": len(task.labels),
            "erased_by": {str(site): eraser.how for site, eraser in zip(sites, erasers, strict=True)},
        },
    )


def _eraser(X: Float[np.ndarray, "sample d_model"], task: ProbeTask, erase: str, seed: int) -> Eraser:
    if erase == "leace":
        return leace(X, task.labels)
    fit = nullspace(X, task.labels, task.groups, seed=seed)
    if fit.eraser.rank == 0:
        raise InputError(
            f"A classifier reaches {fit.accuracy[0]:.3f} on held-out groups and the majority {fit.majority:.3f}: it "
            "cannot tell these labels apart as it is, so there is nothing to erase."
        )
    return fit.eraser


def _check(task: ProbeTask, sites: Sequence[Site], erase: str, n_random: int) -> None:
    if erase not in _ERASED:
        raise InputError(f"No erasure {erase!r}. Expected one of {list(_ERASED)}.")
    if not sites or n_random < 1:
        raise InputError(f"{len(sites)} sites and {n_random} random erasures. Expected at least one of each.")
    check_vectors(sites, heads=False)
    task.require_classes()
    check_every_prompt(task)


def _arms(
    task: ProbeTask, site: Site, X: Float[np.ndarray, "sample d_model"], eraser: Eraser, randoms: Sequence[Eraser]
) -> dict[str, Edits]:
    """The edits to compare, each at the labelled positions alone; the random ones come last."""
    own = placed(task, class_means(X, task.labels, task.labels), eraser.mean)
    found = {
        "erased": at_labels(task, site, lambda _: eraser),
        "reinjected": at_labels(task, site, lambda rows: Inject(eraser, own[rows])),
        "everything": at_labels(task, site, lambda _: Patch(eraser.mean)),
    }
    return found | {f"random{n}": at_labels(task, site, lambda _, one=one: one) for n, one in enumerate(randoms)}


def _dataset(
    moves: Float[np.ndarray, "site arm prompt"], sites: Sequence[Site], ranks: Sequence[int], seed: int
) -> xr.Dataset:
    erased, reinjected, everything, randoms = moves[:, 0], moves[:, 1], moves[:, 2], moves[:, 3:]
    control = randoms.mean(1)
    by_prompt = {
        "effect": erased,
        "control": control,
        "above_control": erased - control,
        "reinjected": reinjected,
        "restored": erased - reinjected,
        "everything": everything,
    }
    variables: dict[str, Any] = {}
    for name, values in by_prompt.items():
        variables |= means(name, "site", values.T, seed=seed)
    flips = sign_flips((erased - control).T, seed=seed)
    variables |= {"p": ("site", flips.p), "p_corrected": ("site", flips.p_corrected)}
    variables["control_largest"] = ("site", randoms.mean(2).max(1))
    variables["rank"] = ("site", np.array(ranks))
    return xr.Dataset(variables, {"site": [str(site) for site in sites]})
