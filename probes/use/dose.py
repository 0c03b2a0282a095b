"""Steer a model along a probe's direction, dose by dose: does the answer follow, and does the model still speak?"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.metrics import Metric, as_metric
from interp.metrics.metric import reading
from interp.prompts import PromptSet
from interp.results import Result
from interp.run import forward
from interp.sites import Site
from interp.types import Model
from probes.tasks.task import ProbeTask, capture_samples
from probes.use.about import call_of, notes_on, provenance_on
from probes.use.answers import Answer, answers, slices_of
from probes.use.dose_run import Steps, run_doses
from probes.use.dose_table import FEWEST_WITH_LOSS, check_toward, dose_dataset
from probes.use.labelled import check_every_prompt, check_vectors

ALPHAS = (-8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 8.0)
SMALLEST_LENGTH = 1e-10
"""Share of a direction's length below which what is left of it is rounding."""

_METHOD = (
    "alpha * sigma * direction is added at the labelled positions of {site} and the model runs on; direction is the "
    "probe's as a unit vector, sigma = {sigma:.4g} the deviation of the labelled activations along it (Li et al. 2023, "
    "ITI). effect: answer minus the answer with nothing added, mean over prompts; contrast: answer at +alpha minus at "
    "-alpha; slope: least squares through 0 over all alphas, for one sigma; monotonicity: Kendall's tau (a) between "
    "alpha and answer, from -1 to 1. Intervals are 95 % by bootstrap over prompts; p by flipping signs of prompts, "
    "corrected over alphas and comparisons. above_random and above_orthogonal: size of the contrast minus the mean "
    "size of the draws' (each draw turned so that its own mean is positive). An answer that follows the probe's "
    "direction and no other shows that the model reads it at this site; it is no evidence that the model moves along "
    "it of itself. Where loss_rise is large the model is broken there, and the answer with it."
)
_CONTROL = (
    "random: {n} directions drawn alike in all coordinates, as long a step; orthogonal: {n} directions drawn from the "
    "activations' own covariance and made orthogonal to the probe's, as long a step"
)
_LOSS = (
    "loss of the prompts' own tokens (nats per token), at the positions from the first labelled one on, minus the loss "
    "with nothing added; mean over {n} of {of} prompts that have a token after a labelled position"
)
_NO_LOSS = (
    "not measured: fewer than two prompts have a token after a labelled position, so nothing shows where steering "
    "breaks the model"
)


@dataclass(frozen=True)
class DosePlan:
    """How much is added, beside how many other directions.

    Raises:
        InputError: alphas that are not 0 and pairs of plus and minus, too few draws, or signs that are not 1 and -1.
    """

    alphas: tuple[int | float, ...] = ALPHAS
    """In deviations of the activations along the direction; 0 is among them, and for each its negative."""
    n_draws: int = 5
    """Directions of each of the two kinds of control."""
    signs: Int[np.ndarray, " _"] | None = field(default=None, repr=False)
    """1 or -1 for each sample: which way a positive alpha moves it. Without, all move the same way, and the answer must
    mean the same for all prompts: a preference for *its own* answer goes up in one class as it goes down in another."""
    seed: int = 0

    def __post_init__(self) -> None:
        given = np.array(self.alphas, float)
        fits = len(given) > 2 and np.isfinite(given).all() and 0 in given and len(set(self.alphas)) == len(given)
        if not fits or set(self.alphas) != {-alpha for alpha in self.alphas}:
            raise InputError(
                f"Alphas {self.alphas}. Expected 0 and at least one pair of a number and its negative, each once: the "
                "effect is read off the difference between the two."
            )
        if self.n_draws < 1:
            raise InputError(f"{self.n_draws} random directions leave no control. Expected at least 1.")
        if self.signs is not None and not (np.abs(self.signs) == 1).all():
            raise InputError(f"Signs {np.unique(self.signs).tolist()}. Expected 1 or -1 for each sample.")


def steer_by_probe(
    model: Model,
    task: ProbeTask,
    answer: Answer,
    site: Site,
    direction: Float[np.ndarray, " d_model"],
    *,
    plan: DosePlan | None = None,
    toward: Float[np.ndarray, " _"] | None = None,
) -> Result:
    """Measure how a model's answer follows a probe's direction, dose by dose, beside other directions.

    Args:
        model: A hooked model.
        task: Labelled positions, at least one in each prompt; this is where it steers.
        answer: What the model says, such as `metric_answer(task, prompts)`.
        site: Where to add: a residual stream, `attn_out`, `mlp_out`, or one head's `q`, `k`, `v`, `z`.
        direction: In the coordinates of the activations, of any length: a probe's `direction()`.
        plan: Doses and controls.
        toward: For each prompt, the answer that would count as arrived: `corrupted_answers(model, prompts)`.

    Returns:
        By alpha: `effect`, `answer`, `loss_rise`, and with `toward` the `nie`, the share of the way there (0 none, 1
        all); beside them `control_random` and `control_orthogonal`. By size of alpha: `contrast` and what is above
        the controls, with p. And `slope`, `monotonicity`. Positive: adding the direction raises the answer.

    Raises:
        InputError: a site that holds no vector for each position, prompts without labels, a direction that is zero,
            of another width, or along which nothing varies, or a `toward` no further than chance.
        SiteError: a site that the model lacks, or where an edit has no effect.

    Source: Li, Patel, Viegas, Pfister & Wattenberg 2023, Inference-Time Intervention (arXiv:2306.03341), sec. 3; NIE as
    in Marks & Tegmark 2023, The Geometry of Truth (arXiv:2310.06824).
    """
    plan = plan or DosePlan()
    _check(task, site, plan)
    X = capture_samples(model, task, [site])[0].astype(np.float64)
    unit, sigma = _along(X, direction)
    directions = np.concatenate([unit[None], *_controls(X, unit, plan)])
    if toward is not None:
        check_toward(answers(model, task.batch, answer, {})["plain"], toward, plan.seed)
    signs = np.ones(len(X)) if plan.signs is None else plan.signs.astype(np.float64)
    doses = run_doses(model, task, answer, site, Steps(directions, sigma, plan.alphas, signs))
    with_loss = int(np.isfinite(doses.plain_loss).sum())
    loss = _LOSS.format(n=with_loss, of=len(task.batch)) if with_loss >= FEWEST_WITH_LOSS else _NO_LOSS
    call = call_of("steer_by_probe", task, answer, site, alphas=plan.alphas, n_draws=plan.n_draws, seed=plan.seed)
    return Result(
        kind="probe_dose",
        data=dose_dataset(doses, plan.n_draws, sigma, toward, plan.seed),
        unit=answer.unit,
        sign=f"An effect above 0 means that adding the direction raises the answer. {answer.sign}",
        method=_METHOD.format(site=site, sigma=sigma),
        provenance=provenance_on(model, task, call, seed=plan.seed),
        baselines={answer.name: float(doses.plain.mean())}
        | ({"loss_nats": float(np.nanmean(doses.plain_loss))} if with_loss >= FEWEST_WITH_LOSS else {}),
        notes=notes_on(task, answer, _CONTROL.format(n=plan.n_draws))
        | {"site": str(site), "sigma": sigma, "loss_rise": loss},
    )


def corrupted_answers(
    model: Model, prompts: PromptSet, metric: str | Metric = "logit_diff"
) -> Float[np.ndarray, " prompt"]:
    """Read a metric on the corrupted side of prompts: where an answer arrives that is steered all the way.

    Args:
        model: A hooked model.
        prompts: Clean and corrupted prompts with answers.
        metric: That of the answer; not one that compares with the clean run.

    Raises:
        InputError: a metric that needs the clean run.
        PromptError: the metric needs an answer that the prompts lack.
    """
    chosen = as_metric(metric)
    chosen.require(prompts)
    if chosen.needs_reference:
        raise InputError(f"{chosen.name!r} compares with the clean run. Expected a metric that reads one run alone.")
    found = []
    for rows in slices_of(len(prompts)):
        part = prompts.take(range(len(prompts))[rows])
        logits = forward(model, part.batch("corrupted"))
        found.append(chosen(reading(logits, part, "corrupted")).double().cpu().numpy())
    return np.concatenate(found)


def _check(task: ProbeTask, site: Site, plan: DosePlan) -> None:
    check_vectors([site], heads=True)
    check_every_prompt(task)
    if plan.signs is not None and len(plan.signs) != len(task.labels):
        raise InputError(f"{len(plan.signs)} signs for {len(task.labels)} samples. Give one for each.")


def _along(
    X: Float[np.ndarray, "sample d_model"], direction: Float[np.ndarray, " width"]
) -> tuple[Float[np.ndarray, " d_model"], float]:
    """The unit vector, and the deviation of the activations along it."""
    length = float(np.linalg.norm(direction))
    if len(direction) != X.shape[1] or not (np.isfinite(length) and length > 0):
        raise InputError(
            f"A direction of width {len(direction)} and length {length:.3g} for activations of width {X.shape[1]}. "
            "Expected a finite one of some length, fitted at this site."
        )
    unit = direction.astype(np.float64) / length
    sigma = float((X @ unit).std())
    if not np.isfinite(sigma) or sigma <= SMALLEST_LENGTH * np.abs(X).max():
        raise InputError(f"The activations vary by {sigma:.3g} along the direction, so no dose has a size. Look there.")
    return unit, sigma


def _controls(
    X: Float[np.ndarray, "sample d_model"], unit: Float[np.ndarray, " d_model"], plan: DosePlan
) -> list[Float[np.ndarray, "draw d_model"]]:
    """Unit vectors alike in all coordinates, and others that vary as the activations do, orthogonal to the probe's."""
    rng = np.random.default_rng(plan.seed)
    alike = rng.normal(size=(plan.n_draws, X.shape[1]))
    varying = rng.normal(size=(plan.n_draws, len(X))) @ (X - X.mean(0))
    beside = varying - (varying @ unit)[:, None] * unit
    if (np.linalg.norm(beside, axis=1) <= SMALLEST_LENGTH * np.linalg.norm(varying, axis=1)).any():
        raise InputError("The activations vary along this one direction only, so there is none to compare it with.")
    return [drawn / np.linalg.norm(drawn, axis=1, keepdims=True) for drawn in (alike, beside)]
