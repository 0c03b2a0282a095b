"""How probable each language is for the next word, summed over a vocabulary whose tokens belong to several languages.

A token of a byte-level vocabulary, such as ` la` or ` d`, begins words of several languages. So each token that begins
words has a posterior P(language | token), counted on texts of one language each, and the mass of a language at a
position is the sum over those tokens of p(token) P(language | token). A token of two languages gives each its part.

Where the model is certain of a word that two languages share, the mass is split although the model may know the
language well: the mass says what a reader could tell from the next token alone.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.errors import InputError, ModelError
from interp.models import facts, str_tokens
from interp.models.tokenizers import body_ids
from interp.neurons.labelled import LabelledTokens
from interp.neurons.passes import passes, write_losses
from interp.prompts import TokenBatch
from interp.run import Intervention, forward, intervene
from interp.sites import Site
from interp.types import Model

Edit = Callable[[np.ndarray, TokenBatch], Mapping[Site, Intervention]]
"""What to change in a pass, from the numbers of its rows and their tokens."""
SMOOTHING = 0.5
"""Occurrences added to every token in every language."""


@dataclass(frozen=True)
class LanguageVocabulary:
    """Of which languages the tokens of a vocabulary begin words."""

    languages: tuple[str, ...]
    begins: Bool[np.ndarray, " token"]
    """Tokens spelled with whitespace first: those that begin a word inside a text. Others go on with one."""
    counts: Int[np.ndarray, "token language"]
    """How often each begins a word of each language."""
    smoothing: float = SMOOTHING

    @cached_property
    def posterior(self) -> Float[np.ndarray, "token language"]:
        """P(language | token) where languages are equally frequent; uniform for a token never seen."""
        totals = self.counts.sum(0)
        even = self.counts / totals * totals.mean() + self.smoothing
        return even / even.sum(1, keepdims=True)

    def number(self, language: str) -> int:
        """Place of a language.

        Raises:
            InputError: the vocabulary has no such language.
        """
        if language not in self.languages:
            raise InputError(f"The vocabulary has no language {language!r}. Expected one of {list(self.languages)}.")
        return self.languages.index(language)


@dataclass(frozen=True)
class Reading:
    """What a model predicts on rows of tokens."""

    loss: Float[np.ndarray, "row pos"]
    """Of every token, in nats, given those before it; NaN for the first and for padding."""
    begins: Float[np.ndarray, "row pos"]
    """Probability that the next token begins a word; NaN at padding."""
    share: Float[np.ndarray, "row pos language"]
    """Language of the next word, given that one begins; NaN at padding."""


def learn_vocabulary(
    model: Model, passages: Mapping[str, str | Sequence[str]], *, smoothing: float = SMOOTHING
) -> LanguageVocabulary:
    """Count which tokens begin words of which language.

    Tokens that begin a word and tokens that go on with one are told apart by their spelling; the latter, such as
    endings and punctuation, are not counted, nor is the first word of a text where no whitespace stands before it.

    Args:
        model: A hooked model with a tokenizer.
        passages: Texts by language, each in that language alone.
        smoothing: Occurrences added to every token in every language, so that rare tokens decide little.

    Raises:
        InputError: fewer than two languages, a language without a word, or no positive smoothing.
        ModelError: the vocabulary has no token that begins with whitespace.
    """
    if len(passages) < 2 or smoothing <= 0:
        raise InputError(
            f"{len(passages)} languages with smoothing {smoothing}. Expected at least two, and more than 0."
        )
    spelled = str_tokens(model, np.arange(facts(model).d_vocab))
    special = set(model.tokenizer.all_special_ids)
    begins = np.array([text[:1].isspace() and token not in special for token, text in enumerate(spelled)])
    if not begins.any():
        raise ModelError("No token of this vocabulary begins with whitespace, so none tells where a word begins.")
    counts = np.stack([_counts(model, passages[language], begins) for language in passages], 1)
    if empty := [language for language, n in zip(passages, counts.sum(0), strict=True) if not n]:
        raise InputError(f"The passages in {empty} have no second word. Expected text of each language.")
    return LanguageVocabulary(tuple(passages), begins, counts, smoothing)


def language_mass(
    logits: Float[Tensor, "*place token"], vocabulary: LanguageVocabulary
) -> Float[Tensor, "*place language"]:
    """Probability that the next token begins a word of each language; the sum is that of beginning any word."""
    weights = torch.from_numpy(vocabulary.posterior * vocabulary.begins[:, None]).to(logits)
    return logits.softmax(-1) @ weights


def read_predictions(
    model: Model,
    batch: TokenBatch,
    vocabulary: LanguageVocabulary,
    *,
    rows: Int[np.ndarray, " row"] | None = None,
    edit: Edit | None = None,
) -> Reading:
    """Read the loss of every token and the language of every next word.

    Args:
        model: A hooked decoder.
        batch: The corpus.
        vocabulary: What `learn_vocabulary` counted.
        rows: Which rows to run; all by default. Others are NaN.
        edit: What to change in each pass; nothing by default.

    Raises:
        ModelError: a loss is NaN or infinite.
    """
    shape = batch.tokens.shape
    loss, begins = np.full(shape, np.nan), np.full(shape, np.nan)
    share = np.full((*shape, len(vocabulary.languages)), np.nan)
    for chosen, part in passes(batch, rows):
        with intervene(model, edit(chosen, part), times=1) if edit else nullcontext():
            logits = forward(model, part)
        write_losses(loss, chosen, part, logits)
        mass = language_mass(logits.float(), vocabulary).double().cpu().numpy()
        n_pos, real = part.tokens.shape[1], np.where(part.mask, 1.0, np.nan)
        begins[chosen, :n_pos] = mass.sum(-1) * real
        share[chosen, :n_pos] = mass / mass.sum(-1, keepdims=True) * real[..., None]
    return Reading(loss, begins, share)


def before_words(tokens: LabelledTokens) -> Bool[np.ndarray, "text pos"]:
    """Positions whose next token begins a word that has a language."""
    found = np.zeros(tokens.word.shape, bool)
    found[:, :-1] = (tokens.place_in_word[:, 1:] == 0) & (tokens.language[:, 1:] >= 0)
    found[:, 0] = False  # the first word of a text begins without whitespace, with another token
    return found


def _counts(model: Model, texts: str | Sequence[str], begins: np.ndarray) -> np.ndarray:
    counts = np.zeros(len(begins), np.int64)
    for text in [texts] if isinstance(texts, str) else texts:
        for line in text.splitlines():
            counts += np.bincount(np.array(body_ids(model.tokenizer, line), np.int64), minlength=len(begins))
    return counts * begins
