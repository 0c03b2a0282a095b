"""Which language a model goes on in: after a prompt in one, and after a sentence that has changed from one to another.

The judge is a language identifier that had no part in making the training data, whose languages come from file names.
Every share stands beside what the judge makes of the true continuations, and of those of random weights.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from interp.errors import InputError
from interp.languages import identify
from interp.models.tokenizers import body_ids
from interp.models.zoo import texts
from interp.models.zoo.corpus import Aligned, Novels
from interp.models.zoo.measure import Estimate, estimate, next_log_probs, share
from interp.models.zoo.sampling import sample_texts
from interp.models.zoo.scores import Fidelity, SwitchFollowing
from interp.models.zoo.switching import switch
from interp.types import Model

N_OPENINGS = 50
"""Prompts for each language."""
OPENING_WORDS = 8
OPENING_TOKENS = 60
"""Tokens to go on for."""
N_SWITCHES = 8
"""Prompts for each ordered pair of languages."""
WORDS_AFTER = (0, 1, 2, 4, 8)
"""Words of the new language that prompts show."""
SWITCH_TOKENS = 24
FOLLOWED_WORDS = 3
"""Words of each language whose probability is compared."""
SHOWN_WORDS = 2
"""Words of the new language before them."""


@dataclass(frozen=True)
class Opening:
    """The beginning of a text, and how it goes on."""

    language: str
    prompt: str
    rest: str


@dataclass(frozen=True)
class Switch:
    """A sentence that changes language."""

    old_language: str
    new_language: str
    before: tuple[str, ...]
    """Words up to the change."""
    new: tuple[str, ...]
    """Words after it."""
    old: tuple[str, ...]
    """How the sentence goes on in its old language."""
    then: tuple[str, str]
    """The text after it, in the old and in the new language."""


def shipped_openings(n: int = N_OPENINGS) -> list[Opening]:
    """Beginnings of shipped sentences, `n` for each language."""
    return _openings(texts.read_sentences(), n)


def held_out_openings(novels: dict[str, Novels], aligned: Aligned, n: int = N_OPENINGS) -> list[Opening]:
    """Beginnings of paragraphs of held-out novels and of held-out aligned sentences, half each."""
    paragraphs = {
        language: [line for text in split.held_out for line in text.splitlines()] for language, split in novels.items()
    }
    return _openings(paragraphs, n - n // 2) + _openings(aligned.held_out, n // 2)


def measure_fidelity(model: Model, control: Model, openings: Sequence[Opening], *, seed: int = 0) -> list[Fidelity]:
    """Go on from openings by sampling, and let the identifier say in which language.

    Args:
        model: A hooked model of some languages.
        control: The same architecture with random weights.
        openings: Prompts; their languages are those that the identifier chooses from.
        seed: Decides the samples.

    Returns:
        One record per language.
    """
    languages = list(dict.fromkeys(opening.language for opening in openings))
    told, of_control, of_truth = (
        _told(rows, languages) for rows in (*_continued(model, control, openings, seed), _truths(model, openings))
    )
    found = []
    for language in languages:
        asked = np.array([opening.language == language for opening in openings])
        found.append(
            Fidelity(
                language=language,
                same=share(told[asked] == language),
                others={other: float((told[asked] == other).mean()) for other in languages if other != language},
                random_weights=share(of_control[asked] == language),
                identifier=share(of_truth[asked] == language),
            )
        )
    return found


def same_language(model: Model, openings: Sequence[Opening], *, seed: int = 0) -> Estimate:
    """Share of openings that the model goes on from in their own language, all languages together."""
    languages = list(dict.fromkeys(opening.language for opening in openings))
    prompts = [opening.prompt for opening in openings]
    told = _told(sample_texts(model, prompts, n_tokens=OPENING_TOKENS, seed=seed), languages)
    return share(told == np.array([opening.language for opening in openings], object))


def draw_switches(aligned: dict[str, list[str]], n: int = N_SWITCHES, *, seed: int = 0) -> list[Switch]:
    """Sentences that change language where a phrase begins, `n` for each ordered pair of languages.

    All have more words after the change than any prompt shows, so that every prompt stops inside the same sentence.

    Args:
        aligned: Sentences by language, equal places meaning the same.
        n: For each ordered pair.
        seed: Decides which sentences, and where they change.

    Raises:
        InputError: too few sentences for that.
    """
    rng, found = np.random.default_rng(seed), []
    for old, new in permutations(aligned, 2):
        rows = {language: aligned[language] for language in (old, new)}
        order = rng.permutation(len(rows[old]))
        of_pair = [one for number in order if (one := _switch(rows, int(number), rng))][:n]
        if len(of_pair) < n:
            raise InputError(f"{len(order)} sentences give {len(of_pair)} switches from {old} to {new}, not {n}.")
        found += of_pair
    return found


def measure_switching(
    model: Model, control: Model, switches: Sequence[Switch], *, seed: int = 0
) -> list[SwitchFollowing]:
    """Go on from switched sentences by sampling, cut at some words after the change, and say in which language.

    Args:
        model: A hooked model of some languages.
        control: The same architecture with random weights.
        switches: Sentences that change language; their languages are those that the identifier chooses from.
        seed: Decides the samples.

    Returns:
        One record for each number of words after the change; 0 shows how often the model changes by itself.
    """
    languages = list(dict.fromkeys(language for one in switches for language in (one.old_language, one.new_language)))
    cuts = [(one, words) for words in WORDS_AFTER for one in switches]
    openings = [_opening(one, words) for one, words in cuts]
    told, of_control, of_truth = (
        _told(rows, languages).reshape(len(WORDS_AFTER), -1)
        for rows in (
            *_continued(model, control, openings, seed, SWITCH_TOKENS),
            _truths(model, openings, SWITCH_TOKENS),
        )
    )
    old, new = (np.array([getattr(one, f"{age}_language") for one in switches], object) for age in ("old", "new"))
    return [
        SwitchFollowing(
            words_after=words,
            new=share(told[row] == new),
            old=share(told[row] == old),
            other=share((told[row] != new) & (told[row] != old)),
            random_weights=share(of_control[row] == new),
            identifier=share(of_truth[row] == (new if words else old)),
        )
        for row, words in enumerate(WORDS_AFTER)
    ]


def following_nats(model: Model, switches: Sequence[Switch]) -> Estimate:
    """How much more probable the new language's next words are than the old one's, after two words of the new.

    Log-probability in nats per token; positive means that the model follows the switch. Unlike samples, it is defined
    for a model that cannot write words yet, and it needs no identifier; but it knows one continuation in each language.
    """
    prompts = [" ".join([*one.before, *one.new[:SHOWN_WORDS]]) for one in switches]
    new, old = (
        next_log_probs(model, prompts, [f" {' '.join(words[:FOLLOWED_WORDS])}" for words in following])
        for following in ([one.new[SHOWN_WORDS:] for one in switches], [one.old[SHOWN_WORDS:] for one in switches])
    )
    return estimate(new - old)


def _openings(rows: dict[str, list[str]], n: int) -> list[Opening]:
    return [opening for language, lines in rows.items() for opening in _of_language(language, lines, n)]


def _of_language(language: str, lines: list[str], n: int) -> Iterator[Opening]:
    # More words than the prompt, so that it stops inside the sentence.
    usable = [place for place, line in enumerate(lines) if len(line.split()) > OPENING_WORDS]
    if len(usable) < n:
        raise InputError(f"{len(usable)} texts in {language!r} have more than {OPENING_WORDS} words. Expected {n}.")
    for number in range(n):
        place = usable[number * len(usable) // n]
        words = " ".join(lines[place : place + OPENING_TOKENS]).split()
        rest = words[OPENING_WORDS : OPENING_WORDS + OPENING_TOKENS]
        yield Opening(language, " ".join(words[:OPENING_WORDS]), " ".join(rest))


def _switch(rows: dict[str, list[str]], number: int, rng: np.random.Generator) -> Switch | None:
    made = switch({language: lines[number] for language, lines in rows.items()}, rng)
    if made is None:
        return None
    old, new = rows
    before, after = (text.split() for _, text in made.pieces)
    going_on = rows[old][number].split()[len(before) :]
    if len(after) <= max(WORDS_AFTER) or len(going_on) <= SHOWN_WORDS:
        return None
    # The next sentences, the first ones after the last: as many as a continuation can reach.
    then = [" ".join([*lines[number + 1 :], *lines][:SWITCH_TOKENS]) for lines in rows.values()]
    return Switch(old, new, tuple(before), tuple(after), tuple(going_on), (then[0], then[1]))


def _opening(one: Switch, words: int) -> Opening:
    language = one.new_language if words else one.old_language
    rest = [*(one.new[words:] if words else one.old), one.then[bool(words)]]
    return Opening(language, " ".join([*one.before, *one.new[:words]]), " ".join(rest))


def _continued(
    model: Model, control: Model, openings: Sequence[Opening], seed: int, n_tokens: int = OPENING_TOKENS
) -> list[list[str]]:
    prompts = [opening.prompt for opening in openings]
    return [sample_texts(each, prompts, n_tokens=n_tokens, seed=seed) for each in (model, control)]


def _truths(model: Model, openings: Sequence[Opening], n_tokens: int = OPENING_TOKENS) -> list[str]:
    """The true continuations, cut to as many tokens as were sampled."""
    ids = [body_ids(model.tokenizer, f" {opening.rest}")[:n_tokens] for opening in openings]
    return [model.tokenizer.decode(row, clean_up_tokenization_spaces=False) for row in ids]


def _told(rows: Sequence[str], languages: list[str]) -> np.ndarray:
    return np.array([found.language for found in identify(rows, languages)], object)
