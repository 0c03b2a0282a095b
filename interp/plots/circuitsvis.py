"""Circuitsvis's attention heads for notebooks, made safe: its own HTML runs code from tokens and asks the network.

The package is never imported (that takes 6 s and loads torch): only its JavaScript bundle is read from the wheel.
"""

from interp.errors import InputError, ResultError
from interp.plots import contract
from interp.plots.attention_patterns import picture, prompt_patterns, prompt_tokens
from interp.plots.figure import Figure
from interp.plots.tokens import visible
from interp.results import Result

MAX_HEADS = 12
MAX_TOKENS = 128
_LOOKALIKES = str.maketrans({"<": "‹", ">": "›"})


def attention_heads(result: Result, prompt: int = 0, layer: int = 0) -> Figure:
    """Draw the heads of one layer for one prompt with circuitsvis.

    Circuitsvis draws these tokens on a canvas but reads tokens as HTML elsewhere, so `<` and `>` are shown as `‹` and
    `›`: whichever way they are read, they are never markup.

    Args:
        result: Attention patterns with their control.
        prompt: Which prompt, counted from 0.
        layer: Layer number as in the result's coordinates.

    Raises:
        InputError: no such prompt or layer, or more than 12 heads or 128 tokens, which circuitsvis does not draw well.
        ResultError: no control, or not attention patterns.
    """
    contract.check_drawable(result, ["pattern", "control_pattern", "length"])
    tokens, heads = _check_size(result, prompt, layer)
    place = contract.layer_numbers(result).index(layer)
    trained, _ = prompt_patterns(result, prompt)
    props = {
        "attention": trained[place].round(5).tolist(),
        "tokens": [visible(token).translate(_LOOKALIKES) for token in tokens],
        "attentionHeadNames": [f"L{layer}H{head}" for head in heads],
    }
    return Figure(
        title=f"Attention heads of layer {layer}",
        how_to_read=(
            "Each square is one head; rows look (dest), columns are looked at (src), stronger colour is more weight. "
            "The control is not drawn here: plot(result) shows the random-weights model beside the trained one. "
            "Attention shows where a head reads from, not what it does with it."
        ),
        caption=f"Unit: {result.unit}. Prompt {prompt}, {len(tokens)} tokens; weights rounded to 5 decimals.",
        control=contract.control_in_words(result, "the same prompts through the same architecture with random weights"),
        png=picture(trained[place : place + 1]),
        viewer={"kind": "circuitsvis", "component": "AttentionHeads", "props": props},
    )


def _check_size(result: Result, prompt: int, layer: int) -> tuple[list[str], list[int]]:
    if result.kind != "attention_patterns":
        raise ResultError(f"A result of kind {result.kind!r} has no attention heads. Expected 'attention_patterns'.")
    n_prompts, layers = result.data.sizes["prompt"], contract.layer_numbers(result)
    if not 0 <= prompt < n_prompts or layer not in layers:
        raise InputError(
            f"There is no prompt {prompt} with layer {layer}. Expected prompt below {n_prompts}, layer in {layers}."
        )
    heads = [int(head) for head in result.data["head"].values]
    tokens = prompt_tokens(result, prompt)
    if len(heads) > MAX_HEADS or len(tokens) > MAX_TOKENS:
        raise InputError(
            f"{len(heads)} heads by {len(tokens)} tokens are more than circuitsvis draws well "
            f"({MAX_HEADS} by {MAX_TOKENS}). Use interp.plots.plot(result), whose viewer has no such limit."
        )
    return tokens, heads
