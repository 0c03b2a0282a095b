"""A look at a model's languages: the page of `interp neurons`."""

from interp.neuron_look.look import NeuronLook as NeuronLook
from interp.neuron_look.look import look_at_neurons as look_at_neurons
from interp.neuron_look.texts import LanguageTexts as LanguageTexts
from interp.neuron_look.texts import aligned_documents as aligned_documents
from interp.neuron_look.texts import cut_documents as cut_documents
from interp.neuron_look.texts import shipped_texts as shipped_texts
