"""What every kind of figure asks of a result: a control, the variables it draws, labels that fit."""

import numpy as np
from jaxtyping import Float

from interp.errors import ResultError
from interp.results import Result

ALPHA = 0.05
"""Cells with a corrected p below this are marked."""


def check_drawable(result: Result, variables: list[str]) -> None:
    """Refuse a result without control, or without the variables that its figure shows.

    Raises:
        ResultError: no control, or a variable is missing.
    """
    if not result.has_control:
        raise ResultError(
            f"The {result.kind!r} result has no control, so it has no figure. "
            "Expected a variable 'control' beside the effect: run the analysis with its control."
        )
    if missing := [name for name in variables if name not in result.data]:
        raise ResultError(
            f"The {result.kind!r} result lacks {missing}. Expected the variables {variables}: "
            "make it with the analysis of that name."
        )


def matrix(result: Result, name: str, *dims: str) -> Float[np.ndarray, "..."]:
    """Return a variable as float32 with its dimensions in this order."""
    array = result.data[name]
    if set(array.dims) != set(dims):
        raise ResultError(f"Variable {name!r} has dimensions {list(array.dims)}. Expected {list(dims)}.")
    return array.transpose(*dims).values.astype(np.float32)


def axis_labels(result: Result, dim: str) -> list[str]:
    """Return the raw text that names each place along `dim`: `notes["labels"]`, else the coordinates.

    Raises:
        ResultError: there is not one label per place.
    """
    coordinates = [str(value) for value in result.data[dim].values]
    labels = result.notes.get("labels", coordinates)
    if len(labels) != len(coordinates):
        raise ResultError(
            f"notes['labels'] holds {len(labels)} labels for {len(coordinates)} places along {dim!r}. "
            "Expected one label per place."
        )
    return [str(label) for label in labels]


def layer_numbers(result: Result) -> list[int]:
    """Return the layer numbers of the result, in its order."""
    return [int(layer) for layer in result.data["layer"].values]


def unit_in_words(result: Result) -> str:
    """Say what the numbers are and what a positive one means."""
    return f"Unit: {result.unit}. {result.sign.strip().rstrip('.')}."


def prompts_in_words(result: Result) -> str:
    """Say how many prompts or samples the numbers come from, as far as the result knows."""
    samples, groups = result.notes.get("n_samples"), result.notes.get("n_groups")
    if samples is not None:
        return f"From {samples} samples" + (f" in {groups} groups." if groups is not None else ".")
    count = result.notes.get("n_prompts", result.data.sizes.get("prompt"))
    return "" if count is None else f"Mean over {count} prompt{'' if count == 1 else 's'}."


def baselines_in_words(result: Result) -> str:
    """Write the reference numbers in one sentence."""
    parts = [f"{name} {value:.4g}" for name, value in result.baselines.items()]
    return f"Baselines: {', '.join(parts)}." if parts else ""


def control_in_words(result: Result, otherwise: str) -> str:
    """Return what the control is: the result's own words, else those usual for its kind."""
    words = str(result.notes.get("control", otherwise))
    return words[:1].upper() + words[1:]


def sentences(*parts: str) -> str:
    """Join sentences, leaving out the empty ones."""
    return " ".join(part.strip() for part in parts if part.strip())
