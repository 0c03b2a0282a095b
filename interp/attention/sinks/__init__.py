"""Attention sinks: a census by the literature's definitions, in one pass over a corpus."""

from interp.attention.sinks.census import SinkCensus as SinkCensus
from interp.attention.sinks.census import sink_census as sink_census
from interp.attention.sinks.measures import matrix_entropy as matrix_entropy
from interp.attention.sinks.measures import secondary_sinks as secondary_sinks
from interp.attention.sinks.measures import sink_share as sink_share
