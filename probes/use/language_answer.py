"""Which language a model goes on in, as an answer for amnesic probing."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from interp.errors import InputError
from interp.types import Logits, PerPrompt
from probes.tasks.task import ProbeTask
from probes.use.answers import Answer
from probes.use.labelled import labelled


def next_language_answer(
    task: ProbeTask, language_of_token: Float[np.ndarray, "token language"], languages: Sequence[str]
) -> Answer:
    """Measure how much more probable the text's own language is for the next token than all others together.

    At each labelled position the probability of the next token is summed to languages, each token by its share in
    each; the answer is the logarithm of own language over the sum of the others, as a mean over labelled positions.
    Tokens whose shares are all 0 count for none: give 0 to those that begin no word, and what is read is the language
    of the next word, given that one begins. Tokens that several languages share pull it towards 0, so that it says what
    a reader could tell from the next token alone. Where all are alike it is -log(number of languages - 1).

    Args:
        task: Labelled positions; the labels are languages.
        language_of_token: How far each token of the vocabulary speaks for each language: from 0 to 1, and at most 1
            over all languages, such as P(language | token) counted on texts.
        languages: Their names, in the order of the columns.

    Raises:
        InputError: fewer than two languages, labels that are none of them, shares that are no shares, or a language
            that no token speaks for.
    """
    _check(task, language_of_token, languages)
    where = labelled(task)
    own = torch.zeros(task.batch.tokens.shape, dtype=torch.int64)
    own[task.prompts, task.positions] = torch.tensor([list(languages).index(str(label)) for label in task.labels])
    shares = torch.from_numpy(language_of_token.astype(np.float64))

    def score(logits: Logits, plain: Logits, rows: slice) -> PerPrompt:  # noqa: ARG001 - the answer needs no other pass
        if logits.shape[-1] != len(shares):
            raise InputError(
                f"{len(shares)} tokens have languages and the model has {logits.shape[-1]}. Expected a row for each."
            )
        chosen = where[rows].to(logits.device)
        mass = logits[chosen].double().softmax(-1) @ shares.to(logits.device)
        mine = torch.nn.functional.one_hot(own[rows].to(logits.device)[chosen], len(languages)).bool()
        odds = torch.where(mine, mass, 0).sum(-1).log() - torch.where(mine, 0, mass).sum(-1).log()
        found = torch.zeros(chosen.shape, dtype=torch.float64, device=logits.device)
        found[chosen] = odds
        return found.sum(1) / chosen.sum(1)

    unit = "log odds of the text's language in the next token (nats)"
    return Answer("next_language", unit, "Larger: the next token is more surely of the text's own language.", score)


def _check(task: ProbeTask, shares: np.ndarray, languages: Sequence[str]) -> None:
    if len(languages) < 2 or len(set(languages)) < len(languages) or shares.shape[1] != len(languages):
        raise InputError(
            f"{shares.shape[1]} columns of shares for the languages {list(languages)}. Expected at least two "
            "languages, each once, and a column for each."
        )
    if unknown := sorted(set(map(str, task.labels.tolist())) - set(languages)):
        raise InputError(f"The task has the labels {unknown}. Expected languages among {list(languages)}.")
    # A sum of many rounded shares may be above 1 by as much as rounding.
    if not (np.isfinite(shares).all() and (shares >= 0).all() and (shares.sum(1) <= 1 + 1e-6).all()):
        raise InputError("A token's shares are negative, not finite or above 1 together. Expected shares from 0 to 1.")
    if empty := [language for language, total in zip(languages, shares.sum(0), strict=True) if not total]:
        raise InputError(f"No token speaks for {empty}. Leave those languages out, or count on texts that have them.")
