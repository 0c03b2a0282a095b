"""Streams longer than the window: what the model loses when their beginning is evicted, and what keeping it saves."""

from interp.streaming.run import StreamingEstimate as StreamingEstimate
from interp.streaming.run import estimate_streaming as estimate_streaming
from interp.streaming.run import stream_losses as stream_losses
from interp.streaming.sink_errors import stream_errors as stream_errors
from interp.streaming.streams import cut_streams as cut_streams
