import numpy as np
import pytest
from scipy import stats

from interp.errors import InputError
from interp.models.zoo.corpus import HELD_OUT_NOVELS, LANGUAGE_FILES, Mixture, SequenceMixer, read_novels

BOS, N_SPECIAL, LENGTH = 0, 3, 256
STREAM = 5000
STREAMS = {
    # Counting streams in ranges of their own: where a piece comes from and where it breaks can be read off it.
    language: np.arange(N_SPECIAL + STREAM * i, N_SPECIAL + STREAM * (i + 1), dtype=np.uint16)
    for i, language in enumerate(LANGUAGE_FILES)
}
D_VOCAB = N_SPECIAL + STREAM * len(STREAMS)


def mixer(mixture: Mixture) -> SequenceMixer:
    return SequenceMixer(STREAMS, bos=BOS, n_special=N_SPECIAL, length=LENGTH, mixture=mixture)


def draw(size: int = 64, **shares: float) -> tuple[np.ndarray, np.ndarray]:
    none = {"natural": 0.0, "repeated_passage": 0.0, "repeated_random": 0.0, "language_change": 0.0}
    return mixer(Mixture(**(none | shares))).batch(size, np.random.default_rng(0))


def period_of(body: np.ndarray) -> int:
    """Smallest shift at which a body equals itself; its length where there is none."""
    return next((p for p in range(1, len(body)) if np.array_equal(body[p:], body[:-p])), len(body))


def kind_of(body: np.ndarray, scored: np.ndarray) -> str:
    if not scored.all():
        return "repeated_random"
    if (np.diff(body) == 1).all():
        return "natural"
    return "repeated_passage" if period_of(body) < len(body) else "language_change"


@pytest.mark.parametrize("kind", ["natural", "repeated_passage", "repeated_random", "language_change"])
def test_every_sequence_begins_with_one_bos_that_is_not_scored(kind):
    tokens, scored = draw(**{kind: 1.0})
    assert tokens.shape == scored.shape == (64, LENGTH)
    assert (tokens[:, 0] == BOS).all()
    assert not scored[:, 0].any()
    assert tokens[:, 1:].min() >= N_SPECIAL
    assert tokens.max() < D_VOCAB
    assert {kind_of(body, mask) for body, mask in zip(tokens[:, 1:], scored[:, 1:], strict=True)} == {kind}


def test_shares_are_those_of_the_mixture():
    size, mixture = 3000, Mixture()
    tokens, scored = mixer(mixture).batch(size, np.random.default_rng(1))
    kinds = [kind_of(body, mask) for body, mask in zip(tokens[:, 1:], scored[:, 1:], strict=True)]
    for kind in ("natural", "repeated_passage", "repeated_random", "language_change"):
        low, high = stats.binom.interval(1 - 1e-6, size, getattr(mixture, kind))
        assert low <= kinds.count(kind) <= high, kind


def test_the_shares_of_the_mixture_sum_to_one():
    mixture = Mixture()
    total = mixture.natural + mixture.repeated_passage + mixture.repeated_random + mixture.language_change
    assert total == pytest.approx(1)


def test_natural_text_comes_from_every_language_alike():
    tokens, _ = draw(2000, natural=1.0)
    counts = np.bincount((tokens[:, 1] - N_SPECIAL) // STREAM, minlength=len(STREAMS))
    low, high = stats.binom.interval(1 - 1e-6, 2000, 1 / len(STREAMS))
    assert ((counts >= low) & (counts <= high)).all()


def test_repeated_passages_are_text_that_repeats_with_one_period():
    tokens, _ = draw(200, repeated_passage=1.0)
    periods = []
    for body in tokens[:, 1:]:
        period = period_of(body)
        assert (np.diff(body[:period]) == 1).all()
        periods.append(period)
    assert min(periods) >= 24
    assert max(periods) < LENGTH // 2
    assert len(set(periods)) > 20


def test_random_repeats_are_scored_from_the_second_copy_on():
    tokens, scored = draw(200, repeated_random=1.0)
    for body, mask in zip(tokens[:, 1:], scored[:, 1:], strict=True):
        period = period_of(body)
        assert 16 <= period < LENGTH // 2
        assert not mask[:period].any()
        assert mask[period:].all()
    # Uniform over the vocabulary: four standard errors of the mean of a uniform variable.
    first = tokens[:, 1]
    assert abs(first.mean() - D_VOCAB / 2) < 4 * D_VOCAB / np.sqrt(12 * len(first))


def test_language_changes_are_pieces_of_text_from_several_languages():
    tokens, _ = draw(200, language_change=1.0)
    n_languages = []
    for body in tokens[:, 1:]:
        breaks = np.flatnonzero(np.diff(body) != 1) + 1
        pieces = np.split(body, breaks)
        assert len(pieces) >= 2
        assert all(32 <= len(piece) < 192 for piece in pieces[:-1])
        n_languages.append(len(set(((body - N_SPECIAL) // STREAM).tolist())))
    assert np.mean(np.array(n_languages) > 1) > 0.6


def test_a_step_draws_the_same_batch_whenever_it_is_drawn():
    first, again = mixer(Mixture()), mixer(Mixture())
    for step in range(5):
        first.batch(8, np.random.default_rng([0, step]))
    there, here = (part.batch(8, np.random.default_rng([0, 7])) for part in (first, again))
    for one, other in zip(there, here, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(here[0], again.batch(8, np.random.default_rng([0, 8]))[0])


def test_the_last_novels_are_held_out_whole(corpus):
    novels = read_novels(corpus)
    assert list(novels) == list(LANGUAGE_FILES)
    for language, split in novels.items():
        code = LANGUAGE_FILES[language][:3]
        assert len(split.held_out) == HELD_OUT_NOVELS
        assert [text.splitlines()[0] for text in split.train] == [f"Novel {n} of {code}." for n in range(2)]
        assert [text.splitlines()[0] for text in split.held_out] == [f"Novel {n} of {code}." for n in (2, 3)]
        known = {line for text in split.train for line in text.splitlines()}
        assert not known & {line for text in split.held_out for line in text.splitlines()}


def test_a_missing_language_is_refused_by_name(corpus, tmp_path):
    for path in corpus.iterdir():
        if path.name != "deu.train.txt":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"deu\.train\.txt"):
        read_novels(tmp_path)


def test_too_few_novels_are_refused(corpus, tmp_path):
    for path in corpus.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "spa.train.txt").write_text("Una novela.\n\nOtra.\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"spa\.train\.txt holds 2 novels; at least 3"):
        read_novels(tmp_path)
