"""Prompts any language model can be asked: random tokens said twice, where only copying predicts the next one."""

import numpy as np

from interp.errors import PromptError
from interp.prompts.pair import PromptPair
from interp.prompts.prompt_set import PromptSet


def repeated_random_prompts(
    n_prompts: int, period: int, *, ids: range, bos: int | None = None, seed: int = 0
) -> PromptSet:
    """Make pairs whose answer stands earlier in the prompt.

    Each clean prompt is random tokens `r`, then `r` again up to a cut; the answer is the token that followed there the
    first time. In its corrupted twin that one token of the first copy is another, which is the wrong answer. Tokens do
    not repeat within `r`.

    Args:
        n_prompts: Number of pairs.
        period: Length of `r`.
        ids: Token ids to draw from.
        bos: Id that begins every prompt, or None.
        seed: Decides the tokens.

    Raises:
        PromptError: fewer ids than a period needs.

    Source: Olsson et al. 2022, In-context Learning and Induction Heads (arXiv:2209.11895).
    """
    if len(ids) < period + 1 or period < 4:
        raise PromptError(f"A period of {period} with {len(ids)} ids. Expected a period from 4 and more ids than that.")
    rng = np.random.default_rng(seed)
    start = [] if bos is None else [bos]
    pairs = []
    for _ in range(n_prompts):
        *first, other = rng.choice(len(ids), size=period + 1, replace=False) + ids.start
        cut = period // 2
        changed = [*first[:cut], other, *first[cut + 1 :]]
        clean, corrupted = (np.array([*start, *copy, *first[:cut]], np.int64) for copy in (first, changed))
        pairs.append(PromptPair(clean, corrupted, answer=int(first[cut]), wrong_answer=int(other)))
    return PromptSet.of(pairs)
