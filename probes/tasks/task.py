"""A probing task on prompts: which positions carry which label, and the captures it needs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.prompts import TokenBatch
from interp.run import capture_batches
from interp.sites import OUTPUT_KINDS, RESIDUAL_KINDS, Site
from interp.types import Model
from probes.samples.data import Groups, Rows
from probes.samples.labels import AnyLabels, LabelKind, are_classes, check_labels_of
from probes.tasks.wide import wide

EMBEDDING = -1
"""Layer number of what enters the first block: the token (and position) embedding."""


@dataclass(frozen=True)
class ProbeTask:
    """Labelled positions in prompts.

    A sample is one position: for a word or a whole text, its last token, which on a causal model is the one that has
    read all of it.

    Raises:
        InputError: lengths that do not fit, a position outside its prompt or given twice, labels no probe can be
            fitted to, or one and the same prompt in two groups: a probe could be tested on what it was fitted to.
    """

    batch: TokenBatch
    prompts: Rows
    """Prompt of each sample."""
    positions: Rows
    """Position of each sample in its prompt."""
    labels: AnyLabels
    groups: Groups
    """What must not be split between fitting and testing, for each sample."""
    what: str = "label"
    """What the label says, in words."""
    label_kind: LabelKind = "classes"
    """What the labels are; decides what is asked of them, and how they are read."""
    label_names: tuple[str, ...] = ()
    """Of several labels to a sample, what each is called; by default its number."""

    def __post_init__(self) -> None:
        for name in ("positions", "labels", "groups"):
            if len(getattr(self, name)) != len(self.prompts):
                raise InputError(
                    f"{len(getattr(self, name))} {name} for {len(self.prompts)} samples. Give one for each sample."
                )
        check_labels_of(self.label_kind, self.labels)
        self._check_names()
        self._check_positions()
        self._refuse_shared_prompts()

    def require_classes(self) -> None:
        """Refuse labels that are not one class for each sample.

        Raises:
            InputError: numbers, or several labels to a sample.
        """
        if not are_classes(self.labels):
            raise InputError(
                f"The labels are {self.label_kind}, of type {self.labels.dtype} and shape {self.labels.shape}. "
                "Expected one class for each sample: cut numbers into classes, or take one label at a time."
            )

    def _check_names(self) -> None:
        several = self.labels.shape[1] if self.label_kind == "multilabel" else 0
        if several and not self.label_names:
            object.__setattr__(self, "label_names", tuple(map(str, range(several))))
        if len(self.label_names) != several or len(set(self.label_names)) < several:
            raise InputError(f"Names {list(self.label_names)} for {several} labels. Give each its own.")

    def _check_positions(self) -> None:
        lengths = self.batch.lengths
        known = (self.prompts >= 0) & (self.prompts < len(self.batch))
        if not known.all():
            raise InputError(f"Sample {int(np.argmin(known))} is in no prompt: there are {len(self.batch)} of them.")
        inside = (self.positions >= 0) & (self.positions < lengths[self.prompts])
        if not inside.all():
            bad = int(np.argmin(inside))
            raise InputError(
                f"Sample {bad} is at position {self.positions[bad]} of prompt {self.prompts[bad]}, "
                f"which has {lengths[self.prompts[bad]]} tokens. Give a position inside the prompt."
            )
        if len(set(zip(self.prompts.tolist(), self.positions.tolist(), strict=True))) < len(self.prompts):
            raise InputError("A position of a prompt is given twice. Give each sample once.")

    def _refuse_shared_prompts(self) -> None:
        home: dict[bytes, int] = {}
        for sample, prompt in enumerate(self.prompts):
            row = self.batch.tokens[prompt, : self.batch.lengths[prompt]].tobytes()
            twin = home.setdefault(row, sample)
            if self.groups[twin] != self.groups[sample]:
                raise InputError(
                    f"Prompts {self.prompts[twin]} and {prompt} are the same text but in groups "
                    f"{self.groups[twin].item()!r} and {self.groups[sample].item()!r}, so a probe could be tested on "
                    "what it was fitted to. "
                    "Drop one, or put them in one group."
                )


def capture_samples(model: Model, task: ProbeTask, sites: list[Site]) -> Float[np.ndarray, "layer sample d_model"]:
    """Capture the activations at the labelled positions, batch by batch, and keep nothing else.

    In float64 where the model is, else in float32.
    """
    parts: list[np.ndarray] = []
    order: list[np.ndarray] = []
    for rows, captured in capture_batches(model, task.batch, sites):
        here = np.flatnonzero((task.prompts >= rows.start) & (task.prompts < rows.stop))
        prompts, positions = task.prompts[here] - rows.start, task.positions[here]
        parts.append(
            np.stack([wide(captured[site.whole][site.index][prompts, positions]).cpu().numpy() for site in sites])
        )
        order.append(here)
    back = np.argsort(np.concatenate(order))
    return np.concatenate(parts, axis=1)[:, back]


def sites_by_layer(n_layers: int, kind: str) -> dict[int, Site]:
    """Return the site of each layer number; for `resid_post`, what enters the first block stands first, as -1.

    Raises:
        InputError: a kind that is no vector per position.
    """
    if kind not in RESIDUAL_KINDS + OUTPUT_KINDS:
        raise InputError(f"{kind!r} is no vector per position. Expected one of {list(RESIDUAL_KINDS + OUTPUT_KINDS)}.")
    first = {EMBEDDING: Site(0, "resid_pre")} if kind == "resid_post" else {}
    return first | {layer: Site(layer, kind) for layer in range(n_layers)}
