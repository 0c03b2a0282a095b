"""The trained model: bands that the closed form must hold in, and what the study measures besides."""

import numpy as np
import pytest

from interp.errors import InputError
from interp.lab.fit_inside import study_fit, write_documents
from interp.lab.fit_task import Recipe, Task
from interp.lab.fit_training import learning_rate, train, write
from interp.models import load_model
from interp.plots import plot
from interp.results import Result

SHORT = Recipe(synonyms=(1, 4), n_each=4, n_words=10, pool=256, d_model=16, steps=40, batch=32, only_in_b=0.5)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A small language, hardly learned: task, training and the model as it was loaded."""
    trained = train(Task.of(SHORT))
    name = str(write(trained, tmp_path_factory.mktemp("fit") / "model"))
    return trained, load_model(name), load_model(f"random:{name}")


def test_the_rate_warms_up_and_ends_at_its_share() -> None:
    recipe = Recipe()
    assert learning_rate(0, recipe) == pytest.approx(recipe.lr / 50)
    assert learning_rate(49, recipe) == pytest.approx(recipe.lr, rel=0.01)
    assert learning_rate(recipe.steps, recipe) == pytest.approx(0.05 * recipe.lr)


def test_training_lowers_the_loss_and_keeps_attention_without_biases(short) -> None:
    trained, model, _ = short
    assert trained.curve[-1][1] < trained.curve[0][1] - 0.3
    assert not any(float(of.abs().max()) for name, of in trained.state.items() if ".attn." in name and "bias" in name)
    assert float(trained.state["layers.0.mlp.fc_in.bias"].abs().max()) > 0
    assert model.cfg.n_layers == 2
    assert model.tokenizer.convert_ids_to_tokens(1) == "<b>"


def test_the_same_seed_trains_the_same_model(short) -> None:
    again = train(Task.of(SHORT))
    assert again.curve == short[0].curve


def test_a_study_has_everything_its_figure_shows(short, tmp_path) -> None:
    trained, model, control = short
    result = study_fit(model, trained.task, control=control, n_each=6)
    assert result.data["n_words"].values.tolist() == [1, 4]
    assert result.data["layer"].values.tolist() == [-1, 0, 1]
    assert (result.data["n_transition"] > 10).all()
    np.testing.assert_allclose(result.data["control_unigram"].sel(temperature=1.0), 0.5, atol=0.25)
    for name in ("held_out", "generated", "transition", "lens"):
        value, low, high = (result.data[f"{name}{end}"].values for end in ("", "_low", "_high"))
        assert ((low <= value + 1e-9) & (value <= high + 1e-9)).all(), name
    again = Result.load(result.save(tmp_path / "fit.result"))
    assert "free generation" in plot(again).how_to_read
    assert "follows in B only" in plot(again).caption


def test_free_generation_follows_its_seed_and_is_cold_at_low_temperatures(short) -> None:
    trained, model, _ = short
    one, again, other = (write_documents(model, trained.task, 8, temperature=1.0, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.concept, again.concept)
    assert not np.array_equal(one.concept, other.concept)
    assert one.concept.shape == (8, SHORT.n_words - 4)


def test_a_language_without_transitions_of_b_alone_says_what_is_missing(short) -> None:
    _, model, control = short
    plain = Task.of(Recipe(synonyms=(1, 4), n_each=4, n_words=10, pool=64, only_in_b=0.0))
    with pytest.raises(InputError, match="only_in_b"):
        study_fit(model, plain, control=control, n_each=2)


@pytest.fixture(scope="module")
def studied(tmp_path_factory) -> Result:
    """The whole recipe, trained: minutes."""
    task = Task.of(Recipe())
    name = str(write(train(task), tmp_path_factory.mktemp("fit") / "model"))
    return study_fit(load_model(name), task, control=load_model(f"random:{name}"))


@pytest.mark.slow
@pytest.mark.parametrize(("temperature", "band"), [(1.0, 0.03), (0.5, 0.04), (0.3, 0.07)])
def test_the_trained_model_follows_the_closed_form(studied: Result, temperature: float, band: float) -> None:
    at = studied.data.sel(temperature=temperature)
    assert float(abs(at["share"] - at["predicted"]).max()) < band


@pytest.mark.slow
def test_greedy_decoding_switches_only_where_the_word_fits_better(studied: Result) -> None:
    for rate in (studied.data["greedy"], studied.data["share"].sel(temperature=0.0)):
        assert rate.sel(n_words=[1, 2, 4]).values.tolist() == [0, 0, 0]
        assert (rate.sel(n_words=[8, 16]) > 0).all()


@pytest.mark.slow
def test_what_never_switches_in_training_does_not(studied: Result) -> None:
    assert float(studied.data["held_out"].max()) < 0.02
    transition = studied.data["transition"]
    assert float(transition.sel(document="A")) < 0.02
    assert float(transition.sel(document="B")) == pytest.approx(0.25, abs=0.05)


@pytest.mark.slow
def test_the_other_language_is_most_probable_in_the_middle(studied: Result) -> None:
    embed, middle, last = studied.data["lens"].values
    assert middle > embed > last
    assert float(studied.data["lens_low"].sel(layer=0)) > float(studied.data["lens_high"].sel(layer=-1))


@pytest.mark.slow
def test_controls_do_not_follow_the_closed_form(studied: Result) -> None:
    at = studied.data.sel(temperature=0.3)
    for name in ("control", "control_shuffled", "control_unigram"):
        assert float(abs(at[name] - at["predicted"]).max()) > 0.2, name
    dealt = at["control_shuffled"]
    assert float(dealt.max() - dealt.min()) < 0.03
