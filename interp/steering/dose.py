"""How much of an edit does how much: dose-response of steering from one language to another, beside random edits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.languages.fidelity import language_fidelity
from interp.models import facts, provenance
from interp.neurons.units import Neurons
from interp.results import Result
from interp.steering.dose_table import Cell, cells_of, dataset
from interp.steering.edits import EDITS, Edit, Plan, language_direction, random_direction, steer_along, steer_language
from interp.steering.evidence import FEWEST_DRAWS, check_draws
from interp.steering.trial import WORDS, SteerTask, Trial, measure
from interp.types import Model

_METHOD = (
    "Every token of texts in {source} is edited towards {target}; strength 0 is the unedited run. value: mean over "
    "documents with its 95 % bootstrap interval; control: the same under {n_draws} random edits, as many neurons in "
    "the same layers, each near one of these in mean size of activation in the language whose neurons they are, with "
    "values of their own; for a direction, random ones of the same length. The control's interval is from the smallest "
    "draw to the largest. change: value minus the unedited run; above_control: minus the mean of the draws, by "
    "document; p: rank of the change's size among the draws'; q_fdr: Benjamini and Hochberg over all cells. Meaning: "
    "log-probability of the aligned text in {target} after its source, minus that of another document's. A rise of the "
    "target language that random edits share, or that costs the loss on its texts as much as on others, is damage, not "
    "steering."
)


@dataclass(frozen=True)
class Doses:
    """Which edits, how strong, of how many neurons, beside how many random ones.

    Raises:
        InputError: nothing to run, too few draws, or a number that means nothing.
    """

    edits: tuple[Edit, ...] = ("zero", "median", "add", "clamp", "direction")
    strengths: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    """Above zero; the unedited run is added."""
    counts: tuple[int | None, ...] = (None,)
    """Numbers of neurons, the strongest first; None for all."""
    layers: tuple[int, ...] | None = None
    """After which blocks the direction is added, one at a time; by default the one in the middle."""
    n_draws: int = FEWEST_DRAWS
    n_tokens: int = 40
    """Tokens of each continuation; 0 for none."""
    among: tuple[str, ...] | None = None
    """Languages that the identifier of continuations chooses from; by default all it knows."""

    def __post_init__(self) -> None:
        check_draws(self.n_draws)
        if unknown := [edit for edit in self.edits if edit not in EDITS]:
            raise InputError(f"There are no edits {unknown}. Expected some of {list(EDITS)}.")
        if not (self.edits and self.strengths and self.counts):
            raise InputError("No edits, strengths or counts leave nothing to run. Expected at least one of each.")
        if not all(np.isfinite(one) and one > 0 for one in self.strengths):
            raise InputError(f"Strengths are {self.strengths}. Expected finite numbers above 0; 0 is always run.")
        if len(set(self.strengths)) < len(self.strengths) or len(set(self.counts)) < len(self.counts):
            raise InputError(f"A strength or count stands twice: {self.strengths}, {self.counts}. Give each once.")
        if any(count is not None and count < 1 for count in self.counts) or self.n_tokens < 0:
            raise InputError(
                f"Counts {self.counts} and {self.n_tokens} tokens. Expected one neuron or more, tokens >= 0."
            )


def dose_response(model: Model, task: SteerTask, doses: Doses | None = None, *, seed: int = 0) -> Result:
    """Steer texts of one language towards another, more and more, and read language, loss, continuations and meaning.

    Args:
        model: A hooked decoder with a tokenizer; continuations need Hugging Face's cache of keys and values.
        task: Texts, neurons and values.
        doses: Which edits, and how much of them.
        seed: Decides draws, samples and resamples.

    Returns:
        A `dose_response` result over `setting` (an edit of so many neurons, or a direction at a layer), `strength` and
        `measure`: `value`, `control`, `change` and `above_control` with intervals, `p`, `q_fdr`, `stands` (a change
        larger than any draw's, apart from their mean by its interval), `n` (documents). Cells without value are not
        `ran`.

    Raises:
        InputError: more neurons asked for than there are, or a layer the model lacks.

    Example:
        >>> task = SteerTask("en", "fr", texts, neurons_by_language(table, "auroc", n=20), levels, vocabulary)
        >>> plot(dose_response(model, task, Doses(counts=(5, 20))))

    Source: Kojima et al. 2024 (arXiv:2404.02431); Gurgurov et al. 2025 (arXiv:2507.22608).
    """
    asked = doses or Doses()
    settings = list(_settings(model, task, asked, seed))
    strengths = sorted(asked.strengths)
    trial = Trial.of(model, task, n_tokens=asked.n_tokens, among=asked.among, seed=seed)
    plain = measure(model, trial)
    cells: list[list[list[Cell]]] = []
    with tqdm(
        total=len(settings) * len(strengths) * (1 + asked.n_draws), desc="doses", unit="run", leave=False, delay=2
    ) as bar:
        for setting in settings:
            row = [cells_of(plain, plain, np.stack([plain] * asked.n_draws), seed)]
            for strength in strengths:
                runs = []
                for plan in setting.plans(task, strength):
                    runs.append(measure(model, trial, plan))
                    bar.update()
                row.append(cells_of(plain, runs[0], np.stack(runs[1:]), seed))
            cells.append(row)
    return Result(
        kind="dose_response",
        data=dataset(cells, [0.0, *strengths], {one.name: (one.edit, one.n_neurons, one.layer) for one in settings}),
        unit="by measure: probability, nats per token, or line pass rate",
        sign="More of the target language, more meaning and less loss are what steering is for.",
        method=_METHOD.format(source=task.source, target=task.target, n_draws=asked.n_draws),
        provenance=provenance(
            model,
            tokens=[trial.batch.tokens],
            call=f"dose_response({task.source!r} to {task.target!r}, {asked}, seed={seed})",
            seed=seed,
        ),
        baselines=_true_texts(task, asked),
        notes=_notes(task, asked, trial),
    )


@dataclass(frozen=True)
class _Setting:
    """One edit, and the same of what was drawn at random."""

    edit: Edit
    n_neurons: int
    """0 for a direction."""
    layer: int
    """-1 for neurons."""
    neurons: tuple[Neurons, ...] = ()
    """Those of the language, then each draw."""
    directions: tuple[Float[np.ndarray, " d_model"], ...] = ()

    @property
    def name(self) -> str:
        if self.edit == "direction":
            return f"direction after block {self.layer}"
        return f"{self.edit}, {self.n_neurons} neuron{'s' * (self.n_neurons != 1)}"

    def plans(self, task: SteerTask, strength: float) -> Iterator[Plan]:
        if self.edit == "direction":
            yield from (steer_along(each, self.layer, strength=strength) for each in self.directions)
            return
        language = _language_of(self.edit, task)
        for those in self.neurons:
            yield steer_language(task.levels, those, self.edit, language=language, strength=strength)


def _language_of(edit: Edit, task: SteerTask) -> str:
    return task.source if edit == "zero" else task.target


def _settings(model: Model, task: SteerTask, doses: Doses, seed: int) -> Iterator[_Setting]:
    for edit in doses.edits:
        if edit == "direction":
            for layer in doses.layers if doses.layers is not None else (facts(model).n_layers // 2,):
                like, rng = language_direction(task.levels, layer, source=task.source, target=task.target), _rng(seed)
                drawn = tuple(random_direction(like, rng) for _ in range(doses.n_draws))
                yield _Setting(edit, 0, layer, directions=(like, *drawn))
            continue
        language = _language_of(edit, task)
        every, activity = task.neurons[language], task.levels.size[task.levels.number(language)]
        for count in doses.counts:
            n = len(every) if count is None else count
            if not 1 <= n <= len(every):
                raise InputError(f"{language!r} has {len(every)} neurons; {n} were asked for. Choose fewer, or others.")
            those, rng = Neurons(every.layer[:n], every.neuron[:n]), _rng(seed)
            # The same draws for every edit and strength, so that curves are of one set each.
            yield _Setting(edit, n, -1, (those, *(those.like(activity, rng) for _ in range(doses.n_draws))))


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _true_texts(task: SteerTask, doses: Doses) -> dict[str, float]:
    """Line pass rates of what people wrote: what the identifier makes of text that is in the language for certain."""
    if not doses.n_tokens:
        return {}
    rates = {
        name: language_fidelity(task.texts[name], name, among=doses.among).lpr for name in (task.source, task.target)
    }
    return {f"line pass rate of the texts in {name}": rate for name, rate in rates.items() if rate is not None}


def _notes(task: SteerTask, doses: Doses, trial: Trial) -> dict[str, Any]:
    return {
        "control": f"{doses.n_draws} random edits of the same size: as many neurons of the same layers and activity, "
        "or a direction of the same length",
        "n_samples": len(trial.batch),
        "n_groups": len(task.texts[task.source]),
        "n_draws": doses.n_draws,
        "smallest_p": 1 / (1 + doses.n_draws),
        "source": task.source,
        "target": task.target,
        "edits": {edit: EDITS[edit] for edit in doses.edits},
        "measures": WORDS,
        "among": None if doses.among is None else list(doses.among),
    }
