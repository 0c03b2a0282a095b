"""Sections about the languages of a model: their neurons, what those do, and where language is decided."""

from interp.lens import language_lens, text_material
from interp.neuron_look.looking import Looking
from interp.neurons import depth_profile, language_neurons, language_overlap, method_agreement, text_activity
from interp.neurons.passages import label_passages
from interp.report import Section
from interp.results import Result
from interp.steering import Doses, SteerTask, ablation_matrix, dose_response, neurons_by_language, read_levels

MATRIX_METHODS = ("lape", "auroc")
"""Methods whose neurons are edited."""
LENS_WORDS = 40
"""Words of each document that the lens reads."""
STRENGTHS = (1.0, 2.0, 4.0)

FIND_WORDS = (
    "Every MLP neuron is scored for every language by the published methods, on half of the documents. The same with "
    "the languages dealt out anew among the documents, and the same architecture with random weights, are the "
    "controls. A neuron that fires for a language is not yet one that the model speaks it by."
)
EDIT_WORDS = (
    "On the other half of the documents: the neurons of each language are held at zero, and the loss in every language "
    "is read, beside as many random neurons of the same layers and activity. Neurons of a language should hurt their "
    "own language more than the others, and more than random ones do."
)
DOSE_WORDS = (
    "Texts of one language are steered towards another, more and more. A rise of the target language that random edits "
    "share, or that costs as much loss everywhere, is damage, not steering."
)
LENS_WORDS_ABOUT = (
    "What the residual stream would say after every block, had the model to answer then: how much of its probability "
    "goes to words of each language. Random weights, and languages dealt out anew among the tokens, are the controls."
)


def find_language_neurons(looking: Looking) -> Result:
    """Score every neuron for every language, on the half of the documents that is searched."""
    looking.progress("language neurons")
    documents = looking.texts.half(0)
    mine, random = (
        text_activity(model, label_passages(model, documents)) for model in (looking.model, looking.control)
    )
    return language_neurons(mine, random_weights=random, seed=looking.seed)


def neuron_section(found: Result) -> Section:
    """Language neurons by every method, their depth, and how far methods and languages agree."""
    figures = [found, depth_profile(found), method_agreement(found), language_overlap(found)]
    return Section("Which neurons fire for a language?", FIND_WORDS, figures=figures)


def edit_section(looking: Looking, found: Result) -> Section:
    """The ablation x evaluation matrices, or the reason why there are none."""
    looking.progress("ablation matrix")
    levels = read_levels(looking.model, looking.texts.half(0), seed=looking.seed)
    figures, without = [], []
    for method in MATRIX_METHODS:
        neurons = neurons_by_language(found, method)
        if not any(map(len, neurons.values())):
            without.append(method)
            continue
        figures.append(ablation_matrix(looking.model, looking.tested, neurons, levels, seed=looking.seed))
    words = EDIT_WORDS + (f" Nothing was found by {', '.join(without)}, so nothing was edited." if without else "")
    return Section("What do they do?", words, figures=figures)


def dose_section(looking: Looking, found: Result) -> Section:
    """Steering from the first language towards the second, or the reason why not."""
    title, (source, target) = "Can a language be steered?", looking.texts.languages[:2]
    neurons = neurons_by_language(found, "auroc")
    if not (len(neurons[source]) and len(neurons[target])):
        return Section(title, f"Nothing was steered: no neurons were found for {source} or {target} by auroc.")
    looking.progress(f"steering from {source} to {target}")
    task = SteerTask(
        source,
        target,
        looking.tested,
        neurons,
        read_levels(looking.model, looking.texts.half(0), seed=looking.seed),
        looking.vocabulary,
        aligned=looking.texts.aligned,
    )
    doses = Doses(edits=("add", "direction"), strengths=STRENGTHS, n_tokens=0)
    return Section(title, DOSE_WORDS, figures=[dose_response(looking.model, task, doses, seed=looking.seed)])


def lens_section(looking: Looking) -> Section:
    """The language of the logit lens by layer."""
    looking.progress("language by layer")
    short = {name: [" ".join(text.split()[:LENS_WORDS]) for text in rows] for name, rows in looking.tested.items()}
    material = text_material(looking.model, short, looking.vocabulary)
    lens = language_lens(looking.model, material, control=looking.control, seed=looking.seed)
    return Section("Which language does it think in?", LENS_WORDS_ABOUT, figures=[lens])
