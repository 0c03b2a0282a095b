"""Neurons and languages: which fire for a language or at a switch, and what changes when they are set."""

from interp.neurons.activity import TextActivity as TextActivity
from interp.neurons.activity import text_activity as text_activity
from interp.neurons.agreement import depth_profile as depth_profile
from interp.neurons.agreement import language_overlap as language_overlap
from interp.neurons.agreement import method_agreement as method_agreement
from interp.neurons.count import count_neurons as count_neurons
from interp.neurons.counters import NeuronCounters as NeuronCounters
from interp.neurons.find_switching import SwitchingNeurons as SwitchingNeurons
from interp.neurons.find_switching import find_switching_neurons as find_switching_neurons
from interp.neurons.find_switching import found_neurons as found_neurons
from interp.neurons.lape import Lape as Lape
from interp.neurons.lape import lape as lape
from interp.neurons.next_language import learn_vocabulary as learn_vocabulary
from interp.neurons.passages import label_passages as label_passages
from interp.neurons.ribbon import token_ribbon as token_ribbon
from interp.neurons.scoring import Selection as Selection
from interp.neurons.script import follow_script as follow_script
from interp.neurons.table import language_neurons as language_neurons
from interp.neurons.units import Neurons as Neurons
