import numpy as np
import pytest
import torch

from interp.errors import InputError, ModelError
from interp.models.zoo.sampling import sample_texts, sample_tokens

SPECIAL = 3
"""Special tokens, the first ids of the vocabulary."""


def rows_of(model, *texts) -> list[np.ndarray]:
    return [np.array([0, *model.tokenizer(text, add_special_tokens=False)["input_ids"]]) for text in texts]


def test_draws_take_the_token_whose_cumulative_probability_they_pass(uniform_model, recipe):
    # Every ordinary token has the same probability, so a draw of u takes the one at u of the way.
    draws = np.array([[0.0, 0.5, 0.999999], [0.25, 1e-9, 0.75]])
    found = sample_tokens(uniform_model, rows_of(uniform_model, "la", "la maison"), draws)
    wanted = SPECIAL + np.floor(draws * (recipe.d_vocab - SPECIAL)).astype(int)
    np.testing.assert_array_equal(found, wanted)


def test_sampling_with_a_cache_is_sampling_without(trained_model):
    """Prompts of unequal length together, against each by itself with the hooked model and no cache."""
    rows = rows_of(trained_model, "la maison était", "der", "the old clock was and she")
    assert len({len(row) for row in rows}) == 3
    draws = np.random.default_rng(1).random((3, 12))
    wanted = []
    for row, of_row in zip(rows, draws, strict=True):
        ids = row.tolist()
        for draw in of_row:
            with torch.no_grad():
                chance = trained_model(torch.tensor([ids]))[0, -1].double()
            chance[:SPECIAL] = -torch.inf
            ids.append(int((chance.softmax(-1).cumsum(-1) <= draw).sum()))
        wanted.append(ids[len(row) :])
    np.testing.assert_array_equal(sample_tokens(trained_model, rows, draws), wanted)


def test_a_continuation_depends_on_its_seed_and_place_alone(trained_model):
    prompts = ["la maison", "the old clock was and she", "der alte"]
    found = sample_texts(trained_model, prompts, n_tokens=10, seed=4)
    assert found == sample_texts(trained_model, prompts, n_tokens=10, seed=4)
    assert found != sample_texts(trained_model, prompts, n_tokens=10, seed=5)
    assert found[:2] == sample_texts(trained_model, prompts[:2], n_tokens=10, seed=4)
    assert found[1] == sample_texts(trained_model, [prompts[2], prompts[1]], n_tokens=10, seed=4)[1]


def test_special_tokens_are_never_drawn(uniform_model):
    draws = np.linspace(0, 0.05, 40)[None]
    assert sample_tokens(uniform_model, rows_of(uniform_model, "la"), draws).min() == SPECIAL


def test_what_does_not_fit_the_context_is_refused(trained_model, recipe):
    sample_texts(trained_model, ["la"], n_tokens=recipe.n_ctx - 2)
    with pytest.raises(InputError, match="do not fit a context of 160"):
        sample_texts(trained_model, ["la"], n_tokens=recipe.n_ctx - 1)


def test_a_broken_model_is_refused(trained):
    from interp.models import load_model

    model = load_model(str(trained / "model"))
    with torch.no_grad():
        next(model.original_model.parameters()).fill_(torch.nan)
    with pytest.raises(ModelError, match="NaN or infinite"):
        sample_texts(model, ["la maison"], n_tokens=2)
