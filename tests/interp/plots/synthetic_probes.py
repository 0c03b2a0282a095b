"""Results of probes made by hand: read and used, read and not used, not read; free text tries to break the page."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from interp.results import RAN, Result
from tests.interp.plots.synthetic import HOSTILE, provenance

ACCURACY = "accuracy (share of held-out samples)"
NAT = "logit difference (nats)"
_LAYERS = [-1, 0, 1, 2]
_READ = np.array([0.52, 0.7, 0.93, 0.9])
MEASURES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss_nats", "brier", "ece", "ece_adaptive")


def ends(name: str, dims: Any, values: Any, low: float = 0.03, high: float = 0.04) -> dict[str, Any]:
    """A variable with the ends of its interval."""
    of = np.asarray(values, float)
    return {name: (dims, of), f"{name}_low": (dims, of - low), f"{name}_high": (dims, of + high)}


def _result(kind: str, variables: dict[str, Any], coords: dict[str, Any], unit: str = ACCURACY, **notes: Any) -> Result:
    return Result(
        kind=kind,
        data=xr.Dataset(variables, coords),
        unit=unit,
        sign="A larger number means more",
        method="By hand.",
        provenance=provenance(),
        baselines={HOSTILE[1]: 0.25},
        notes={"control": "shuffled: labels permuted between groups", "n_samples": 400, "n_groups": 40} | notes,
    )


def probe_after_erasure() -> Result:
    variables = ends("accuracy", "layer", _READ) | ends("erased", "layer", np.full(4, 0.51))
    variables |= ends("control_random_erasure", "layer", _READ - 0.02)
    variables |= {"control_majority": ("layer", np.full(4, 0.5)), "rank": ("layer", np.array([1, 1, 2, 1]))}
    return _result("probe_after_erasure", variables, {"layer": _LAYERS})


def _compression() -> dict[str, Any]:
    return ends("compression", "layer", [1.0, 1.4, 4.2, 3.1]) | ends("control_shuffled_compression", "layer", [0.9] * 4)


def _selectivity() -> dict[str, Any]:
    return (
        ends("selectivity", "layer", [-0.1, 0.1, 0.3, 0.25])
        | ends("task_accuracy", "layer", _READ)
        | ends("control_task_accuracy", "layer", _READ - [-0.1, 0.1, 0.3, 0.25])
    )


def description_length() -> Result:
    portions, dims = [0.25, 0.5, 1.0], ("layer", "portion")
    bits = ends("bits", dims, np.ones((4, 3))) | ends("control_shuffled_bits", dims, np.full((4, 3), 2.0))
    variables = _compression() | bits | {"n_samples": ("portion", np.array([100.0, 100.0, 200.0]))}
    return _result(
        "description_length",
        variables,
        {"layer": _LAYERS, "portion": portions},
        "compression (times shorter than a uniform code)",
        uniform_bits=400.0,
    )


def control_task() -> Result:
    return _result("control_task", _selectivity(), {"layer": _LAYERS}, n_word_types=30, n_tested=350)


def probe_quality(*, selectivity: bool = True) -> Result:
    """The first layer is below the majority, significantly; the second above it, not significantly."""
    variables: dict[str, Any] = {}
    for name in MEASURES:
        good = _READ if name in MEASURES[:4] else 1 - _READ
        variables |= ends(name, "layer", good) | ends(f"control_shuffled_{name}", "layer", np.full(4, 0.5))
        variables[f"control_majority_{name}"] = ("layer", np.full(4, 0.55))
    for name in ("ece", "ece_adaptive"):
        variables[f"control_calibrated_{name}"] = ("layer", np.full(4, 0.04))
        variables[f"control_calibrated_{name}_high"] = ("layer", np.full(4, 0.06))
    variables |= {"p": ("layer", np.full(4, 0.01)), "p_corrected": ("layer", np.array([0.01, 0.2, 0.01, 0.01]))}
    variables |= _compression() | (_selectivity() if selectivity else {})
    return _result("probe_quality", variables, {"layer": _LAYERS})


def sample_efficiency(n_layers: int = 4) -> Result:
    sizes = [2, 5, 12, 30]
    rise = 0.5 + np.linspace(0.05, 0.4, n_layers)[:, None] * np.log(sizes) / np.log(30)
    dims = ("layer", "n_groups")
    variables = ends("accuracy", dims, rise) | ends("control_shuffled_accuracy", dims, np.full(rise.shape, 0.5))
    variables |= ends("log_loss_nats", dims, 1 - rise) | ends("control_shuffled_log_loss_nats", dims, 1 + 0 * rise)
    variables |= ends("area", "layer", rise.mean(1)) | ends("control_shuffled_area", "layer", np.full(n_layers, 0.5))
    variables |= {"control_majority_accuracy": (dims, np.full(rise.shape, 0.52))}
    variables |= {"n_samples": ("n_groups", np.array([20.0, 50.5, 120.0, 300.0]))}
    return _result("sample_efficiency", variables, {"layer": np.arange(n_layers) - 1, "n_groups": sizes})


def reliability(n: int = 4) -> Result:
    """Too sure where it is most sure."""
    confidence = np.linspace(0.55, 0.97, n)
    variables = ends("accuracy", "bin", confidence - np.linspace(0, 0.2, n))
    variables |= ends("control_calibrated", "bin", confidence, 0.05, 0.03)
    variables |= {"confidence": ("bin", confidence), "count": ("bin", np.arange(10, 10 + n))}
    return _result("reliability", variables, {"bin": np.arange(n) * 3}, n_bins=15)


def amnesic_probe() -> Result:
    by_name = {
        "effect": [0.8, 0.1],
        "control": [0.1, 0.12],
        "above_control": [0.7, -0.02],
        "reinjected": [0.05, 0.04],
        "restored": [0.75, 0.06],
        "everything": [1.2, 0.9],
    }
    variables: dict[str, Any] = {}
    for name, values in by_name.items():
        variables |= ends(name, "site", values)
    variables |= {name: ("site", np.array([0.001, 0.9])) for name in ("p", "p_corrected")}
    variables |= {"control_largest": ("site", np.array([0.2, 0.2])), "rank": ("site", np.array([1, 1]))}
    return _result("amnesic_probe", variables, {"site": ["L0.resid_post", HOSTILE[1]]}, NAT, what=HOSTILE[0])


def _swapped() -> dict[str, Any]:
    """Used, read and not used, and a site that the label fills, so that there are no random directions."""
    cell, ran = ("site", "arm"), np.array([[True, True], [True, True], [True, False]])
    control = np.array([[0.1, 0.2], [0.1, 0.15], [0.05, np.nan]])
    swapped = np.array([1.5, 0.12, 0.9])
    variables = ends("swapped", "site", swapped) | ends("control", cell, control)
    variables |= ends("above_control", cell, swapped[:, None] - control)
    p = np.where(ran, [[0.001, 0.001], [0.9, 0.9], [0.01, 0.9]], np.nan)
    variables |= {"p_corrected": (cell, p), "rounding": ("site", np.full(3, 1e-6)), RAN: (cell, ran)}
    return variables | {"rank": ("site", np.array([1, 1, 3])), "used": ("site", np.array([True, False, True]))}


_SITES = {"site": ["L0.resid_post", HOSTILE[1], "L2.z.h1"], "arm": ["reinjected", "random"]}


def label_swap() -> Result:
    return _result("label_swap", _swapped(), _SITES, NAT, what=HOSTILE[0], n_prompts=64)


def probe_verdict() -> Result:
    words = np.array(["decodable and used", "decodable, not used", "not decodable"])
    variables = _swapped() | ends("accuracy", "site", [0.98, 0.8, 0.5]) | ends("control_shuffled", "site", [0.5] * 3)
    variables |= ends("compression", "site", [3.0, 1.1, 0.9]) | ends("control_shuffled_compression", "site", [0.9] * 3)
    variables |= {"control_majority": ("site", np.full(3, 0.5)), "used": ("site", np.array([True, False, False]))}
    variables |= {"decodable": ("site", np.array([True, True, False])), "verdict": ("site", words)}
    variables |= {"simple": ("site", np.array([True, False, False]))}
    return _result("probe_verdict", variables, _SITES, NAT, what=HOSTILE[0], n_prompts=64, n_read=300)


def probe_dose(*, loss: bool = True, nie: bool = True) -> Result:
    """The contrast beats both kinds of directions at size 2, at size 1 the random ones alone."""
    alpha, size = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]), np.array([1.0, 2.0])
    variables = ends("effect", "alpha", 0.4 * alpha) | ends("answer", "alpha", 0.4 * alpha + 1)
    for number, kind in enumerate(("random", "orthogonal"), 1):
        flat = 0.02 * number * alpha
        variables |= ends(f"control_{kind}", "alpha", flat)
        variables[f"control_{kind}_largest"] = ("alpha", np.abs(flat) + 0.1)
        variables[f"control_{kind}_by_draw"] = (("alpha", "draw"), flat[:, None] + [-0.1, 0.0, 0.1])
        variables |= ends(f"above_{kind}", "magnitude", 0.7 * size)
        variables[f"control_{kind}_contrast"] = ("magnitude", 0.04 * size)
        variables[f"control_{kind}_slope"] = ("draw", np.array([-0.1, 0.0, 0.1]))
        variables[f"above_{kind}_p"] = ("magnitude", np.array([0.01, 0.001]))
        variables[f"above_{kind}_p_corrected"] = ("magnitude", np.array([[0.02, 0.004], [0.06, 0.004]][number - 1]))
        if loss:
            variables |= ends(f"control_{kind}_loss_rise", "alpha", 0.01 * number * alpha**2)
    variables |= ends("contrast", "magnitude", 0.8 * size) | {"step": ("alpha", 1.5 * alpha)}
    variables |= {f"contrast{end}": ("magnitude", np.array([0.01, 0.001])) for end in ("_p", "_p_corrected")}
    variables |= ends("slope", (), 0.4) | ends("monotonicity", (), 0.9) | {"slope_p": ((), 0.001)}
    variables |= ends("loss_rise", "alpha", 0.2 * alpha**2) if loss else {}
    variables |= ends("nie", "alpha", 0.1 * alpha) if nie else {}
    notes = {"what": HOSTILE[0], "site": "L1.resid_post", "sigma": 1.5, "n_prompts": 64, "answer": "metric"}
    coords = {"alpha": alpha, "magnitude": size, "draw": [0, 1, 2]}
    told = "loss of the prompts' own tokens" if loss else "not measured: too few tokens"
    return _result("probe_dose", variables, coords, HOSTILE[1], loss_rise=told, **notes)


def interchange() -> Result:
    dim, names = "subspace", ["das", "mean_difference", HOSTILE[1]]
    variables = ends("iia", dim, [0.9, 0.7, 0.2]) | ends("control_placebo", dim, [0.1, 0.05, 0.1])
    variables |= ends("effect", dim, [3.0, 2.0, 0.2]) | ends("control_placebo_effect", dim, [0.1, 0.1, 0.1])
    alone = {"everything": 0.95, "fit": 0.93, "control_arbitrary": 0.3, "control_arbitrary_fit": 0.5}
    alone |= {"control_untrained": 0.25, "control_untrained_fit": 0.4, "above_arbitrary": 0.6, "above_untrained": 0.65}
    for name, value in alone.items():
        variables |= ends(name, (), value)
    variables |= ends("above_placebo", dim, [0.8, 0.65, 0.1])
    for end in ("_p", "_p_corrected"):
        variables[f"above_placebo{end}"] = (dim, np.array([0.001, 0.002, 0.6]))
        variables |= {f"above_{name}{end}": ((), 0.004) for name in ("arbitrary", "untrained")}
    variables["rank"] = (dim, np.array([1, 1, 4]))
    unit = "interchange intervention accuracy (share of held-out pairs)"
    ranks = dict(zip(names, [1, 1, 4], strict=True))
    return _result(
        "interchange", variables, {dim: names}, unit, site="L1.resid_post", n_train=40, n_test=36, rank=ranks
    )


def probe_sweep(n_sites: int = 3, *, whole: bool = False) -> Result:
    """One cell not run, one significantly below its control, one above it without significance."""
    shape, dims = (n_sites, 4), ("site", "layer")
    accuracy = np.full(shape, 0.9)
    accuracy[0] = [0.45, 0.62, 0.8, 0.97]
    p = np.full(shape, 0.01)
    p[0, 1] = 0.3
    ran = np.ones(shape, bool)
    ran[1, 0] = whole
    variables = ends("accuracy", dims, accuracy) | ends("control_shuffled", dims, np.full(shape, 0.55))
    variables |= {"p": (dims, p / 10), "p_corrected": (dims, p), "q_fdr": (dims, p / 2)}
    variables = {name: (where, np.where(ran, of, np.nan)) for name, (where, of) in variables.items()}
    variables |= {"control_majority": (dims, np.full(shape, 0.5)), RAN: (dims, ran)}
    sites = ["resid_post", "attn_out", HOSTILE[1], *(f"site{number}" for number in range(n_sites))][:n_sites]
    return _result("probe_sweep", variables, {"site": sites, "layer": _LAYERS}, n_tested=80, n_cells=int(ran.sum()))


def probe_positions() -> Result:
    """The sweep's numbers over positions."""
    made = probe_sweep(whole=True)
    data = made.data.drop_vars(RAN).rename(site="position").assign_coords(position=[4, 9, 30])
    return replace(made, kind="probe_positions", data=data)


def probe_grid() -> Result:
    """The sweep's numbers at three positions of two sites, of which one was not run in the first layer."""
    made = probe_sweep(whole=True)
    one = made.data.rename(site="position").assign_coords(position=[4, 9, 30])
    other = one.where(one["layer"] >= 0).assign({RAN: one[RAN] & (one["layer"] >= 0)})
    data = xr.concat([one, other], "site").assign_coords(site=["resid_post", HOSTILE[1]])
    return replace(made, kind="probe_grid", data=data)


def probe_numbers() -> Result:
    """Numbers told ever better; the last layer by chance, the second below its control for certain."""
    good = {"r2": [-0.1, -0.4, 0.7, 0.9], "pearson": [0.1, 0.2, 0.85, 0.95], "spearman": [0.1, 0.2, 0.8, 0.9]}
    variables: dict[str, Any] = {}
    for name, values in good.items():
        variables |= ends(name, "layer", values)
        for number, control in enumerate(("shuffled", "random_weights", "random_direction")):
            variables |= ends(f"control_{control}_{name}", "layer", np.full(4, -0.1 + 0.05 * number))
    variables["control_mean_r2"] = ("layer", np.zeros(4))
    variables |= {name: ("layer", np.array([0.9, 0.01, 0.01, 0.2])) for name in ("p", "p_corrected")}
    unit = "R squared (share of the variance of held-out samples)"
    return _result("probe_measures", variables, {"layer": _LAYERS}, unit, what=HOSTILE[0])


def probe_directions() -> Result:
    cosine = np.array([[0.95, 0.6, -0.2], [0.6, 0.9, 0.1], [-0.2, 0.1, 0.8]])
    dims = ("layer", "other_layer")
    variables = ends("cosine", dims, cosine) | ends("control_shuffled", dims, cosine * 0.1)
    return _result("probe_directions", variables, {"layer": [0, 1, 2], "other_layer": [0, 1, 2]})


def projections() -> Result:
    """Words that try to break the page, along a direction that tells the classes apart."""
    values = np.linspace(-3, 3, len(HOSTILE))
    variables = {
        "projection": ("sample", values),
        "control_random": ("sample", np.cos(values)),
        "class": ("sample", np.where(values > 0, HOSTILE[0], "no")),
        "context": ("sample", np.array(HOSTILE)),
    }
    return _result("projections", variables, {"sample": np.arange(len(HOSTILE))}, layer=2, label=HOSTILE[0])


def input_floor() -> Result:
    variables = ends("accuracy", "source", [0.7, 0.65]) | ends("control_shuffled", "source", [0.5, 0.49])
    variables |= {"control_majority": ("source", np.full(2, 0.52))}
    coords = {"source": ["embedding", "token"]}
    return _result("input_floor", variables, coords, what=HOSTILE[0], n_tokens=50, unseen_tokens=0.125)


def contrast_probe() -> Result:
    """Nothing at first, then below random directions for certain, above them by chance, and above them for certain."""
    accuracy, beside = np.array([0.5, 0.4, 0.6, 0.93]), np.full(4, 0.55)
    by_name = {
        "accuracy": accuracy,
        "supervised": [0.5, 0.9, 0.95, 0.99],
        "first_component": [0.5, 0.55, 0.6, 0.7],
        "control_random_direction": beside,
        "control_random_weights": np.full(4, 0.51),
        "control_shuffled": np.full(4, 0.48),
        "above_random_direction": accuracy - beside,
        "loss": [0.2, 0.3, 0.15, 0.05],
        "control_random_weights_loss": [0.2, 0.35, 0.4, 0.45],
    }
    variables: dict[str, Any] = {}
    for name, values in by_name.items():
        variables |= ends(name, "layer", values)
    variables |= {name: ("layer", np.array([1.0, 0.01, 0.4, 0.01])) for name in ("p", "p_corrected")}
    variables["control_majority"] = ("layer", np.full(4, 0.52))
    unit = "accuracy (share of held-out pairs)"
    return _result("contrast_probe", variables, {"layer": _LAYERS}, unit, what=HOSTILE[0])


def structural_probe() -> Result:
    """Above all controls at two layers, at one of them by chance; the last is below random weights, and surely so."""
    variables: dict[str, Any] = {}
    for name, values in (("uuas", [0.3, 0.7, 0.8, 0.6]), ("spearman", [0.2, 0.5, 0.7, 0.6])):
        variables |= ends(name, "layer", values)
        for control, level in (("shuffled", 0.1), ("random_weights", 0.65), ("linear", 0.5)):
            variables |= ends(f"control_{control}_{name}", "layer", np.full(4, level))
    for control, level in (("shuffled", 0.1), ("random_weights", 0.65), ("linear", 0.5)):
        variables |= ends(f"above_{control}", "layer", variables["uuas"][1] - level)
        p = np.array([0.01, 0.2 if control == "linear" else 0.01, 0.01, 0.01])
        variables |= {f"above_{control}_p": ("layer", p / 4), f"above_{control}_p_corrected": ("layer", p)}
    unit, dropped = "UUAS (share of the edges of the trees)", {"too few words": 2, HOSTILE[0]: 1, "too long": 0}
    notes = {"rank": 16, "n_sentences": 90, "n_words": 1800, "dropped": dropped, "what": HOSTILE[1]}
    return _result("structural_probe", variables, {"layer": _LAYERS}, unit, **notes)


PROBE_MAKERS = {
    "probe_after_erasure": probe_after_erasure,
    "description_length": description_length,
    "control_task": control_task,
    "probe_quality": probe_quality,
    "sample_efficiency": sample_efficiency,
    "reliability": reliability,
    "amnesic_probe": amnesic_probe,
    "label_swap": label_swap,
    "probe_verdict": probe_verdict,
    "probe_dose": probe_dose,
    "interchange": interchange,
    "probe_sweep": partial(probe_sweep, 3),
    "probe_positions": probe_positions,
    "probe_grid": probe_grid,
    "probe_measures": probe_numbers,
    "probe_directions": probe_directions,
    "projections": projections,
    "input_floor": input_floor,
    "contrast_probe": contrast_probe,
    "structural_probe": structural_probe,
}
