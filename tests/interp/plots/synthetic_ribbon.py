"""A token ribbon made by hand: hostile tokens, a neuron that fires at switches, and one that never moves."""

import numpy as np
import xarray as xr

from interp.results import Result
from tests.interp.plots.synthetic import HOSTILE, provenance

LANGUAGES = ["de", "<b>tr</b>"]
NEURONS = ["L0N3", "L1N7", "L2N0"]


def token_ribbon() -> Result:
    texts = [["<bos>", *HOSTILE], ["<bos>", " one", " iki"], ["<bos>", *[f" word{number}" for number in range(40)]]]
    lengths = [len(text) for text in texts]
    text, n = np.repeat(np.arange(3), lengths), sum(lengths)
    pos = np.concatenate([np.arange(length) for length in lengths])
    number = np.where(pos == 0, 2, (pos // 4) % 2)
    number[lengths[0] :][:3] = [2, 0, 1]
    switch = np.zeros(n, bool)
    switch[1:] = (number[1:] != number[:-1]) & (pos[1:] > 1) & (number[1:] < 2)
    rng = np.random.default_rng(0)
    activation, control = rng.standard_normal((2, n, 3))
    activation[:, 0] = 9.0 * switch
    activation[:, 2] = 1.0
    ran = pos > 0
    by_token = {
        "str_token": np.array([token for each in texts for token in each], object),
        "text": text,
        "pos": pos,
        "word": pos - 1,
        "language": np.array([*LANGUAGES, ""], object)[number],
        "switch": switch,
        "surprisal_nats": np.where(ran, rng.gamma(4.0, size=n), np.nan),
        "control_surprisal_nats": np.where(ran, 8.0, np.nan),
        "ran": ran,
    }
    usual = ~switch & (number < 2)
    sides = {"": activation, "control_": control}
    by_neuron = {f"{side}mean": values[usual].mean(0) for side, values in sides.items()}
    by_neuron |= {f"{side}sd": np.maximum(values[usual].std(0), [2.0, 0, 0]) for side, values in sides.items()}
    variables = {"activation": (("token", "neuron"), activation), "control": (("token", "neuron"), control)}
    variables |= {name: ("token", values) for name, values in by_token.items()}
    variables |= {name: ("neuron", values) for name, values in by_neuron.items()}
    variables["control_neuron"] = ("neuron", np.array(["L0N9", "L1N1", "L2N5"], object))
    return Result(
        kind="token_ribbon",
        data=xr.Dataset(variables, {"token": np.arange(n), "neuron": np.array(NEURONS, object)}),
        unit="activation; surprisal in nats per token",
        sign="Larger: more active, less expected",
        method="Token by token.",
        provenance=provenance(),
        baselines={"surprisal, switches (nats)": 4.0},
        notes={"control": "random neurons of the same layers", "n_samples": n, "n_groups": 3},
    )


def script_or_language() -> Result:
    auroc = np.array([[0.95, 0.9, np.nan], [0.93, 0.52, np.nan], [0.94, 0.9, np.nan], [0.6, 0.6, np.nan]])
    values = {"auroc": auroc, "auroc_low": auroc - 0.05, "auroc_high": auroc + 0.03, "control": auroc * 0 + 0.5}
    dims = ("version", "language")
    data = xr.Dataset(
        {name: (dims, of) for name, of in values.items()}
        | {"kept": (dims, auroc), "ran": (dims, np.isfinite(auroc)), "n_found": ("language", [4, 2, 0])},
        {
            "version": np.array(["as written", "romanised", "words shuffled", "letters shuffled"], object),
            "language": np.array(["de", HOSTILE[1], "xx"], object),
        },
    )
    return Result(
        kind="script_or_language",
        data=data,
        unit="AUROC",
        sign="Above 0.5: still more active in its language",
        method="The same lines in four versions.",
        provenance=provenance(),
        notes={"control": "random neurons", "n_samples": 60},
    )
