"""Which language does it think in? What the logit lens puts on each language, by layer, and where that is decided."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from interp.errors import InputError
from interp.lens.material import LensMaterial
from interp.lens.reading import Reading, decided_by, read_lens
from interp.models import facts, provenance
from interp.results import Result
from interp.statistics import bootstrap_interval
from interp.types import Model

N_SHUFFLES = 20
_METHOD = (
    "Logit lens: the residual stream before the first layer (-1) and after each, read through the final norm and the "
    "unembedding; the last is the model's own output. Read at {what}. Mass: probability on a language's tokens. Top: "
    "how far the most probable token speaks for a language. Entropy of the whole distribution, in bits. Energy: how "
    "much of the stream the unembedding sees, about 1 for a random direction. Decided: share of places where from this "
    "layer on the mass on the actual language stays larger than on every other (a tie is not larger); decided at: the "
    "layer from which on, mean over places, one past the last where it never is. Means over places by document, then "
    "over documents; 95 % bootstrap over documents. Controls: the same with random weights, and with words dealt out "
    "to languages at random ({n_shuffles} times). Mass on a language in the middle is no evidence that the model uses "
    "it: the lens reads early layers in a basis they were not made for, and a token may stand for what is alike in all "
    "languages."
)
Table = tuple[tuple[str, ...], np.ndarray]


def language_lens(
    model: Model,
    material: LensMaterial,
    *,
    control: Model | None = None,
    n_shuffles: int = N_SHUFFLES,
    seed: int = 0,
) -> Result:
    """Read by layer how probable each language is for the next word, and from which layer on the actual one leads.

    Args:
        model: A hooked decoder.
        material: Where to read, and which tokens speak for which language: `word_material` or `text_material`.
        control: The same architecture with random weights (`random:` before the name); left out by default.
        n_shuffles: How often words are dealt out to languages at random.
        seed: Decides shuffles and resamples.

    Returns:
        A `language_lens` result by `actual` language of the next word, `language` and `layer` (-1: the embedding):
        `mass` and `top`; by `actual` and `layer` `entropy` (bits), `energy` and `decided`; by `actual` `decided_at`;
        `overall_decided` and `overall_decided_at` for all languages together. Each has an interval (`_low`, `_high`).
        `control_...` has all of them for random weights, `control_shuffled_...` mass and what is decided for shuffled
        words.

    Raises:
        InputError: no shuffle, or a control model that is no control.
        ModelError: the model has no logit lens.

    Example:
        >>> material = text_material(model, read_sentences())
        >>> plot(language_lens(model, material, control=load_model("random:zoo:polyglot", seed=1)))

    Source: Wendler et al. 2024 (arXiv:2402.10588), for mass, entropy and energy; `decided` is our own.
    """
    if n_shuffles < 1:
        raise InputError(f"{n_shuffles} shuffles are no control. Expected at least one.")
    if control is not None:
        _check_control(model, control)
    rng = np.random.default_rng(seed)
    shuffles = [material.tokens.shuffled(rng) for _ in range(n_shuffles)]
    reading = read_lens(model, material, shuffles)
    variables = _measures(reading, material, seed)
    variables |= _of_shuffles(reading, material, seed)
    if control is not None:
        beside = _measures(read_lens(control, material), material, seed)
        variables |= {f"control_{name}": table for name, table in beside.items()}
    return _as_result(model, material, variables, n_shuffles, seed)


def _measures(reading: Reading, material: LensMaterial, seed: int) -> dict[str, Table]:
    stays = decided_by(reading.mass, material.actual)
    by_place = {
        "mass": (("language", "layer"), reading.mass.swapaxes(1, 2)),
        "top": (("language", "layer"), reading.top.swapaxes(1, 2)),
        "entropy": (("layer",), reading.entropy),
        "energy": (("layer",), reading.energy),
        "decided": (("layer",), stays.astype(float)),
        "decided_at": ((), _layer_of(stays)),
    }
    return _with_intervals(by_place, material, seed)


def _of_shuffles(reading: Reading, material: LensMaterial, seed: int) -> dict[str, Table]:
    stays = np.stack([decided_by(mass, material.actual) for mass in reading.shuffled])
    by_place = {
        "control_shuffled_mass": (("language", "layer"), reading.shuffled.mean(0).swapaxes(1, 2)),
        "control_shuffled_decided": (("layer",), stays.mean(0)),
        "control_shuffled_decided_at": ((), np.mean([_layer_of(one) for one in stays], 0)),
    }
    return _with_intervals(by_place, material, seed)


def _layer_of(stays: np.ndarray) -> Float[np.ndarray, " place"]:
    """First layer from which on the actual language leads; the number of layers where it never does."""
    n_depths = stays.shape[1]
    return n_depths - 1.0 - stays.sum(1)


def _with_intervals(
    by_place: Mapping[str, tuple[tuple[str, ...], np.ndarray]], material: LensMaterial, seed: int
) -> dict[str, Table]:
    """Means by actual language, over documents, with bootstrap intervals; where decided, over all languages, too."""
    found: dict[str, Table] = {}
    for name, (dims, values) in by_place.items():
        numbers = []
        for number in range(len(material.languages)):
            mine = material.actual == number
            means = _by_document(values[mine], material.document[mine])
            numbers.append([means.mean(0), *bootstrap_interval(means, seed=seed)])
        for end, column in zip(("", "_low", "_high"), zip(*numbers, strict=True), strict=True):
            found[f"{name}{end}"] = ("actual", *dims), np.stack(column)
        if "decided" in name:
            means = _by_document(values, material.document)
            ends = means.mean(0), *bootstrap_interval(means, seed=seed)
            whole, over = name.replace("decided", "overall_decided"), dims or ("over",)
            found |= {
                f"{whole}{end}": (over, np.reshape(value, [-1]))
                for end, value in zip(("", "_low", "_high"), ends, strict=True)
            }
    return found


def _by_document(
    values: Float[np.ndarray, "place ..."], document: Int[np.ndarray, " place"]
) -> Float[np.ndarray, "document ..."]:
    _, number = np.unique(document, return_inverse=True)
    sums = np.zeros((number.max() + 1, *values.shape[1:]))
    np.add.at(sums, number, values)
    return sums / np.bincount(number).reshape(-1, *[1] * (values.ndim - 1))


def _check_control(model: Model, control: Model) -> None:
    own, other = facts(model), facts(control)
    if (own.n_layers, own.d_vocab, own.tokenizer) != (other.n_layers, other.d_vocab, other.tokenizer):
        raise InputError("The control has other layers or another tokenizer. Load random: before the model's name.")
    if own.fingerprint == other.fingerprint:
        raise InputError("The control model has the model's own weights. Load random: before the model's name.")


def _as_result(model: Model, material: LensMaterial, variables: dict[str, Table], n_shuffles: int, seed: int) -> Result:
    n_layers, names = facts(model).n_layers, np.array(material.languages, object)
    n_places, random = len(material.places), "control_mass" in variables
    coords = {"actual": names, "language": names, "layer": np.arange(-1, n_layers)}
    coords |= {"over": np.array(["all languages"], object)}
    call = f"language_lens({n_places} places, control={random}, n_shuffles={n_shuffles}, seed={seed})"
    return Result(
        kind="language_lens",
        data=xr.Dataset(variables, coords),
        unit="probability of the next token (mass), bits (entropy)",
        sign="Larger mass: the lens expects a word of that language",
        method=_METHOD.format(what=material.what, n_shuffles=n_shuffles),
        provenance=provenance(model, tokens=[material.batch.tokens], call=call, seed=seed),
        baselines={"chance of leading": 1 / len(names)},
        notes={
            "n_samples": n_places,
            "n_groups": len(np.unique(material.document)),
            "n_dropped": material.n_dropped,
            "read_at": material.what,
            "control": "the same architecture with random weights"
            if random
            else "the same with words dealt out to languages at random",
        },
    )
