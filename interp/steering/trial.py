"""What steering from one language to another changes, document by document: language, loss, continuations, meaning."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.languages.fidelity import language_fidelity
from interp.models.tokenizers import body_ids, frame
from interp.models.zoo.sampling import sample_texts
from interp.neurons.next_language import LanguageVocabulary, Reading, read_predictions
from interp.neurons.passes import token_losses
from interp.neurons.units import Neurons
from interp.prompts import TokenBatch
from interp.run import intervene
from interp.steering.edits import Plan
from interp.steering.levels import LanguageLevels
from interp.types import Model

PROMPT_WORDS = 8
"""Continuations go on from so many words of each source text."""
SHARE, NATS = "probability", "nats per token"
MEASURES = {
    "next word in the target language": SHARE,
    "next word in the source language": SHARE,
    "loss on source texts": NATS,
    "loss on target texts": NATS,
    "loss of the translation": NATS,
    "meaning": NATS,
    "lines in the target language": "line pass rate",
    "lines in the source language": "line pass rate",
}
"""Units by measure. Meaning: log-probability of a source text's translation after it, minus that of another's."""
WORDS = {
    "next word in the target language": "of the next word, given that one begins, on source texts",
    "loss of the translation": "of the aligned target text, after the source text",
    "meaning": "log-probability of the aligned target text minus that of another document's, after the source text",
    "lines in the target language": "sampled continuations of source texts that stay in it, as published",
}

PerDocument = Float[np.ndarray, "document measure"]


@dataclass(frozen=True)
class SteerTask:
    """Texts of a source language to be steered towards a target language, and what edits need.

    Raises:
        InputError: equal languages, a language that a part lacks, or too few texts, or unequally many where aligned.
    """

    source: str
    target: str
    texts: Mapping[str, Sequence[str]] = field(repr=False)
    """By language; other documents than those that neurons, levels and vocabulary come from."""
    neurons: Mapping[str, Neurons] = field(repr=False)
    """Of both languages, the strongest first; see `neurons_by_language`."""
    levels: LanguageLevels = field(repr=False)
    vocabulary: LanguageVocabulary = field(repr=False)
    """What `learn_vocabulary` counted."""
    aligned: bool = True
    """Whether equal places in the texts mean the same; if not, what needs a translation is not measured."""

    def __post_init__(self) -> None:
        both = (self.source, self.target)
        if self.source == self.target:
            raise InputError(f"Source and target are both {self.source!r}. Expected two languages.")
        for what, known in (("text", self.texts), ("neurons", self.neurons)):
            if missing := [name for name in both if name not in known]:
                raise InputError(f"There is no entry of {what} for {missing}. Expected both languages: {list(known)}.")
        for name in both:
            self.levels.number(name)
            self.vocabulary.number(name)
        counts = [len(self.texts[name]) for name in both]
        if min(counts) < 3 or (self.aligned and counts[0] != counts[1]):
            raise InputError(
                f"{counts[0]} source and {counts[1]} target texts. Expected three or more, and equally many where they "
                "are aligned; otherwise set aligned=False."
            )


@dataclass(frozen=True)
class Trial:
    """The rows and prompts of a task, made once and run under every edit."""

    task: SteerTask
    batch: TokenBatch
    """Source texts; target texts; source texts with their translations; source texts with those of others."""
    scored_from: Int[np.ndarray, " row"]
    """First token of each row that counts in its loss."""
    n_tokens: int
    """Tokens to go on for; 0 leaves continuations out."""
    among: tuple[str, ...] | None
    seed: int

    @classmethod
    def of(cls, model: Model, task: SteerTask, *, n_tokens: int, among: tuple[str, ...] | None, seed: int) -> "Trial":
        """Encode everything that is run."""
        before, after = frame(model).before, frame(model).after
        source, target = (task.texts[name] for name in (task.source, task.target))
        heads = [[*before, *body_ids(model.tokenizer, text)] for text in source]
        rows, starts = [[*head, *after] for head in heads], [1] * len(heads)
        rows += [[*before, *body_ids(model.tokenizer, text), *after] for text in target]
        starts += [1] * len(target)
        if task.aligned:
            ends = [body_ids(model.tokenizer, f" {text}") for text in target]
            for order in (np.arange(len(ends)), _others(len(ends), seed)):
                rows += [[*head, *ends[place]] for head, place in zip(heads, order, strict=True)]
                starts += [len(head) for head in heads]
        return cls(task, TokenBatch.of([np.array(row) for row in rows]), np.array(starts), n_tokens, among, seed)

    def blocks(self) -> list[Int[np.ndarray, " row"]]:
        """Rows of source texts, target texts and, where there are any, of both kinds of pairs."""
        n, m = (len(self.task.texts[name]) for name in (self.task.source, self.task.target))
        ends = [0, n, n + m, *((n + m + n, n + m + 2 * n) if self.task.aligned else ())]
        return [np.arange(start, stop) for start, stop in pairwise(ends)]


def measure(model: Model, trial: Trial, plan: Plan | None = None) -> PerDocument:
    """Run everything under a plan, or unedited, and return every measure by document, in the order of `MEASURES`.

    Returns:
        NaN where a document has no value: continuations without a line that can be judged, what needs a translation
        that is not there, and documents past the end of the shorter language where texts are not aligned.
    """
    source, *rest = trial.blocks()
    edit = None if not plan else lambda rows, part: plan  # noqa: ARG005 - the same at every token
    reading = read_predictions(model, trial.batch, trial.task.vocabulary, rows=source, edit=edit)
    with _edited(model, plan):
        losses = token_losses(model, trial.batch, np.concatenate(rest))
    losses[source] = reading.loss[source]
    means = [_row_means(losses, trial, rows) for rows in (source, *rest)]
    translation, others = means[2:] if trial.task.aligned else (np.full(len(source), np.nan),) * 2
    found = [*_next_words(trial, reading, source), *means[:2], translation, others - translation]
    found += _continued(model, trial, plan)
    table = np.full((max(map(len, found)), len(found)), np.nan)
    for column, values in enumerate(found):
        table[: len(values), column] = values
    return table


def _others(n: int, seed: int) -> Int[np.ndarray, " document"]:
    """Another document for each: a cycle in random order, so that none is its own."""
    order = np.random.default_rng(seed).permutation(n)
    other = np.empty(n, np.int64)
    other[order] = np.roll(order, 1)
    return other


def _edited(model: Model, plan: Plan | None) -> AbstractContextManager[None]:
    return intervene(model, plan) if plan else nullcontext()


def _row_means(losses: Float[np.ndarray, "row pos"], trial: Trial, rows: np.ndarray) -> Float[np.ndarray, " document"]:
    counts = np.arange(losses.shape[1]) >= trial.scored_from[rows][:, None]
    chosen = np.where(counts, losses[rows], np.nan)
    there = np.isfinite(chosen)
    if not there.any(1).all():
        raise InputError(f"Text {int(np.argmin(there.any(1)))} has no token to predict. Leave it out.")
    return np.nansum(chosen, 1) / there.sum(1)


def _next_words(trial: Trial, reading: Reading, rows: np.ndarray) -> list[np.ndarray]:
    vocabulary, task = trial.task.vocabulary, trial.task
    following, real = trial.batch.tokens[rows, 1:], trial.batch.mask[rows, 1:]
    begins = vocabulary.begins[following] & real
    n = begins.sum(1)
    found = []
    for language in (task.target, task.source):
        share = reading.share[rows, :-1, vocabulary.number(language)]
        total = np.where(begins, share, 0.0).sum(1)
        found.append(np.divide(total, n, out=np.full(len(rows), np.nan), where=n > 0))
    return found


def _continued(model: Model, trial: Trial, plan: Plan | None) -> list[np.ndarray]:
    task = trial.task
    if not trial.n_tokens:
        return [np.full(len(task.texts[task.source]), np.nan)] * 2
    prompts = [" ".join(text.split()[:PROMPT_WORDS]) for text in task.texts[task.source]]
    with _edited(model, plan):
        written = sample_texts(model, prompts, n_tokens=trial.n_tokens, seed=trial.seed)
    found = [language_fidelity(written, name, among=trial.among) for name in (task.target, task.source)]
    return [np.where(one.judged, one.line_pass.astype(float), np.nan) for one in found]
