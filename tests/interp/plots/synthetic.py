"""Results made by hand, of every kind that has a figure, with tokens that try to break the page."""

from dataclasses import replace

import numpy as np
import xarray as xr

from interp.results import Provenance, Result

HOSTILE = [
    "</script><script>document.title='x'</script>",
    "<img src=x onerror=alert(1)>",
    '<img/src="x"/onerror="alert(1)">',
    "<s>",
    "&lt",
    "👩‍💻",
    "سلام",
    "\n",
    " leading",
    "leading",
    "the",
    "the",
    "$x^2$",
    "\u202eright",
    "=1+1",
    "",
]


def provenance(name: str = "random:tiny") -> Provenance:
    return Provenance(
        model=name,
        fingerprint="00ff00ff00ff00ff",
        tokenizer="aa55aa55aa55aa55",
        tokens="1234567890abcdef",
        dtype="float32",
        bos=True,
        call="patch_sweep(model, prompts, 'resid_pre')",
        versions={"torch": "2.13.0", "transformer-lens": "4.3.0"},
        made="2026-01-01T00:00:00+00:00",
    )


def edit_sweep(kind: str) -> Result:
    words = {"mode": "zero", "sender": "L0H1 z", "receiver": "q"}
    made = replace(patch_sweep(["H0", "H1", "H2", "H3"], dim="head", **words), kind=kind)
    return replace(made, data=made.data.drop_vars("recovered"))


def effects(kind: str = "patch_cells", dim: str = "cell", n_prompts: int = 12) -> Result:
    """A list of effects, the third the largest and the last no larger than its control."""
    values = np.random.default_rng(1).normal([0.2, -0.3, 1.5, 0.4], 0.1, (n_prompts, 4))
    effect, control = values.mean(0), np.array([0.05, 0.1, -0.1, 0.5])
    arrays = {"effect": effect, "effect_low": effect - 0.1, "effect_high": effect + 0.2, "control": control}
    arrays |= {"above_control": effect - control, "above_control_q_fdr": np.array([0.2, 0.01, 0.01, 0.01])}
    data = xr.Dataset(
        {name: (dim, values) for name, values in arrays.items()}, {dim: ["L0H1 z", HOSTILE[1], "L2 post [7]", "$x$"]}
    )
    return Result(
        kind=kind,
        data=data,
        unit="logit difference (nats)",
        sign="Effect: metric with the edit minus metric of the corrupted run.",
        method="by hand",
        provenance=provenance(),
        baselines={"clean": 2.0, "corrupted": -1.0},
        notes={"n_prompts": n_prompts},
    )


def patch_sweep(
    labels: list[str] | None = None, n_layers: int = 6, dim: str = "pos", n_prompts: int = 12, **notes: object
) -> Result:
    random = np.random.default_rng(0)
    width = len(labels or HOSTILE)
    values = random.normal(0, 0.15, (n_prompts, n_layers, width))
    values[:, : n_layers // 2, width // 3] += 2.4
    values[:, n_layers // 2 :, width - 1] += 1.8
    values[:, 2, 1] -= 1.2
    mean = values.mean(0)
    dims = ("layer", dim)
    p, control = np.where(np.abs(mean) > 1, 0.001, 0.8), random.normal(0, 0.1, mean.shape)
    # One cell stands out and its placebo does as much, another's placebo does more.
    control[0, width // 3], control[1, width // 3] = mean[0, width // 3], 2 * mean[1, width // 3]
    above = mean - control
    data = xr.Dataset(
        {
            "effect": (dims, mean),
            "effect_low": (dims, mean - 0.1),
            "effect_high": (dims, mean + 0.1),
            "p": (dims, p / 20),
            "p_corrected": (dims, p),
            "q_fdr": (dims, p / 2),
            "recovered": (dims, mean / 4.2),
            "control": (dims, control),
            "above_control": (dims, above),
            "above_control_low": (dims, above - 0.12),
            "above_control_high": (dims, above + 0.12),
            "above_control_q_fdr": (dims, np.where(np.abs(above) > 1, 0.002, 0.7)),
            "values": (("prompt", *dims), values),
        },
        {"prompt": np.arange(n_prompts), "layer": np.arange(n_layers), dim: np.arange(width)},
    )
    found = {
        "site": "resid_pre",
        "direction": "denoising",
        "n_prompts": n_prompts,
        "control": "a random direction of equal norm",
    }
    found["labels"] = [f"H{head}" for head in range(width)] if dim == "head" else labels or HOSTILE
    return Result(
        kind="patch_sweep",
        data=data,
        unit="logit difference (nats)",
        sign="The patch moves the model towards the right answer",
        method="Activation patching by hooks. A cell is not evidence that the model computes there.",
        provenance=provenance(),
        baselines={"clean": 3.1, "corrupted": -1.1},
        notes=found | notes,
    )


def attention(
    tokens: list[list[str]] | None = None, n_layers: int = 3, n_heads: int = 4, *, causal: bool = True
) -> Result:
    tokens = tokens or [HOSTILE, ["Once", " upon", " a", " time", ",", " there", " was"]]
    random = np.random.default_rng(1)
    longest = max(map(len, tokens))
    shape = (len(tokens), n_layers, n_heads, longest, longest)
    patterns = {
        name: _softmax(random.normal(0, width, shape), causal)
        for name, width in (("pattern", 3), ("control_pattern", 0.3))
    }
    dims = ("prompt", "layer", "head", "dest_pos", "src_pos")
    return Result(
        kind="attention_patterns",
        data=xr.Dataset(
            {name: (dims, values) for name, values in patterns.items()} | {"length": ("prompt", [*map(len, tokens)])},
            {dim: np.arange(size) for dim, size in zip(dims, shape, strict=True)},
        ),
        unit="attention weight",
        sign="More attention",
        method="Patterns after the softmax.",
        provenance=provenance(),
        notes={"str_tokens": tokens},
    )


def _softmax(scores: np.ndarray, causal: bool) -> np.ndarray:
    if causal:
        scores = np.where(np.tri(scores.shape[-1], dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def head_scores(n_layers: int = 6, n_heads: int = 8) -> Result:
    random = np.random.default_rng(2)
    detectors = ["previous_token", "duplicate", "induction", "first_token"]
    shape = (len(detectors), n_layers, n_heads)
    score = random.beta(0.6, 6, shape)
    score[0, 1, 3] = 0.93
    dims = ("detector", "layer", "head")
    return Result(
        kind="head_scores",
        data=xr.Dataset(
            {
                "score": (dims, score),
                "control": (dims, random.beta(2, 30, shape)),
                "threshold": ("detector", np.array([0.2, 0.3, 0.25, 0.5])),
                "p_corrected": (dims, np.where(score > 0.2, 0.01, 0.9)),
            },
            {"detector": detectors, "layer": np.arange(n_layers), "head": np.arange(n_heads)},
        ),
        unit="mean attention weight",
        sign="The head attends where the detector looks",
        method="Means over prompts and positions.",
        provenance=provenance(),
        notes={"n_prompts": 64},
    )


def probe_by_layer(n_layers: int = 9) -> Result:
    accuracy = np.array([0.31, 0.52, 0.7, 0.83, 0.91, 0.93, 0.92, 0.9, 0.86])[:n_layers]
    lines = {
        "accuracy": accuracy,
        "accuracy_low": accuracy - 0.04,
        "accuracy_high": accuracy + 0.03,
        "control_shuffled": np.full(n_layers, 0.26),
        "control_random_weights": accuracy * 0.4 + 0.2,
        "control_random_weights_low": accuracy * 0.4 + 0.17,
        "control_random_weights_high": accuracy * 0.4 + 0.23,
        "control_majority": np.full(n_layers, 0.25),
    }
    return Result(
        kind="probe_by_layer",
        data=xr.Dataset({name: ("layer", line) for name, line in lines.items()}, {"layer": np.arange(n_layers)}),
        unit="accuracy on held-out words",
        sign="The probe is right more often",
        method="Logistic regression on the residual stream.",
        provenance=provenance(),
        notes={"n_prompts": 400},
    )


def emergence() -> Result:
    """Losses that fall and heads that come up, over steps 0 to 1000; names try to break the page."""
    steps = np.array([0, 3, 10, 40, 200, 1000])
    names = ["bits per byte, novels, en", HOSTILE[0], "induction", "previous token"]
    value = np.stack([4 - np.log1p(steps) / 3, 8 - np.log1p(steps), steps / 1200, np.sqrt(steps / 1200)], axis=1)
    dims = ("step", "measure")
    coords = {
        "step": steps,
        "measure": np.array(names, object),
        "tokens_seen": ("step", steps * 8192),
        "panel": ("measure", np.array(["loss", HOSTILE[0], "heads", "heads"], object)),
        "unit": ("measure", np.array(["bits per byte", HOSTILE[0], "attention weight", "attention weight"], object)),
        "meaning": ("measure", np.array(["Lower is better.", HOSTILE[1], "More is more.", "More is more."], object)),
    }
    lines = {"value": (dims, value), "value_low": (dims, value - 0.01), "value_high": (dims, value + 0.02)}
    return Result(
        kind="emergence",
        data=xr.Dataset(lines | {"control": ("measure", value[0])}, coords),
        unit="each measure has its own",
        sign="What a larger number means depends on the measure",
        method="Measured on snapshots.",
        provenance=provenance(),
        notes={"text": "held-out novels"},
    )
