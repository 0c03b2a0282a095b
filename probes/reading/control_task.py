"""Control tasks: labels that a probe can only learn by heart, word by word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Shaped
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.results import Provenance, Result
from probes.reading.by_layer import as_variables, notes_on
from probes.reading.held_out import Classifier, predict_held_out, require_classes
from probes.reading.intervals import Estimate, mean_of, measure_over_groups
from probes.samples.data import LabelledActivations, Labels
from probes.samples.split import Fold, group_folds

N_CONTROLS = 5
"""Control tasks drawn; numbers are means over them, and intervals those of one."""
TokenIds = Shaped[np.ndarray, " _"]
"""Word type of each sample: its token id, or the word itself."""
Split = Literal["group", "sample"]

_METHOD = (
    "The same classifier is fitted to the labels and to {n_controls} control tasks, in which each word type has one "
    "label, drawn from the shares of the true labels and the same in every context (Hewitt & Liang 2019). Labels are "
    "split by group into {n_splits} folds, control tasks by {split}. Both are tested on the same samples: those whose "
    "word type occurs on the side that the control task is fitted to, for a label drawn for a type that was never seen "
    "cannot be known. Selectivity is accuracy minus accuracy of the control task, sample by sample; intervals are 95 % "
    "by bootstrap over groups and control tasks, without fitting anew. High selectivity says that the probe reads the "
    "label and does not know words by heart; it is not evidence that the model uses the label."
)
CONTROL = f"control task: the same classifier on labels drawn at random for each word type ({N_CONTROLS} draws)"


def control_labels(token_ids: TokenIds, labels: Labels, *, seed: int = 0) -> Labels:
    """Draw a label for each word type from the shares of the true labels, the same in every context.

    Args:
        token_ids: Word type of each sample.
        labels: True class of each sample, whose shares are drawn from.
        seed: Decides the draw.

    Raises:
        InputError: lengths that differ, or one word type only.

    Source: Hewitt & Liang 2019, Designing and Interpreting Probes with Control Tasks, sec. 2 (arXiv:1909.03368).
    """
    if len(token_ids) != len(labels):
        raise InputError(f"{len(token_ids)} token ids for {len(labels)} labels. Give one for each sample.")
    types, member = np.unique(token_ids, return_inverse=True)
    if len(types) < 2 or len(np.unique(labels)) < 2:
        raise InputError(
            f"{len(types)} word types and {len(np.unique(labels))} classes. Expected two of each: where all samples "
            "are the same word there is nothing to know by heart, so leave the control task out."
        )
    rng = np.random.default_rng(seed)
    while True:
        drawn = rng.choice(labels, len(types))
        if len(np.unique(drawn)) > 1:
            return drawn[member]


def control_task(
    data: LabelledActivations,
    estimator: Classifier,
    token_ids: TokenIds,
    provenance: Provenance,
    *,
    split: Split = "group",
    n_splits: int = 5,
    seed: int = 0,
) -> Result:
    """Measure by layer how much better a probe reads the label than it learns words by heart.

    Args:
        data: Activations with labels and groups.
        estimator: The classifier.
        token_ids: Word type of each sample; types must come back, or nothing could be known by heart.
        provenance: Where the activations come from.
        split: How control tasks are split. `group` is the paper's (its groups are sentences): a word is met again in
            another text. `sample` also lets samples of one text stand on both sides, for types that occur in one text
            only; it makes the control task easier, so selectivity can only fall.
        n_splits: Folds.
        seed: Decides folds, control tasks and resamples.

    Returns:
        By layer: `selectivity`, `task_accuracy` and `control_task_accuracy`, on the same samples. Positive: the label
        is read better than arbitrary labels of words.

    Raises:
        InputError: one word type, none that occurs on both sides, too few groups of a class, or a probe that does not
            converge.

    Source: Hewitt & Liang 2019, Designing and Interpreting Probes with Control Tasks (arXiv:1909.03368).
    """
    require_classes(data)
    plan = plan_controls(data, token_ids, split=split, n_splits=n_splits, seed=seed)
    variables = selectivity_variables(data, estimator, plan, seed=seed)
    return Result(
        kind="control_task",
        data=xr.Dataset(variables, {"layer": list(data.layers)}),
        unit="accuracy (share of held-out samples)",
        sign="Positive: the label is read better than labels drawn for each word.",
        method=_METHOD.format(n_controls=N_CONTROLS, n_splits=n_splits, split=split),
        provenance=provenance,
        notes=notes_on(data, CONTROL) | plan.counts(token_ids),
    )


@dataclass(frozen=True)
class ControlPlan:
    """Control tasks, the folds of both, and on which samples they are compared."""

    folds: list[Fold]
    """Of the true labels."""
    control_folds: list[Fold]
    controls: list[Labels]
    seen: Bool[np.ndarray, " sample"]
    """Whether the word type of a sample occurs on the side that its control task is fitted to."""

    def counts(self, token_ids: TokenIds) -> dict[str, Any]:
        """Say how many word types there are, and how many samples are tested."""
        return {"n_word_types": len(np.unique(token_ids)), "n_tested": int(self.seen.sum())}


def plan_controls(
    data: LabelledActivations, token_ids: TokenIds, *, split: Split, n_splits: int, seed: int
) -> ControlPlan:
    """Draw control tasks and folds.

    Raises:
        InputError: as `control_task`.
    """
    controls = [control_labels(token_ids, data.labels, seed=seed + number) for number in range(N_CONTROLS)]
    folds = group_folds(data.labels, data.groups, n_splits=n_splits, seed=seed)
    control_folds = folds
    if split == "sample":
        splitter = KFold(n_splits, shuffle=True, random_state=seed)
        control_folds = [Fold(train, test) for train, test in splitter.split(token_ids)]
    seen = np.zeros(len(token_ids), bool)
    for fold in control_folds:
        seen[fold.test] = np.isin(token_ids[fold.test], token_ids[fold.train])
    if not seen.any():
        raise InputError(
            f"None of {len(np.unique(token_ids))} word types occurs on both sides of a split by {split}, so nothing "
            'could be known by heart. Give more samples of the same words, or split="sample".'
        )
    return ControlPlan(folds, control_folds, controls, seen)


def selectivity_variables(
    data: LabelledActivations, estimator: Classifier, plan: ControlPlan, *, seed: int = 0
) -> dict[str, Any]:
    """Compute selectivity, accuracy and accuracy of the control task by layer, each with its interval."""
    estimates: dict[str, list[Estimate]] = {"selectivity": [], "task_accuracy": [], "control_task_accuracy": []}
    # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
    with (
        threadpool_limits(1),
        tqdm(total=data.n_layers, desc="control task", unit="layer", leave=False, delay=2) as bar,
    ):
        for X in data.X:
            wide = X.astype(np.float64)
            right = _right(estimator, wide, data.labels, plan.folds)
            controls = [_right(estimator, wide, labels, plan.control_folds) for labels in plan.controls]
            differences = [right.astype(float) - control for control in controls]
            for runs, found in zip((differences, [right], controls), estimates.values(), strict=True):
                measures = [mean_of(run, plan.seen) for run in runs]
                found.append(measure_over_groups(measures, data.groups, seed=seed))
            bar.update()
    return {key: value for name, found in estimates.items() for key, value in as_variables(name, found).items()}


def _right(
    estimator: Classifier, X: Float[np.ndarray, "sample d_model"], labels: Labels, folds: Sequence[Fold]
) -> Bool[np.ndarray, " sample"]:
    predictions = predict_held_out(estimator, X, labels, folds)
    return predictions.answers == predictions.truth
