"""Editing the neurons of a language, and what that does to loss, to the language that comes next, and to meaning."""

from interp.steering.ablation import ablation_matrix as ablation_matrix
from interp.steering.chosen import found_neurons as found_neurons
from interp.steering.chosen import neurons_by_language as neurons_by_language
from interp.steering.corpus import Corpus as Corpus
from interp.steering.corpus import corpus_of as corpus_of
from interp.steering.dose import Doses as Doses
from interp.steering.dose import dose_response as dose_response
from interp.steering.edits import language_direction as language_direction
from interp.steering.edits import steer_along as steer_along
from interp.steering.edits import steer_language as steer_language
from interp.steering.levels import LanguageLevels as LanguageLevels
from interp.steering.levels import read_levels as read_levels
from interp.steering.trial import SteerTask as SteerTask
