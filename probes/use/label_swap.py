"""Does a model's answer follow a label? Put another label's part into the activations, beside the right one's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.results import RAN, Result
from interp.sites import Site
from interp.statistics import sign_flips
from interp.types import Model
from probes.samples.data import Labels
from probes.tasks.task import ProbeTask, capture_samples
from probes.use.about import call_of, notes_on, provenance_on
from probes.use.amnesic import Inject
from probes.use.answers import Answer, answers
from probes.use.erasure import Eraser, leace, random_eraser
from probes.use.labelled import Edits, at_labels, check_every_prompt, check_vectors, class_means, placed
from probes.use.means import means

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
        InputError: no sites or draws, sites that hold no vector for each position, labels that are not classes, a
            prompt without labels, or labels that cannot be erased.
        SiteError: a site that the model lacks, or where an edit has no effect.

    Source: the edit is an interchange within the label's subspace (Geiger et al. 2021, arXiv:2106.02997); LEACE from
    Belrose et al. 2023 (arXiv:2306.03819); random directions as in Elazar et al. 2021 (arXiv:2006.00995), sec. 3.2.
    """
    check_swap(task, sites, n_random)
    moves, about = [], []
    with tqdm(total=len(sites), desc="swap", unit="site", leave=False, delay=2) as bar:
        for site in sites:
            X = capture_samples(model, task, [site])[0].astype(np.float64)
            eraser = leace(X, task.labels)
            randoms = _randoms(X, eraser.rank, n_random, seed)
            read = answers(model, task.batch, answer, _arms(task, site, X, (eraser, *randoms), seed))
            plain = read.pop("plain")
            moves.append({name: np.abs(values - plain) for name, values in read.items()})
            about.append({"rank": eraser.rank})
            bar.update()
    call = call_of("label_swap", task, answer, sites, n_random=n_random, seed=seed)
    return Result(
        kind="label_swap",
        data=_dataset(moves, about, sites, seed),
        unit=answer.unit,
        sign=f"A larger number means that the answer moves more, either way. {answer.sign}",
        method=_METHOD,
        provenance=provenance_on(model, task, call, seed=seed),
        baselines={answer.name: float(plain.mean())},
        notes=notes_on(task, answer, _CONTROL.format(n_random=n_random)) | {"n_positions": len(task.labels)},
    )


def check_swap(task: ProbeTask, sites: Sequence[Site], n_random: int) -> None:
    """Refuse sites and tasks that labels cannot be swapped in, before anything is run."""
    if not sites or n_random < 1:
        raise InputError(f"{len(sites)} sites and {n_random} random draws. Expected at least one of each.")
    check_vectors(sites, heads=True)
    task.require_classes()
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
    eraser = erasers[0]
    right, wrong, own = (
        placed(task, rows, eraser.mean)
        for rows in (
            class_means(X, task.labels, task.labels),
            class_means(X, task.labels, wrong_labels(task.labels, seed=seed)),
            X,
        )
    )

    def inject(one: Eraser, values: Tensor) -> Edits:
        return at_labels(task, site, lambda rows: Inject(one, values[rows]))

    found = {"swapped": inject(eraser, wrong), "reinjected": inject(eraser, right), "rounding": inject(eraser, own)}
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
        **means("swapped", "site", swapped, seed=seed),
        **means("control", _CELL, control, seed=seed),
        **means("above_control", _CELL, above, seed=seed),
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
