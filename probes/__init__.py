"""Probes: what can be read off captured activations, beside what can be read off where there is nothing to learn."""

from probes.by_layer import probe_by_layer as probe_by_layer
from probes.data import LabelledActivations as LabelledActivations
from probes.linear import FittedProbe as FittedProbe
from probes.linear import LogisticProbe as LogisticProbe
from probes.task import ProbeTask as ProbeTask
from probes.task import probe_task as probe_task
from probes.task_sources import read_task as read_task
from probes.task_sources import token_language_task as token_language_task
