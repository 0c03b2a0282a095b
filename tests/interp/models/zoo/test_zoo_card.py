"""The card of a model trained here, measured by the real path."""

import json

import numpy as np
import pytest

from interp import zoo_card
from interp.attention import head_scores
from interp.errors import InputError
from interp.models.zoo.texts import AGREEMENT


@pytest.fixture(scope="module")
def written(trained, corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("card")
    paths = zoo_card.write_card(str(trained / "model"), corpus=corpus, out=out, characters=1600, n_controls=2)
    assert [path.parent for path in paths] == [out, out]
    return json.loads((out / "card.json").read_text(encoding="utf-8")), (out / "README.md").read_text(encoding="utf-8")


def test_the_card_measures_held_out_text_of_every_language(written):
    told, _ = written
    assert [score["language"] for score in told["languages"]] == ["en", "fr", "de", "es"]
    for score in told["languages"]:
        assert score["n_train"] == 2
        assert [text.splitlines()[0][:7] for text in score["held_out"]] == ["Novel 2", "Novel 3"]
        assert 1600 <= score["held_out_bytes"] < 1800
        assert score["bits_per_byte"]["high"] < score["random_weights"]


def test_the_best_head_is_the_best_of_all(trained_model, uniform_model):
    scores = head_scores(trained_model, texts=None, control_models=[uniform_model], n_sequences=4)
    for found in zoo_card.best_heads(scores):
        of_kind = scores.data.sel(detector=found.detector)
        layer, head = int(found.head[1]), int(found.head[3])
        assert found.score == of_kind["score"].max() == of_kind["score"].sel(layer=layer, head=head)
        assert found.low == of_kind["score_low"].sel(layer=layer, head=head)
        assert found.threshold == of_kind["threshold"]


def test_head_scores_stand_in_the_card(written):
    told, card = written
    assert [found["detector"] for found in told["heads"]] == [
        "previous_token",
        "duplicate_token",
        "induction",
        "first_token",
    ]
    for found in told["heads"]:
        assert found["head"] in {"L0H0", "L0H1", "L1H0", "L1H1"}
        assert found["low"] <= found["score"] <= found["high"]
        assert found["p_corrected"] >= 1 / 3
        assert f"{found['score']:.2f} ({found['low']:.2f} to {found['high']:.2f})" in card


def test_agreement_is_counted_by_pairs(trained_model, uniform_model):
    found = zoo_card.measure_agreement(trained_model, uniform_model)
    prompts = [json.loads(line) for line in AGREEMENT.read_text(encoding="utf-8").splitlines()]
    assert found.n_pairs == len(prompts)
    assert found.example == prompts[0]
    differences, right = [], []
    for prompt in prompts:
        answer, wrong = (
            trained_model.tokenizer(prompt[name], add_special_tokens=False)["input_ids"]
            for name in ("answer", "wrong_answer")
        )
        sides = [trained_model(trained_model.to_tokens(prompt[side]))[0, -1] for side in ("clean", "corrupted")]
        clean, corrupted = ((logits[answer] - logits[wrong]).item() for logits in sides)
        differences.append((clean, corrupted))
        right.append(clean > 0 > corrupted)
    np.testing.assert_allclose([found.clean.value, found.corrupted.value], np.mean(differences, axis=0), atol=1e-4)
    assert found.right == np.mean(right)
    assert found.random_weights == 0


def test_the_command_names_the_files_it_wrote_and_refuses_the_rest(trained, corpus, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        zoo_card.main(["--corpus", str(tmp_path), "--model", str(trained / "model"), "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "No file eng.train.txt" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_refused_first(tmp_path, trained):
    with pytest.raises(InputError, match="not a directory"):
        zoo_card.write_card(str(trained / "model"), corpus=tmp_path / "none", out=tmp_path / "nowhere")
