"""Running a model: capture activations, intervene on them. The only room that adds hooks."""

from interp.run.activations import Activations as Activations
from interp.run.activations import open_activations as open_activations
from interp.run.capture import capture as capture
from interp.run.capture import capture_batches as capture_batches
from interp.run.capture import estimate_bytes as estimate_bytes
from interp.run.forward import forward as forward
from interp.run.intervene import intervene as intervene
from interp.run.interventions import Ablate as Ablate
from interp.run.interventions import Clamp as Clamp
from interp.run.interventions import Intervention as Intervention
from interp.run.interventions import Patch as Patch
from interp.run.interventions import Project as Project
from interp.run.interventions import Steer as Steer
from interp.run.interventions import Where as Where
from interp.run.observe import observe as observe
from interp.run.placebo import Placebo as Placebo
from interp.run.pooling import pool_words as pool_words
