"""Causal tests of attention sinks: what a sink does, shown by editing it, each test beside an equal edit elsewhere."""

from interp.attention.sink_tests.battery import Estimate as Estimate
from interp.attention.sink_tests.battery import estimate_sink_tests as estimate_sink_tests
from interp.attention.sink_tests.battery import sink_tests as sink_tests
from interp.attention.sink_tests.cases import ALL as ALL
from interp.attention.sink_tests.scores import Loss as Loss
