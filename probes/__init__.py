"""Probes: what can be read off captured activations, beside what can be read off where there is nothing to learn."""

from probes.after_erasure import probe_after_erasure as probe_after_erasure
from probes.amnesic import Inject as Inject
from probes.amnesic import amnesic_probe as amnesic_probe
from probes.answers import Answer as Answer
from probes.answers import metric_answer as metric_answer
from probes.answers import next_token_divergence as next_token_divergence
from probes.by_layer import probe_by_layer as probe_by_layer
from probes.data import LabelledActivations as LabelledActivations
from probes.erasure import Eraser as Eraser
from probes.erasure import leace as leace
from probes.erasure import project_out as project_out
from probes.erasure import random_eraser as random_eraser
from probes.linear import FittedProbe as FittedProbe
from probes.linear import LogisticProbe as LogisticProbe
from probes.task import ProbeTask as ProbeTask
from probes.task import probe_task as probe_task
from probes.task_sources import read_task as read_task
from probes.task_sources import token_language_task as token_language_task
