"""The card of a model trained here, measured by the real path."""

import json

import pytest

from interp import zoo_card
from interp.errors import InputError
from interp.zoo_figures import Sizes

SIZES = Sizes(characters=1600, openings=4, switches=1, controls=2)


@pytest.fixture(scope="module")
def written(trained, corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("card")
    paths = zoo_card.write_card(str(trained / "model"), corpus=corpus, out=out, sizes=SIZES)
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


def test_what_is_measured_stands_in_the_card(written):
    told, card = written
    assert [found["language"] for found in told["fidelity"]] == ["en", "fr", "de", "es"]
    assert all(found["same"]["n"] == SIZES.openings for found in told["fidelity"])
    assert [found["words_after"] for found in told["switching"]] == [0, 1, 2, 4, 8]
    assert all(found["new"]["n"] == 12 * SIZES.switches for found in told["switching"])
    assert [found["text"] for found in told["sinks"]] == ["held-out novels", "shipped sentences"]
    assert [found["language"] for found in told["agreement"]] == ["fr"]
    assert told["aligned_train"] == 54
    assert "54 line-aligned sentences" in card


def test_what_is_a_share_of_samples_is_told_so(written):
    told, _ = written
    for figures, n_sampled in (("figures", "n_sampled"), ("held_out_figures", "n_sampled_held_out")):
        assert len(told[n_sampled]) == 9
        assert set(told[n_sampled]) < set(told[figures])
        assert all(name.startswith(("goes on in", "new language")) for name in told[n_sampled])
    language, *_ = told["languages"]
    assert told["held_out_figures"]["bits per byte, held-out novels, en"] == language["bits_per_byte"]["value"]


def test_the_command_names_the_files_it_wrote_and_refuses_the_rest(trained, corpus, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        zoo_card.main(["--corpus", str(tmp_path), "--model", str(trained / "model"), "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "No file eng.train.txt" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_refused_first(tmp_path, trained):
    with pytest.raises(InputError, match="not a directory"):
        zoo_card.write_card(str(trained / "model"), corpus=tmp_path / "none", out=tmp_path / "nowhere")
