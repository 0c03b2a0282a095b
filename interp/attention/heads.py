"""Scores of all heads by the detectors, beside random weights, corrected over heads."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from interp.attention.materials import REPETITION, Materials, prepare
from interp.attention.significance import AgainstRandom, against_random, smallest_q
from interp.attention.streaming import refuse_other_shape
from interp.errors import InputError
from interp.models import facts, provenance
from interp.prompts import TokenBatch
from interp.results import Provenance, Result
from interp.statistics import bootstrap_interval
from interp.types import Model

_DIMS = ("detector", "layer", "head")
_METHOD = (
    "Mean attention weight on what each detector looks for, over queries, then over prompts; uniform is the row's "
    "entropy over the log of its visible keys, local counts the last 5 keys with the query's own. "
    "first_token: {first_token_on}; delimiter (punctuation, line breaks, separators): natural texts; all others: "
    "random tokens said twice. "
    "Intervals: 95 % bootstrap of the mean over prompts. Threshold: the largest score of any head of any of "
    "{n_controls} random-weights models. p: against the best head of each of those models, so corrected over all heads "
    "(max-T); it cannot be below {p_floor:.3g}. q: against all heads of those models pooled, by Benjamini and Hochberg "
    "over the heads of each detector; it cannot be below {q_floor:.3g} for a head that stands out alone. {found_when} "
    "A score shows where a head looks on such prompts; it is not evidence that the model uses what it finds there."
)
_FOUND = (
    "Found: q up to 0.05, and the interval lies above the mean control head by more than twice what the largest "
    "control head does and by more than 0.1; for duplicate_token and induction also above the same head where nothing "
    "repeats."
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
            1 / (n + 1), and no q of a lone head below heads / (1 + n * heads): 20 are needed for it to be found. May
            be a generator: one model is held at a time.
        seed: Decides the random tokens and the resamples.
        n_sequences: Random sequences.
        period: Distinct tokens in each sequence before it repeats.

    Returns:
        `score` from 0 to 1 with its interval, `control` (random weights), `control_unrepeated` (this model where
        nothing repeats), `threshold`, `p_corrected`, `q_fdr`, and `found`: q up to 0.05 and an interval that clears
        `found_above`. Positive means the head looks there more. Random weights attend almost evenly, so a small q may
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
    parts = materials.scores(model)
    mean = np.stack([scores.mean(0) for scores in parts])
    ends = [bootstrap_interval(scores, seed=seed) for scores in parts]
    low, high = (np.stack([end[side] for end in ends]) for side in (0, 1))
    unrepeated = materials.unrepeated.scores(model).mean(1)
    against = against_random(mean, controls)
    values = {"score": mean, "score_low": low, "score_high": high, "control": controls.mean(0)}
    values |= {"control_unrepeated": unrepeated, "p_corrected": against.p_corrected, "q_fdr": against.q_fdr}
    values["found"] = _found(materials.names, low, unrepeated, against)
    variables = {name: (_DIMS, array) for name, array in values.items()}
    limits = {"threshold": ("detector", against.threshold), "found_above": ("detector", against.found_above)}
    known = facts(model)
    coords = {"detector": materials.names, "layer": np.arange(known.n_layers), "head": np.arange(known.n_heads)}
    used = [run.batch.tokens for run in (*materials.runs, materials.unrepeated)]
    call = f"head_scores(texts={texts and len(texts)}, n_sequences={n_sequences}, period={period}, seed={seed})"
    return _as_result(
        xr.Dataset(variables | limits, coords),
        provenance(model, tokens=used, call=call, seed=seed),
        _notes(model, materials, len(controls)),
        _uniform_scores(materials),
    )


def _control_scores(
    model: Model, control_models: Iterable[Model], materials: Materials
) -> Float[np.ndarray, "model detector layer head"]:
    found = []
    for control in control_models:
        refuse_other_shape(model, control)
        found.append(np.stack([scores.mean(0) for scores in materials.scores(control)]))
    if not found:
        raise InputError("No control model was given. Expected at least one: load random: before the model's name.")
    return np.stack(found)


def _found(names: list[str], low: np.ndarray, unrepeated: np.ndarray, against: AgainstRandom) -> np.ndarray:
    """Ask heads of repetition to score more where there is one; those that go by position need not."""
    repetition = np.isin(names, REPETITION)[:, None, None]
    return against.found(low, np.where(repetition, unrepeated, -np.inf))


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
        "p_floor": 1 / (n_controls + 1),
        "q_floor": smallest_q(n_controls, known.n_layers * known.n_heads),
        "found_when": _FOUND,
        "correction": "max-T over all heads (p_corrected), Benjamini-Hochberg over all heads (q_fdr), for each "
        "detector by itself",
        "bos": known.bos,
        "causal": materials.causal,
        "row_sums_below_one": materials.row_sums_below_one,
        "first_token_on": "random tokens said twice" if materials.texts is None else "natural texts",
        "n_prompts": len(materials.repeats.batch),
        "n_texts": 0 if materials.texts is None else len(materials.texts),
        "period": materials.repeats.period,
    }


def _as_result(data: xr.Dataset, made_by: Provenance, notes: dict[str, Any], baselines: dict[str, float]) -> Result:
    words = {name: notes[name] for name in ("first_token_on", "n_controls", "p_floor", "q_floor", "found_when")}
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
