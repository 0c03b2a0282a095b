"""Study the bilingual model: its switches against the fit, what must not switch, free generation, and its layers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from interp.errors import InputError
from interp.lab.fit_of_the_word import Cells, fit_of_the_word, named
from interp.lab.fit_task import SHORTEST, A, B, Task, draw_choices, draw_documents
from interp.lab.switch_rate import Choice, closed_form, finite_log_probs, switch_rate
from interp.prompts import TokenBatch
from interp.results import Result
from interp.run import forward
from interp.run.lens import lens_layers, lens_probabilities
from interp.statistics import N_RESAMPLES, bootstrap_interval
from interp.types import Model

N_EACH = 120
"""Places for each number of synonyms."""
N_GENERATED = 256
COLD = 0.25
"""Temperature of free generation."""
_MORE = (
    " Held out: concepts that never switch in A documents of the corpus, at T = 1; the model saw them unswitched many "
    "times, so that this is no test of transfer. Transition: probability of the concept that follows in B documents "
    f"only. Generated: share of B among the words of switchable concepts that the model wrote at T = {COLD}, sampling "
    "from the whole vocabulary, bootstrap over documents. Lens: probability of all words of B before a word of A "
    "documents, if the model stopped at that layer."
)

Variables = dict[str, tuple[tuple[str, ...], np.ndarray]]


def study_fit(model: Model, task: Task, *, control: Model, n_each: int = N_EACH, seed: int = 1) -> Result:
    """Measure everything there is to see in a model trained on the bilingual corpus.

    Args:
        model: What `fit_training` trained.
        task: What it was trained on.
        control: The same architecture with random weights.
        n_each: Places for each number of synonyms.
        seed: Decides places, documents and resamples; none of them was trained on.

    Returns:
        The result of `fit_of_the_word`, with `held_out` and `generated` by `n_words`, `transition` by `document` and
        `lens` by `layer`, each with its interval and what stands beside it.

    Raises:
        InputError: too few places, or a number of synonyms that the model never wrote.
    """
    recipe = task.recipe
    choices, held_out = (draw_choices(task, n_each, held_out=held, seed=seed) for held in (False, True))
    frequent = np.bincount(
        draw_documents(task, recipe.pool, np.random.default_rng(recipe.seed)).tokens.ravel(),
        minlength=len(task.concept_of),
    ).astype(float)
    result = fit_of_the_word(model, choices, control=control, epsilon=recipe.epsilon, unigram=frequent, seed=seed)
    variables = {
        **_held_out(model, control, held_out, seed),
        **_generated(model, task, seed),
        **_transitions(model, control, task, seed),
        **_lens(model, control, task, [*choices, *held_out], seed),
    }
    coords = {"document": ["A", "B"], "layer": lens_layers(model)}
    notes = {"only_in_b": recipe.successors[1], "cold": COLD, "n_held_out": len(held_out)}
    return replace(
        result,
        data=result.data.merge(xr.Dataset(variables, {**coords, "n_words": result.data["n_words"].values})),
        method=result.method + _MORE,
        notes=result.notes | notes,
    )


def _held_out(model: Model, control: Model, choices: Sequence[Choice], seed: int) -> Variables:
    cells = Cells(np.array([len(choice.home) for choice in choices]), seed)
    share, untrained = (switch_rate(each, choices, temperatures=[1.0]).share for each in (model, control))
    found = cells.intervals(share, np.array([False]))[:, 0]
    return {**named("held_out", ("n_words",), found), "control_held_out": (("n_words",), cells.mean(untrained)[0])}


@dataclass(frozen=True)
class Written:
    """Words that a model wrote, by document."""

    concept: Int[np.ndarray, "document word"]
    """-1 where it is no word."""
    in_b: Bool[np.ndarray, "document word"]


def write_documents(model: Model, task: Task, n: int, *, temperature: float, seed: int) -> Written:
    """Let a model go on from the first words of A documents, drawing from its whole vocabulary.

    Args:
        model: A hooked decoder with the task's vocabulary.
        task: The language.
        n: Documents.
        temperature: Above 0.
        seed: Decides the beginnings and the draws.

    Raises:
        ModelError: logits that are NaN or infinite.
    """
    rng = np.random.default_rng([seed, 2])
    begun = draw_documents(task, n, rng, language=A).tokens[:, : SHORTEST + 1]
    tokens = begun
    while tokens.shape[1] <= task.recipe.n_words:
        logits = forward(model, TokenBatch(tokens, np.ones(tokens.shape, bool)))[:, -1]
        bounds = np.exp(finite_log_probs(logits / temperature)).cumsum(-1)[:, :-1]
        drawn = (rng.random(n)[:, None] >= bounds).sum(-1)
        tokens = np.concatenate([tokens, drawn[:, None]], axis=1)
    new = tokens[:, begun.shape[1] :]
    return Written(task.concept_of[new], np.isin(new, task.word_b))


def _generated(model: Model, task: Task, seed: int) -> Variables:
    written = write_documents(model, task, N_GENERATED, temperature=COLD, seed=seed)
    switchable = (written.concept >= 0) & ~task.held_out[written.concept]
    sizes = np.unique(task.n_synonyms)
    mine = [switchable & (task.n_synonyms[written.concept] == n) for n in sizes]
    count = np.array([of.sum() for of in mine])
    if not count.all():
        raise InputError(f"The model wrote no word of {sizes[count == 0].tolist()} synonyms. Train it for longer.")
    found = [_ratio((of & written.in_b).sum(1), of.sum(1), seed) for of in mine]
    return {
        **named("generated", ("n_words",), np.array(found).T),
        "generated_predicted": (("n_words",), closed_form(sizes, COLD, task.recipe.epsilon)),
        "n_generated": (("n_words",), count),
    }


def _ratio(
    part: Int[np.ndarray, " document"], whole: Int[np.ndarray, " document"], seed: int
) -> tuple[float, float, float]:
    """Share over all documents, and its interval by resampling documents; those without a word count for nothing."""
    there = whole > 0
    part, whole, rng = part[there], whole[there], np.random.default_rng(seed)
    drawn = rng.integers(0, len(whole), (N_RESAMPLES, len(whole)))
    low, high = np.percentile(part[drawn].sum(1) / whole[drawn].sum(1), [2.5, 97.5])
    return float(part.sum() / whole.sum()), float(low), float(high)


def _transitions(model: Model, control: Model, task: Task, seed: int) -> Variables:
    """Probability of the concept that follows in B documents only, by the document's language."""
    found, untrained = [], []
    for language in (A, B):
        contexts, concepts = _before(task, language, seed)
        words = [np.flatnonzero(task.concept_of == task.follows[concept, 1]) for concept in concepts]
        found.append(_mass(model, contexts, words))
        untrained.append(_mass(control, contexts, words))
    values = np.stack([_interval(of[:, -1], seed) for of in found], 1)
    dims = ("document",)
    return {
        **named("transition", dims, values),
        "control_transition": (dims, np.array([of[:, -1].mean() for of in untrained])),
        "n_transition": (dims, np.array([len(of) for of in found])),
    }


def _before(task: Task, language: int, seed: int) -> tuple[list[np.ndarray], list[int]]:
    """Beginnings of documents that end in a concept with such a transition, one of each document that has one."""
    drawn = draw_documents(task, 16 * N_EACH, np.random.default_rng([seed, 3, language]), language=language)
    found = task.only_in_b[drawn.concepts]
    found[:, :SHORTEST] = False
    rows = np.flatnonzero(found.any(1))[:N_EACH]
    if len(rows) < 2:
        raise InputError("No concept has a successor in B documents only. Expected `only_in_b` above 0.")
    last = found[rows].argmax(1)
    contexts = [drawn.tokens[row, : word + 2] for row, word in zip(rows, last, strict=True)]
    return contexts, drawn.concepts[rows, last].tolist()


def _lens(model: Model, control: Model, task: Task, choices: Sequence[Choice], seed: int) -> Variables:
    """Probability of all words of B, by layer."""
    contexts = [choice.context for choice in choices]
    found, untrained = (_mass(each, contexts, [task.word_b] * len(contexts)) for each in (model, control))
    values = np.stack([_interval(of, seed) for of in found.T], 1)
    return {**named("lens", ("layer",), values), "control_lens": (("layer",), untrained.mean(0))}


def _mass(
    model: Model, contexts: Sequence[np.ndarray], words: Sequence[Int[np.ndarray, " _"]]
) -> Float[np.ndarray, "context layer"]:
    batch = TokenBatch.of(contexts)
    return np.stack([of.sum(1) for of in lens_probabilities(model, batch, batch.lengths - 1, words)])


def _interval(values: Float[np.ndarray, " context"], seed: int) -> Float[np.ndarray, " 3"]:
    low, high = bootstrap_interval(values, seed=seed)
    return np.array([values.mean(), float(low), float(high)])
