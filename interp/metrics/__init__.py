"""Metrics: logits in, one number per prompt out."""

from interp.metrics.builtin import METRICS as METRICS
from interp.metrics.builtin import as_metric as as_metric
from interp.metrics.metric import Metric as Metric
from interp.metrics.metric import Reading as Reading
from interp.metrics.metric import last_logits as last_logits
