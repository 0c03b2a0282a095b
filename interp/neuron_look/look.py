"""Languages and neurons of one model on one page: which neurons, what they do, where language is decided, switches."""

from collections.abc import Callable
from dataclasses import dataclass

from interp.models import facts
from interp.neuron_look.languages import (
    dose_section,
    edit_section,
    find_language_neurons,
    lens_section,
    neuron_section,
)
from interp.neuron_look.looking import Looking
from interp.neuron_look.switching import find_switches, ribbon_section, switch_material, switch_section
from interp.neuron_look.texts import LanguageTexts
from interp.neurons.next_language import learn_vocabulary
from interp.report import Report
from interp.results import Result
from interp.types import Model


@dataclass(frozen=True)
class NeuronLook:
    """The results of a look at a model's languages, and the report made of them."""

    results: tuple[Result, ...]
    report: Report


def look_at_neurons(
    model: Model,
    control: Model,
    read: LanguageTexts,
    *,
    progress: Callable[[str], None] = lambda _: None,
    seed: int = 0,
) -> NeuronLook:
    """Find a model's language neurons and code-switching neurons, and test what they do.

    Args:
        model: A hooked decoder with a tokenizer.
        control: The same architecture with random weights.
        read: Documents by language, and perhaps sentences that switch.
        progress: Told the name of each part as it begins.
        seed: Decides whatever is drawn at random.

    Raises:
        InterpError: whatever the analyses refuse. A part that cannot be run on these texts gets a section that says so.
    """
    looking = Looking(model, control, read, learn_vocabulary(model, read.half(0)), progress, seed)
    # Refused before anything is measured: tags that are not the corpora's languages, texts without switches.
    material = switch_material(looking)
    found = find_language_neurons(looking)
    edits = edit_section(looking, found)
    switching = material if isinstance(material, str) else find_switches(looking, material)
    sections = [
        neuron_section(found),
        edits,
        dose_section(looking, found),
        lens_section(looking),
        switch_section(switching),
        ribbon_section(looking, found, switching),
    ]
    known = facts(model)
    subtitle = f"{known.architecture}, {known.n_layers} layers; {', '.join(read.languages)}"
    report = Report(f"Languages and neurons of {known.name}", subtitle, sections)
    return NeuronLook(tuple(result for section in sections for result in section.figures), report)
