"""What a label's floor is: what can be told from the input alone, before the model has done anything."""

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from threadpoolctl import threadpool_limits

from interp.models import provenance
from interp.results import Result
from interp.sites import Site
from interp.types import Model
from probes.estimators.linear import LogisticProbe
from probes.reading.by_layer import N_SHUFFLES, Condition, held_out
from probes.reading.controls import majority_accuracy, shuffled_labels
from probes.reading.intervals import accuracy_over_groups
from probes.samples.split import group_folds
from probes.tasks.task import ProbeTask, capture_samples

EMBEDDING, TOKEN = "embedding", "token"

_METHOD = (
    "Two readers of the input, in {n_splits} folds split by group, each sample predicted once by a reader that never "
    "saw its group. embedding: logistic regression (C={C}) on what enters the first block, standardised. token: "
    "logistic regression (C=1) on which token it is (one-hot), a dictionary of labels; of a token it never met it says "
    "what is most frequent. Intervals: 95 % bootstrap over groups of the held-out predictions, without fitting anew. "
    "Only what a probe of a layer finds above both is owed to what the model computed. Neither sees the tokens before, "
    "so what is above the floor may still be no more than a memory of those: random weights are the control for that."
)
_CONTROL = "shuffled: labels permuted between groups ({n_shuffles} permutations; the interval is of one)"


def input_floor(
    model: Model, task: ProbeTask, *, probe: LogisticProbe | None = None, n_splits: int = 5, seed: int = 0
) -> Result:
    """Measure how well the labels can be told from the current token alone.

    Use the same seed and number of folds as for the probes by layer, so that both are tested on the same folds.
    Positive: more held-out samples right.

    Args:
        model: The model whose input is read.
        task: Labelled positions.
        probe: Settings of the classifier of the embedding.
        n_splits: Folds, split by group.
        seed: Decides folds, permutations and resamples.

    Returns:
        By `source` (`embedding`, `token`): `accuracy` with `control_shuffled` and `control_majority`; and in the notes
        `unseen_tokens`, the share of samples whose token the reader never met when it was fitted.

    Raises:
        InputError: labels that are not classes, too few groups of a class, or a probe that does not converge.
        PromptError: prompts that do not fit the model.
    """
    task.require_classes()
    probe = probe or LogisticProbe()
    X = capture_samples(model, task, [Site(0, "resid_pre")])[0].astype(np.float64)
    tokens = task.batch.tokens[task.prompts, task.positions]
    true = _condition(task, task.labels, n_splits, seed)
    drawn = [shuffled_labels(task.labels, task.groups, seed=seed + number) for number in range(N_SHUFFLES)]
    shuffled = [_condition(task, labels, n_splits, seed) for labels in drawn]
    variables = {}
    # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
    with threadpool_limits(1):
        for name, runs in (("accuracy", [true]), ("control_shuffled", shuffled)):
            correct = [[held_out(X, run, probe) for run in runs], [tokens_held_out(tokens, run) for run in runs]]
            estimates = [accuracy_over_groups(np.stack(source), task.groups, seed=seed) for source in correct]
            for end in ("value", "low", "high"):
                variable = name if end == "value" else f"{name}_{end}"
                variables[variable] = ("source", np.array([getattr(each, end) for each in estimates]))
    variables["control_majority"] = ("source", np.full(2, majority_accuracy(task.labels)))
    return Result(
        kind="input_floor",
        data=xr.Dataset(variables, {"source": [EMBEDDING, TOKEN]}),
        unit="accuracy (share of held-out samples)",
        sign="A larger number means that more held-out samples are predicted right.",
        method=_METHOD.format(n_splits=n_splits, C=probe.C),
        provenance=provenance(
            model,
            tokens=[task.batch.tokens, task.batch.mask, task.prompts, task.positions],
            call=f"input_floor({task.what!r}, {n_splits=}, {seed=})",
            seed=seed,
        ),
        notes={
            "what": task.what,
            "control": _CONTROL.format(n_shuffles=N_SHUFFLES),
            "n_samples": len(task.labels),
            "n_groups": len(np.unique(task.groups)),
            "n_tokens": len(np.unique(tokens)),
            "unseen_tokens": _unseen(tokens, true),
        },
    )


def token_reader() -> Pipeline:
    """The unfitted scikit-learn estimator that knows a token by its number alone."""
    return make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression(C=1.0, max_iter=2000))


def tokens_held_out(tokens: Int[np.ndarray, " sample"], condition: Condition) -> Bool[np.ndarray, " sample"]:
    """Say which labels are told right from the token's number; False where no fold tests."""
    column: Float[np.ndarray, "sample 1"] = tokens[:, None].astype(np.float64)
    correct = np.zeros(len(tokens), bool)
    for fold in condition.folds:
        reader = token_reader().fit(column[fold.train], condition.labels[fold.train])
        correct[fold.test] = reader.predict(column[fold.test]) == condition.labels[fold.test]
    return correct


def _condition(task: ProbeTask, labels: np.ndarray, n_splits: int, seed: int) -> Condition:
    return Condition(labels, group_folds(labels, task.groups, n_splits=n_splits, seed=seed))


def _unseen(tokens: np.ndarray, condition: Condition) -> float:
    """Share of samples whose token stands in no sample that their reader was fitted to."""
    unseen = sum(int((~np.isin(tokens[fold.test], tokens[fold.train])).sum()) for fold in condition.folds)
    return unseen / len(tokens)
