"""From estimates to a labelled result: the same variables as an exact sweep's, and how they were made."""

from dataclasses import replace

import numpy as np

from interp.patching.answer import as_result
from interp.patching.attribution.estimate import Estimates, Method
from interp.patching.plan import SweepPlan
from interp.prompts import PromptSet
from interp.results import Result
from interp.types import Model

ATP = (
    "Attribution patching: the effect of each patch is estimated as the difference between the two runs' activations "
    "times the metric's gradient at the run that would be patched. It is exact where the metric is linear in the "
    "activation, and wrong, in size and in sign, where it is not: saturated attention and saturated probabilities hide "
    "effects. Nothing was patched."
)
STAR = (
    "AtP*: attribution patching, but a patched query or key goes through the softmax of its own layer exactly, and "
    "only what follows is linear. `graddrop` is the paper's score: the same estimate with the gradient through what "
    "one layer adds to the residual stream set to zero, as a magnitude, summed over the layers dropped and divided by "
    "the number of layers less one, for effects that cancel. It is no estimate of an effect and has no sign. Nothing "
    "was patched."
)
STEPS = (
    " Gradients are the mean over {} runs whose embeddings lie evenly spaced between the two prompts' (integrated "
    "gradients), so that a gate which is shut at one of them and open at the other is seen on the way."
)
ONE_LAYER = " With one layer there is none to drop, so there is no `graddrop`."


def as_attribution(
    model: Model, prompts: PromptSet, plan: SweepPlan, estimates: Estimates, method: Method, *, ig_steps: int = 0
) -> Result:
    """Label estimates as an `attribution` result, with the variables, dims and signs of an exact sweep.

    AtP* adds `graddrop` and, with placebos, `control_graddrop`: magnitudes, mean over prompts.
    """
    result = as_result(model, prompts, plan, estimates.numbers, path="gradients")
    drops = {"graddrop": estimates.graddrop, "control_graddrop": estimates.control_graddrop}
    dims, grid = result.data["effect"].dims, result.data["effect"].shape
    found = {name: (dims, np.nanmean(each, 0).reshape(grid)) for name, each in drops.items() if each is not None}
    words = ATP if method == "atp" else STAR + ("" if "graddrop" in found else ONE_LAYER)
    words += STEPS.format(ig_steps) if ig_steps else ""
    asked = f"method={method!r}" + (f", ig_steps={ig_steps}" if ig_steps else "")
    return replace(
        result,
        kind="attribution",
        data=result.data.assign(found),
        method=words,
        sign=result.sign.replace("metric with the patch", "estimated metric with the patch"),
        provenance=replace(result.provenance, call=f"{plan.call[:-1]}, {asked})"),
        notes=result.notes | {"method": method, "ig_steps": ig_steps},
    )
