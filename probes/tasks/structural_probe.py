"""Structural probes of a model by layer: from parsed sentences to how much of their trees each layer gives back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from interp.errors import InputError
from interp.models import facts, provenance
from interp.prompts import TokenBatch
from interp.results import Result
from interp.types import Model
from probes.estimators.structural import TreeDistanceProbe
from probes.reading.trees_by_layer import AnyProbe, check_plan, probe_trees
from probes.samples.tree_activations import TreeActivations
from probes.samples.trees import ROOT, TreeLabels, drop_words
from probes.tasks.task import ProbeTask, capture_samples, sites_by_layer
from probes.tasks.token_places import Encode, TokenizedText
from probes.tasks.treebank import ParsedSentence

FEWEST_WORDS = 3
"""Words that a tree needs: of two there is but one."""
PUNCTUATION = "PUNCT"
_WORDS = (
    " A word's vector is that of its last token. Punctuation (PUNCT) is taken out of the trees before anything is "
    "fitted, where Hewitt & Manning leave it out of the attachment score only; what hung on it hangs on the word above."
)
DROPPED = ("punctuation is the root", "too few words", "no token for a word", "too long", "reads as one before")
"""Why a sentence may be left out, in the order in which that is looked at."""


@dataclass(frozen=True)
class ReadSentence:
    """A sentence as tokens, with the tree of its words."""

    ids: Int[np.ndarray, " pos"]
    positions: Int[np.ndarray, " word"]
    """Of each word the position of its last token."""
    heads: tuple[int, ...]


def structural_probe(
    model: Model,
    control_model: Model,
    sentences: Sequence[ParsedSentence],
    encode: Encode,
    *,
    probe: AnyProbe | None = None,
    n_splits: int = 5,
    seed: int = 0,
) -> Result:
    """Measure at which layer the syntax trees of sentences can be read off linearly.

    What enters the first block stands first, as layer -1: it knows which word it is and nothing of the others. A model
    that reads from left to right has not seen at a word what follows it, so edges to later words have to be guessed.

    Args:
        model: The model to probe.
        control_model: The same architecture with random weights.
        sentences: What `read_trees` read. Left out, and counted in the notes, are those whose root is punctuation, of
            fewer than 3 words, with a word that no token ends with, longer than the context, or that read the same as
            one before up to their last word.
        encode: The model's way from text to ids.
        probe: Settings of the probe: a `TreeDistanceProbe` (by default) or a `TreeDepthProbe`.
        n_splits: Folds, split by sentence.
        seed: Decides folds, the permutation, resamples and flips.

    Returns:
        What `probe_trees` returns.

    Raises:
        InputError: anything `probe_trees` refuses, as far as possible before the model is run.
        PromptError: sentences that do not fit the model.

    Source: Hewitt & Manning 2019, A Structural Probe for Finding Syntax in Word Representations (NAACL, N19-1419).
    """
    probe, known = probe or TreeDistanceProbe(), facts(model)
    probe.check_settings()
    read, dropped = read_sentences(sentences, encode, known.n_ctx)
    if not read:
        raise InputError(f"None of {len(sentences)} sentences is left: {dropped}. Give others.")
    trees = TreeLabels(tuple(np.array(each.heads, np.int64) for each in read))
    check_plan(trees, np.arange(len(read)), probe, n_splits, known.d_model)
    task, sites = _as_task(read, trees), sites_by_layer(known.n_layers, "resid_post")
    stack, control = (capture_samples(each, task, list(sites.values())) for each in (model, control_model))
    made_by = provenance(
        model,
        tokens=[task.batch.tokens, task.batch.mask, task.prompts, task.positions, np.concatenate(trees.heads)],
        call=f"structural_probe({probe!r}, {n_splits=}, {seed=})",
        seed=seed,
    )
    result = probe_trees(
        TreeActivations(stack, trees, layers=tuple(sites)), control, made_by, probe=probe, n_splits=n_splits, seed=seed
    )
    notes = {"dropped": dropped, "sites": [str(site) for site in sites.values()]}
    return replace(result, method=result.method + _WORDS, notes=result.notes | notes)


def _as_task(read: Sequence[ReadSentence], trees: TreeLabels) -> ProbeTask:
    """Every word with its depth, in the order of the trees."""
    depths = np.concatenate([trees.depths(sentence) for sentence in range(len(trees))]).astype(np.float64)
    positions = np.concatenate([each.positions for each in read])
    batch = TokenBatch.of([each.ids for each in read])
    return ProbeTask(batch, trees.sentences, positions, depths, trees.sentences, "depth", "continuous")


def read_sentences(
    sentences: Sequence[ParsedSentence], encode: Encode, n_ctx: int | None
) -> tuple[list[ReadSentence], dict[str, int]]:
    """Find the tokens of sentences and take punctuation out of their trees.

    Args:
        sentences: Words with their trees.
        encode: The model's way from text to ids.
        n_ctx: The most tokens a sentence may have; any number by default.

    Returns:
        The sentences kept, and how many were left out for each reason of `DROPPED`.
    """
    kept: dict[bytes, ReadSentence] = {}
    dropped = dict.fromkeys(DROPPED, 0)
    for sentence in sentences:
        read = _read(sentence, encode, n_ctx)
        if isinstance(read, str):
            dropped[read] += 1
            continue
        # A causal model cannot tell such sentences apart: one could be tested on what was fitted to the other.
        beginning = read.ids[: read.positions[-1] + 1].tobytes()
        dropped[DROPPED[-1]] += beginning in kept
        kept.setdefault(beginning, read)
    return list(kept.values()), dropped


def _read(sentence: ParsedSentence, encode: Encode, n_ctx: int | None) -> ReadSentence | str:
    """Tokens and tree of a sentence, or why it is left out."""
    no_root, too_few, no_token, too_long, _ = DROPPED
    goes = [word.tag == PUNCTUATION for word in sentence.words]
    if goes[sentence.heads.index(ROOT)]:
        return no_root
    if len(goes) - sum(goes) < FEWEST_WORDS:
        return too_few
    tokens = TokenizedText(sentence.text, encode)
    words = [word for word, gone in zip(sentence.words, goes, strict=True) if not gone]
    positions = [place for word in words if (place := tokens.last_token(word.start, word.end)) is not None]
    if len(positions) < len(words):
        return no_token
    if n_ctx is not None and len(tokens.ids) > n_ctx:
        return too_long
    return ReadSentence(tokens.ids, np.array(positions), drop_words(sentence.heads, goes))
