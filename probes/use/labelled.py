"""Where edits of a task are made: at its labelled positions, and nowhere else."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.errors import InputError
from interp.run import Intervention, Where
from interp.sites import OUTPUT_KINDS, RESIDUAL_KINDS, VECTOR_HEAD_KINDS, Site
from probes.samples.data import Labels
from probes.tasks.task import ProbeTask

Edits = Callable[[slice], Mapping[Site, Intervention]]
"""What to change in the pass over some prompts; nothing where the mapping is empty."""


def labelled(task: ProbeTask) -> Bool[Tensor, "prompt pos"]:
    """Which positions of which prompts the task labels."""
    where = torch.zeros(task.batch.tokens.shape, dtype=torch.bool)
    where[task.prompts, task.positions] = True
    return where


def at_labels(task: ProbeTask, site: Site, make: Callable[[slice], Intervention]) -> Edits:
    """Edit the labelled positions alone, by what is made for the prompts that are run."""
    where = labelled(task)
    return lambda rows: {site: Where(make(rows), where[rows])}


def placed(
    task: ProbeTask, rows: Float[np.ndarray, "sample d_model"], elsewhere: Float[Tensor, " d_model"]
) -> Float[Tensor, "prompt pos d_model"]:
    """Lay the vector of each sample at its position, and one and the same vector everywhere else."""
    laid = elsewhere.expand(*task.batch.tokens.shape, -1).clone()
    laid[task.prompts, task.positions] = torch.from_numpy(rows).to(laid)
    return laid


def class_means(
    X: Float[np.ndarray, "sample d_model"], labels: Labels, wanted: Labels
) -> Float[np.ndarray, "sample d_model"]:
    """Find for each sample the mean activation of the label wanted for it."""
    classes = np.unique(labels)
    means = np.stack([X[labels == label].mean(0, dtype=np.float64) for label in classes])
    return means[np.searchsorted(classes, wanted)]


def check_every_prompt(task: ProbeTask) -> None:
    """Refuse a task that leaves a prompt without a labelled position: nothing would be edited there.

    Raises:
        InputError: fewer than two prompts, or one without labels.
    """
    counts = np.bincount(task.prompts, minlength=len(task.batch))
    if len(counts) < 2 or not counts.all():
        raise InputError(
            f"{int((counts == 0).sum())} of {len(counts)} prompts have no labelled position. Expected at least two "
            "prompts, each with one. Leave the others out of the task."
        )


def check_vectors(sites: Sequence[Site], *, heads: bool) -> None:
    """Refuse sites that hold no vector for each position.

    Args:
        sites: Where a task is to be edited.
        heads: Whether one head's vector will do.

    Raises:
        InputError: a pattern, neurons, all heads at once, or one position.
    """
    for site in sites:
        is_head = heads and site.kind in VECTOR_HEAD_KINDS and site.head is not None
        if site.pos is not None or not (is_head or site.kind in RESIDUAL_KINDS + OUTPUT_KINDS):
            or_head = f" or one head's {list(VECTOR_HEAD_KINDS)}," if heads else ""
            raise InputError(
                f"{site} holds no vector for each position. Expected one of {list(RESIDUAL_KINDS + OUTPUT_KINDS)},"
                f"{or_head} without a position: the task says which positions are meant."
            )
