"""What head detectors are run on: random tokens said twice, the same unrepeated, and natural texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from interp.attention import detectors
from interp.attention.repeats import RepeatedTokens, repeated_tokens
from interp.attention.sinks.token_classes import token_classes
from interp.attention.streaming import ROW_SUM_TOLERANCE, Detector, stream_patterns
from interp.models import facts
from interp.models.tokenizers import frame
from interp.prompts import TokenBatch
from interp.types import Model

OFFSETS = (2, 3)
"""Diagonals looked at besides the previous token's."""
DELIMITERS = ("punctuation", "newline", "sep")
REPETITION = ("duplicate_token", "induction")
"""Detectors of what only repetition makes visible."""

IsDelimiter = Bool[np.ndarray, "prompt pos"]


@dataclass(frozen=True)
class Run:
    """Prompts, and the detectors that read one pass over their patterns."""

    batch: TokenBatch
    detectors: Mapping[str, Detector]
    is_delimiter: IsDelimiter | None = None
    """Where the delimiters stand, if attention to them is scored, too."""

    @property
    def names(self) -> list[str]:
        """The detectors, in order."""
        return [*self.detectors, *([] if self.is_delimiter is None else ["delimiter"])]

    def scores(self, model: Model) -> Float[np.ndarray, "detector prompt layer head"]:
        """Score every head on every prompt; only the scores are kept, never the patterns."""
        parts = []
        for rows, mask, patterns in stream_patterns(model, self.batch):
            wanted = self._on(rows)
            found = [torch.stack([detect(pattern, mask) for pattern in patterns], 1) for detect in wanted.values()]
            parts.append(torch.stack(found).numpy())
        return np.concatenate(parts, axis=1)

    def uniform_scores(self) -> dict[str, float]:
        """What a head that spreads its attention evenly over itself and all earlier positions scores."""
        mask = torch.from_numpy(self.batch.mask)
        n_pos = mask.shape[1]
        even = torch.ones(n_pos, n_pos).tril() / torch.arange(1, n_pos + 1)[:, None]
        pattern = even.expand(len(self.batch), 1, -1, -1)
        return {name: float(detect(pattern, mask).mean()) for name, detect in self._on(slice(None)).items()}

    def _on(self, rows: slice) -> dict[str, Detector]:
        if self.is_delimiter is None:
            return dict(self.detectors)
        marked = torch.from_numpy(self.is_delimiter[rows])
        return {**self.detectors, "delimiter": partial(detectors.delimiter, is_delimiter=marked)}


@dataclass(frozen=True)
class Materials:
    """All runs of a model, and what is known of its patterns."""

    repeats: RepeatedTokens
    texts: TokenBatch | None
    runs: tuple[Run, ...]
    unrepeated: Run
    """All detectors on random tokens that do not repeat."""
    causal: bool
    row_sums_below_one: bool

    @property
    def names(self) -> list[str]:
        """All detectors, in the order of the result."""
        return [name for run in self.runs for name in run.names]

    def scores(self, model: Model) -> list[Float[np.ndarray, "prompt layer head"]]:
        """Scores of each detector, in the order of `names`."""
        return [scores for run in self.runs for scores in run.scores(model)]


def prepare(model: Model, texts: TokenBatch | None, *, n_sequences: int, period: int, seed: int) -> Materials:
    """Draw the random tokens, and choose which detectors read what.

    Raises:
        InputError: too few sequences, or a period that does not fit the vocabulary.
        ModelError: the model has no tokenizer.
    """
    before = frame(model).before
    bos = before[0] if before else None
    repeats = repeated_tokens(ordinary_tokens(model), bos=bos, n_sequences=n_sequences, period=period, seed=seed)
    causal, below_one = _rows(model, repeats.batch[:2])
    on_repeats = _on_repeats(repeats, causal=causal)
    on_texts: dict[str, Detector] = {"first_token": detectors.first_token}
    everything = on_repeats | on_texts
    if texts is None:
        runs, unrepeated = (Run(repeats.batch, everything),), Run(repeats.unrepeated, everything)
    else:
        marked, elsewhere = _delimiters(model, texts), _delimiters(model, repeats.unrepeated)
        found = marked.any()  # without any, every head would score 0
        runs = (Run(repeats.batch, on_repeats), Run(texts, on_texts, marked if found else None))
        unrepeated = Run(repeats.unrepeated, everything, elsewhere if found else None)
    return Materials(repeats, texts, runs, unrepeated, causal, below_one)


def ordinary_tokens(model: Model) -> Int[np.ndarray, " token"]:
    """All token ids that the model has an embedding for, without special ones.

    Raises:
        ModelError: the model has no tokenizer.
    """
    frame(model)  # refuses a model without tokenizer
    tokenizer: Any = model.tokenizer
    ordinary = set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids)
    return np.array(sorted(token for token in ordinary if token < facts(model).d_vocab))


def _on_repeats(repeats: RepeatedTokens, *, causal: bool) -> dict[str, Detector]:
    place = {"period": repeats.period, "start": repeats.start}
    return {
        "previous_token": detectors.previous_token,
        "duplicate_token": partial(detectors.duplicate_token, **place),
        "induction": partial(detectors.induction, **place),
        **{f"offset_{back}": partial(detectors.offset, back=back) for back in OFFSETS},
        "local": detectors.local,
        "uniform": partial(detectors.uniform, causal=causal),
    }


def _delimiters(model: Model, batch: TokenBatch) -> IsDelimiter:
    classes = token_classes(model, batch)
    return np.isin(np.array(classes.names)[classes.numbers], DELIMITERS) & batch.mask


def _rows(model: Model, batch: TokenBatch) -> tuple[bool, bool]:
    """Whether attention is causal, and whether some row sums to less than 1, as with learned sinks."""
    mask, patterns = next((mask, patterns) for _, mask, patterns in stream_patterns(model, batch))
    sums = torch.stack(patterns).sum(-1)[:, mask[:, None].expand(-1, patterns[0].shape[1], -1)]
    causal = not any(bool(pattern.triu(1).any()) for pattern in patterns)
    return causal, bool((sums < 1 - ROW_SUM_TOLERANCE).any())
