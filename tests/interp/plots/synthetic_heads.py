"""Scores of heads as they are returned now: with q-values, and with a flag for what is found."""

import dataclasses

import numpy as np

from interp.results import Result
from tests.interp.plots import synthetic


def found_heads() -> Result:
    """Pattern scores in which the found heads are not those above the threshold."""
    result = synthetic.head_scores()
    score = result.data["score"]
    data = result.data.assign(
        q_fdr=score * 0 + 0.5,
        found_above=result.data["threshold"] * 2,
        found=score > result.data["threshold"] * 2,
    )
    return dataclasses.replace(result, data=data)


def weight_scores() -> Result:
    """Copying from -1 to 1, and what goes from 0 to 1."""
    result = found_heads()
    names = ["copying", "copy_suppression", "key_tokens", "token_pairs"]
    data = result.data.isel(detector=[0, 1, 0, 1]).assign_coords(detector=names)
    copies = data["score"].copy()
    copies[0, 2, 2:4] = np.array([-0.8, 0.9])
    data = data.assign(score=copies, control_permuted=data["control"])
    return dataclasses.replace(result, kind="weight_scores", data=data, notes={"n_controls": 20})
