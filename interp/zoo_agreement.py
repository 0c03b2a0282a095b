"""Subject-verb agreement in four languages, on prompts that were written before any model was asked."""

import numpy as np
from jaxtyping import Bool, Float

from interp.metrics import as_metric
from interp.metrics.metric import reading
from interp.models import ModelEncoder
from interp.models.zoo import measure, texts
from interp.models.zoo.prompt_sets import agreement_prompts
from interp.models.zoo.scores import Agreement
from interp.prompts import PromptSet
from interp.prompts.prompt_set import Side
from interp.run import forward
from interp.types import Model


def measure_agreement(model: Model, control: Model) -> list[Agreement]:
    """Score the shipped agreement prompts of every language, and count the pairs that both sides of are right.

    Args:
        model: A hooked model.
        control: The same architecture with random weights.

    Returns:
        One record for each language whose prompts the model's tokenizer can ask.
    """
    encoder = ModelEncoder(model)
    asked = {language: agreement_prompts(language, encoder) for language in texts.AGREEMENT_IN}
    return [_of_language(language, prompts, model, control) for language, prompts in asked.items() if prompts]


def logit_differences(model: Model, prompts: PromptSet, side: Side) -> Float[np.ndarray, " prompt"]:
    """Logit of the answer minus that of the wrong answer, after each prompt of one side."""
    logits = forward(model, prompts.batch(side))
    return as_metric("logit_diff")(reading(logits, prompts, side)).cpu().double().numpy()


def _of_language(language: str, prompts: PromptSet, model: Model, control: Model) -> Agreement:
    clean, corrupted = (logit_differences(model, prompts, side) for side in ("clean", "corrupted"))
    of_control = [logit_differences(control, prompts, side) for side in ("clean", "corrupted")]
    return Agreement(
        language=language,
        clean=measure.estimate(clean),
        corrupted=measure.estimate(corrupted),
        difference=measure.estimate(clean - corrupted),
        right=measure.share(_right(clean, corrupted)),
        random_weights=measure.share(_right(*of_control)),
        example=texts.read_agreement(language)[0],
    )


def _right(clean: Float[np.ndarray, " pair"], corrupted: Float[np.ndarray, " pair"]) -> Bool[np.ndarray, " pair"]:
    return (clean > 0) & (corrupted < 0)
