"""What happens around a switch, word by word: surprisal, the language of the next word, what chosen neurons do.

Offset 0 is the first word of the new language. Beside every switch runs its match: for a built switch the same words
in the sentence of the new language alone, so that the two curves read the same words from offset 0 on.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from interp.errors import InputError
from interp.models import provenance
from interp.neurons.labelled import LabelledTokens
from interp.neurons.next_language import LanguageVocabulary, Reading, read_predictions
from interp.neurons.passes import Places, read_units
from interp.neurons.switch_material import Pairs, SwitchMaterial
from interp.neurons.units import Neurons
from interp.results import Result
from interp.statistics import bootstrap_interval
from interp.types import Model

REACH = 8
"""Words before and after."""
FEWEST_DOCUMENTS = 2
_METHOD = (
    "Words before and after the first word of the new language (offset 0). Surprisal: summed loss of a word's tokens. "
    "Language of the new word, and of the word itself: share of the next-language mass just before each word. "
    "Activation: of the chosen neurons at the first token of each word, each in standard deviations from its mean "
    "over the matched words, signed so that more is towards its switch tokens on other documents, mean of the neurons. "
    "Mean over switches by document, then over documents; 95 % bootstrap over documents. Control: the same around "
    "matched words that are no switch. Curves that move together are no evidence of cause."
)
_UNITS = {
    "surprisal": "nats per word",
    "new language": "probability before the word",
    "the word's own language": "probability before the word",
    "chosen neurons": "standard deviations",
}

Curve = Float[np.ndarray, "event offset"]


def switch_events(
    model: Model,
    material: SwitchMaterial,
    vocabulary: LanguageVocabulary,
    neurons: Neurons | None = None,
    *,
    reach: int = REACH,
    seed: int = 0,
) -> Result:
    """Align everything at the switch, beside matched words that are none.

    Args:
        model: A hooked decoder.
        material: Switches beside matches. The second half of its documents is drawn; the first gives neurons' signs.
        vocabulary: What `learn_vocabulary` counted.
        neurons: Whose activation to draw; none by default.
        reach: Words before and after.
        seed: Decides the split and the resamples.

    Returns:
        A `switch_events` result over `measure` and `offset`: `value` and `control`, each with its interval, and `n`,
        the switches that have a word there. Offsets of fewer than two documents are not `ran`.

    Raises:
        InputError: other languages than the vocabulary's, or a reach below 1.
    """
    if material.tokens.languages != vocabulary.languages or reach < 1:
        raise InputError(
            f"Sentences in {material.tokens.languages}, a vocabulary of {vocabulary.languages}, reach {reach}. "
            "Expected the same languages in the same order, and a reach of 1 or more."
        )
    found, drawn = material.halves(seed=seed)
    pairs, tokens = _once(drawn.at), material.tokens
    rows = np.unique(np.concatenate([pairs.switch.row, pairs.matched.row]))
    reading = read_predictions(model, tokens.batch, vocabulary, rows=rows)
    new = tokens.language[pairs.switch.row, pairs.switch.pos]
    sides = [_curves(tokens, reading, places, new, reach) for places in (pairs.switch, pairs.matched)]
    if neurons is not None:
        for side, curve in zip(sides, _activations(model, (found, drawn), pairs, neurons, reach), strict=True):
            side["chosen neurons"] = curve
    return Result(
        kind="switch_events",
        data=_dataset(sides[0], sides[1], pairs, reach, seed),
        unit="by measure: nats per word, probability, standard deviations",
        sign="Larger means more of what the measure names.",
        method=_METHOD,
        provenance=provenance(
            model, tokens=[tokens.batch.tokens], call=f"switch_events(reach={reach}, seed={seed})", seed=seed
        ),
        notes={
            "control": "the same measures around matched words that are no switch",
            "n_samples": len(pairs),
            "n_groups": len(np.unique(pairs.document)),
            "neurons": [] if neurons is None else neurons.names,
        },
    )


def _once(pairs: Pairs) -> Pairs:
    """One match for each switch."""
    _, first = np.unique(np.stack([pairs.switch.row, pairs.switch.pos]), axis=1, return_index=True)
    return pairs[first]


def _curves(
    tokens: LabelledTokens, reading: Reading, places: Places, new: Int[np.ndarray, " event"], reach: int
) -> dict[str, Curve]:
    """Measures before and at every word around some places; NaN where there is no such word."""
    first, there = _words_around(tokens, places, reach)
    row = np.broadcast_to(places.row[:, None], first.shape)
    own = np.maximum(tokens.language[row, first], 0)
    inside = tokens.word[places.row][:, None] == tokens.word[row, first][..., None]
    surprisal = np.where(inside, np.nan_to_num(reading.loss[places.row])[:, None], 0.0).sum(-1)
    before = np.maximum(first - 1, 0)
    # The first word of a text begins without whitespace, with another token: there is no mass to read before it.
    later = there & (tokens.word[row, first] > 0)
    return {
        "surprisal": np.where(there & (first > 0), surprisal, np.nan),
        "new language": np.where(later, reading.share[row, before, new[:, None]], np.nan),
        "the word's own language": np.where(
            later & (tokens.language[row, first] >= 0), reading.share[row, before, own], np.nan
        ),
    }


def _words_around(
    tokens: LabelledTokens, places: Places, reach: int
) -> tuple[Int[np.ndarray, "event offset"], Bool[np.ndarray, "event offset"]]:
    """First token of each word around some places, and whether there is one."""
    wanted = tokens.word[places.row, places.pos][:, None] + np.arange(-reach, reach + 1)
    hits = (tokens.word[places.row][:, None] == wanted[..., None]) & (tokens.place_in_word[places.row] == 0)[:, None]
    return hits.argmax(-1), hits.any(-1)


def _activations(
    model: Model, halves: tuple[SwitchMaterial, SwitchMaterial], pairs: Pairs, neurons: Neurons, reach: int
) -> list[Curve]:
    """Mean standardised activation of the neurons around switches and around matches."""
    found, drawn = halves
    batch = drawn.tokens.batch
    ends = [
        read_units(model, batch, places)[:, neurons.layer, neurons.neuron]
        for places in (found.at.switch, found.at.matched)
    ]
    mean, spread = ends[1].mean(0), ends[1].std(0)
    sign = np.sign(ends[0].mean(0) - mean) / np.where(spread > 0, spread, 1.0)
    curves = []
    for places in (pairs.switch, pairs.matched):
        first, there = _words_around(drawn.tokens, places, reach)
        event, offset = np.nonzero(there)
        values = read_units(model, batch, Places(places.row[event], first[event, offset]))
        curve = np.full(first.shape, np.nan)
        curve[event, offset] = ((values[:, neurons.layer, neurons.neuron] - mean) * sign).mean(1)
        curves.append(curve)
    return curves


def _dataset(
    switch: Mapping[str, Curve], matched: Mapping[str, Curve], pairs: Pairs, reach: int, seed: int
) -> xr.Dataset:
    measures, dims = list(switch), ("measure", "offset")
    variables: dict[str, np.ndarray] = {}
    for name, side in (("value", switch), ("control", matched)):
        numbers = np.array([_interval(side[one], pairs.document, seed) for one in measures]).swapaxes(0, 1)
        variables |= {f"{name}{end}": of for end, of in zip(("", "_low", "_high"), numbers, strict=True)}
    ran = np.isfinite(variables["value"]) & np.isfinite(variables["control"])
    count = np.stack([np.isfinite(switch[one]).sum(0) for one in measures])
    units = np.array([_UNITS[one] for one in measures], object)
    return xr.Dataset(
        {name: (dims, np.where(ran, values, np.nan)) for name, values in variables.items()}
        | {"n": (dims, count), "ran": (dims, ran), "unit": ("measure", units)},
        {"measure": measures, "offset": np.arange(-reach, reach + 1)},
    )


def _interval(curve: Curve, document: Int[np.ndarray, " event"], seed: int) -> Float[np.ndarray, "3 offset"]:
    """Mean over documents with its interval; NaN at offsets of fewer than two documents."""
    numbers = np.full((3, curve.shape[1]), np.nan)
    for place, values in enumerate(curve.T):
        there = np.isfinite(values)
        documents, number = np.unique(document[there], return_inverse=True)
        if len(documents) < FEWEST_DOCUMENTS:
            continue
        means = np.bincount(number, values[there]) / np.bincount(number)
        low, high = bootstrap_interval(means, seed=seed)
        numbers[:, place] = means.mean(), float(low), float(high)
    return numbers
