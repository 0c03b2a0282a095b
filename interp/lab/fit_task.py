"""A made-up bilingual language in which it is known how well the other language's word fits, and how often it is used.

Every concept has one word in language B and 1, 2, 4, 8 or 16 equally likely synonyms in language A. A document is a tag
that names its language and then words; a chain of concepts is drawn, and every word comes from the other language with
probability epsilon, *however well it fits*. Nothing in the corpus prefers the fitting word.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.lab.switch_rate import Choice
from interp.models import native

A, B = 0, 1
"""The languages; also the token ids of their tags."""
N_TAGS = 2
SHORTEST = 4
"""Words before a measured place, so that the document's language shows in more than its tag."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the corpus and the trained model are."""

    synonyms: tuple[int, ...] = (1, 2, 4, 8, 16)
    n_each: int = 8
    """Concepts with each number of synonyms."""
    successors: tuple[float, ...] = (0.55, 0.25, 0.15, 0.05)
    """Probabilities of the concepts that may follow a concept."""
    epsilon: float = 0.15
    """Probability that a word comes from the other language."""
    held_out: float = 0.5
    """Share of the concepts that never switch in A documents."""
    only_in_b: float = 0.15
    """Share of the concepts whose second successor follows in B documents only."""
    n_words: int = 32
    pool: int = 98_304
    """Documents that training draws from, each about once. Of 16,384, each is read six times, and the model learns
    their accidents: its loss on fresh ones is 0.03 nats higher, and at low temperatures it leaves the closed form."""
    d_model: int = 64
    n_heads: int = 2
    n_layers: int = 2
    batch: int = 64
    steps: int = 1500
    warmup: int = 50
    lr: float = 3e-3
    last_rate: float = 0.05
    """The cosine ends at this share of `lr`."""
    weight_decay: float = 0.01
    seed: int = 0

    @property
    def n_concepts(self) -> int:
        """Concepts of any number of synonyms."""
        return self.n_each * len(self.synonyms)


@dataclass(frozen=True)
class Documents:
    """Drawn documents: tag and words as token ids, and the concepts behind the words."""

    tokens: Int[np.ndarray, "document pos"]
    concepts: Int[np.ndarray, "document word"]
    language: Int[np.ndarray, " document"]


@dataclass(frozen=True)
class Task:
    """The vocabulary, who follows whom, and which concepts are exceptions."""

    recipe: Recipe
    follows: Int[np.ndarray, "concept rank"]
    """Concepts that may follow, the most probable first."""
    held_out: Bool[np.ndarray, " concept"]
    """Never switches in A documents."""
    only_in_b: Bool[np.ndarray, " concept"]
    """Its second successor follows in B documents only."""

    @classmethod
    def of(cls, recipe: Recipe) -> "Task":
        """Draw the task from the recipe's seed; half of each number of synonyms is held out."""
        rng = np.random.default_rng(recipe.seed)
        n, each = recipe.n_concepts, np.arange(recipe.n_each) < round(recipe.held_out * recipe.n_each)
        held_out = np.concatenate([rng.permutation(each) for _ in recipe.synonyms])
        only_in_b = rng.permutation(np.arange(n) < round(recipe.only_in_b * n))
        return cls(recipe, _draw_follows(n, len(recipe.successors), rng), held_out, only_in_b)

    @cached_property
    def n_synonyms(self) -> Int[np.ndarray, " concept"]:
        """Words of each concept in language A."""
        return np.repeat(self.recipe.synonyms, self.recipe.n_each)

    @cached_property
    def first_a(self) -> Int[np.ndarray, " concept"]:
        """Token id of each concept's first word in A; its synonyms come next."""
        return N_TAGS + np.cumsum(self.n_synonyms) - self.n_synonyms

    @cached_property
    def word_b(self) -> Int[np.ndarray, " concept"]:
        """Token id of each concept's word in B."""
        return N_TAGS + self.n_synonyms.sum() + np.arange(self.recipe.n_concepts)

    @cached_property
    def concept_of(self) -> Int[np.ndarray, " token"]:
        """Concept of each token; -1 for tags and `<unk>`."""
        n = self.recipe.n_concepts
        words = np.concatenate([np.repeat(np.arange(n), self.n_synonyms), np.arange(n)])
        return np.concatenate([np.full(N_TAGS, -1), words, [-1]])

    @cached_property
    def chances(self) -> Float[np.ndarray, "language concept rank"]:
        """Probability of each successor in documents of each language."""
        plain = np.tile(self.recipe.successors, (2, self.recipe.n_concepts, 1))
        plain[A, self.only_in_b, 1] = 0
        return plain / plain.sum(-1, keepdims=True)

    def words(self) -> list[str]:
        """Spell the vocabulary: tags, `a3.0` and so on for synonyms of concept 3, `b3`, and `<unk>`, never trained."""
        synonyms = [f"a{c}.{i}" for c, n in enumerate(self.n_synonyms) for i in range(n)]
        return ["<a>", "<b>", *synonyms, *(f"b{c}" for c in range(self.recipe.n_concepts)), native.UNKNOWN]

    def settings(self) -> dict[str, Any]:
        """Give the architecture: RMS norm before each part, rotary positions, GELU, untied unembedding."""
        recipe = self.recipe
        return {
            "d_model": recipe.d_model,
            "n_heads": recipe.n_heads,
            "d_head": recipe.d_model // recipe.n_heads,
            "n_layers": recipe.n_layers,
            "d_mlp": 4 * recipe.d_model,
            "n_ctx": recipe.n_words + 1,
            "d_vocab": len(self.concept_of),
            "act_fn": "gelu",
            "normalization_type": "RMS",
            "eps": 1e-6,
            "positional_embedding_type": "rotary",
        }


def draw_documents(task: Task, n: int, rng: np.random.Generator, *, language: int | None = None) -> Documents:
    """Draw documents of both languages, or of one.

    Args:
        task: The language.
        n: How many.
        rng: Decides them.
        language: `A` or `B`; half of each by default.
    """
    recipe = task.recipe
    of = np.arange(n) % 2 if language is None else np.full(n, language)
    concepts = np.empty((n, recipe.n_words), np.int64)
    concepts[:, 0] = rng.integers(recipe.n_concepts, size=n)
    bounds = task.chances.cumsum(-1)
    for place in range(1, recipe.n_words):
        before = concepts[:, place - 1]
        # The last bound may be a little below 1 by rounding.
        rank = (rng.random(n)[:, None] >= bounds[of, before, :-1]).sum(-1)
        concepts[:, place] = task.follows[before, rank]
    switched = rng.random(concepts.shape) < recipe.epsilon
    switched &= ~(task.held_out[concepts] & (of == A)[:, None])
    spoken = of[:, None] ^ switched
    synonym = (rng.random(concepts.shape) * task.n_synonyms[concepts]).astype(np.int64)
    words = np.where(spoken == A, task.first_a[concepts] + synonym, task.word_b[concepts])
    return Documents(np.concatenate([of[:, None], words], axis=1), concepts, of)


def draw_choices(task: Task, n_each: int, *, held_out: bool = False, seed: int = 1) -> list[Choice]:
    """Draw places in fresh A documents whose most probable next concept has each number of synonyms.

    One place for each document, so that places are independent. The choice is between the concept's words in A and its
    word in B.

    Args:
        task: The language.
        n_each: Places for each number of synonyms.
        held_out: Of the concepts that never switch, instead of those that do.
        seed: Decides the documents; another number than the recipe's.
    """
    wanted = dict.fromkeys(task.recipe.synonyms, n_each)
    found: dict[int, list[Choice]] = {n: [] for n in wanted}
    for context, concept in _places(task, seed):
        n = int(task.n_synonyms[concept])
        if task.held_out[concept] == held_out and wanted[n]:
            wanted[n] -= 1
            first = int(task.first_a[concept])
            home = tuple((first + i,) for i in range(n))
            found[n].append(Choice(context, home, ((int(task.word_b[concept]),),)))
        if not any(wanted.values()):
            break
    return [choice for choices in found.values() for choice in choices]


def _places(task: Task, seed: int) -> Iterator[tuple[np.ndarray, int]]:
    """Beginnings of A documents without end, and the most probable next concept."""
    # Training draws its documents from the recipe's seed alone.
    rng = np.random.default_rng([task.recipe.seed, seed, 1])
    while True:
        drawn = draw_documents(task, 256, rng, language=A)
        lengths = rng.integers(SHORTEST, task.recipe.n_words, size=256)
        for tokens, concepts, length in zip(drawn.tokens, drawn.concepts, lengths, strict=True):
            yield tokens[: length + 1], int(task.follows[concepts[length - 1], 0])


def _draw_follows(n: int, n_ranks: int, rng: np.random.Generator) -> Int[np.ndarray, "concept rank"]:
    """Draw successors so that every concept is as frequent: each rank is a permutation, none repeats within a row."""
    columns: list[np.ndarray] = [np.arange(n)]
    while len(columns) <= n_ranks:
        # One in e^k fits with k columns, so the fifth takes some fifty tries.
        column = rng.permutation(n)
        if all((column != other).all() for other in columns):
            columns.append(column)
    return np.stack(columns[1:], axis=1)
