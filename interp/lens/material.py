"""What the lens is read at: places before a word whose language is known, with the tokens of each language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from interp.errors import InputError
from interp.languages import TaggedText
from interp.languages.parallel_words import WordPrompt
from interp.lens.token_languages import Speller, TokenLanguages, TokenShares, WordSpellings
from interp.models import encode
from interp.models.tokenizers import frame
from interp.neurons.labelled import LabelledTokens, label_tokens
from interp.neurons.next_language import LanguageVocabulary, before_words, learn_vocabulary
from interp.neurons.passes import Places
from interp.prompts import TokenBatch
from interp.types import Model

FEWEST_DOCUMENTS = 2


@dataclass(frozen=True)
class LensMaterial:
    """Places to read at, each just before a word of a known language.

    Raises:
        InputError: fewer than two languages, or one with fewer than two documents.
    """

    batch: TokenBatch
    places: Places
    languages: tuple[str, ...]
    actual: Int[np.ndarray, " place"]
    """Language of the word that comes next."""
    document: Int[np.ndarray, " place"]
    """The unit of intervals: a text, or a word in all its prompts."""
    tokens: TokenLanguages
    """Which tokens speak for which language."""
    what: str
    """What stands at the places, in words."""
    n_dropped: int = 0
    """Words left out because a token could begin them in two languages."""

    def __post_init__(self) -> None:
        if len(self.languages) < 2:
            raise InputError(f"{list(self.languages)} leaves nothing to compare. Expected two or more languages.")
        for number, language in enumerate(self.languages):
            if (n := len(np.unique(self.document[self.actual == number]))) < FEWEST_DOCUMENTS:
                raise InputError(
                    f"{language!r} has {n} texts or words to read at. Expected two or more, for intervals."
                )


def word_material(model: Model, prompts: Sequence[WordPrompt]) -> LensMaterial:
    """Read at the end of prompts that ask for a word, where a word's tokens speak for its language.

    Words that could begin with the same token in two languages tell nothing and are left out, in all their prompts.

    Args:
        model: A hooked decoder.
        prompts: What `word_prompts` returns.

    Raises:
        InputError: no prompt is left, or a language has too few.
        ModelError: the model has no tokenizer.
    """
    if not prompts:
        raise InputError("No prompts were given. Expected those that word_prompts returns.")
    speller, sets = Speller(model), {}
    for prompt in prompts:
        if prompt.concept not in sets:
            sets[prompt.concept] = [speller.ids(word) for word in prompt.words.values()]
    apart = {concept for concept, found in sets.items() if _apart(found)}
    kept = [prompt for prompt in prompts if prompt.concept in apart]
    if not kept:
        raise InputError(
            f"All {len(sets)} words can begin with one token in two of {list(prompts[0].words)}. Give words that begin "
            "differently, or compare fewer languages."
        )
    languages = tuple(prompts[0].words)
    rows, after = [encode(model, prompt.text) for prompt in kept], len(frame(model).after)
    last = np.array([len(row) - 1 - after for row in rows])
    return LensMaterial(
        batch=TokenBatch.of(rows),
        places=Places(np.arange(len(rows)), last),
        languages=languages,
        actual=np.array([languages.index(prompt.target) for prompt in kept]),
        document=np.array([prompt.concept for prompt in kept]),
        tokens=WordSpellings.of([sets[prompt.concept] for prompt in kept], speller.d_vocab),
        what=f"the end of {len(kept)} prompts that ask for one of {len(apart)} words; a language's tokens are those "
        "that spell a beginning of its word, with or without a space",
        n_dropped=len(sets) - len(apart),
    )


def text_material(
    model: Model, texts: Mapping[str, Sequence[str]], vocabulary: LanguageVocabulary | None = None
) -> LensMaterial:
    """Read before every word of running texts but their first.

    Args:
        model: A hooked decoder.
        texts: Texts by language, each in that language alone, short enough for the model's context; each is a document.
            Equal places may mean the same thing, and need not.
        vocabulary: Which tokens begin words of which language, learnt on other texts. None: learnt on every other of
            these, which are then not read.

    Raises:
        InputError: the languages are not the vocabulary's, or have too few texts or words.
    """
    if bare := [language for language, column in texts.items() if isinstance(column, str)]:
        raise InputError(f"The texts in {bare} are one string. Expected a list of texts for every language.")
    if vocabulary is None:
        vocabulary = learn_vocabulary(model, {language: column[1::2] for language, column in texts.items()})
        texts = {language: column[::2] for language, column in texts.items()}
    if set(texts) != set(vocabulary.languages):
        raise InputError(
            f"Texts in {list(texts)}, a vocabulary of {list(vocabulary.languages)}. Expected the same languages."
        )
    tagged = [_tagged(text, language) for language in vocabulary.languages for text in texts[language] if text.split()]
    return labelled_material(label_tokens(model, tagged, languages=vocabulary.languages), vocabulary)


def labelled_material(
    tokens: LabelledTokens, vocabulary: LanguageVocabulary, *, at: Bool[np.ndarray, "text pos"] | None = None
) -> LensMaterial:
    """Read before words of texts that may change language, so that the word before need not give the next one away.

    Args:
        tokens: What `label_tokens` returns, in the vocabulary's languages.
        vocabulary: What `learn_vocabulary` counted on other texts.
        at: Where to read, among the places before a word that has a language; all of them by default.

    Raises:
        InputError: other languages than the vocabulary's, no place to read at, or too few texts of a language.
    """
    if tokens.languages != vocabulary.languages:
        raise InputError(
            f"Texts in {tokens.languages}, a vocabulary of {vocabulary.languages}. Expected the same languages, in the "
            "same order."
        )
    row, pos = np.nonzero(before_words(tokens) if at is None else before_words(tokens) & at)
    if not len(row):
        raise InputError("There is no place to read at: no word of a language comes after one. Expected running text.")
    return LensMaterial(
        batch=tokens.batch,
        places=Places(row, pos),
        languages=vocabulary.languages,
        actual=tokens.language[row, pos + 1],
        document=tokens.text[row],
        tokens=TokenShares(vocabulary.posterior * vocabulary.begins[:, None]),
        what=f"{len(row)} places before words of {len(np.unique(row))} texts; a token speaks for a language by "
        "P(language | token) among tokens that begin words, counted on other texts; in a text of one language the word "
        "before already has the language, and where embedding and unembedding are tied, layer -1 gives its token back",
    )


def _apart(sets: Sequence[Sequence[int]]) -> bool:
    """Whether every language has a token and no token belongs to two."""
    every = [token for ids in sets for token in set(ids)]
    return all(sets) and len(every) == len(set(every))


def _tagged(text: str, language: str) -> TaggedText:
    words = tuple(text.split())
    return TaggedText(words, (language,) * len(words), (True,) * len(words))
