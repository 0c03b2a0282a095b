"""From a result to its figure: one table, one file per kind."""

from collections.abc import Callable

from interp.errors import InputError, ResultError
from interp.plots.ablation_matrix import plot_ablation_matrix
from interp.plots.attention_patterns import plot_attention_patterns
from interp.plots.attribution import plot_attribution
from interp.plots.dose_response import plot_dose_response
from interp.plots.edit_sweep import plot_edit_sweep
from interp.plots.emergence import plot_emergence
from interp.plots.figure import Figure
from interp.plots.fit_of_the_word import plot_fit_of_the_word
from interp.plots.forest import plot_forest
from interp.plots.head_scores import plot_head_scores
from interp.plots.language_lens import plot_language_lens
from interp.plots.language_neurons import plot_language_neurons
from interp.plots.neuron_agreement import plot_neuron_agreement, plot_neuron_overlap
from interp.plots.neuron_depth import plot_neuron_depth
from interp.plots.patch_sweep import plot_patch_sweep
from interp.plots.probe_by_layer import plot_probe_by_layer
from interp.plots.probe_kinds import PROBE_KINDS
from interp.plots.script_or_language import plot_script_or_language
from interp.plots.sink_kinds import SINK_KINDS
from interp.plots.sink_tests import plot_sink_tests
from interp.plots.streaming import plot_streaming
from interp.plots.switch_events import plot_switch_events
from interp.plots.switch_tests import plot_switch_tests
from interp.plots.switching_directions import plot_switching_directions
from interp.plots.switching_units import plot_switching_units
from interp.plots.symbol_study import plot_symbol_study
from interp.plots.theme import Palette
from interp.plots.token_ribbon import plot_token_ribbon
from interp.results import Result

KINDS: dict[str, Callable[..., Figure]] = {
    "patch_sweep": plot_patch_sweep,
    "attribution": plot_attribution,
    "ablate_sweep": plot_edit_sweep,
    "steer_sweep": plot_edit_sweep,
    "direct_paths": plot_edit_sweep,
    "path_patch": plot_forest,
    "patch_cells": plot_forest,
    "attention_patterns": plot_attention_patterns,
    "head_scores": plot_head_scores,
    "weight_scores": plot_head_scores,
    "probe_by_layer": plot_probe_by_layer,
    **PROBE_KINDS,
    "emergence": plot_emergence,
    "fit_of_the_word": plot_fit_of_the_word,
    "sink_tests": plot_sink_tests,
    **SINK_KINDS,
    "streaming": plot_streaming,
    "language_lens": plot_language_lens,
    "language_neurons": plot_language_neurons,
    "neuron_depth": plot_neuron_depth,
    "neuron_agreement": plot_neuron_agreement,
    "neuron_overlap": plot_neuron_overlap,
    "switching_neurons": plot_switching_units,
    "switching_heads": plot_switching_units,
    "switching_directions": plot_switching_directions,
    "switch_tests": plot_switch_tests,
    "switch_events": plot_switch_events,
    "symbol_study": plot_symbol_study,
    "ablation_matrix": plot_ablation_matrix,
    "dose_response": plot_dose_response,
    "token_ribbon": plot_token_ribbon,
    "script_or_language": plot_script_or_language,
}
"""Which function draws which kind of result."""


_WITH_PALETTE = ("patch_sweep", "ablate_sweep", "steer_sweep", "direct_paths")


def plot(result: Result, *, palette: Palette | None = None) -> Figure:
    """Draw a result as the figure of its kind, the effect beside its control.

    Args:
        result: What an analysis returned.
        palette: `RdBu` (usual) or `PuOr` for figures that have a sign.

    Raises:
        ResultError: the kind has no figure, the result has no control, or a variable is missing.
        InputError: a palette for a figure without sign.
    """
    if result.kind not in KINDS:
        raise ResultError(f"There is no figure for a result of kind {result.kind!r}. Expected one of {sorted(KINDS)}.")
    if palette is None:
        return KINDS[result.kind](result)
    if result.kind not in _WITH_PALETTE:
        raise InputError(f"Figures of kind {result.kind!r} take no palette. Leave out palette={palette!r}.")
    return KINDS[result.kind](result, palette=palette)
