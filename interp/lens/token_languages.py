"""Which tokens speak for which language: by the spelling of one word in each, or by a vocabulary learnt from texts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.models import facts, str_tokens
from interp.types import Model


@runtime_checkable
class TokenLanguages(Protocol):
    """Sums a distribution over tokens to languages; may differ from place to place."""

    def mass(
        self, probs: Float[Tensor, "place d_vocab"], places: Int[np.ndarray, " place"]
    ) -> Float[Tensor, "place language"]:
        """Probability on the tokens of each language.

        Args:
            probs: Probabilities of the next token.
            places: Numbers of the places that they were read at.
        """
        ...

    def shuffled(self, rng: np.random.Generator) -> "TokenLanguages":
        """Return the same with words dealt out to languages at random: the control."""
        ...


@dataclass(frozen=True)
class WordSpellings:
    """Tokens that begin the answer in each language, for every place."""

    ids: Int[np.ndarray, "place language token"]
    """Padded with `d_vocab`."""
    d_vocab: int

    @classmethod
    def of(cls, sets: Sequence[Sequence[Sequence[int]]], d_vocab: int) -> "WordSpellings":
        """Keep token ids by place and language.

        Args:
            sets: Ids, by place, by language.
            d_vocab: Size of the vocabulary.
        """
        longest = max(len(ids) for by_language in sets for ids in by_language)
        padded = [[[*ids, *[d_vocab] * (longest - len(ids))] for ids in by_language] for by_language in sets]
        return cls(np.array(padded, np.int64), d_vocab)

    def mass(
        self, probs: Float[Tensor, "place d_vocab"], places: Int[np.ndarray, " place"]
    ) -> Float[Tensor, "place language"]:
        """Probability on the tokens that begin the word of each language at that place."""
        none = probs.new_zeros(len(probs), 1)
        chosen = torch.from_numpy(self.ids[places]).to(probs.device)
        return torch.cat([probs, none], 1).gather(1, chosen.flatten(1)).unflatten(1, chosen.shape[1:]).sum(-1)

    def shuffled(self, rng: np.random.Generator) -> "WordSpellings":
        """Deal the words of each place out to its languages anew."""
        order = rng.permuted(np.tile(np.arange(self.ids.shape[1]), (len(self.ids), 1)), axis=1)
        return replace(self, ids=np.take_along_axis(self.ids, order[..., None], 1))


@dataclass(frozen=True)
class TokenShares:
    """How far each token speaks for each language, the same at every place."""

    shares: Float[np.ndarray, "token language"]
    """Between 0 and 1; rows sum to 1, or to 0 for tokens that begin no word."""

    def mass(
        self,
        probs: Float[Tensor, "place d_vocab"],
        places: Int[np.ndarray, " place"],  # noqa: ARG002 - the same at every place
    ) -> Float[Tensor, "place language"]:
        """Sum over tokens of their probability times their share in each language."""
        return probs @ self._tensor.to(probs)

    def shuffled(self, rng: np.random.Generator) -> "TokenShares":
        """Deal the shares of each token out to the languages anew."""
        return TokenShares(rng.permuted(self.shares, axis=1))

    @cached_property
    def _tensor(self) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.shares, np.float32))


class Speller:
    """Finds the tokens that a word can begin with.

    Those are all tokens that spell a beginning of the word, with a space before it or without: ` Hund`, `Hu`, `H`. The
    beginnings are counted in bytes, so that for a word in another script the tokens of its first bytes count, too,
    where a vocabulary has no token for its first character.

    Source: Wendler et al. 2024, sec. 3.3 (arXiv:2402.10588): all prefixes with and without leading space, and the
    first UTF-8 byte.
    """

    def __init__(self, model: Model):
        self.tokens: Mapping[str, list[int]] = defaultdict(list)
        self.d_vocab = facts(model).d_vocab
        special = set(model.tokenizer.all_special_ids)
        for token, written in enumerate(str_tokens(model, np.arange(self.d_vocab))):
            if token not in special:
                self.tokens[written].append(token)

    def ids(self, word: str) -> list[int]:
        """Token ids that spell a beginning of the word, in order of length."""
        letters = word.encode()
        beginnings = [letters[: place + 1] for place in range(len(letters))]
        # As `str_tokens` writes bytes that are no whole character.
        written = [(before + start).decode(errors="backslashreplace") for start in beginnings for before in (b"", b" ")]
        return [token for text in written for token in self.tokens.get(text, ())]
