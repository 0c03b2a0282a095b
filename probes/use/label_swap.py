"""Does a model's answer follow a label? Put another label's part into the activations, beside the right one's."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.models import provenance
from interp.results import RAN, Result
from interp.run import Intervention, Where
from interp.sites import OUTPUT_KINDS, RESIDUAL_KINDS, VECTOR_HEAD_KINDS, Site
from interp.statistics import bootstrap_interval, sign_flips
from interp.types import Model
from probes.samples.data import Labels
from probes.tasks.task import ProbeTask, capture_samples
from probes.use.amnesic import Inject
from probes.use.answers import Answer, Edits, answers, check_every_prompt, labelled
from probes.use.erasure import Eraser, leace, random_eraser

N_RANDOM = 10
ARMS, _CELL = ("reinjected", "random"), ("site", "arm")
ALPHA = 0.05
ROUNDING = 10.0
"""Effects up to so many times those of an edit that changes nothing but rounding are rounding."""

_METHOD = (
    "At each site by itself, in the labelled positions, what a linear reader of the labels finds (LEACE) is taken out "
    "of each activation, and the mean of a wrong label is put in its place (swapped). The effect is how far the answer "
    "moves, without sign, as a mean over prompts; intervals are 95 % by bootstrap over prompts; p is two-sided, by "
    "flipping signs, corrected over sites. Used: swapped moves the answer more than putting back the mean of the right "
    "label (reinjected), and, where there are directions to draw from, more than the same swap in as many random "
    "directions. Not used: this answer does not depend on the label at this site and these positions; another may."
)
_CONTROL = (
    "reinjected: the right label's mean is put in; random: the wrong label's mean is put in along {n_random} draws of "
    "equally many random directions (not run where the label fills half of the activations' directions or more: "
    "there are none to draw from)"
)


def label_swap(
    model: Model, task: ProbeTask, answer: Answer, sites: Sequence[Site], *, n_random: int = N_RANDOM, seed: int = 0
) -> Result:
    """Measure at one site after another whether a model's answer follows a label that can be read there.

    Erasing (`amnesic_probe`) asks whether the answer needs the label; this asks whether it follows a false one, which
    also finds a label whose absence the model reads as one of its values.

    Args:
        model: A hooked model.
        task: Labelled positions, at least one in each prompt.
        answer: What the model says, such as `metric_answer(task, prompts)`.
        sites: Residual streams, `attn_out`, `mlp_out`, or one head's `q`, `k`, `v`, `z`.
        n_random: Draws of random directions beside each label.
        seed: Decides wrong labels, random directions and resamples.

    Returns:
        By site: `swapped`, `rounding` (the largest move of an edit that changes nothing), `rank` and `used`; by site
        and arm (`reinjected`, `random`): `control`, `above_control` (swapped minus control, prompt by prompt) and
        `p_corrected` (over sites and arms); `ran` is False where no random directions were left to draw from.

    Raises:
        InputError: no sites or draws, sites that hold no vector for each position, a prompt without labels, or labels
            that cannot be erased.
        SiteError: a site that the model lacks, or where an edit has no effect.

    Source: the edit is an interchange within the label's subspace (Geiger et al. 2021, arXiv:2106.02997); LEACE from
    Belrose et al. 2023 (arXiv:2306.03819); random directions as in Elazar et al. 2021 (arXiv:2006.00995), sec. 3.2.
    """
    check_swap(task, sites, n_random)
    moves, about = [], []
    for site in tqdm(sites, desc="swap", unit="site", leave=False, delay=2):
        X = capture_samples(model, task, [site])[0].astype(np.float64)
        eraser = leace(X, task.labels)
        randoms = _randoms(X, eraser.rank, n_random, seed)
        read = answers(model, task.batch, answer, _arms(task, site, X, (eraser, *randoms), seed))
        plain = read.pop("plain")
        moves.append({name: np.abs(values - plain) for name, values in read.items()})
        about.append({"rank": eraser.rank})
    return Result(
        kind="label_swap",
        data=_dataset(moves, about, sites, seed),
        unit=answer.unit,
        sign=f"A larger number means that the answer moves more, either way. {answer.sign}",
        method=_METHOD,
        provenance=provenance(
            model,
            tokens=[task.batch.tokens, task.batch.mask, task.prompts, task.positions],
            call=f"label_swap({task.what!r}, {answer.name!r}, {[str(site) for site in sites]}, {n_random=}, {seed=})",
            seed=seed,
        ),
        baselines={answer.name: float(plain.mean())},
        notes={
            "what": task.what,
            "answer": answer.name,
            "n_prompts": len(plain),
            "n_samples": len(task.labels),
            "control": _CONTROL.format(n_random=n_random),
        },
    )


def check_swap(task: ProbeTask, sites: Sequence[Site], n_random: int) -> None:
    """Refuse sites and tasks that labels cannot be swapped in, before anything is run."""
    if not sites or n_random < 1:
        raise InputError(f"{len(sites)} sites and {n_random} random draws. Expected at least one of each.")
    for site in sites:
        is_vector = site.kind in RESIDUAL_KINDS + OUTPUT_KINDS or (
            site.kind in VECTOR_HEAD_KINDS and site.head is not None
        )
        if not is_vector or site.pos is not None:
            raise InputError(
                f"{site} holds no vector for each position. Expected one of {list(RESIDUAL_KINDS + OUTPUT_KINDS)}, or "
                f"one head's {list(VECTOR_HEAD_KINDS)}, without a position: the task says which positions are meant."
            )
    check_every_prompt(task)


def _randoms(X: Float[np.ndarray, "sample d"], rank: int, n_random: int, seed: int) -> list[Eraser]:
    """Equally many random directions, or none where the label fills the activations."""
    try:
        return [random_eraser(X, rank, seed=seed + number) for number in range(n_random)]
    except InputError:
        return []


def wrong_labels(labels: Labels, *, seed: int = 0) -> Labels:
    """Draw another label for each sample, each of the others as often."""
    classes, own = np.unique(labels, return_inverse=True)
    return classes[(own + np.random.default_rng(seed).integers(1, len(classes), len(own))) % len(classes)]


def _arms(
    task: ProbeTask, site: Site, X: Float[np.ndarray, "sample d"], erasers: Sequence[Eraser], seed: int
) -> dict[str, Edits]:
    """The edits to compare, each at the labelled positions alone; the random ones come last."""
    where, eraser = labelled(task), erasers[0]

    def placed(rows: Float[np.ndarray, "sample d"]) -> Float[Tensor, "prompt pos d"]:
        means = eraser.mean.expand(*task.batch.tokens.shape, -1).clone()
        means[task.prompts, task.positions] = torch.from_numpy(rows)
        return means

    mean_of = {label: X[task.labels == label].mean(0) for label in np.unique(task.labels).tolist()}
    right, wrong = (
        placed(np.stack([mean_of[label] for label in labels.tolist()]))
        for labels in (task.labels, wrong_labels(task.labels, seed=seed))
    )

    def at(make: Callable[[slice], Intervention]) -> Edits:
        return lambda rows: {site: Where(make(rows), where[rows])}

    def inject(one: Eraser, values: Tensor) -> Edits:
        return at(lambda rows: Inject(one, values[rows]))

    found = {
        "swapped": inject(eraser, wrong),
        "reinjected": inject(eraser, right),
        "rounding": inject(eraser, placed(X)),
    }
    return found | {f"random{number}": inject(one, wrong) for number, one in enumerate(erasers[1:])}


def _dataset(
    moves: Sequence[dict[str, Float[np.ndarray, " prompt"]]],
    about: Sequence[dict[str, Any]],
    sites: Sequence[Site],
    seed: int,
) -> xr.Dataset:
    swapped = np.stack([each["swapped"] for each in moves], 1)
    control = np.stack([np.stack([each["reinjected"], _random_mean(each)], 1) for each in moves], 1)
    above, ran = swapped[..., None] - control, np.isfinite(control).all(0)
    rounding = np.array([each["rounding"].max() for each in moves])
    variables: dict[str, Any] = {
        **_with_interval("swapped", ("site",), swapped, seed),
        **_with_interval("control", _CELL, control, seed),
        **_with_interval("above_control", _CELL, above, seed),
        "rounding": ("site", rounding),
        RAN: (_CELL, ran),
    }
    p = np.full(ran.shape, np.nan)
    p[ran] = sign_flips(above[:, ran], seed=seed).p_corrected
    stands = (np.nan_to_num(p, nan=1.0) < ALPHA) & (np.nan_to_num(above.mean(0)) > ROUNDING * rounding[:, None])
    variables |= {
        "p_corrected": (_CELL, p),
        "rank": ("site", np.array([each["rank"] for each in about])),
        "used": ("site", (stands | ~ran).all(1)),
    }
    return xr.Dataset(variables, {"site": [str(site) for site in sites], "arm": list(ARMS)})


def _random_mean(moves: dict[str, Float[np.ndarray, " prompt"]]) -> Float[np.ndarray, " prompt"]:
    """Mean over the random draws; NaN where there was none."""
    draws = [values for name, values in moves.items() if name.startswith("random")]
    return np.mean(draws, 0) if draws else np.full_like(moves["swapped"], np.nan)


def _with_interval(
    name: str, dims: tuple[str, ...], values: Float[np.ndarray, "prompt ..."], seed: int
) -> dict[str, Any]:
    low, high = bootstrap_interval(values, seed=seed)
    return {name: (dims, values.mean(0)), f"{name}_low": (dims, low), f"{name}_high": (dims, high)}
