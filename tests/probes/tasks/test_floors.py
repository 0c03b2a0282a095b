"""The floor finds what the current token tells, and nothing that only the tokens before tell."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from interp.errors import InputError
from interp.models import encode
from interp.sites import Site
from probes import LogisticProbe, ProbeTask, token_language_task
from probes.reading.by_layer import N_SHUFFLES, Condition, held_out
from probes.reading.controls import shuffled_labels
from probes.reading.intervals import accuracy_over_groups
from probes.samples.split import Fold, group_folds
from probes.tasks.floors import input_floor, tokens_held_out
from probes.tasks.task import capture_samples

WORDS = {
    "en": ["cat", "mat", "dog", "store", "drink", "when", "gave", "slept"],
    "de": ["Hund", "Katze", "Matte", "und", "auf", "der", "sitzt", "schläft"],
}


@pytest.fixture
def task(tiny) -> ProbeTask:
    rng = np.random.default_rng(0)
    texts = {language: [" ".join(rng.choice(words, 9)) for _ in range(30)] for language, words in WORDS.items()}
    return token_language_task(texts, partial(encode, tiny), samples_per_text=6)


def test_where_the_token_tells_everything(tiny, task):
    result = input_floor(tiny, task, probe=LogisticProbe(C=10.0))
    accuracy, shuffled = result.data["accuracy"], result.data["control_shuffled_high"]
    assert result.data["source"].values.tolist() == ["embedding", "token"]
    # No word is of both languages, though both are made of some of the same letters.
    assert (accuracy > 0.8).all()
    assert (accuracy > shuffled + 0.1).all()
    assert (result.data["accuracy_low"] <= accuracy).all()
    assert (accuracy <= result.data["accuracy_high"]).all()
    assert float(result.data["control_majority"][0]) == 0.5
    assert result.notes["unseen_tokens"] < 0.1


def test_it_is_made_of_its_parts(tiny, task):
    """Two texts to a group, uneven classes, and a seed: every number and interval is that of a plain loop."""
    kept = (task.labels == "en") | (np.arange(len(task.labels)) % 3 > 0)
    fields = [getattr(task, name)[kept] for name in ("prompts", "positions", "labels", "groups")]
    rows = task.batch.tokens.copy()
    rows[fields[0][0], fields[1][0]] = np.setdiff1d(np.arange(rows.max()), rows)[0]  # a token that stands there alone
    given = ProbeTask(replace(task.batch, tokens=rows), *fields[:3], fields[3] // 2)
    found = input_floor(tiny, given, probe=LogisticProbe(C=1.0), n_splits=4, seed=2)
    X = capture_samples(tiny, given, [Site(0, "resid_pre")])[0].astype(np.float64)
    tokens = given.batch.tokens[given.prompts, given.positions]
    turned = [shuffled_labels(given.labels, given.groups, seed=2 + number) for number in range(N_SHUFFLES)]
    for name, runs in (("accuracy", [given.labels]), ("control_shuffled", turned)):
        conditions = [Condition(each, group_folds(each, given.groups, n_splits=4, seed=2)) for each in runs]
        right = {
            "embedding": [held_out(X, condition, LogisticProbe(C=1.0)) for condition in conditions],
            "token": [tokens_held_out(tokens, condition) for condition in conditions],
        }
        for source, correct in right.items():
            wanted = accuracy_over_groups(np.stack(correct), given.groups, seed=2)
            ends = [float(found.data[f"{name}{end}"].sel(source=source)) for end in ("", "_low", "_high")]
            assert ends == pytest.approx([wanted.value, wanted.low, wanted.high], abs=1e-12)
    np.testing.assert_allclose(found.data["control_majority"], (given.labels == "en").mean())
    assert found.notes["n_groups"] == len(np.unique(given.groups)) < len(np.unique(given.prompts))
    folds = group_folds(given.labels, given.groups, n_splits=4, seed=2)
    unseen = sum(token not in tokens[fold.train] for fold in folds for token in tokens[fold.test])
    assert unseen > 0
    assert found.notes["unseen_tokens"] == pytest.approx(unseen / len(tokens))
    assert found.notes["n_tokens"] == len(set(tokens.tolist()))


def test_where_only_the_tokens_before_tell(tiny, task):
    """Each text ends in the same word: whatever tells the languages apart there is not the token."""
    last = int(encode(tiny, "the")[-1])
    rows, lengths = task.batch.tokens.copy(), task.batch.lengths
    rows[np.arange(len(rows)), lengths - 1] = last
    prompts = np.arange(len(rows))
    labels = np.array(["en"] * 30 + ["de"] * 30)
    batch = replace(task.batch, tokens=rows)
    result = input_floor(tiny, ProbeTask(batch, prompts, lengths - 1, labels, prompts))
    assert float(result.data["accuracy"].sel(source="token")) <= 0.5
    assert result.notes["n_tokens"] == 1


def test_the_token_reader_is_a_dictionary():
    """Against the plainest dictionary there is: the most frequent label of each token among those fitted to."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 30, 600)
    labels = np.where(rng.random(600) < 0.8, tokens % 3, rng.integers(0, 3, 600))
    folds = group_folds(labels, np.arange(600))
    agree = 0.0
    for fold in folds:
        table = {token: np.bincount(labels[fold.train][tokens[fold.train] == token]).argmax() for token in range(30)}
        wanted = np.array([table[token] for token in tokens[fold.test]]) == labels[fold.test]
        agree += (tokens_held_out(tokens, Condition(labels, [fold]))[fold.test] == wanted).mean() / len(folds)
    assert agree > 0.99


def test_a_token_never_met_gets_the_most_frequent_label():
    """By hand: two tokens known, label 0 in the majority; token 9 is new, and its label 0 is right, 1 is wrong."""
    tokens, labels = np.array([1] * 6 + [2] * 3 + [9, 9]), np.array([0] * 6 + [1] * 3 + [0, 1])
    fold = Fold(np.arange(9), np.array([9, 10]))
    assert tokens_held_out(tokens, Condition(labels, [fold]))[9:].tolist() == [True, False]


def test_too_few_groups_are_refused(tiny, task):
    with pytest.raises(InputError, match="folds need it"):
        input_floor(tiny, task, n_splits=31)
