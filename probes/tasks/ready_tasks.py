"""Ready probing tasks: next language, part of speech, place in the sentence, number of the subject.

A sample is a word's last token. Where the same beginning of a text would be sampled twice, one of the two is left out:
a causal model cannot tell them apart, and a probe could be tested on what it was fitted to.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from typing import Literal

import numpy as np

from interp.errors import InputError
from interp.languages import TaggedText
from interp.models.zoo.switching import switch
from interp.models.zoo.texts import AGREEMENT_IN, read_agreement
from probes.tasks.conllu import NO_TAG, TaggedSentence
from probes.tasks.task import ProbeTask
from probes.tasks.token_places import Encode, TokenizedText
from probes.tasks.word_samples import WordSample, common, draw, one_of_each_beginning, quantile_classes, word_task

FEWEST_GROUPS = 10
"""Groups in which a class must occur to be kept."""
SAMPLES_PER_TEXT = 8
AGREEMENT_SIDES = {"clean": "singular", "corrupted": "plural"}
"""Number of the subject in each side of an agreement record."""
SUBJECT_NUMBER = "number of the subject"
RETURNS = 0.5
"""Share of built switches after which the sentence comes back to its first language, where it can."""


def switched_texts(sentences: Mapping[str, Sequence[str]], *, seed: int = 0) -> tuple[list[TaggedText], list[int]]:
    """Build texts that change language inside, from sentences that mean the same.

    Args:
        sentences: Sentences by language, equal places meaning the same.
        seed: Decides the cuts.

    Returns:
        The texts, and of each the place of the sentence it was made of: their groups, since all that are made of one
        sentence share words.
    """
    rng, texts, groups = np.random.default_rng(seed), [], []
    for place, rows in enumerate(zip(*sentences.values(), strict=True)):
        of = dict(zip(sentences, rows, strict=True))
        for first, second in permutations(of, 2):
            made = switch({first: of[first], second: of[second]}, rng, returns=RETURNS)
            if made is not None:
                words = [(word, language) for language, text in made.pieces for word in text.split()]
                forms, tags = zip(*words, strict=True)
                texts.append(TaggedText(forms, tags, (True,) * len(forms)))
                groups.append(place)
    return texts, groups


def next_language_task(
    texts: Sequence[TaggedText],
    encode: Encode,
    groups: Sequence[int | str],
    *,
    languages: Sequence[str],
    switch_share: float = 0.5,
    seed: int = 0,
) -> ProbeTask:
    """Label the last token of a word with the language of the next word.

    With the natural share of switches this is almost the language of the word itself. So words before a switch are
    kept and others drawn, until `switch_share` of the samples stand before a switch: whoever answers the current
    language is right on the rest only, which `what` says.

    Args:
        texts: Words with their languages, such as those of `switched_texts`.
        encode: The model's way from text to ids.
        groups: What must not be split, for each text.
        languages: Which tags are languages; words with others neither carry a label nor are one.
        switch_share: Share of samples whose next word is of another language than their own.
        seed: Decides which are drawn.

    Raises:
        InputError: a share that is not between 0 and 1, no switch in any text, or anything `ProbeTask` refuses.
    """
    if not 0 < switch_share < 1:
        raise InputError(f"switch_share={switch_share}. Expected a share between 0 and 1.")
    rng, rows, samples, switches = np.random.default_rng(seed), [], [], set()
    for row, (text, group) in enumerate(zip(texts, groups, strict=True)):
        tokens = TokenizedText(text.text, encode)
        rows.append(tokens.ids)
        words = list(zip(text.languages, text.spans, strict=True))
        for (own, (start, end)), (following, _) in pairwise(words):
            place = tokens.last_token(start, end)
            if place is not None and own in languages and following in languages:
                samples.append(WordSample(row, place, following, group))
                if own != following:
                    switches.add((row, place))
    kept = one_of_each_beginning(samples, rows, rng)
    before = [sample for sample in kept if (sample.row, sample.position) in switches]
    others = [sample for sample in kept if (sample.row, sample.position) not in switches]
    n_others = round(len(before) * (1 - switch_share) / switch_share)
    if not before or n_others > len(others):
        raise InputError(
            f"{len(before)} words stand before a switch and {len(others)} elsewhere: {switch_share} of the samples "
            "cannot be before a switch. Give texts that change language, or another switch_share."
        )
    chosen = before + others[:n_others]
    differ = len(before) / len(chosen)
    return word_task(rows, chosen, f"language of the next word (another than the word's own in {differ:.0%})")


def part_of_speech_task(
    sentences: Sequence[TaggedSentence],
    encode: Encode,
    *,
    group_by: Literal["sentence", "word"] = "sentence",
    samples_per_text: int = SAMPLES_PER_TEXT,
    fewest_groups: int = FEWEST_GROUPS,
    seed: int = 0,
) -> ProbeTask:
    """Label the last token of words with their part of speech.

    Grouped by sentence, a probe may know a word from other sentences, so that a dictionary does well: compare with
    `input_floor`. Grouped by word (as written, in small letters), it is tested on words it never met, one word of each
    sentence, so that neither word nor sentence is shared.

    Args:
        sentences: What `read_parts_of_speech` read.
        encode: The model's way from text to ids.
        group_by: What is never both fitted to and tested on.
        samples_per_text: Words drawn from each sentence; with groups of words it is always one.
        fewest_groups: Groups in which a tag must occur; words with rarer tags are left out.
        seed: Decides which words are drawn.

    Raises:
        InputError: sentences without words that a token ends with, or anything `ProbeTask` refuses.
    """
    rows, samples = [], []
    for row, sentence in enumerate({sentence.text: sentence for sentence in sentences}.values()):
        tokens = TokenizedText(sentence.text, encode)
        rows.append(tokens.ids)
        for word in sentence.words:
            place = None if word.tag == NO_TAG else tokens.last_token(word.start, word.end)
            if place is not None:
                group = row if group_by == "sentence" else sentence.text[word.start : word.end].casefold()
                samples.append(WordSample(row, place, word.tag, group))
    n = samples_per_text if group_by == "sentence" else 1
    drawn = draw(one_of_each_beginning(samples, rows, np.random.default_rng(seed)), n)
    return word_task(rows, common(drawn, fewest_groups), f"part of speech, in groups by {group_by}")


def sentence_position_task(
    texts: Sequence[str],
    encode: Encode,
    *,
    n_classes: int = 4,
    relative: bool = False,
    samples_per_text: int = SAMPLES_PER_TEXT,
    seed: int = 0,
) -> ProbeTask:
    """Label the last token of words with their place in the sentence, cut into classes of about equal size.

    The number of tokens read tells almost as much as the number of words, so that a model with any sense of position
    does well without counting words. The relative place needs to know how long the sentence will be.

    Args:
        texts: Sentences; words are what whitespace parts.
        encode: The model's way from text to ids.
        n_classes: Number of classes, 0 for the first words; equal places are never parted, so there may be fewer.
        relative: Count from 0 for the first word to 1 for the last, not in words.
        samples_per_text: Words drawn from each sentence.
        seed: Decides which words are drawn.

    Raises:
        InputError: fewer than two classes, no words, or anything `ProbeTask` refuses.
    """
    if n_classes < 2:
        raise InputError(f"n_classes={n_classes} leaves nothing to tell apart. Expected at least 2.")
    rows, samples, places = [], [], {}
    for row, text in enumerate(dict.fromkeys(texts)):
        tokens = TokenizedText(text, encode)
        rows.append(tokens.ids)
        words = list(re.finditer(r"\S+", text))
        for number, word in enumerate(words):
            place = tokens.last_token(*word.span())
            if place is not None:
                places[row, place] = number / max(len(words) - 1, 1) if relative else number
                samples.append(WordSample(row, place, 0, row))
    drawn = draw(one_of_each_beginning(samples, rows, np.random.default_rng(seed)), samples_per_text)
    values = np.array([places[sample.row, sample.position] for sample in drawn])
    classes = quantile_classes(values, n_classes)
    labelled = [replace(sample, label=int(label)) for sample, label in zip(drawn, classes, strict=True)]
    return word_task(
        rows, labelled, f"place of the word in the sentence ({'share' if relative else 'number'} of words)"
    )


def subject_number_task(
    encode: Encode, *, languages: Sequence[str] = tuple(AGREEMENT_IN), every_token: bool = False
) -> ProbeTask:
    """Label the token before the verb with the number of the subject, in the shipped agreement prompts.

    Each prompt comes in the singular and in the plural and ends in the same words, so that what stands at the label
    itself tells nothing: the number must have been carried there. Both are one group, together with all other prompts
    about the same noun, so that no probe knows a noun's forms from those it was fitted to. Articles and
    endings are shared, and random weights, too, carry a mixture of the words before: only what is above those speaks
    for the model.

    Args:
        encode: The model's way from text to ids.
        languages: Some of `AGREEMENT_IN`.
        every_token: Label all tokens from the end of the noun on, not the last alone: for erasing.

    Raises:
        InputError: an unknown language, or anything `ProbeTask` refuses.
    """
    rows, samples = [], []
    for _, group, record in agreement_records(languages):
        for side, number in AGREEMENT_SIDES.items():
            tokens = TokenizedText(record[side], encode)
            last, after = tokens.last_token(0, len(record[side])), tokens.last_token(*_noun(record[side]))
            first = after if every_token else last
            if first is None or last is None:
                raise InputError(f"The tokenizer does not cut {record[side]!r} between words. Give another.")
            samples += [WordSample(len(rows), place, number, group) for place in range(first, last + 1)]
            rows.append(tokens.ids)
    return word_task(rows, samples, SUBJECT_NUMBER)


def agreement_records(languages: Sequence[str]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield the language, the group (language and noun in the singular) and the record of each agreement prompt.

    Raises:
        InputError: an unknown language.
    """
    if unknown := [language for language in languages if language not in AGREEMENT_IN]:
        raise InputError(f"No agreement prompts in {unknown}. Expected some of {list(AGREEMENT_IN)}.")
    for language in languages:
        for record in read_agreement(language):
            yield language, f"{language} {record['clean'][slice(*_noun(record['clean']))]}", record


def _noun(text: str) -> tuple[int, int]:
    """Where the noun of an agreement prompt stands: after the article, elided or not."""
    found = _AFTER_ARTICLE.match(text)
    if found is None:
        raise InputError(f"{text!r} does not begin with an article and a noun.")
    return found.span(1)


_AFTER_ARTICLE = re.compile(r"(?:\w+['’]|\w+ )(\w+)")
