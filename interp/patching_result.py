"""From a patching sweep to TransformerLens's own record of one, for its statistics and whatever reads them."""

from typing import TYPE_CHECKING

import numpy as np

from interp.errors import ResultError
from interp.results import Result

if TYPE_CHECKING:
    from transformer_lens.patching import PatchingResult


def to_patching_result(result: Result) -> "PatchingResult":
    """Give a sweep's values, prompt by prompt, as `transformer_lens.patching.PatchingResult`.

    Its `effect()`, `stderr()`, `bootstrap_ci()`, `permutation_pvalue()` and `to_dataframe()` then work on our numbers;
    its baseline is the plain run that was patched, so `normalized(clean)` takes `result.data["clean_values"]` of a
    denoising sweep.

    Args:
        result: What `patch_sweep` returned.

    Raises:
        ResultError: no values by prompt, or cells that some prompts lack, which that class cannot say.

    Example:
        >>> to_patching_result(patch_sweep(model, prompts, "resid_pre")).stderr()
    """
    if not {"values", "clean_values", "corrupted_values"} <= set(result.data):
        raise ResultError(
            f"The {result.kind!r} result has no values by prompt. Expected one that patch_sweep of this version made."
        )
    if missing := int(result.data["values"].isnull().sum()):
        raise ResultError(
            f"{missing} values were not run, because prompts lack those columns, and a PatchingResult has no word for "
            "that. Sweep prompts with the same number of columns, or take one of them with result.data.sel."
        )
    import pandas as pd
    import torch
    from transformer_lens.patching import PatchingResult

    axes = [str(dim) for dim in result.data["effect"].dims]
    values = result.data["values"].transpose(*axes, "prompt")
    index = pd.MultiIndex.from_product([values[axis].values for axis in axes], names=axes).to_frame(index=False)
    base = "corrupted_values" if result.notes["direction"] == "denoising" else "clean_values"
    return PatchingResult(
        values=torch.from_numpy(np.ascontiguousarray(values.values)),
        axis_names=axes,
        index_df=index,
        metric_names=[str(result.notes["metric"])],
        reduced=False,
        baseline=torch.from_numpy(result.data[base].values),
    )
