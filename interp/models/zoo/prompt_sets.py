"""Ready prompt pairs, made from the shipped text for whichever tokenizer reads them.

Each set asks one question. What a tokenizer cannot ask (an answer of several tokens, prompts whose lengths cannot be
matched) is left out, so the number of pairs depends on the tokenizer; the order depends on the seed alone.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice, pairwise

import numpy as np
from jaxtyping import Int

from interp.errors import InputError, PromptError
from interp.models.zoo import texts
from interp.prompts import PromptPair, PromptSet, pair_from_text
from interp.prompts.reading import Encoder

DETERMINERS = {
    "en": "the a his her my their our this",
    "fr": "le la les un une du des au son sa ses mon ma notre leur cette",
    "de": "der die das den dem ein eine einen sein seine seinen ihr ihre mein am zum",
    "es": "el la los las un una del al su sus mi este esta nuestra",
}
"""Words that a noun stands after, as a rule."""
FUNCTION_WORDS = {
    "en": "an of to in and was were is at on by with that for from but who when if had",
    "fr": "de à et était étaient est en dans sur par avec que pour mais qui si quand",
    "de": "von zu in und war waren ist auf mit daß wenn als aber für",
    "es": "de a y era eran es en con que por para pero se si cuando había",
}
"""Other words that say more about the language than about the subject."""
ARTICLES = {"en": " the", "fr": " le", "de": " der", "es": " el"}
"""One frequent word of each language, no two alike."""
SHORTEST_CONTEXT = 3
"""Words before an answer: fewer hardly show the language, or what has been said before."""
SHORTEST_ANSWER = 4
"""Letters of a word to be copied, so that it is seldom a function word."""
SWITCHED_WORDS = 2
"""Words of the new language that a prompt of `polyglot/switch` shows."""


def prompts(name: str, encoder: Encoder, *, n: int | None = None, seed: int = 0) -> PromptSet:
    """Make one of the ready prompt sets.

    - `polyglot/agreement`: verbs after a singular or a plural subject and a few words, in four languages.
    - `polyglot/induction`: a sentence said twice, cut short in the second copy; the answer is the word the first copy
      had there. In the corrupted prompt the first copy has another word, which is the wrong answer; both words stand
      after the same determiner somewhere in the shipped text.
    - `polyglot/language`: a sentence and its translation, both cut before words that are aligned; each answer is the
      next word in its prompt's own language.
    - `polyglot/switch`: a sentence two words after it changed language, against the same one before it changes; the
      answers are articles of the new and of the old language.

    Args:
        name: One of `NAMES`.
        encoder: A model's way from text to tokens.
        n: Pairs to make; all that the tokenizer allows where not given.
        seed: Decides which pairs come first, and what is drawn for them.

    Raises:
        InputError: an unknown name, or fewer than one pair asked for.
        PromptError: the tokenizer allows fewer pairs than asked for.

    Example:
        >>> prompts("polyglot/induction", ModelEncoder(load_model("zoo:polyglot")), n=32)
    """
    if name not in _MAKERS:
        raise InputError(f"No prompt set {name!r}. Expected one of {list(NAMES)}.")
    if n is not None and n < 1:
        raise InputError(f"n={n} asks for no prompts. Expected at least 1, or None for all there are.")
    pairs = list(islice(_MAKERS[name](encoder, np.random.default_rng(seed)), n))
    if len(pairs) < (n or 1):
        raise PromptError(f"{name!r} has {len(pairs)} pairs for this tokenizer, not {n or 1}. Ask for fewer.")
    return PromptSet.of(pairs)


def agreement_prompts(language: str, encoder: Encoder) -> PromptSet | None:
    """Make all agreement pairs of one language that the tokenizer can ask; None where it can ask none.

    Args:
        language: One of `texts.AGREEMENT_IN`.
        encoder: A model's way from text to tokens.
    """
    pairs = [pair for record in texts.read_agreement(language) if (pair := _asked(record, encoder))]
    return PromptSet.of(pairs) if pairs else None


def _agreement(encoder: Encoder, rng: np.random.Generator) -> Iterator[PromptPair]:
    records = [record for language in texts.AGREEMENT_IN for record in texts.read_agreement(language)]
    for number in rng.permutation(len(records)):
        if pair := _asked(records[number], encoder):
            yield pair


def _asked(record: dict[str, str], encoder: Encoder) -> PromptPair | None:
    return _pair(encoder, *(record[name] for name in ("clean", "corrupted", "answer", "wrong_answer")))


def _induction(encoder: Encoder, rng: np.random.Generator) -> Iterator[PromptPair]:
    sentences = {language: [row.split() for row in rows] for language, rows in texts.read_sentences().items()}
    known = {language: _copied_words(language, rows, encoder) for language, rows in sentences.items()}
    lines = [(language, words) for language, rows in sentences.items() for words in rows]
    for number in rng.permutation(len(lines)):
        language, words = lines[number]
        if pair := _repeated(words, known[language], encoder, rng):
            yield pair


def _copied_words(language: str, rows: list[list[str]], encoder: Encoder) -> dict[str, list[str]]:
    """Words of one token by the determiner they stand after somewhere, so that they can replace each other."""
    seen: dict[str, set[str]] = {}
    for words in rows:
        for before, word in pairwise(words):
            bare = word.rstrip(",.;!?")
            if before in _DETERMINERS[language] and bare.isalpha() and len(bare) >= SHORTEST_ANSWER:
                seen.setdefault(before, set()).add(bare)
    return {
        before: [word for word in sorted(found) if len(encoder.encode_answer(f" {word}")) == 1]
        for before, found in seen.items()
    }


def _repeated(
    words: list[str], known: dict[str, list[str]], encoder: Encoder, rng: np.random.Generator
) -> PromptPair | None:
    counts = Counter(word.rstrip(",.;!?") for word in words)
    places = [
        place
        for place in range(SHORTEST_CONTEXT, len(words))
        if counts[words[place]] == 1 and words[place] in known.get(words[place - 1], [])
    ]
    if not places:
        return None
    place = int(rng.choice(places))
    right, again = words[place], words[:place]
    # German nouns have capitals, and the wrong answer must not stand in the sentence already.
    others = [word for word in known[again[-1]] if word.istitle() == right.istitle() and word not in counts]
    if not others:
        return None
    wrong = str(rng.choice(others))
    clean, corrupted = (" ".join([*again, word, *words[place + 1 :], *again]) for word in (right, wrong))
    pair = _pair(encoder, clean, corrupted, f" {right}", f" {wrong}")
    if pair is None or len(pair.clean) != len(pair.corrupted) or (pair.clean != pair.corrupted).sum() != 1:
        return None
    return pair


def _language(encoder: Encoder, rng: np.random.Generator) -> Iterator[PromptPair]:
    sentences = texts.read_sentences()
    cuts = [(alignment, link) for alignment in texts.read_alignments() for link in _function_links(alignment)]
    for number in rng.permutation(len(cuts)):
        alignment, link = cuts[number]
        parts = [
            (sentences[language][alignment.row].split(), place)
            for language, place in zip(alignment.languages, link, strict=True)
        ]
        # Either language is the clean one as often as the other.
        (clean, cut), (corrupted, other_cut) = parts[:: int(rng.choice([1, -1]))]
        answers = f" {clean[cut]}", f" {corrupted[other_cut]}"
        if pair := _pair(encoder, " ".join(clean[:cut]), " ".join(corrupted[:other_cut]), *answers):
            yield pair


def _function_links(alignment: texts.Alignment) -> list[tuple[int, int]]:
    """Links between one function word and one other, far enough into both sentences."""
    sentences = texts.read_sentences()
    words = [sentences[language][alignment.row].split() for language in alignment.languages]
    used = [Counter(places) for places in zip(*alignment.links, strict=True)]
    return [
        link
        for link in alignment.links
        if all(
            place >= SHORTEST_CONTEXT and used[side][place] == 1 and words[side][place] in _FUNCTION_WORDS[language]
            for side, (place, language) in enumerate(zip(link, alignment.languages, strict=True))
        )
    ]


def _switch(encoder: Encoder, rng: np.random.Generator) -> Iterator[PromptPair]:
    # After a whole sentence, the old language would not go on with an article in small letters.
    switched = [sentence for sentence in texts.read_switched() if sentence.kind == "between-clause"]
    for number in rng.permutation(len(switched)):
        sentence = switched[number]
        point = sentence.switch_points[0]
        clean, corrupted = (" ".join(sentence.words[: point + more]) for more in (SWITCHED_WORDS, 0))
        new, old = sentence.languages[point], sentence.languages[point - 1]
        if pair := _pair(encoder, clean, corrupted, ARTICLES[new], ARTICLES[old]):
            yield pair


def _pair(encoder: Encoder, clean: str, corrupted: str, answer: str, wrong_answer: str) -> PromptPair | None:
    """A pair this tokenizer can ask, or None: each answer one token that goes on from its prompt as written."""
    sides = [encoder.encode(text) for text in (clean, corrupted)]
    ids = [encoder.encode_answer(text) for text in (answer, wrong_answer)]
    if any(len(tokens) != 1 for tokens in ids) or ids[0][0] == ids[1][0]:
        return None
    whole = [encoder.encode(clean + answer), encoder.encode(corrupted + wrong_answer)]
    together = zip(whole, sides, ids, strict=True)
    if not all(np.array_equal(said, [*side, *token]) for said, side, token in together):
        return None
    align = None if len(sides[0]) == len(sides[1]) else _align(*sides)
    return pair_from_text(clean, corrupted, encoder, answer=answer, wrong_answer=wrong_answer, align=align)


def _align(
    clean: Int[np.ndarray, " clean_pos"], corrupted: Int[np.ndarray, " corrupted_pos"]
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Say which spans stand for each other where the lengths differ; each is aligned from its end.

    Where clean goes on from corrupted, its new words stand for corrupted's last ones: what is before them is the same.
    Otherwise the beginning of sequence stands for its like, and the rest for the rest.
    """
    n_clean, n_corrupted = len(clean), len(corrupted)
    if np.array_equal(clean[:n_corrupted], corrupted):
        same = max(1, 2 * n_corrupted - n_clean)
        return [((0, same), (0, same)), ((n_corrupted, n_clean), (same, n_corrupted))]
    first = int(clean[0] == corrupted[0])
    return [((0, 1), (0, 1))] * first + [((first, n_clean), (first, n_corrupted))]


_DETERMINERS = {language: frozenset(words.split()) for language, words in DETERMINERS.items()}
_FUNCTION_WORDS = {
    language: _DETERMINERS[language] | frozenset(words.split()) for language, words in FUNCTION_WORDS.items()
}
_MAKERS: dict[str, Callable[[Encoder, np.random.Generator], Iterator[PromptPair]]] = {
    "polyglot/agreement": _agreement,
    "polyglot/induction": _induction,
    "polyglot/language": _language,
    "polyglot/switch": _switch,
}
NAMES = tuple(_MAKERS)
"""The ready prompt sets."""
