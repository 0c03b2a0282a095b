from dataclasses import asdict, fields
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from interp.models.zoo.corpus import LANGUAGE_FILES
from interp.models.zoo.mixture import NO_LANGUAGE, Batch, Mixture, SequenceMixer, Streams

BOS, N_SPECIAL, LENGTH = 0, 3, 256
STREAM, N_LANGUAGES = 5000, len(LANGUAGE_FILES)
D_NOVELS = N_SPECIAL + STREAM * N_LANGUAGES
"""Counting streams in ranges of their own: where a piece comes from and where it breaks can be read off it."""
DESERT = range(2000, 3500)
"""Part of each stream without sentence or clause ends, where pieces must be cut."""
N_SWITCHED, LONGEST = 50, 12
KINDS = [field.name for field in fields(Mixture) if field.name != "longest_period"]


def switched():
    """Counting sentences behind the novels' tokens; the first half of each in one language, the rest in another."""
    lengths = np.random.default_rng(8).integers(6, LONGEST, size=N_SWITCHED)
    languages = [
        np.repeat([number % N_LANGUAGES, (number + 1) % N_LANGUAGES], [3, length - 3])
        for number, length in enumerate(lengths)
    ]
    tokens = np.arange(D_NOVELS, D_NOVELS + lengths.sum(), dtype=np.uint16)
    return tokens, np.concatenate(languages), np.cumsum([0, *lengths[:-1]])


SWITCHED, SWITCHED_LANGUAGES, SWITCHED_STARTS = switched()


def streams(desert=range(0)):
    place = np.arange(STREAM)
    # A sentence ends every 16 tokens and a clause every 8, never at the same token.
    ends, clauses = (
        np.flatnonzero((place % every == last) & ~np.isin(place, desert)) for every, last in ((16, 15), (8, 3))
    )
    offsets = N_SPECIAL + STREAM * np.arange(N_LANGUAGES)[:, None]
    return Streams(
        novels={
            language: np.arange(offset, offset + STREAM, dtype=np.uint16)
            for language, offset in zip(LANGUAGE_FILES, offsets[:, 0], strict=True)
        },
        switched=SWITCHED,
        switched_languages=SWITCHED_LANGUAGES,
        switched_starts=SWITCHED_STARTS,
        sentence_ends=(offsets + ends).flatten(),
        clause_ends=(offsets + clauses).flatten(),
    )


def mixer(desert=range(0)):
    return SequenceMixer(streams(desert), bos=BOS, n_special=N_SPECIAL, length=LENGTH)


def draw(kind, size=200, desert=range(0)):
    shares = {name: float(name == kind) for name in KINDS}
    return mixer(desert).batch(size, Mixture(**shares), np.random.default_rng(0))


def period_of(body):
    """Smallest shift at which a body equals itself; its length where there is none."""
    return next((p for p in range(1, len(body)) if np.array_equal(body[p:], body[:-p])), len(body))


def pieces_of(body):
    """Runs of consecutive tokens."""
    return np.split(body, np.flatnonzero(np.diff(body) != 1) + 1)


def kind_of(body, scored):
    if not scored.all():
        return "repeated_random"
    if (body >= D_NOVELS).any():
        return "switched"
    if (np.diff(body) == 1).all():
        return "natural"
    if period_of(body) < len(body):
        return "repeated_passage"
    last = pieces_of(body)[0][-1]
    return "language_change" if (last - N_SPECIAL) % STREAM % 16 == 15 else "clause_change"


def rows(batch):
    return list(zip(batch.tokens[:, 1:], batch.scored[:, 1:], batch.languages[:, 1:], strict=True))


def language_of(tokens):
    return (tokens - N_SPECIAL) // STREAM


@pytest.mark.parametrize("kind", KINDS)
def test_every_sequence_begins_with_one_bos_that_is_not_scored(kind):
    batch = draw(kind, 64)
    assert batch.tokens.shape == batch.scored.shape == batch.languages.shape == (64, LENGTH)
    assert (batch.tokens[:, 0] == BOS).all()
    assert not batch.scored[:, 0].any()
    assert (batch.languages[:, 0] == NO_LANGUAGE).all()
    assert batch.tokens[:, 1:].min() >= N_SPECIAL
    assert {kind_of(tokens, scored) for tokens, scored, _ in rows(batch)} == {kind}


def test_shares_are_those_of_the_mixture():
    size, mixture = 3000, Mixture()
    kinds = [
        kind_of(tokens, scored) for tokens, scored, _ in rows(mixer().batch(size, mixture, np.random.default_rng(1)))
    ]
    for kind, share in zip(asdict(mixture), mixture.shares, strict=False):
        low, high = stats.binom.interval(1 - 1e-6, size, share)
        assert low <= kinds.count(kind) <= high, kind


def test_the_shares_of_the_mixture_sum_to_one_and_are_one_for_each_kind():
    assert sum(Mixture().shares) == pytest.approx(1)
    assert len(Mixture().shares) == len(KINDS)


@pytest.mark.parametrize("longest", [40, 60])
def test_no_repetition_comes_later_than_the_longest_period(longest):
    kind = {"natural": 0.0, "repeated_passage": 0.5, "repeated_random": 0.5, "language_change": 0.0}
    mixture = Mixture(**kind, clause_change=0.0, switched=0.0, longest_period=longest)
    drawn = mixer().batch(200, mixture, np.random.default_rng(3))
    periods = [period_of(tokens) for tokens, _, _ in rows(drawn)]
    assert longest - 8 < max(periods) < longest


@pytest.mark.parametrize("kind", KINDS)
def test_every_token_tells_its_language(kind):
    for tokens, _, languages in rows(draw(kind)):
        novels = tokens < D_NOVELS
        if kind == "repeated_random":
            assert (languages == NO_LANGUAGE).all()
        else:
            np.testing.assert_array_equal(languages[novels], language_of(tokens[novels]))
            np.testing.assert_array_equal(languages[~novels], SWITCHED_LANGUAGES[tokens[~novels] - D_NOVELS])


def test_natural_text_comes_from_every_language_alike():
    counts = np.bincount(draw("natural", 2000).languages[:, 1], minlength=N_LANGUAGES)
    low, high = stats.binom.interval(1 - 1e-6, 2000, 1 / N_LANGUAGES)
    assert ((counts >= low) & (counts <= high)).all()


def test_repeated_passages_are_text_that_repeats_with_one_period():
    periods = []
    for tokens, _, _ in rows(draw("repeated_passage")):
        period = period_of(tokens)
        assert (np.diff(tokens[:period]) == 1).all()
        periods.append(period)
    assert min(periods) >= 24
    assert max(periods) < LENGTH // 2
    assert len(set(periods)) > 20


def test_random_repeats_are_scored_from_the_second_copy_on():
    batch = draw("repeated_random")
    for tokens, scored, _ in rows(batch):
        period = period_of(tokens)
        assert 16 <= period < LENGTH // 2
        assert not scored[:period].any()
        assert scored[period:].all()
    # Uniform over the vocabulary: four standard errors of the mean of a uniform variable.
    first = batch.tokens[:, 1]
    assert abs(first.mean() - D_NOVELS / 2) < 4 * D_NOVELS / np.sqrt(12 * len(first))
    assert first.max() < D_NOVELS


CHANGES = {"language_change": (streams().sentence_ends, 16, 192), "clause_change": (streams().clause_ends, 8, 96)}


@pytest.mark.parametrize("kind", CHANGES)
def test_language_changes_right_after_an_end_and_nowhere_else(kind):
    ends, shortest, longest = CHANGES[kind]
    lengths, seen = [], set()
    for tokens, _, _ in rows(draw(kind)):
        pieces = pieces_of(tokens)
        assert len(pieces) >= 2
        assert all(piece[-1] in ends for piece in pieces[:-1])
        # Each piece begins after an end, or with the stream.
        assert all(piece[0] - 1 in ends or (piece[0] - N_SPECIAL) % STREAM == 0 for piece in pieces)
        languages = [int(language_of(piece[0])) for piece in pieces]
        assert (np.diff(languages) != 0).all()
        seen |= set(pairwise(languages))
        lengths += [len(piece) for piece in pieces[:-1] if piece[0] - 1 in ends]
    assert len(seen) == N_LANGUAGES * (N_LANGUAGES - 1)
    # Ends lie as far apart as the smallest length asked for.
    assert min(lengths) == shortest
    assert longest - 2 * shortest <= max(lengths) < longest


@pytest.mark.parametrize("kind", CHANGES)
def test_a_piece_is_cut_only_where_no_end_is_in_reach(kind):
    known = streams(DESERT)
    ends = {"language_change": known.sentence_ends, "clause_change": known.clause_ends}[kind]
    n_cut = n_pieces = 0
    for tokens, _, _ in rows(draw(kind, 400, DESERT)):
        for piece in pieces_of(tokens)[:-1]:
            n_pieces += 1
            if piece[-1] not in ends:
                n_cut += 1
                assert not np.isin(piece, ends).any()
    assert 0 < n_cut < n_pieces / 10


def test_switched_sequences_are_whole_sentences_between_novels():
    kinds, seen = [], set()
    batch = draw("switched")
    for tokens, _, _ in rows(batch):
        places, at = [], 0
        while at < len(tokens):
            if tokens[at] >= D_NOVELS:
                number = int(np.searchsorted(SWITCHED_STARTS, tokens[at] - D_NOVELS))
                begins, *after = SWITCHED_STARTS[number : number + 2].tolist()
                whole = SWITCHED[begins : after[0] if after else None]
                places.append("switched")
                seen.add(number)
            else:
                piece = next(piece for piece in pieces_of(tokens[at:]))
                # The last novel's last token and the first switched sentence count on.
                whole = piece[piece < D_NOVELS]
                ended = np.isin(whole, streams().sentence_ends)
                assert len(whole) < 96
                assert at + len(whole) == len(tokens) or ended[-1] or not ended.any()
                places.append("novels")
            np.testing.assert_array_equal(tokens[at : at + len(whole)], whole[: len(tokens) - at])
            at += len(whole)
        kinds += places
        assert not any(pair == ("novels", "novels") for pair in pairwise(places))
    assert seen == set(range(N_SWITCHED))
    # A novel before every second group of one to four sentences: one in five.
    assert kinds.count("novels") / kinds.count("switched") == pytest.approx(0.2, abs=0.03)


def test_random_tokens_are_never_special():
    n_special = D_NOVELS - 100
    shares = {kind: float(kind == "repeated_random") for kind in KINDS}
    drawing = SequenceMixer(streams(), bos=BOS, n_special=n_special, length=LENGTH)
    tokens = drawing.batch(20, Mixture(**shares), np.random.default_rng(0)).tokens[:, 1:]
    assert set(tokens.flatten().tolist()) == set(range(n_special, D_NOVELS))


def test_a_step_draws_the_same_batch_whenever_it_is_drawn():
    first, again = mixer(), mixer()
    for step in range(5):
        first.batch(8, Mixture(), np.random.default_rng([0, step]))
    there, here = (part.batch(8, Mixture(), np.random.default_rng([0, 7])) for part in (first, again))
    for field in fields(Batch):
        np.testing.assert_array_equal(getattr(there, field.name), getattr(here, field.name))
    assert not np.array_equal(here.tokens, again.batch(8, Mixture(), np.random.default_rng([0, 8])).tokens)
