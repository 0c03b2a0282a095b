import dataclasses
import json

import pytest
import torch

from interp.models import load_model, native
from interp.models.zoo import WEIGHTS, model_names, modular, modular_task

SHIPPED = modular.Recipe()


@pytest.fixture(scope="module")
def short():
    """Fifty steps on a small prime, and the untrained model's curve point before them."""
    return modular.train(modular.Recipe(prime=11, d_model=32, d_mlp=64, most_steps=50, log_every=25))


def scored(name, pairs):
    model = load_model(f"zoo:{name}")
    return modular_task.score(model(modular_task.prompts(pairs, SHIPPED))[:, -1], pairs)


def test_fifty_steps_lower_the_loss_on_the_trained_pairs(short):
    assert [point.step for point in short.curve] == [0, 25, 50]
    assert short.curve[-1].train.loss_nats < short.curve[0].train.loss_nats - 0.3


def test_the_split_holds_every_pair_once_and_depends_on_the_seed():
    trained, held_out = modular_task.split_pairs(SHIPPED)
    assert len(trained) == 1392
    assert len({tuple(pair) for pair in torch.cat([trained, held_out]).tolist()}) == 59 * 59
    other, _ = modular_task.split_pairs(modular.Recipe(seed=1))
    assert not torch.equal(trained, other)


def test_the_fast_forward_pass_gives_the_logits_of_the_whole_model():
    recipe = modular.Recipe(prime=7, d_model=16, d_mlp=24)
    model = modular_task.build_model(recipe)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_()  # biases too: they are zero at first and would prove nothing
    pairs, _ = modular_task.split_pairs(recipe)
    whole = model(modular_task.prompts(pairs, recipe))[:, -1]
    torch.testing.assert_close(modular_task.answer_logits(model, pairs), whole, rtol=1e-4, atol=1e-4)


def test_a_score_by_hand():
    # 1 + 1 = 2 modulo 3 is right; 2 + 2 = 1 is answered 0: one of two right. Even logits would cost log 3 each.
    logits = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    found = modular_task.score(logits, torch.tensor([[1, 1], [2, 2]]))
    assert found.accuracy == 0.5
    assert found.loss_nats == pytest.approx((0.5514447 + 1.5514447) / 2, abs=1e-6)


def test_checkpoints_are_taken_before_during_and_after():
    def point(step, train, test):
        return modular.CurvePoint(step, modular.Score(0.0, train), modular.Score(0.0, test), 0.0)

    curve = [point(0, 0.1, 0.1), point(100, 1.0, 0.2), point(200, 1.0, 0.2), point(300, 1.0, 0.6), point(400, 1.0, 1.0)]
    assert modular.checkpoint_steps(curve) == [0, 100, 300, 400]


def test_a_written_training_loads_as_it_was(short, tmp_path):
    paths = modular.write(short, tmp_path)
    last = modular_task.build_model(short.recipe)
    last.load_state_dict(short.states[50])
    loaded = load_model(str(tmp_path / "modular"))
    _, held_out = modular_task.split_pairs(short.recipe)
    tokens = modular_task.prompts(held_out, short.recipe)
    torch.testing.assert_close(loaded(tokens), last(tokens))
    assert (tmp_path / "modular-step0") in paths
    assert json.loads((tmp_path / "modular" / modular.CURVE).read_text())[0]["step"] == 0


def test_the_shipped_model_knows_every_held_out_pair_and_its_first_checkpoint_none():
    _, held_out = modular_task.split_pairs(SHIPPED)
    assert scored("modular", held_out).accuracy == 1.0
    before = scored("modular-step0", held_out)
    assert before.accuracy < 3 / SHIPPED.prime
    assert before.loss_nats == pytest.approx(4.1, abs=0.2)


def test_the_memorised_checkpoint_knows_the_trained_pairs_alone():
    trained, held_out = modular_task.split_pairs(SHIPPED)
    steps = sorted(int(name.removeprefix("modular-step")) for name in model_names() if name.startswith("modular-step"))
    memorised, during = (f"modular-step{step}" for step in steps[1:])
    assert scored(memorised, trained).accuracy == 1.0
    assert scored(memorised, held_out).accuracy < 0.5
    assert 0.5 <= scored(during, held_out).accuracy < 0.9


def test_the_shipped_curve_generalises_long_after_it_has_memorised():
    curve = json.loads((WEIGHTS / "modular" / modular.CURVE).read_text())
    memorised = next(point["step"] for point in curve if point["train"]["accuracy"] > 0.99)
    generalised = next(point["step"] for point in curve if point["test"]["accuracy"] > 0.99)
    assert memorised <= 200
    assert generalised >= 20 * memorised


def test_cards_say_what_the_weights_do():
    for name in ("modular", "modular-step0"):
        card = json.loads((WEIGHTS / name / "card.json").read_text())
        facts = {fact["name"]: fact for fact in card["facts"]}
        _, held_out = modular_task.split_pairs(SHIPPED)
        found = scored(name, held_out)
        assert facts["accuracy, held-out pairs"]["value"] == pytest.approx(found.accuracy, abs=1e-6)
        assert facts["loss in nats, held-out pairs"]["value"] == pytest.approx(found.loss_nats, rel=1e-2)
        assert card["recipe"] == dataclasses.asdict(SHIPPED)


def test_numbers_are_their_own_token_ids():
    model = load_model("zoo:modular")
    assert model.to_tokens("12 58 =").tolist() == [[12, 58, 59]]
    assert model.tokenizer.unk_token == native.UNKNOWN
