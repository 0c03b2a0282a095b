"""Figure of attention patterns: a canvas viewer over all heads, trained weights beside random ones."""

from typing import Any

import numpy as np
from jaxtyping import Float

from interp.errors import ResultError
from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.pack import deflate
from interp.plots.png import above, beside, colour_cells, encode_png
from interp.plots.theme import SEQUENTIAL
from interp.plots.tokens import clip, visible
from interp.plots.triangle import LARGEST_ERROR, encode, is_causal
from interp.results import Result

_VARIABLES = ["pattern", "control_pattern", "length"]
_DIMS = ("layer", "head", "dest_pos", "src_pos")
_PICTURE_WIDTH = 900
_HOW_TO_READ = (
    "Each small square is one head, layers down and heads across; choose one to open it. In the open pattern each row "
    "is a token that looks (dest) and each column a token it looks at (src); stronger colour is more weight, and each "
    "row sums to at most one. Switch to random weights to see what the architecture alone does on the same tokens. "
    "Attention shows where a head reads from, not what it does with it, and not that the answer depends on it."
)


def plot_attention_patterns(result: Result) -> Figure:
    """Pack all patterns for the viewer: click a head to open it, hover a cell or token to read weights.

    Raises:
        ResultError: no control, a variable missing, tokens that do not fit, or weights outside 0 to 1.
    """
    contract.check_drawable(result, _VARIABLES)
    n_prompts = result.data.sizes["prompt"]
    tokens = [prompt_tokens(result, prompt) for prompt in range(n_prompts)]
    pairs = [prompt_patterns(result, prompt) for prompt in range(n_prompts)]
    causal = all(is_causal(pattern) for pair in pairs for pattern in pair)
    prompts = [_pack_prompt(texts, pair, causal=causal) for texts, pair in zip(tokens, pairs, strict=True)]
    longest = max(len(texts) for texts in tokens)
    return Figure(
        title="Attention patterns",
        how_to_read=_HOW_TO_READ,
        caption=contract.sentences(
            f"Unit: {result.unit}.",
            f"{n_prompts} prompt{'' if n_prompts == 1 else 's'} of up to {longest} tokens, not averaged.",
            f"Weights shown are rounded: off by at most {LARGEST_ERROR:.4f}; the result file holds them exactly.",
            "Colour grows with the square root of the weight, so that weak attention stays visible.",
        ),
        control=contract.control_in_words(result, "the same prompts through the same architecture with random weights"),
        png=picture(pairs[0][0]),
        viewer={
            "kind": "attention",
            "layers": contract.layer_numbers(result),
            "heads": [int(head) for head in result.data["head"].values],
            "causal": causal,
            "scale": SEQUENTIAL,
            "prompts": prompts,
        },
    )


def prompt_patterns(
    result: Result, prompt: int
) -> tuple[Float[np.ndarray, "layer head pos pos"], Float[np.ndarray, "layer head pos pos"]]:
    """Return the patterns of one prompt over its own length: of the trained weights, and of the control."""
    length = int(result.data["length"].values[prompt])
    patterns = (result.data[name].isel(prompt=prompt).transpose(*_DIMS) for name in _VARIABLES[:2])
    trained, random = (pattern.values[..., :length, :length].astype(np.float32) for pattern in patterns)
    return trained, random


def prompt_tokens(result: Result, prompt: int) -> list[str]:
    """Return the raw text of one prompt's tokens.

    Raises:
        ResultError: there is not one string per position.
    """
    length = int(result.data["length"].values[prompt])
    listed = result.notes.get("str_tokens", [])
    tokens = listed[prompt] if prompt < len(listed) else []
    if not 1 <= length <= min(len(tokens), result.data.sizes["dest_pos"]):
        raise ResultError(
            f"Prompt {prompt} has length {length} and {len(tokens)} token strings. "
            "Expected a length of at least 1 and notes['str_tokens'] with one string per position."
        )
    return [str(token) for token in tokens[:length]]


def _pack_prompt(
    tokens: list[str], pair: tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]], *, causal: bool
) -> dict[str, Any]:
    shown = [visible(token) for token in tokens]
    trained, random = (_pack(pattern.reshape(-1, len(tokens), len(tokens)), causal=causal) for pattern in pair)
    return {"tokens": shown, "short": [clip(token, 12) for token in shown], "trained": trained, "random": random}


def _pack(patterns: Float[np.ndarray, "head pos pos"], *, causal: bool) -> str:
    try:
        return deflate(encode(patterns, causal=causal).tobytes())
    except ValueError as error:
        raise ResultError(f"The result cannot be drawn: {error}. Expected patterns after the softmax.") from error


def picture(pattern: Float[np.ndarray, "layer head pos pos"]) -> bytes:
    """Draw all heads, layers down and heads across, as a small PNG."""
    n_heads, n_pos = pattern.shape[1], pattern.shape[-1]
    step = -(-n_pos * n_heads // _PICTURE_WIDTH)
    pixels = max(1, min(4, _PICTURE_WIDTH // (n_pos * n_heads)))
    roots = np.sqrt(pattern[..., ::step, ::step].clip(0, 1))
    rows = [beside([colour_cells(h, SEQUENTIAL, 0.0, 1.0, pixels) for h in layer], gap=4) for layer in roots]
    return encode_png(above(rows, gap=4))
