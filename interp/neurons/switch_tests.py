"""Do neurons that follow switches do anything? Set them, and see in which language the next word is expected.

A set of neurons, or one neuron, is edited beside as many random others of the same layers and of about the same
activity, drawn at least 20 times. One cell was chosen beforehand to decide: neurons held at their median of non-switch
tokens, and the probability that the word after the first word of the new language is of that language. They earn the
name of code-switching neurons where their effect on it lies outside all draws, and its bootstrap interval over
documents excludes zero. All other cells are shown, and decide nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.models import provenance
from interp.neurons.next_language import LanguageVocabulary
from interp.neurons.switch_edits import EDITS, Levels, edit_of, read_levels
from interp.neurons.switch_material import SwitchMaterial
from interp.neurons.switch_measures import AFTER, MEASURES, PerDocument, Trial, measure
from interp.neurons.units import Neurons
from interp.results import Result
from interp.statistics import bootstrap_interval
from interp.types import Model

FEWEST_DRAWS = 20
DECIDES = ("median", "new language, after its first word")
"""The edit and the measure that decide."""
_METHOD = (
    "Neurons are held at zero, held at their median of word-initial tokens without a switch (everywhere, or at the "
    "first token of the new language alone), or set to their mean of switch tokens wherever a word begins without a "
    "switch. Every change is against the unedited run, mean over documents, with a 95 % bootstrap interval over "
    "documents; the control is the mean over {n_draws} draws of as many random neurons of the same layers, each near "
    "one of these in mean size of activation, edited in the same way with their own values; p is the rank of the "
    "effect's size among the draws. Values come from other documents than the test. An effect no larger than the "
    "draws' speaks for the disturbance, not for these neurons."
)
_NUMBERS = ("effect", "control", "above_control")


@dataclass(frozen=True)
class _Subject:
    """Neurons that are edited together, and their random others."""

    name: str
    neurons: Neurons
    draws: tuple[Neurons, ...]
    edits: tuple[str, ...]


@dataclass
class _Bench:
    """Runs edits, each once."""

    model: Model
    trial: Trial
    vocabulary: LanguageVocabulary
    levels: Levels
    bar: tqdm

    def __post_init__(self) -> None:
        self.plain = measure(self.model, self.trial, self.vocabulary)
        self._known: dict[tuple[str, str], PerDocument] = {}

    def change(self, edit: str, neurons: Neurons) -> PerDocument:
        key = edit, " ".join(sorted(neurons.names))
        if key not in self._known:
            run = edit_of(edit, neurons, self.levels, self.trial.material.tokens)
            self._known[key] = measure(self.model, self.trial, self.vocabulary, run) - self.plain
        self.bar.update()
        return self._known[key]


def switch_tests(
    model: Model,
    material: SwitchMaterial,
    neurons: Neurons,
    vocabulary: LanguageVocabulary,
    *,
    n_draws: int = FEWEST_DRAWS,
    n_single: int = 0,
    seed: int = 0,
) -> Result:
    """Edit neurons around switches and elsewhere, beside random neurons of the same layers and activity.

    The values that neurons are set to come from the half of the documents on which `find_switching_units` searches with
    the same seed, the changes from the other half.

    Args:
        model: A hooked decoder.
        material: What `switch_aligned` or `pair_switches` makes. For switches that somebody wrote, the measures that
            compare with the old word are left out.
        neurons: Which neurons; the strongest first.
        vocabulary: What `learn_vocabulary` counted.
        n_draws: Random sets of neurons.
        n_single: How many of the neurons to test alone, too, in the order given, by the edit that decides.
        seed: Decides the split, the draws and the resamples.

    Returns:
        A `switch_tests` result over `subject`, `edit` and `measure`: `effect`, `control` and `above_control` with
        intervals (the control's: smallest and largest draw), `p`, `stands` (outside all draws, interval without zero),
        `plain` (unedited) and `earned` by subject. Cells that an edit cannot reach are not `ran`.

    Raises:
        InputError: no neurons, too few draws, or material that lists no switches.
    """
    if not len(neurons) or n_draws < FEWEST_DRAWS:
        raise InputError(
            f"{len(neurons)} neurons and {n_draws} draws. Expected at least one neuron, and {FEWEST_DRAWS} draws: with "
            "fewer, an effect outside all of them is no evidence."
        )
    found, tested = material.halves(seed=seed)
    levels = read_levels(model, found, seed=seed)
    subjects = _subjects(neurons, levels, (n_draws, n_single), seed)
    total = sum(len(subject.edits) * (1 + len(subject.draws)) for subject in subjects)
    with tqdm(total=total, desc="switch tests", unit="run", leave=False, delay=2) as bar:
        bench = _Bench(model, Trial.of(tested), vocabulary, levels, bar)
        cells = {
            (subject.name, edit): _cells(bench, subject, edit, seed) for subject in subjects for edit in subject.edits
        }
    return Result(
        kind="switch_tests",
        data=_dataset(cells, [subject.name for subject in subjects], _means(bench.plain)),
        unit="change against the unedited run (by measure: probability, or nats per token)",
        sign="Positive means more probability, or a larger loss, with the edit than without it.",
        method=_METHOD.format(n_draws=n_draws),
        provenance=provenance(
            model,
            tokens=[material.tokens.batch.tokens],
            call=f"switch_tests({len(neurons)} neurons, n_draws={n_draws}, n_single={n_single}, seed={seed})",
            seed=seed,
        ),
        notes={
            "control": f"{n_draws} draws of random neurons of the same layers and activity, edited in the same way",
            "n_samples": len(bench.trial.cases),
            "n_groups": len(bench.trial.documents),
            "n_draws": n_draws,
            "neurons": neurons.names,
            "edits": EDITS,
            "decides": list(DECIDES),
        },
    )


def _means(plain: PerDocument) -> Float[np.ndarray, " measure"]:
    """Mean over documents; NaN for a measure that none has, as where nobody knows how else a sentence goes on."""
    there = np.isfinite(plain)
    count = there.sum(0)
    total = np.where(there, plain, 0.0).sum(0)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _subjects(neurons: Neurons, levels: Levels, counts: tuple[int, int], seed: int) -> list[_Subject]:
    (n_draws, n_single), rng = counts, np.random.default_rng(seed)
    together = tuple(neurons.like(levels.activity, rng) for _ in range(n_draws))
    subjects = [_Subject(f"{len(neurons)} neurons", neurons, together, tuple(EDITS))]
    for number in range(min(n_single, len(neurons))):
        one = Neurons(neurons.layer[[number]], neurons.neuron[[number]])
        others = _nearest(one, neurons, levels.activity, n_draws)
        subjects.append(_Subject(one.names[0], one, others, DECIDES[:1]))
    return subjects


def _nearest(
    one: Neurons, every: Neurons, activity: Float[np.ndarray, "layer neuron"], n_draws: int
) -> tuple[Neurons, ...]:
    """The others of its layer that are nearest in activity."""
    layer, neuron = int(one.layer[0]), int(one.neuron[0])
    free = np.setdiff1d(np.arange(activity.shape[1]), every.by_layer()[layer])
    if len(free) < n_draws:
        raise InputError(f"Layer {layer} has {len(free)} other neurons for {n_draws} draws. Choose fewer neurons.")
    near = free[np.argsort(np.abs(activity[layer, free] - activity[layer, neuron]), kind="stable")[:n_draws]]
    return tuple(Neurons(np.array([layer]), np.array([other])) for other in near)


def _cells(bench: _Bench, subject: _Subject, edit: str, seed: int) -> list[dict[str, float] | None]:
    """Numbers of every measure; None where the edit cannot reach it, or no document has it."""
    change = bench.change(edit, subject.neurons)
    draws = np.stack([bench.change(edit, others) for others in subject.draws])
    reached = AFTER if edit == "median at the switch" else range(len(MEASURES))
    return [
        _numbers(change[:, place], draws[:, :, place], seed) if place in reached else None
        for place in range(len(MEASURES))
    ]


def _numbers(
    change: Float[np.ndarray, " document"], draws: Float[np.ndarray, "draw document"], seed: int
) -> dict[str, float] | None:
    there = np.isfinite(change)
    if there.sum() < 2:
        return None
    change, draws = change[there], draws[:, there]
    effect, means = float(change.mean()), draws.mean(1)
    above = change - draws.mean(0)
    (low, high), (above_low, above_high) = (bootstrap_interval(values, seed=seed) for values in (change, above))
    p = float((1 + (np.abs(means) >= abs(effect)).sum()) / (1 + len(means)))
    outside = effect > means.max() or effect < means.min()
    return {
        "effect": effect,
        "effect_low": float(low),
        "effect_high": float(high),
        "control": float(means.mean()),
        "control_low": float(means.min()),
        "control_high": float(means.max()),
        "above_control": float(above.mean()),
        "above_control_low": float(above_low),
        "above_control_high": float(above_high),
        "p": p,
        "stands": float(outside and p <= 1 / (1 + len(means)) and (low > 0 or high < 0)),
    }


def _dataset(cells: Mapping[tuple[str, str], Any], subjects: list[str], plain: np.ndarray) -> xr.Dataset:
    edits, measures = list(EDITS), list(MEASURES)
    grid = [[cells.get((subject, edit), [None] * len(measures)) for edit in edits] for subject in subjects]
    names = [f"{name}{end}" for name in _NUMBERS for end in ("", "_low", "_high")]
    dims = ("subject", "edit", "measure")
    variables: dict[str, Any] = {
        name: (dims, np.array([[[cell[name] if cell else np.nan for cell in row] for row in of] for of in grid]))
        for name in [*names, "p"]
    }
    ran = np.array([[[cell is not None for cell in row] for row in of] for of in grid])
    stands = np.array([[[bool(cell and cell["stands"]) for cell in row] for row in of] for of in grid])
    decided = stands[:, edits.index(DECIDES[0]), measures.index(DECIDES[1])]
    variables |= {"ran": (dims, ran), "stands": (dims, stands), "earned": ("subject", decided)}
    variables |= {"plain": ("measure", plain), "unit": ("measure", np.array(list(MEASURES.values()), object))}
    data = xr.Dataset(variables, {"subject": subjects, "edit": edits, "measure": measures})
    return data.isel(measure=np.flatnonzero(np.isfinite(plain)))
