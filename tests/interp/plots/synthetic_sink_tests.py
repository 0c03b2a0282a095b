"""A sink battery made by hand: rows that ran, one of attention only, one not run, and heads of a hostile domain."""

import numpy as np
import xarray as xr

from interp.results import Result
from tests.interp.plots.synthetic import provenance

DOMAIN = "</script><b>fr"
NAMES = ["zero_value", "mask_key", "random_tokens", "massive_mean", f"L1H2 on {DOMAIN}", f"L0H1 on {DOMAIN}"]
STATUS = ["measured", "measured", "attention only", "not run", "measured", "measured"]
SAMPLE = ["prompts"] * 4 + [DOMAIN] * 2
REASON = ["", "", "other tokens have another loss", "the mean is what stands there already", "", ""]


def sink_tests(n_prompts: int = 24) -> Result:
    ran = np.array([status == "measured" for status in STATUS])
    seen = np.array([status != "not run" for status in STATUS])
    effect = np.where(ran, [0.09, 1.1, 0, 0, 0.01, 0.03], np.nan)
    control = np.where(ran, [0.03, 0.02, 0, 0, 0.05, 0.05], np.nan)
    difference = effect - control
    values = {
        **{
            f"{name}{end}": of + shift
            for name, of in (("effect", effect), ("control", control), ("above_control", difference))
            for end, shift in (("", 0.0), ("_low", -0.015), ("_high", 0.015))
        },
        "sink_before": np.where(seen, 0.6, np.nan),
        "sink_after": np.where(seen, [0.6, 0.0, 0.55, 0, 0.6, 0.6], np.nan),
        "control_sink_after": np.where(seen, 0.7, np.nan),
        "budget": np.where(ran, [0.6, 0.6, 0, 0, 0.97, 0.5], np.nan),
        "control_budget": np.where(ran, [0.4, 0.4, 0, 0, 0.2, 0.3], np.nan),
        "p": np.where(ran, 0.001, np.nan),
        "q_fdr": np.where(ran, 0.002, np.nan),
        "above_control_p": np.where(ran, [0.2, 0.001, 0, 0, 0.001, 0.3], np.nan),
        "above_control_q_fdr": np.where(ran, [0.3, 0.002, 0, 0, 0.002, 0.3], np.nan),
    }
    words = {
        "status": STATUS,
        "sample": SAMPLE,
        "reason": REASON,
        "edit": [f"edit of {name}" for name in NAMES],
        "control_edit": ["another edit"] * 6,
        "target": ["the first token"] * 6,
        "budget_unit": ["attention weight"] * 6,
    }
    data = xr.Dataset(
        {name: ("test", of) for name, of in values.items()}
        | {name: ("test", np.array(of, dtype=object)) for name, of in words.items()}
        | {"ran": ("test", ran), "n_prompts": ("test", np.where(seen, n_prompts, 0))},
        {"test": NAMES},
    )
    return Result(
        kind="sink_tests",
        data=data,
        unit="change in next-token loss (nats per token, mean per prompt)",
        sign="Positive means that the model predicts the text worse with the edit than without it",
        method="Edits beside equal edits elsewhere.",
        provenance=provenance(),
        notes={
            "n_prompts": n_prompts,
            "tokens_per_prompt": [12, 26],
            "bos": True,
            "control": "as large an edit of something else",
        },
    )
