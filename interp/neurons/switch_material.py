"""Switches beside matched tokens: sentences that change language, cut from line-aligned ones, and pairs of tokens.

A built switch takes the beginning of a sentence in one language and the end of its translation in another. The first
token of the new language stands, with the same words after it, in the translation too: the same token, at about the
same place, after its own language. That is the closest match there can be: language, script, frequency, place in word
and what follows are equal, and only the language before differs.

For the token just before a switch no such match can differ: a causal model has read the same there in the switched
sentence and in the sentence it begins as. Its match is another token of its language that ends a word before which a
phrase may begin. Where a built switch falls is drawn at random among such places, so nothing can foresee it, and an
effect there is an error of the method. On switches of real text the same contrast asks a real question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from interp.errors import InputError
from interp.languages import TaggedText
from interp.models.zoo.switching import phrase_beginnings, switch
from interp.neurons.labelled import LabelledTokens, label_tokens
from interp.neurons.matching import match_places
from interp.neurons.passes import Places
from interp.types import Model

FEWEST_DOCUMENTS = 4
"""Two for each half."""
N_MATCHES = 4
"""Matches of a token, where they are of other documents: a split by documents leaves about half of them."""


@dataclass(frozen=True)
class Pairs:
    """Tokens at switches, each beside a token that is none."""

    switch: Places
    matched: Places
    document: Int[np.ndarray, " pair"]
    """The unit of splits, permutations and intervals."""

    def __len__(self) -> int:
        return len(self.document)

    def __getitem__(self, chosen: np.ndarray) -> "Pairs":
        return Pairs(self.switch[chosen], self.matched[chosen], self.document[chosen])


@dataclass(frozen=True)
class Continuations:
    """Switches, and where it is known how the sentence goes on in either language; one entry each.

    Switches that somebody wrote have no other continuation: rows and positions of those are -1.
    """

    document: Int[np.ndarray, " case"]
    old_language: Int[np.ndarray, " case"]
    new_language: Int[np.ndarray, " case"]
    row: Int[np.ndarray, " case"]
    """The switched sentence."""
    pos: Int[np.ndarray, " case"]
    """The first token of the new language in it; of the old word in `old_row`, which is the same up to there."""
    old_row: Int[np.ndarray, " case"]
    """The sentence that goes on in its old language."""
    new_row: Int[np.ndarray, " case"]
    """The sentence of the new language alone."""
    new_pos: Int[np.ndarray, " case"]
    """Where the same words begin in it."""
    back_row: Int[np.ndarray, " case"]
    """The switched sentence that comes back to its old language after one word; -1 where it has no more words."""

    def __len__(self) -> int:
        return len(self.document)

    def __getitem__(self, chosen: np.ndarray) -> "Continuations":
        return Continuations(*(array[chosen] for array in vars(self).values()))


@dataclass(frozen=True)
class SwitchMaterial:
    """Sentences, the pairs of tokens that a contrast is taken over, and how each switch could have gone on."""

    tokens: LabelledTokens
    plain: Int[np.ndarray, " row"]
    """Rows of one language: the non-switch data."""
    at: Pairs
    """First tokens of the new language."""
    before: Pairs
    """Last tokens before it."""
    cases: Continuations | None = None
    """Every switch once, with its other continuations where they are known; what causal tests run on."""

    @property
    def documents(self) -> Int[np.ndarray, " document"]:
        """The documents that have a switch, a match or a sentence of one language."""
        matched = [self.tokens.text[pairs.matched.row] for pairs in (self.at, self.before)]
        return np.unique(
            np.concatenate([self.at.document, self.before.document, *matched, self.tokens.text[self.plain]])
        )

    def of(self, documents: Int[np.ndarray, " document"]) -> "SwitchMaterial":
        """The part of some documents: pairs whose tokens both lie in them. The rows of the others stay, unused."""
        cases = None if self.cases is None else self.cases[np.isin(self.cases.document, documents)]
        inside = [self._inside(pairs, documents) for pairs in (self.at, self.before)]
        if not all(kept.any() for kept in inside):
            raise InputError(
                f"Among {len(documents)} documents no switch lies beside a token that matches it. Give more texts, "
                "some with switches and some without."
            )
        at, before = (pairs[kept] for pairs, kept in zip((self.at, self.before), inside, strict=True))
        plain = self.plain[np.isin(self.tokens.text[self.plain], documents)]
        return replace(self, plain=plain, at=at, before=before, cases=cases)

    def _inside(self, pairs: Pairs, documents: np.ndarray) -> np.ndarray:
        return np.isin(pairs.document, documents) & np.isin(self.tokens.text[pairs.matched.row], documents)

    def halves(self, *, seed: int = 0) -> tuple["SwitchMaterial", "SwitchMaterial"]:
        """Split by document: all versions and switches of a sentence stay together.

        Raises:
            InputError: fewer than four documents.
        """
        documents = np.random.default_rng(seed).permutation(self.documents)
        if len(documents) < FEWEST_DOCUMENTS:
            raise InputError(f"{len(documents)} documents with switches cannot be split. Expected at least 4.")
        middle = (len(documents) + 1) // 2
        return self.of(documents[:middle]), self.of(documents[middle:])


def switch_aligned(model: Model, aligned: Mapping[str, Sequence[str]], *, seed: int = 0) -> SwitchMaterial:
    """Switch every aligned sentence once for every ordered pair of languages, and pair the switches.

    Args:
        model: A hooked model with a tokenizer that keeps spaces.
        aligned: Sentences by language, equal places meaning the same; languages of `PHRASE_OPENERS`.
        seed: Decides where sentences are cut, and the matches of the tokens before.

    Returns:
        Documents are the aligned sentences, by number.

    Raises:
        InputError: no sentence that can be switched, or a tokenizer that cuts the same words differently.
    """
    rng, languages = np.random.default_rng(seed), tuple(aligned)
    texts = _Texts(languages)
    n_sentences = len(aligned[languages[0]])
    for document in range(n_sentences):
        for language in languages:
            texts.add(document, [(language, aligned[language][document].split())])
    found = [
        case
        for document in range(n_sentences)
        for old in range(len(languages))
        for new in range(len(languages))
        if old != new and (case := texts.switch(aligned, (document, old, new), rng))
    ]
    if not found:
        raise InputError(
            f"None of {n_sentences} sentences can be switched. Expected longer ones, with several clauses."
        )
    tokens = replace(label_tokens(model, texts.tagged, languages=languages), text=np.array(texts.document))
    cases = _cases(tokens, np.array(found))
    plain = np.arange(n_sentences * len(languages))
    at = Pairs(Places(cases.row, cases.pos), Places(cases.new_row, cases.new_pos), cases.document)
    return SwitchMaterial(tokens, plain, at, _before(tokens, texts, cases, rng), cases)


class _Texts:
    """Sentences as they are written, and which document each is of."""

    def __init__(self, languages: tuple[str, ...]):
        self.languages = languages
        self.tagged: list[TaggedText] = []
        self.document: list[int] = []

    def add(self, document: int, pieces: Sequence[tuple[str, Sequence[str]]]) -> int:
        words = [word for _, piece in pieces for word in piece]
        tags = [language for language, piece in pieces for _ in piece]
        self.tagged.append(TaggedText(tuple(words), tuple(tags), (True,) * len(words)))
        self.document.append(document)
        return len(self.tagged) - 1

    def switch(
        self, aligned: Mapping[str, Sequence[str]], which: tuple[int, int, int], rng: np.random.Generator
    ) -> tuple[int, ...] | None:
        """Document, languages, rows, and the words at which the switch and its match stand."""
        document, old, new = which
        sentence = {self.languages[number]: aligned[self.languages[number]][document] for number in (old, new)}
        made = switch(sentence, rng)
        if made is None:
            return None
        (first, before), (second, after) = ((language, text.split()) for language, text in made.pieces)
        going_on = sentence[first].split()[len(before) :]
        row = self.add(document, [(first, before), (second, after)])
        back = -1
        if len(after) > 1 and len(going_on) > 1:
            back = self.add(document, [(first, before), (second, after[:1]), (first, going_on[1:2])])
        there = len(sentence[second].split()) - len(after)
        plain = document * len(self.languages)
        return document, old, new, row, len(before), plain + old, plain + new, there, back


def _cases(tokens: LabelledTokens, found: Int[np.ndarray, "case field"]) -> Continuations:
    document, old, new, row, word, old_row, new_row, new_word, back = found.T
    pos, new_pos = first_tokens(tokens, row, word), first_tokens(tokens, new_row, new_word)
    ids = tokens.batch.tokens
    same_words = ids[row, pos] == ids[new_row, new_pos]
    same_beginning = np.array([(ids[a, :n] == ids[b, :n]).all() for a, b, n in zip(row, old_row, pos, strict=True)])
    if not (same_words & same_beginning).all():
        raise InputError(
            f"The tokenizer cuts {int((~(same_words & same_beginning)).sum())} of {len(row)} switched sentences "
            "differently from the sentences they are made of. Expected one that never joins words."
        )
    return Continuations(document, old, new, row, pos, old_row, new_row, new_pos, back)


def first_tokens(
    tokens: LabelledTokens, row: Int[np.ndarray, " n"], word: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """Position of the first token of a word of each row."""
    return (tokens.word[row] == word[:, None]).argmax(1)


def _before(tokens: LabelledTokens, texts: _Texts, cases: Continuations, rng: np.random.Generator) -> Pairs:
    """Pair the tokens before switches with others before which a phrase may begin, of sentences of one language."""
    n_plain = int(cases.row.min())
    candidates = _ends(tokens, n_plain, texts)
    positives = Places(cases.row, cases.pos - 1)
    chosen, matches = match_places(tokens, positives, candidates, rng, n_matches=N_MATCHES)
    return Pairs(positives[chosen], matches, cases.document[chosen])


def _ends(tokens: LabelledTokens, n_plain: int, texts: _Texts) -> Places:
    row, pos = [], []
    for number in range(n_plain):
        text = texts.tagged[number]
        words = np.array(phrase_beginnings(text.languages[0], list(text.words)), np.int64)
        here = first_tokens(tokens, np.full(len(words), number), words) - 1
        row += [number] * len(here)
        pos += here.tolist()
    return Places(np.array(row), np.array(pos))


def word_ends(tokens: LabelledTokens) -> Bool[np.ndarray, "text pos"]:
    """Last token of every word."""
    found = tokens.word >= 0
    found[:, :-1] &= tokens.word[:, 1:] != tokens.word[:, :-1]
    return found
