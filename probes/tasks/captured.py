"""A task's activations at every layer, with all that the readings of them ask for."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from interp.models import facts, provenance, str_tokens
from interp.results import Provenance
from interp.sites import Site
from interp.types import Model
from probes.samples.data import LabelledActivations
from probes.tasks.task import ProbeTask, capture_samples, sites_by_layer

AROUND = 8
"""Tokens shown on either side of a sample's."""


@dataclass(frozen=True)
class Captured:
    """Labelled activations of a task, and where they come from."""

    data: LabelledActivations
    provenance: Provenance
    sites: tuple[Site, ...]
    """Where each layer of the stack was captured."""
    token_ids: Int[np.ndarray, " sample"]
    """Token of each sample: its word type, for control tasks."""


def capture_labelled(model: Model, task: ProbeTask, *, site_kind: str = "resid_post") -> Captured:
    """Capture the labelled positions of a task at every layer.

    For `resid_post`, what enters the first block stands first, as layer -1.

    Args:
        model: A hooked model.
        task: Labelled positions.
        site_kind: Which activation of each layer: a residual stream, `attn_out` or `mlp_out`.

    Raises:
        InputError: a kind of site that is no vector per position, or anything `LabelledActivations` refuses.
        SiteError: a site that the model lacks.
        PromptError: prompts that do not fit the model.

    Example:
        >>> got = capture_labelled(model, task)
        >>> quality = probe_quality(got.data, LogisticProbe(), got.token_ids, got.provenance)
        >>> words = sample_contexts(model, task)
        >>> laid = project_samples(got.data, words, got.provenance, layer=2, label="fr")
    """
    sites = sites_by_layer(facts(model).n_layers, site_kind)
    stack = capture_samples(model, task, list(sites.values()))
    made_by = provenance(
        model,
        tokens=[task.batch.tokens, task.batch.mask, task.prompts, task.positions],
        call=f"capture_labelled({task.what!r}, site_kind={site_kind!r})",
    )
    return Captured(
        LabelledActivations(stack, task.labels, task.groups, tuple(sites), task.label_kind),
        made_by,
        tuple(sites.values()),
        task.batch.tokens[task.prompts, task.positions],
    )


def sample_contexts(model: Model, task: ProbeTask) -> tuple[str, ...]:
    """Write each sample's token, in brackets, among up to 8 tokens on either side.

    Raises:
        ModelError: the model has no tokenizer.
    """
    rows = zip(task.batch.tokens, task.batch.lengths, strict=True)
    texts = [str_tokens(model, row[:length]) for row, length in rows]
    return tuple(
        _context(texts[prompt], position)
        for prompt, position in zip(task.prompts.tolist(), task.positions.tolist(), strict=True)
    )


def _context(tokens: list[str], position: int) -> str:
    start, stop = max(0, position - AROUND), position + 1 + AROUND
    before, after = "".join(tokens[start:position]), "".join(tokens[position + 1 : stop])
    return f"{'…' if start else ''}{before}[{tokens[position]}]{after}{'…' if stop < len(tokens) else ''}"
