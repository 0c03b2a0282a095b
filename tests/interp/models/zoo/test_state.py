import json
import re
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from interp.errors import InputError
from interp.models.zoo.corpus import HELD_OUT_SENTENCES, read_aligned, read_novels
from interp.models.zoo.mixture import Mixture
from interp.models.zoo.recipe import build_model, build_optimizers
from interp.models.zoo.state import SNAPSHOTS, load_checkpoint, prepare, save_checkpoint, snapshot_steps, write_model
from interp.models.zoo.switching import switched_sentences
from interp.models.zoo.tokenizer import BOS


@pytest.fixture(scope="module")
def state(corpus, recipe, tmp_path_factory):
    state = tmp_path_factory.mktemp("prepared") / "not" / "yet"
    prepare(corpus, state, recipe)
    return state


@pytest.fixture(scope="module")
def streams(corpus, state, recipe):
    return prepare(corpus, state, recipe)


@pytest.fixture(scope="module")
def tokenizer(state):
    return Tokenizer.from_file(str(state / "tokenizer.json"))


@pytest.fixture
def own(corpus, tmp_path):
    """A copy of the corpus that a test may spoil."""
    return shutil.copytree(corpus, tmp_path / "own")


def decoded_sentences(streams, tokenizer):
    """Every switched sentence as pieces of one language each: its place in the novels, and its text."""
    found = []
    for tokens, languages in zip(
        np.split(streams.switched, streams.switched_starts[1:]),
        np.split(streams.switched_languages, streams.switched_starts[1:]),
        strict=True,
    ):
        breaks = np.flatnonzero(np.diff(languages)) + 1
        pieces = zip(np.split(tokens, breaks), np.split(languages, breaks), strict=True)
        found.append([(int(places[0]), tokenizer.decode(ids.tolist())) for ids, places in pieces])
    return found


@pytest.mark.parametrize("steps", [1, 2, 15, 50, 3000, 24000])
def test_snapshots_begin_with_the_untrained_and_end_with_the_trained_model(steps):
    kept = snapshot_steps(steps)
    assert kept[0] == 0
    assert kept[-1] == steps
    assert kept == sorted(set(kept))
    assert len(kept) <= SNAPSHOTS
    if steps >= 3000:
        assert len(kept) == SNAPSHOTS
        assert (np.diff(np.diff(kept)) >= 0).all()


def test_the_training_novels_are_the_stream_of_their_language(corpus, streams, tokenizer):
    for language, split in read_novels(corpus).items():
        text = tokenizer.decode(streams.novels[language].tolist())
        assert text == "".join(f"{novel}\n" for novel in split.train)
        assert not any(line in text for novel in split.held_out for line in novel.splitlines())


def test_recorded_languages_are_those_of_the_pieces(corpus, streams, tokenizer, recipe):
    aligned, languages = read_aligned(corpus).train, list(streams.novels)
    found = decoded_sentences(streams, tokenizer)
    vocabulary = {language: {word for row in aligned[language] for word in words(row)} for language in languages}
    # No word is of two languages, so a word tells its own.
    assert len(set.union(*vocabulary.values())) == sum(map(len, vocabulary.values()))
    for sentence in found:
        assert len(sentence) in (2, 3)
        for place, text in sentence:
            assert set(words(text)) <= vocabulary[languages[place]]
            assert text.startswith(" ")
    # They are the sentences that this seed makes, in another order.
    made = switched_sentences(aligned, np.random.default_rng(recipe.seed))
    wanted = [[(languages.index(language), f" {text}") for language, text in each.pieces] for each in made]
    assert found != wanted
    assert sorted(found) == sorted(wanted)


def words(text):
    return re.findall(r"[^\W\d]+", text)


def test_held_out_sentences_are_never_trained_on(streams, tokenizer):
    numbers = set()
    for sentence in decoded_sentences(streams, tokenizer):
        # Every piece holds the number of its sentence.
        in_pieces = [set(re.findall(r"\d+", text)) for _, text in sentence]
        assert all(found == in_pieces[0] and len(found) == 1 for found in in_pieces)
        numbers |= {int(number) for number in in_pieces[0]}
    assert numbers == {number for number in range(60) if number % HELD_OUT_SENTENCES != 9}


def test_ends_are_the_tokens_that_end_sentences_and_clauses(streams, tokenizer):
    def ids(text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    assert {ids(mark)[0] for mark in ".!?"} <= set(streams.sentence_ends.tolist())
    assert {ids(mark)[0] for mark in ",;:"} <= set(streams.clause_ends.tolist())
    both = np.concatenate([streams.sentence_ends, streams.clause_ends])
    assert len(set(both.tolist())) == len(both)
    assert not {BOS, *ids("a"), *ids("«"), *ids(" ")} & set(both.tolist())
    for ends, marks in ((streams.sentence_ends, ".!?…"), (streams.clause_ends, ",;:–—")):
        assert all(set(tokenizer.decode([token])) & set(marks) for token in ends.tolist())


def test_a_quotation_ends_with_its_last_sentence(own, recipe, tmp_path):
    for path in (own / "novels").iterdir():
        path.write_text(path.read_text(encoding="utf-8").replace(" la ", " la.» ").replace(" er ", " er,» "), "utf-8")
    streams = prepare(own, tmp_path / "state", replace(recipe, d_vocab=600))
    tokenizer = Tokenizer.from_file(str(tmp_path / "state" / "tokenizer.json"))
    full_stop, comma = (tokenizer.encode(text, add_special_tokens=False).ids for text in (".»", ",»"))
    assert len(full_stop) == len(comma) == 1
    assert full_stop[0] in streams.sentence_ends
    assert comma[0] in streams.clause_ends


def test_text_is_encoded_once(corpus, recipe, state, tmp_path, streams):
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    assert sorted(before) == ["recipe.json", "streams.safetensors", "tokenizer.json"]
    # The corpus is not read again.
    again = prepare(tmp_path, state, recipe)
    np.testing.assert_array_equal(again.switched, streams.switched)
    assert list(again.novels) == list(streams.novels)
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before


@pytest.mark.parametrize("changed", [{"batch": 5}, {"mixture": Mixture(natural=0.5, switched=0.26)}])
def test_another_recipe_is_refused_before_there_is_a_checkpoint(corpus, state, recipe, changed):
    assert not (state / "checkpoint.pt").exists()
    (name,) = changed
    with pytest.raises(InputError, match=f"another recipe.*'{name}'"):
        prepare(corpus, state, replace(recipe, **changed))
    assert json.loads((state / "recipe.json").read_text()) == asdict(recipe)


def test_a_state_that_cannot_be_a_directory_is_refused(corpus, recipe, tmp_path):
    (tmp_path / "file").write_text("mine")
    for state in (tmp_path / "file", tmp_path / "file" / "below" / "it"):
        with pytest.raises(InputError, match=r"file is not a directory that can be written into"):
            prepare(corpus, state, recipe)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_corpus_without_switchable_sentences_is_refused_and_nothing_written(own, recipe, tmp_path):
    for path in (own / "parallel").iterdir():
        path.write_text("Nobody came.\n" * 20, encoding="utf-8")
    with pytest.raises(InputError, match="can change language inside"):
        prepare(own, tmp_path / "state", recipe)
    assert not (tmp_path / "state").exists()


def test_novels_shorter_than_the_context_are_refused_and_nothing_written(own, recipe, tmp_path):
    (own / "novels" / "fra.train.txt").write_text("La maison.\n\nLa nuit.\n\nUn été.\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"too short: \{'fr': \d+\} tokens.*context of 160"):
        prepare(own, tmp_path / "state", recipe)
    assert not (tmp_path / "state").exists()


def test_a_checkpoint_gives_back_weights_and_moments_and_forgets_the_later_log(recipe, tmp_path):
    torch.manual_seed(3)
    models = [build_model(replace(recipe, seed=seed)) for seed in (1, 2)]
    optimizers = [build_optimizers(model, recipe) for model in models]
    assert load_checkpoint(tmp_path, models[0], optimizers[0]) == 0
    for weight in models[0].parameters():
        weight.grad = torch.randn_like(weight)
    for optimizer in optimizers[0]:
        optimizer.step()
    (tmp_path / "log.jsonl").write_text("".join(f'{{"step": {step}}}\n' for step in range(9)) + '{"st')
    save_checkpoint(tmp_path, 7, models[0], optimizers[0])
    assert load_checkpoint(tmp_path, models[1], optimizers[1]) == 7
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(*optimizers, strict=True):
        moments = [list(optimizer.state_dict()["state"].values()) for optimizer in (one, other)]
        assert moments[0]
        for mine, theirs in zip(*moments, strict=True):
            assert all(torch.equal(torch.as_tensor(mine[key]), torch.as_tensor(theirs[key])) for key in mine)
    logged = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in logged] == list(range(7))


def test_a_log_without_a_checkpoint_is_begun_again(recipe, tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 0}\n')
    model = build_model(recipe)
    assert load_checkpoint(tmp_path, model, build_optimizers(model, recipe)) == 0
    assert (tmp_path / "log.jsonl").read_text() == ""


def test_writing_leaves_the_model_in_training_as_it_was(recipe, state, tmp_path):
    model = build_model(recipe)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    write_model(state, model, recipe, steps=12, out=tmp_path / "model")
    for name, weight in model.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, before[name])
    told = json.loads((tmp_path / "model" / "training.json").read_text())
    assert (told["steps"], told["tokens_seen"]) == (12, 12 * 4 * 160)
    assert told["recipe"] == asdict(recipe)
