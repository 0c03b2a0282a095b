"""From a table of language neurons to the neurons to edit: those a method found, the strongest first."""

from collections.abc import Sequence

import numpy as np

from interp.errors import InputError, ResultError
from interp.neurons.units import Neurons
from interp.results import Result

_SMALLER_IS_STRONGER = ("lape",)


def found_neurons(result: Result, method: str, language: str, *, n: int | None = None) -> Neurons:
    """Take the neurons that a method found for a language, the strongest first.

    Args:
        result: What `language_neurons` returned.
        method: One of its methods.
        language: One of its languages.
        n: Only so many, the strongest; all by default.

    Returns:
        Neurons in the order of their scores; none where the method found none.

    Raises:
        ResultError: another kind of result.
        InputError: a method or language it does not have, or fewer neurons found than asked for.
    """
    if result.kind != "language_neurons":
        raise ResultError(f"This is a result of kind {result.kind!r}. Expected one of language_neurons.")
    for dim, value in (("method", method), ("language", language)):
        if value not in (known := [str(name) for name in result.data[dim].values]):
            raise InputError(f"The table has no {dim} {value!r}. Expected one of {known}.")
    cells = result.data.sel({"method": method, "language": language}).transpose("layer", "neuron", ...)
    layer, neuron = np.nonzero(cells["found"].values)
    score = cells["score"].values[layer, neuron]
    if n is not None and not 1 <= n <= len(score):
        raise InputError(f"{method} finds {len(score)} neurons of {language!r}, not {n}. Ask for fewer, or for all.")
    order = np.argsort(score if method in _SMALLER_IS_STRONGER else -score, kind="stable")[:n]
    return Neurons(cells["layer"].values[layer[order]], cells["neuron"].values[neuron[order]])


def neurons_by_language(
    result: Result, method: str, *, languages: Sequence[str] | None = None, n: int | None = None
) -> dict[str, Neurons]:
    """Take the neurons that a method found for each language, as `ablation_matrix` and `dose_response` want them.

    Args:
        result: What `language_neurons` returned.
        method: One of its methods.
        languages: Which of its languages; all by default.
        n: As many for each, the strongest; all that were found by default.

    Raises:
        ResultError: another kind of result.
        InputError: a method or language it does not have, or fewer neurons found than asked for.
    """
    chosen = languages if languages is not None else [str(name) for name in result.data.coords["language"].values]
    return {language: found_neurons(result, method, language, n=n) for language in chosen}
