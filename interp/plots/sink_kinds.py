"""The figures of the sink census, by kind of result."""

from collections.abc import Callable

from interp.plots.figure import Figure
from interp.plots.sink_curves import plot_sink_depth, plot_sink_epsilons, plot_sink_spikes
from interp.plots.sink_heads import plot_sink_classes, plot_sink_domains, plot_sink_heads
from interp.plots.sink_layers import plot_sink_distances, plot_sink_keys, plot_sink_map, plot_sink_secondary
from interp.plots.sink_scatter import plot_sink_neurons, plot_sink_values

SINK_KINDS: dict[str, Callable[..., Figure]] = {
    "sink_heads": plot_sink_heads,
    "sink_epsilons": plot_sink_epsilons,
    "sink_depth": plot_sink_depth,
    "sink_values": plot_sink_values,
    "sink_spikes": plot_sink_spikes,
    "sink_map": plot_sink_map,
    "sink_keys": plot_sink_keys,
    "sink_classes": plot_sink_classes,
    "sink_distances": plot_sink_distances,
    "sink_secondary": plot_sink_secondary,
    "sink_neurons": plot_sink_neurons,
    "sink_domains": plot_sink_domains,
}
"""Which function draws which kind."""
