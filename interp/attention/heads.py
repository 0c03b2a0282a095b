"""Scores of all heads by the detectors, beside random weights, corrected over heads."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from interp.attention.materials import REPETITION, Materials, prepare
from interp.attention.significance import DIMS, HeadScores, Measured, beside_random, smallest_p, smallest_q
from interp.attention.streaming import refuse_other_shape
from interp.errors import InputError
from interp.models import facts, provenance
from interp.prompts import TokenBatch
from interp.results import Provenance, Result
from interp.statistics import bootstrap_interval
from interp.types import Model

_METHOD = (
    "Mean attention weight on what each detector looks for, over queries, then over prompts; uniform is the row's "
    "entropy over the log of its visible keys, local counts the last 5 keys with the query's own. "
    "first_token: {first_token_on}; delimiter (punctuation, line breaks, separators): natural texts; all others: "
    "random tokens said twice. "
    "Intervals: 95 % bootstrap of the mean over prompts. p: distance from the mean control head in the detector's "
    "spread over control heads, against the furthest head of each of {n_controls} random-weights models by any "
    "detector: corrected over all heads and detectors (max-T); it cannot be below {p_floor:.3g}. Threshold: the score "
    "from which p is below 0.05, or as small as it can be. q: against all heads of those models by all detectors, by "
    "Benjamini and Hochberg over heads and detectors. {found_when} "
    "A score shows where a head looks on such prompts; it is not evidence that the model uses what it finds there."
)
_FOUND = (
    "Found: p up to 0.05, and the interval lies above the threshold and more than 0.1 above the mean control head; for "
    "duplicate_token and induction also above the same head where nothing repeats."
)
_CONTROL = "the same detector and prompts, mean over {n_controls} models of the same architecture with random weights"

_UNREPEATED = (
    "the same detectors and model on random tokens where nothing repeats: a head that scores as much there "
    "follows positions, not repetition"
)


def head_scores(
    model: Model,
    *,
    texts: TokenBatch | None,
    control_models: Iterable[Model],
    seed: int = 0,
    n_sequences: int = 32,
    period: int = 25,
) -> Result:
    """Find heads that look at one kind of place: by position, by repetition, at the first token, at delimiters.

    Random tokens said twice make previous-token, duplicate and induction heads visible without any meaning to lean on;
    diagonals at other distances, the last keys and even attention are read on them, too. Attention to the first token
    and to delimiters is read on natural texts where they are given, because random tokens change it; without texts, or
    where they hold no delimiter, there is no `delimiter`.

    Args:
        model: A hooked model.
        texts: Natural prompts for `first_token` and `delimiter`; None to use the random tokens for `first_token`.
        control_models: The same architecture with random weights, several seeds. With n of them no p is below
            1 / (n + 1): 19 are needed for a head to be found. May be a generator: one model is held at a time.
        seed: Decides the random tokens and the resamples.
        n_sequences: Random sequences.
        period: Distinct tokens in each sequence before it repeats.

    Returns:
        `score` from 0 to 1 with its interval, `control` (random weights), `control_unrepeated` (this model where
        nothing repeats), `threshold`, `p_corrected`, `q_fdr`, and `found`: p up to 0.05 and an interval that clears
        `found_above`. Positive means the head looks there more. Random weights attend almost evenly, so a small p may
        go with a small score, and no head can be found by `uniform`: read both.

    Raises:
        InputError: no control model, one of another shape or with the model's weights, fewer than two prompts, or a
            period that does not fit the vocabulary.
        PromptError: prompts that do not fit the model.
        ModelError: the model has no tokenizer, which says what comes before a text.
    """
    if texts is not None and len(texts) < 2:
        raise InputError("One text gives no interval over texts. Expected at least 2 texts, or None.")
    materials = prepare(model, texts, n_sequences=n_sequences, period=period, seed=seed)
    controls = _control_scores(model, control_models, materials)
    measured = measure(model, materials, seed=seed)
    variables = beside_random(measured, controls, beats=of_repetition(materials.names))
    known = facts(model)
    coords = {"detector": materials.names, "layer": np.arange(known.n_layers), "head": np.arange(known.n_heads)}
    used = [run.batch.tokens for run in (*materials.runs, materials.unrepeated)]
    call = f"head_scores(texts={texts and len(texts)}, n_sequences={n_sequences}, period={period}, seed={seed})"
    return _as_result(
        xr.Dataset(variables | {"control_unrepeated": (DIMS, measured.other)}, coords),
        provenance(model, tokens=used, call=call, seed=seed),
        _notes(model, materials, len(controls)),
        _uniform_scores(materials),
    )


def score(model: Model, materials: Materials) -> HeadScores:
    """Score one model's heads: means over prompts."""
    return np.stack([scores.mean(0) for scores in materials.scores(model)])


def measure(model: Model, materials: Materials, *, seed: int) -> Measured:
    """Score one model's heads: means over prompts with intervals, and the same where nothing repeats."""
    parts = materials.scores(model)
    mean = np.stack([scores.mean(0) for scores in parts])
    ends = [bootstrap_interval(scores, seed=seed) for scores in parts]
    low, high = (np.stack([end[side] for end in ends]) for side in (0, 1))
    return Measured(mean, low, high, other=materials.unrepeated.scores(model).mean(1))


def of_repetition(names: list[str]) -> Bool[np.ndarray, " detector"]:
    """Ask heads of repetition to score more where there is one; those that go by position need not."""
    return np.isin(names, REPETITION)


def _control_scores(
    model: Model, control_models: Iterable[Model], materials: Materials
) -> Float[np.ndarray, "model detector layer head"]:
    found = []
    for control in control_models:
        refuse_other_shape(model, control)
        found.append(score(control, materials))
    if not found:
        raise InputError("No control model was given. Expected at least one: load random: before the model's name.")
    return np.stack(found)


def _uniform_scores(materials: Materials) -> dict[str, float]:
    """What a head that spreads its attention evenly over all earlier positions scores."""
    scores = {name: value for run in materials.runs for name, value in run.uniform_scores().items()}
    return {f"uniform causal attention, {name}": value for name, value in scores.items()}


def _notes(model: Model, materials: Materials, n_controls: int) -> dict[str, Any]:
    known = facts(model)
    return {
        "control": _CONTROL.format(n_controls=n_controls),
        "control_unrepeated": _UNREPEATED,
        "n_controls": n_controls,
        "p_floor": smallest_p(n_controls),
        "q_floor": smallest_q(n_controls, len(materials.names) * known.n_layers * known.n_heads),
        "found_when": _FOUND,
        "correction": "max-T (p_corrected) and Benjamini-Hochberg (q_fdr), both over all heads and detectors",
        "bos": known.bos,
        "causal": materials.causal,
        "row_sums_below_one": materials.row_sums_below_one,
        "first_token_on": "random tokens said twice" if materials.texts is None else "natural texts",
        "n_prompts": len(materials.repeats.batch),
        "n_texts": 0 if materials.texts is None else len(materials.texts),
        "period": materials.repeats.period,
    }


def _as_result(data: xr.Dataset, made_by: Provenance, notes: dict[str, Any], baselines: dict[str, float]) -> Result:
    words = {name: notes[name] for name in ("first_token_on", "n_controls", "p_floor", "found_when")}
    return Result(
        kind="head_scores",
        data=data,
        unit="attention weight (share of the row)",
        sign="A larger number means that the head puts more of its attention where the detector looks.",
        method=_METHOD.format(**words),
        provenance=made_by,
        baselines=baselines,
        notes=notes,
    )
