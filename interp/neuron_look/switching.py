"""Sections about switches of language: which neurons follow them, and a few texts token by token."""

import numpy as np

from interp.errors import InputError
from interp.languages import TaggedText
from interp.models.zoo import texts
from interp.neuron_look.looking import Looking, beginning, in_one_language
from interp.neuron_look.texts import fitting
from interp.neurons.find_switching import SwitchingNeurons, search_material
from interp.neurons.labelled import label_tokens
from interp.neurons.ribbon import token_ribbon
from interp.neurons.switch_material import SwitchMaterial, switch_aligned
from interp.neurons.switch_pairs import pair_switches
from interp.neurons.units import Neurons
from interp.report import Section
from interp.results import Result
from interp.steering import neurons_by_language

N_SHOWN, SHOWN_EACH = 3, 2
"""Texts of the ribbon; neurons of each language in it, and of those that follow switches."""
MOST_SWITCHED = 48
"""Aligned sentences that switches are built from, each once for every ordered pair of languages."""
SHOWN_CHARS = 240
"""Characters shown of a text that does not switch."""

SWITCH_WORDS = (
    "Neurons whose activation tells a switch of language from matched tokens that are none, found on half of the "
    "documents and tried again on the other; then edited, beside random neurons. They earn the name of code-switching "
    "neurons only where both hold."
)
RIBBON_WORDS = (
    "Texts token by token, coloured by language, with surprisal and what chosen neurons do. Choose or click a neuron "
    "to see its curve. Looking at a few texts is a way to find questions, not to answer them."
)


def switch_material(looking: Looking) -> SwitchMaterial | str:
    """Switches somebody wrote, else built ones; the reason where neither can be had.

    Raises:
        InputError: tagged texts that do not do.
    """
    model, read = looking.model, looking.texts
    if read.tagged:
        kept = fitting(model, read.tagged, read.languages)
        material = pair_switches(model, label_tokens(model, kept, languages=read.languages), seed=looking.seed)
        material.halves(seed=looking.seed)  # refused now, not after minutes
        return material
    if not read.can_be_switched:
        return (
            "It needs texts that switch, as --tagged FILE, or sentences that are aligned line by line in English, "
            "French, German or Spanish, as --aligned, from which switches are built."
        )
    try:
        material = switch_aligned(model, read.half(1, most=MOST_SWITCHED), seed=looking.seed)
        material.halves(seed=looking.seed)
    except InputError as error:
        return str(error)
    return material


def find_switches(looking: Looking, material: SwitchMaterial) -> SwitchingNeurons:
    """Search half of the switches, try again and edit on the other half."""
    looking.progress("code-switching neurons")
    return search_material(looking.model, material, looking.vocabulary, n_single=0, seed=looking.seed)


def switch_section(found: SwitchingNeurons | str) -> Section:
    """What follows switches and what it does, or why nothing was asked."""
    title = "Which neurons follow code-switching?"
    if isinstance(found, str):
        return Section(title, f"Not asked. {found}")
    if found.tests is None:
        told = "None was found, so none was edited: no neuron of this model has the name."
    else:
        told = f"{len(found.found)} were found. Together they {'earn' if found.earned else 'do not earn'} the name."
    return Section(title, f"{SWITCH_WORDS} {told}", figures=list(found.results))


def ribbon_section(looking: Looking, found: Result, switching: SwitchingNeurons | str) -> Section:
    """A few texts token by token, with the strongest neurons."""
    looking.progress("token by token")
    chosen = _strongest(found, switching)
    if not len(chosen):
        return Section("Token by token", "Not drawn: no neuron was found to draw.")
    languages = looking.texts.languages
    background = [in_one_language(text, name) for name, rows in looking.tested.items() for text in rows[:4]]
    ribbon = token_ribbon(
        looking.model,
        _shown(looking),
        chosen,
        languages=languages,
        background=background,
        random_weights=looking.control,
        seed=looking.seed,
    )
    return Section("Token by token", RIBBON_WORDS, figures=[ribbon])


def _shown(looking: Looking) -> list[TaggedText]:
    """Texts that switch where there are some, else the beginnings of texts of each language."""
    languages = looking.texts.languages
    if looking.texts.tagged:
        kept = fitting(looking.model, looking.texts.tagged, languages)
        mixed = [text for text in kept if len(set(text.languages) & set(languages)) > 1]
        return sorted(mixed, key=lambda text: -len(text.words))[:N_SHOWN]
    written = [one for one in texts.read_switched() if {*one.languages} - {texts.NO_LANGUAGE} <= set(languages)]
    if written:
        return [TaggedText(one.words, one.languages, (True,) * len(one.words)) for one in written[:N_SHOWN]]
    first = {name: beginning(rows[0], SHOWN_CHARS) for name, rows in looking.tested.items()}
    return [in_one_language(text, name) for name, text in list(first.items())[:N_SHOWN]]


def _strongest(found: Result, switching: SwitchingNeurons | str) -> Neurons:
    sets: list[Neurons] = list(neurons_by_language(found, "auroc").values())
    if not isinstance(switching, str):
        sets.append(switching.found)
    pairs = dict.fromkeys(
        (int(layer), int(neuron))
        for each in sets
        for layer, neuron in zip(each.layer[:SHOWN_EACH], each.neuron[:SHOWN_EACH], strict=True)
    )
    chosen = np.array(list(pairs), np.int64).reshape(-1, 2)
    return Neurons(chosen[:, 0], chosen[:, 1])
