"""Attention: patterns as they are, and how much of each head goes where a known behaviour would send it."""

from interp.attention.composition import composition_scores as composition_scores
from interp.attention.detectors import duplicate_token as duplicate_token
from interp.attention.detectors import first_token as first_token
from interp.attention.detectors import induction as induction
from interp.attention.detectors import previous_token as previous_token
from interp.attention.detectors import received_attention as received_attention
from interp.attention.heads import head_scores as head_scores
from interp.attention.patterns import attention_patterns as attention_patterns
from interp.attention.repeats import RepeatedTokens as RepeatedTokens
from interp.attention.repeats import repeated_tokens as repeated_tokens
from interp.attention.sink_tests import sink_tests as sink_tests
from interp.attention.sinks import sink_census as sink_census
from interp.attention.weights import weight_scores as weight_scores
