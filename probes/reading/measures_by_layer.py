"""Labels of any kind read off by layer: every measure beside its controls."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.results import Provenance, Result
from interp.statistics import sign_flips
from probes.reading.by_layer import N_DIRECTIONS, N_SHUFFLES, as_variables, check_control
from probes.reading.cell_readers import FLOORS, CellReader, LargeProbe, Scores, reader_of
from probes.reading.intervals import measure_over_groups
from probes.reading.portions import Portion, SweepPlan
from probes.samples.data import LabelledActivations
from probes.samples.labels import AnyLabels

Stack = Float[np.ndarray, "layer sample d_model"]
_METHOD = (
    "{reader} on the activations of each layer, standardised on the samples it is fitted to, {folds}. Intervals: 95 % "
    "bootstrap over groups of the held-out predictions, without fitting anew. p is two-sided, of held-out predictions "
    "against the shuffled control's (the mean of its permutations), by flipping signs of groups; p_corrected over "
    "layers (below the control it is no sign of anything, however small). A good measure shows that the label can be "
    "read off linearly; it is not evidence that the model uses it."
)
_CONTROL = (
    "shuffled: the same probe on labels permuted between groups ({n_shuffles} permutations; the interval is of one); "
    "random weights: the same probe on the same samples run through the same architecture with random weights; random "
    "direction: the same probe on as many random directions as the label needs ({n_directions} draws); {floor}"
)


def probe_measures(
    data: LabelledActivations,
    control_activations: Stack,
    provenance: Provenance,
    *,
    probe: LargeProbe | None = None,
    n_splits: int = 5,
    seed: int = 0,
) -> Result:
    """Measure by layer, in every way there is, how well labels of any kind can be read off linearly.

    Classes are read by logistic regression, several labels to a sample by one for each, numbers by ridge regression.
    Only the distance to the highest control speaks for the trained weights.

    Args:
        data: Activations with labels and groups.
        control_activations: The same samples in the same architecture with random weights.
        provenance: Where the activations come from.
        probe: A `LargeLogisticProbe`, or for numbers a `LargeRidgeProbe`.
        n_splits: Folds, split by group.
        seed: Decides folds, permutations, directions and resamples.

    Returns:
        A `probe_measures` by layer. Of numbers `r2`, `pearson` and `spearman`; of several labels `accuracy`,
        `exact_match`, `macro_f1`, `auroc`, `log_loss_nats` and `brier`; of classes those of
        `classification_measures`. Log-loss, Brier score and calibration error: smaller is better, else larger. Beside
        each `control_shuffled_`, `control_random_weights_` and `control_random_direction_` of the same name, and
        `control_majority_`, or `control_mean_r2`. `p` and `p_corrected` are those of the first measure.

    Raises:
        InputError: rows of numbers, a probe for other labels, control activations of another shape or not finite, too
            few groups, or a probe that does not converge.
    """
    check_control(data, control_activations)
    reader = reader_of(data.labels, probe, seed=seed)
    plan = SweepPlan(n_splits, n_shuffles=N_SHUFFLES, seed=seed)
    portion = Portion.of(data.labels, data.groups, np.arange(len(data.labels)), plan)
    study = _Study(data, reader, portion, seed)
    variables, above = study.run(control_activations)
    variables |= _floors(data, reader)
    flips = sign_flips(above, seed=seed)
    variables |= {"p": ("layer", flips.p), "p_corrected": ("layer", flips.p_corrected)}
    control = _CONTROL.format(n_shuffles=N_SHUFFLES, n_directions=N_DIRECTIONS, floor=FLOORS[reader.floor])
    return Result(
        kind="probe_measures",
        data=xr.Dataset(variables, {"layer": list(data.layers)}),
        unit=reader.unit,
        sign=reader.sign,
        method=_METHOD.format(reader=reader.method, folds=plan.in_words),
        provenance=provenance,
        notes={
            "control": control,
            "measure": reader.measure,
            "n_samples": len(data.labels),
            "n_groups": len(np.unique(data.groups)),
        },
    )


@dataclass(frozen=True)
class _Study:
    """What is read, and how."""

    data: LabelledActivations
    reader: CellReader
    portion: Portion
    seed: int

    def run(self, control_activations: Stack) -> tuple[dict[str, Any], Float[np.ndarray, "group layer"]]:
        """Every measure of every condition by layer; and by group how much better the true labels are read."""
        found: dict[str, list[list[Any]]] = {
            name: [] for name in ("", "shuffled", "random_weights", "random_direction")
        }
        above, member = [], np.unique(self.data.groups, return_inverse=True)[1]
        drawn = self._directions()
        # Fits this small are slower on several threads, and a hundred times slower where the cores are shared.
        n_layers = self.data.n_layers
        with threadpool_limits(1), tqdm(total=n_layers, desc="probe", unit="layer", leave=False, delay=2) as bar:
            for X, other in zip(self.data.X, control_activations, strict=True):
                (true, *shuffled), scores = self._read(X, self.portion.labellings)
                found[""].append([true])
                found["shuffled"].append(shuffled)
                found["random_weights"].append(self._read(other, self.portion.labellings[:1])[0])
                found["random_direction"].append(
                    [self._read(X.astype(np.float64) @ one, self.portion.labellings[:1])[0][0] for one in drawn]
                )
                above.append(np.bincount(member, scores[0] - scores[1:].mean(0)))
                bar.update()
        variables: dict[str, Any] = {}
        for condition, runs in found.items():
            variables |= self._measured(condition, runs)
        return variables, np.stack(above, 1)

    def _read(self, X: np.ndarray, labellings: list[AnyLabels]) -> tuple[list[Any], Scores]:
        """Held-out predictions and scores of all samples, for each labelling, fitted together."""
        raw, scores = None, np.empty((len(labellings), len(X)))
        for fold in self.portion.folds:
            said = self.reader.predict(X, labellings, fold)
            raw = np.empty((len(labellings), len(X), said.shape[2])) if raw is None else raw
            raw[:, fold.test], scores[:, fold.test] = said, self.reader.score_of(said, labellings, fold)
        pairs = zip(raw if raw is not None else [], labellings, strict=True)
        return [self.reader.predictions(each, labels) for each, labels in pairs], scores

    def _directions(self) -> Float[np.ndarray, "draw d_model n"]:
        width = self.data.X.shape[-1]
        n = min(self.reader.n_directions(self.data.labels), width)
        return np.random.default_rng(self.seed).normal(size=(N_DIRECTIONS, width, n))

    def _measured(self, condition: str, layers: list[list[Any]]) -> dict[str, Any]:
        variables: dict[str, Any] = {}
        for name, make in self.reader.measures.items():
            estimates = [
                measure_over_groups([make(run) for run in runs], self.data.groups, seed=self.seed) for runs in layers
            ]
            variables |= as_variables(f"control_{condition}_{name}" if condition else name, estimates)
        return variables


def _floors(data: LabelledActivations, reader: CellReader) -> dict[str, tuple[str, np.ndarray]]:
    """Measures of the best predictions without looking, where there are any."""
    known, once = reader.known_beforehand(data.labels), np.ones((1, len(data.labels)))
    if known is None:
        return {f"{reader.floor}_{reader.measure}": ("layer", np.full(data.n_layers, reader.score_floor(data.labels)))}
    found = {name: float(make(known)(once)[0]) for name, make in reader.measures.items()}
    return {f"{reader.floor}_{name}": ("layer", np.full(data.n_layers, value)) for name, value in found.items()}
