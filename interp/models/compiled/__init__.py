"""Models whose weights are set by hand, so that every circuit in them is known: `load_model("compiled:induction")`.

Each comes with an answer key (which heads work, what they tell each other, what ablating them does), prompts, and a
reference forward pass in numpy. None of this loads torch; `interp.models.load_model` does.
"""

from functools import cache
from importlib import import_module

from interp.errors import ModelError
from interp.models.compiled.answer_key import AnswerKey as AnswerKey
from interp.models.compiled.answer_key import Edge as Edge
from interp.models.compiled.answer_key import Inputs as Inputs
from interp.models.compiled.answer_key import Node as Node
from interp.models.compiled.answer_key import Prediction as Prediction
from interp.models.compiled.generator import parse_random
from interp.models.compiled.generator import random_circuit as random_circuit
from interp.models.compiled.model import CompiledModel as CompiledModel
from interp.models.compiled.reference import reference_logits as reference_logits
from interp.prompts import PromptSet

PREFIX = "compiled:"
_HOME = {
    "brackets": "brackets",
    "copy": "name_copy",
    "decoys": "decoys",
    "induction": "induction",
    "skip-trigram": "skip_trigram",
}
NAMES = tuple(_HOME)
"""Names of the hand-set models; `random-DEPTHxWIDTH-SEED` names a random circuit."""


@cache
def compiled_model(name: str) -> CompiledModel:
    """Build a compiled model by its name, with or without `compiled:` before it.

    Raises:
        ModelError: there is no such model.
        InputError: a random circuit of a size out of range.
    """
    bare = name.removeprefix(PREFIX)
    if bare in _HOME:
        return import_module(f"interp.models.compiled.{_HOME[bare]}").build()
    if (numbers := parse_random(bare)) is not None:
        return random_circuit(*numbers)
    raise ModelError(
        f"No compiled model {bare!r}. Expected one of {[PREFIX + known for known in NAMES]}, "
        "or compiled:random-DEPTHxWIDTH-SEED."
    )


def compiled_prompts(name: str, n: int, seed: int = 0, *, inputs: str | None = None) -> PromptSet:
    """Draw clean and corrupted prompts with answers for a compiled model.

    Args:
        name: The model.
        n: Number of pairs.
        seed: Decides the words.
        inputs: One family of inputs of the model's answer key; the first by default.

    Raises:
        ModelError: there is no such model.
        InputError: the model has no such family.
        PromptError: fewer than one prompt.
    """
    return compiled_model(name).prompts(n, seed=seed, inputs=inputs)
