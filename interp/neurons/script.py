"""Do language neurons follow the language or its script? The same texts romanised, and with words and letters mixed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.languages import romanise, shuffle_letters, shuffle_words
from interp.models import encode, provenance
from interp.neurons.activity import TextActivity, text_activity
from interp.neurons.scoring import METHODS, Evidence, Selection
from interp.neurons.separation import auroc
from interp.neurons.units import Neurons
from interp.results import Result
from interp.types import Model

N_DRAWS, N_RESAMPLES = 20, 200
_METHOD = (
    "Neurons found by AUROC (from {least_auroc:.3g} on, q up to 0.05) on one half of the lines as written; then AUROC "
    "of their mean activation, lines of their language against all others, on the other half in every version, mean "
    "over the neurons of a language. Romanised: all scripts in ASCII by a table. Words shuffled: within the line. "
    "Letters shuffled: within each word. Interval: 95 %, bootstrap over lines. Control: the mean of {n_draws} draws of "
    "as many random neurons of the same layers and activity. A neuron that falls to its control when romanised follows "
    "the script, or tokens that only this spelling has; one that stands follows what survives spelling. Standing is "
    "not evidence that the model uses it."
)


def follow_script(
    model: Model,
    texts: Mapping[str, Sequence[str]],
    *,
    selection: Selection | None = None,
    seed: int = 0,
) -> Result:
    """Find language neurons on texts as written, and see whether they stand when script or order is taken away.

    Args:
        model: A hooked model with a tokenizer.
        texts: Lines by language, such as `AlignedTexts.lines`; each line is a document.
        selection: What a neuron must reach to be found.
        seed: Decides shuffles, random neurons and resamples.

    Returns:
        Kind `script_or_language`, over `version` and `language`: `auroc` with its interval, `control`, `kept` (share
        of the neurons still at the AUROC they were found by). Not `ran` where no neuron was found. `n_found` by
        language. Above 0.5: still more active in its language.

    Raises:
        InputError: fewer than four lines of a language, or no neuron found in any.
        PromptError: a line that does not fit the model's context.
    """
    chosen, rng = selection or Selection(), np.random.default_rng(seed)
    if short := [name for name, lines in texts.items() if len(lines) < 4]:
        raise InputError(f"{short} have fewer than four lines. Expected enough to find neurons on one half of them.")
    activity = {name: _activity(model, texts, written) for name, written in _versions(rng).items()}
    first = next(iter(activity.values())).halves()[0]
    found = _Found.of(Evidence.of(first).scored(first.language, chosen).found[METHODS.index("auroc")])
    if not len(found.language):
        raise InputError(
            f"No neuron reaches AUROC {chosen.least_auroc:.3g} for a language. Give more lines, or ask for less."
        )
    drawn = [found.like(np.abs(first.mean).mean(0), rng) for _ in range(N_DRAWS)]
    measured = {name: _measure(of.halves()[1], found, drawn, chosen, rng) for name, of in activity.items()}
    names = tuple(next(iter(activity.values())).languages)
    n_found = np.bincount(found.language, minlength=len(names))
    variables = {
        key: (("version", "language"), np.stack([of[key] for of in measured.values()]))
        for key in ("auroc", "auroc_low", "auroc_high", "control", "kept")
    }
    ran = np.broadcast_to(n_found > 0, (len(measured), len(names)))
    n_lines = sum(map(len, texts.values()))
    return Result(
        kind="script_or_language",
        data=xr.Dataset(
            {**variables, "n_found": ("language", n_found), "ran": (("version", "language"), ran.copy())},
            {"version": np.array(list(measured), object), "language": np.array(names, object)},
        ),
        unit="AUROC of a line's mean activation, mean over neurons",
        sign="Above 0.5: the neurons are still more active in their language",
        method=_METHOD.format(least_auroc=chosen.least_auroc, n_draws=N_DRAWS),
        provenance=provenance(
            model,
            tokens=[encode(model, line) for lines in texts.values() for line in lines],
            call=f"follow_script({n_lines} lines, {chosen}, seed={seed})",
            seed=seed,
        ),
        notes={
            "control": "as many random neurons of the same layers and activity",
            "n_samples": n_lines,
            "least_auroc": chosen.least_auroc,
        },
    )


def _versions(rng: np.random.Generator) -> dict[str, Callable[[str], str]]:
    return {
        "as written": lambda line: line,
        "romanised": lambda line: romanise(line),
        "words shuffled": lambda line: shuffle_words(line, rng),
        "letters shuffled": lambda line: shuffle_letters(line, rng),
    }


def _activity(model: Model, texts: Mapping[str, Sequence[str]], written: Callable[[str], str]) -> TextActivity:
    return text_activity(model, {name: [encode(model, written(line)) for line in rows] for name, rows in texts.items()})


@dataclass(frozen=True)
class _Found:
    """Pairs of a neuron and the language it was found for."""

    neurons: Neurons
    language: Int[np.ndarray, " pair"]

    @classmethod
    def of(cls, found: np.ndarray) -> "_Found":
        layer, neuron, language = np.nonzero(found)
        return cls(Neurons(layer, neuron), language)

    def like(self, activity: Float[np.ndarray, "layer neuron"], rng: np.random.Generator) -> "_Found":
        """As many random neurons for each language, of the layers that its own lie in."""
        drawn, languages = [], np.unique(self.language)
        for number in languages:
            mine = self.language == number
            drawn.append(Neurons(self.neurons.layer[mine], self.neurons.neuron[mine]).like(activity, rng))
        layer, neuron = (np.concatenate([getattr(each, name) for each in drawn]) for name in ("layer", "neuron"))
        return _Found(Neurons(layer, neuron), np.repeat(languages, [len(each) for each in drawn]))

    def aurocs(self, activity: TextActivity, rows: Int[np.ndarray, " row"]) -> Float[np.ndarray, " pair"]:
        """Of each pair, on some lines."""
        values = activity.mean[rows][:, self.neurons.layer, self.neurons.neuron]
        result = np.empty(len(self.language))
        for number in np.unique(self.language):
            mine = self.language == number
            result[mine] = auroc(values[:, mine], activity.language[rows] == number)
        return result

    def by_language(self, values: Float[np.ndarray, " pair"], n_languages: int) -> Float[np.ndarray, " language"]:
        """Mean over the neurons of each language; NaN where there is none."""
        n = np.bincount(self.language, minlength=n_languages)
        total = np.bincount(self.language, values, minlength=n_languages)
        return np.divide(total, n, out=np.full(n_languages, np.nan), where=n > 0)


def _measure(
    activity: TextActivity, found: _Found, drawn: Sequence[_Found], selection: Selection, rng: np.random.Generator
) -> dict[str, Float[np.ndarray, " language"]]:
    n, every = len(activity.languages), np.arange(len(activity))
    scores = found.aurocs(activity, every)
    resampled = [found.by_language(found.aurocs(activity, _resampled(activity, rng)), n) for _ in range(N_RESAMPLES)]
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    return {
        "auroc": found.by_language(scores, n),
        "auroc_low": low,
        "auroc_high": high,
        "control": np.mean([each.by_language(each.aurocs(activity, every), n) for each in drawn], axis=0),
        "kept": found.by_language((scores >= selection.least_auroc).astype(float), n),
    }


def _resampled(activity: TextActivity, rng: np.random.Generator) -> Int[np.ndarray, " row"]:
    """Lines drawn with replacement, as many of each language."""
    rows = [np.flatnonzero(activity.language == number) for number in range(len(activity.languages))]
    return np.concatenate([rng.choice(mine, len(mine)) for mine in rows])
