"""The softmax models of `zoo:sink` as hooked models over words."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interp.errors import InputError
from interp.models import native
from interp.models.zoo.sink_task import Recipe, SinkModel

N_CTX = 512
"""More than the 32 positions of training: the model knows no positions."""
N_CONTENTS = 128
"""Contents that have a word."""


@torch.no_grad()
def as_native(model: SinkModel) -> tuple[dict[str, Any], dict[str, Tensor], list[str]]:
    """Write a softmax model as one layer of attention with a residual stream, changing no number it computes.

    The stream has one part for the input and one for the answer: the head reads the first, with the embedding folded
    into its query, key and value weights, and writes into the second, which alone is read out. Its words are drawn
    contents: `c5` is a content, `c5!` the same content marked as a trigger.

    Returns:
        Settings, weights and words, as `native.write_directory` takes them.

    Raises:
        InputError: another arm, whose attention no hooked architecture has.
    """
    recipe = model.recipe
    if recipe.arm != "softmax":
        raise InputError(f"The attention of {recipe.arm!r} cannot be hooked. Expected a softmax model; use load_arm.")
    d_input, d_stream = recipe.d_content + 2, 2 * recipe.d_content + 2
    words = token_words()
    embedding = torch.zeros(len(words), d_stream)
    embedding[:, :d_input] = token_inputs(recipe)
    state = {"tok_embed.weight": embedding, "pos.weight": torch.zeros(N_CTX, d_stream)}
    for part in "qkv":
        linear: nn.Linear = getattr(model, part)
        weight = torch.zeros(recipe.d_model, d_stream)
        weight[:, :d_input] = linear.weight @ model.embed.weight
        state[f"layers.0.attn.{part}.weight"] = weight
        state[f"layers.0.attn.{part}.bias"] = linear.weight @ model.embed.bias + linear.bias
    answer = torch.eye(d_stream)[d_input:]
    state["layers.0.attn.o.weight"] = answer.T @ model.read_out.weight
    state["layers.0.attn.o.bias"] = answer.T @ model.read_out.bias
    state["head.weight"] = answer
    settings = {
        "d_model": d_stream,
        "n_heads": 1,
        "d_head": recipe.d_model,
        "n_layers": 1,
        "n_ctx": N_CTX,
        "d_vocab": len(words),
        "d_vocab_out": recipe.d_content,
        "attn_only": True,
        "normalization_type": None,
    }
    return settings, state, words


def token_words() -> list[str]:
    """Spell the vocabulary of the hooked models: `<unk>`, `<bos>`, contents, the same contents as triggers."""
    contents = [f"c{number}" for number in range(N_CONTENTS)]
    return [native.UNKNOWN, native.BOS, *contents, *(f"{content}!" for content in contents)]


def token_inputs(recipe: Recipe) -> Float[Tensor, "d_vocab d_input"]:
    """Give the input behind every word of the hooked models; the same for all seeds. `<unk>` is a content of zeros."""
    contents = torch.randn(N_CONTENTS, recipe.d_content, generator=torch.Generator().manual_seed(0))
    inputs = torch.zeros(2 + 2 * N_CONTENTS, recipe.d_content + 2)
    inputs[1, -1] = 1.0
    inputs[2:, : recipe.d_content] = contents.repeat(2, 1)
    inputs[2 + N_CONTENTS :, -2] = 1.0
    return inputs
