"""Scores of all heads by the detectors, beside random weights, corrected over heads."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float

from interp.attention import detectors
from interp.attention.repeats import RepeatedTokens, repeated_tokens
from interp.attention.significance import corrected_p, critical_values
from interp.attention.streaming import (
    ROW_SUM_TOLERANCE,
    Detector,
    refuse_other_shape,
    score_heads,
    stream_patterns,
)
from interp.errors import InputError
from interp.models import facts, provenance
from interp.models.tokenizers import frame
from interp.prompts import TokenBatch
from interp.results import Provenance, Result
from interp.statistics import bootstrap_interval
from interp.types import Model

_DIMS = ("detector", "layer", "head")
_METHOD = (
    "Mean attention weight on the source each detector looks for, over queries, then over prompts. previous_token, "
    "duplicate_token and induction: random tokens said twice; first_token: {first_token_on}. "
    "Intervals: 95 % bootstrap of the mean over prompts. Threshold: the largest score of any head of any of "
    "{n_controls} random-weights models. p: against the best head of each of those models, so corrected over all heads "
    "(max-T); it cannot be below {p_floor:.3g}. "
    "A score shows where a head looks on such prompts; it is not evidence that the model uses what it finds there."
)
_CONTROL = "the same detector and prompts, mean over {n_controls} models of the same architecture with random weights"

_UNREPEATED = (
    "the same detectors and model on random tokens where nothing repeats: a head that scores as much there "
    "follows positions, not repetition"
)


@dataclass(frozen=True)
class _Materials:
    """What the detectors are run on."""

    repeats: RepeatedTokens
    texts: TokenBatch | None

    @property
    def runs(self) -> list[tuple[TokenBatch, dict[str, Detector]]]:
        """Batches, each with its detectors; the order of all detectors is the order of the result."""
        place = {"period": self.repeats.period, "start": self.repeats.start}
        on_repeats: dict[str, Detector] = {
            "previous_token": detectors.previous_token,
            "duplicate_token": partial(detectors.duplicate_token, **place),
            "induction": partial(detectors.induction, **place),
        }
        on_texts: dict[str, Detector] = {"first_token": detectors.first_token}
        if self.texts is None:
            return [(self.repeats.batch, on_repeats | on_texts)]
        return [(self.repeats.batch, on_repeats), (self.texts, on_texts)]

    @property
    def detectors(self) -> dict[str, Detector]:
        """All detectors, in order."""
        return {name: detect for _, found in self.runs for name, detect in found.items()}


def head_scores(
    model: Model,
    *,
    texts: TokenBatch | None,
    control_models: Iterable[Model],
    seed: int = 0,
    n_sequences: int = 32,
    period: int = 25,
) -> Result:
    """Find heads that look at the previous token, at duplicates, after earlier occurrences, and at the first token.

    Random tokens said twice make previous-token, duplicate and induction heads visible without any meaning to lean on.
    Attention to the first token is read on natural texts where they are given, because random tokens change it.

    Args:
        model: A hooked model.
        texts: Natural prompts for `first_token`; None to use the random tokens for it as well.
        control_models: The same architecture with random weights, several seeds; with n of them no p is below
            1 / (n + 1), so 19 are needed for 0.05. May be a generator: one model is held at a time.
        seed: Decides the random tokens and the resamples.
        n_sequences: Random sequences.
        period: Distinct tokens in each sequence before it repeats.

    Returns:
        `score` from 0 to 1 with its interval, `control` (random weights), `control_unrepeated` (this model where
        nothing repeats), `threshold` and `p_corrected`. Positive means the head looks there more. Random weights often
        attend almost evenly, so a small p may go with a small score: read both.

    Raises:
        InputError: no control model, one of another shape or with the model's weights, fewer than two prompts, or a
            period that does not fit the vocabulary.
        PromptError: prompts that do not fit the model.
        ModelError: the model has no tokenizer, which says what comes before a text.
    """
    if texts is not None and len(texts) < 2:
        raise InputError("One text gives no interval over texts. Expected at least 2 texts, or None.")
    materials = _Materials(_draw(model, n_sequences, period, seed), texts)
    controls = _control_scores(model, control_models, materials)
    parts = [scores for batch, found in materials.runs for scores in score_heads(model, batch, found)]
    mean = np.stack([scores.mean(0) for scores in parts])
    ends = [bootstrap_interval(scores, seed=seed) for scores in parts]
    low, high = (np.stack([end[side] for end in ends]) for side in (0, 1))
    values = {"score": mean, "score_low": low, "score_high": high, "control": controls.mean(0)}
    values["control_unrepeated"] = score_heads(model, materials.repeats.unrepeated, materials.detectors).mean(1)
    values["p_corrected"] = corrected_p(mean, controls)
    variables = {name: (_DIMS, array) for name, array in values.items()}
    known = facts(model)
    coords = {
        "detector": list(materials.detectors),
        "layer": np.arange(known.n_layers),
        "head": np.arange(known.n_heads),
    }
    used = [batch.tokens for batch, _ in materials.runs] + [materials.repeats.unrepeated.tokens]
    call = f"head_scores(texts={texts and len(texts)}, n_sequences={n_sequences}, period={period}, seed={seed})"
    return _as_result(
        xr.Dataset(variables | {"threshold": ("detector", critical_values(controls))}, coords),
        provenance(model, tokens=used, call=call, seed=seed),
        _notes(model, materials, len(controls)),
        _uniform_scores(materials),
    )


def _draw(model: Model, n_sequences: int, period: int, seed: int) -> RepeatedTokens:
    before = frame(model).before
    tokenizer: Any = model.tokenizer
    ordinary = set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids)
    pool = np.array(sorted(token for token in ordinary if token < facts(model).d_vocab))
    return repeated_tokens(pool, bos=before[0] if before else None, n_sequences=n_sequences, period=period, seed=seed)


def _control_scores(
    model: Model, control_models: Iterable[Model], materials: _Materials
) -> Float[np.ndarray, "model detector layer head"]:
    found = []
    for control in control_models:
        refuse_other_shape(model, control)
        scores = [part.mean(0) for batch, wanted in materials.runs for part in score_heads(control, batch, wanted)]
        found.append(np.stack(scores))
    if not found:
        raise InputError("No control model was given. Expected at least one: load random: before the model's name.")
    return np.stack(found)


def _uniform_scores(materials: _Materials) -> dict[str, float]:
    """What a head that spreads its attention evenly over all earlier positions scores."""
    scores = {}
    for batch, found in materials.runs:
        mask = torch.from_numpy(batch.mask)
        n_pos = mask.shape[1]
        even = torch.ones(n_pos, n_pos).tril() / torch.arange(1, n_pos + 1)[:, None]
        for name, detect in found.items():
            scores[f"uniform causal attention, {name}"] = float(detect(even.expand(len(batch), 1, -1, -1), mask).mean())
    return scores


def _notes(model: Model, materials: _Materials, n_controls: int) -> dict[str, Any]:
    mask, patterns = next((mask, patterns) for _, mask, patterns in stream_patterns(model, materials.repeats.batch[:2]))
    sums = torch.stack(patterns).sum(-1)[:, mask[:, None].expand(-1, patterns[0].shape[1], -1)]
    return {
        "control": _CONTROL.format(n_controls=n_controls),
        "control_unrepeated": _UNREPEATED,
        "n_controls": n_controls,
        "p_floor": 1 / (n_controls + 1),
        "correction": "max-T over all heads, for each detector by itself",
        "bos": facts(model).bos,
        "causal": not any(bool(pattern.triu(1).any()) for pattern in patterns),
        "row_sums_below_one": bool((sums < 1 - ROW_SUM_TOLERANCE).any()),
        "first_token_on": "random tokens said twice" if materials.texts is None else "natural texts",
        "n_prompts": len(materials.repeats.batch),
        "n_texts": 0 if materials.texts is None else len(materials.texts),
        "period": materials.repeats.period,
    }


def _as_result(data: xr.Dataset, made_by: Provenance, notes: dict[str, Any], baselines: dict[str, float]) -> Result:
    words = {name: notes[name] for name in ("first_token_on", "n_controls", "p_floor")}
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
