"""The figures of probes, by kind of result."""

from collections.abc import Callable

from interp.plots.contrast_probe import plot_contrast_probe
from interp.plots.figure import Figure
from interp.plots.probe_by_layer import plot_probe_by_layer
from interp.plots.probe_directions import plot_probe_directions, plot_projections
from interp.plots.probe_lines import plot_probe_lines
from interp.plots.probe_measures import plot_probe_measures
from interp.plots.probe_rows import plot_input_floor, plot_interchange
from interp.plots.probe_sites import plot_amnesic_probe, plot_label_swap
from interp.plots.probe_sweep import plot_probe_sweep
from interp.plots.probe_trees import plot_probe_trees
from interp.plots.reliability import plot_reliability

PROBE_KINDS: dict[str, Callable[..., Figure]] = {
    "probe_after_erasure": plot_probe_by_layer,
    "description_length": plot_probe_lines,
    "control_task": plot_probe_lines,
    "probe_quality": plot_probe_lines,
    "sample_efficiency": plot_probe_lines,
    "reliability": plot_reliability,
    "amnesic_probe": plot_amnesic_probe,
    "label_swap": plot_label_swap,
    "probe_verdict": plot_label_swap,
    "probe_dose": plot_probe_lines,
    "interchange": plot_interchange,
    "probe_sweep": plot_probe_sweep,
    "probe_positions": plot_probe_sweep,
    "probe_grid": plot_probe_sweep,
    "probe_measures": plot_probe_measures,
    "probe_directions": plot_probe_directions,
    "projections": plot_projections,
    "input_floor": plot_input_floor,
    "contrast_probe": plot_contrast_probe,
    "structural_probe": plot_probe_trees,
}
"""Which function draws which kind."""
