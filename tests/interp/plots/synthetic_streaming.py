"""A streaming result made by hand."""

import numpy as np
import xarray as xr

from interp.results import Result
from tests.interp.plots import synthetic


def streaming(*, window: int = 32, intervals: bool = True) -> Result:
    """Eight streams of 400 tokens: the window's loss rises when its 32 keys are full, sinks' does not."""
    edges = np.array([0, 1, 2, 4, 8, 16, 32, 64, 100, 160, 240, 399])
    arms = ["dense", "window", "1 sink", "control: 1 from 5", "4 sinks", "control: 4 from 5", "recompute"]
    kinds = ["dense", "window", "sinks", "control", "sinks", "control", "recompute"]
    n_kept, controls = np.array([0, 0, 1, 1, 4, 4, 0]), [1, 1, 3, 1, 5, 1, 1]
    full = edges[:-1] >= window
    after = np.array([0.3, 1.5, 0.2, 1.6, 0.1, 1.4, 0.5])
    loss = 4 - 0.2 * np.log1p(edges[:-1]) + after[:, None] * full
    loss[0, -2:] = np.nan
    mean = np.array([np.nanmean(row[full]) for row in loss])
    dims = ("arm", "position")
    variables = {
        "loss_nats": (dims, loss),
        "control_loss_nats": (dims, np.where(np.isfinite(loss), loss[controls], np.nan)),
        "perplexity": (dims, np.exp(loss)),
        "ran": (dims, np.isfinite(loss)),
        "full_loss_nats": ("arm", mean),
        "control_full_loss_nats": ("arm", mean[controls]),
        "saved_nats": ("arm", mean[controls] - mean),
        "above_window_nats": ("arm", mean - mean[1]),
    }
    if intervals:
        names = ["loss_nats", "full_loss_nats", "saved_nats", "above_window_nats"]
        for name in names:
            place, values = variables[name]
            variables |= {f"{name}_low": (place, values - 0.1), f"{name}_high": (place, values + 0.2)}
    coords = {
        "arm": np.array(arms, object),
        "kind": ("arm", np.array(kinds, object)),
        "n_kept": ("arm", n_kept),
        "position": edges[:-1],
        "position_stop": ("position", edges[1:]),
    }
    notes = {"n_streams": 8, "n_tokens": 400, "window": window, "n_ctx": 100, "dense_stop": 160}
    words = {"positions": "Keys are rotated at their slots.", "control": "others kept"}
    return Result(
        kind="streaming",
        data=xr.Dataset(variables, coords),
        unit="loss on the next token (nats)",
        sign="A larger loss means that the model predicts worse",
        method="By hand.",
        provenance=synthetic.provenance(),
        baselines={"dense, positions 50 to 99": 3.2},
        notes=notes | words | {"begins_with_bos": True},
    )
