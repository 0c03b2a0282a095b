"""Figures: a result in, something to open, hover, click and send out; nothing here knows torch."""

from interp.plots.dispatch import plot as plot
from interp.plots.figure import Figure as Figure
