"""Count what every neuron does in every language, in one pass whose memory does not grow with the corpus."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import InputError, ModelError
from interp.models import facts, require_exists
from interp.neurons.counters import BINS_PER_OCTAVE, BINS_PER_SIGN, N_BINS, OCTAVES, NeuronCounters
from interp.neurons.rows import Part, Row, Rows, languages_of, parts, stream_rows
from interp.run import observe
from interp.sites import Site
from interp.types import Model

SAMPLED = 16
"""One token in so many goes into the histogram: the counts take a tenth of the time that all tokens would."""
_TOKENS_IN_CACHE = 512
"""Tokens of one layer that are reduced at a time, so that they are read from memory once."""
_KEEPS_SIGN = (
    "silu",
    "swish",
    "relu",
    "gelu",
    "gelu_new",
    "gelu_fast",
    "gelu_pytorch_tanh",
    "gelu_python",
    "quick_gelu",
)
"""Activation functions above zero exactly where their input is."""
_MANTISSA_BITS, _EXPONENT_BIAS = 23, 127
_DROPPED_BITS = _MANTISSA_BITS - BINS_PER_OCTAVE.bit_length() + 1
_FIRST_BIN = (_EXPONENT_BIAS + OCTAVES[0]) * BINS_PER_OCTAVE


def count_neurons(
    model: Model, rows: Rows, *, checkpoint: str | Path | None = None, every: int = 100, sampled: int = SAMPLED
) -> NeuronCounters:
    """Run a corpus through a model once and keep counts, sums, extremes and a histogram of every neuron by language.

    A token counts for its own language. Tokens that frame a text (BOS, `[CLS]`, `[SEP]`) and tokens without a language
    count for none. Activations are reduced where they pass; the memory is that of one forward pass and the counters.

    Args:
        model: A hooked model with the site `post`.
        rows: Token ids by language, every row framed as the model expects and no longer than its context; or rows
            whose tokens carry their language. Iterables are read once, as they come.
        checkpoint: File that holds the counters every so often and at the end. If it is there, the rows that it has
            counted are read and skipped, and the counters end as those of an unbroken pass, to the last bit.
        every: Forward passes between two checkpoints.
        sampled: One token in so many of each row goes into the histogram that quantiles are read from, beginning at
            a place that the row itself decides; 1 for all tokens.

    Returns:
        The counters, of which `lape(counters.probability)` makes language neurons.

    Raises:
        SiteError: the model shows no neurons, as mixtures of experts whose experts share one hook.
        InputError: fewer than two languages, no tokens in one of them, activations that are not finite, or a
            checkpoint of another model, other settings or other rows.
        PromptError: rows that do not fit the model.
    """
    languages, path = languages_of(rows), None if checkpoint is None else Path(checkpoint)
    if min(every, sampled) < 1:
        raise InputError(f"every={every} and sampled={sampled} mean nothing. Expected 1 or more.")
    counters = _begin(model, languages, sampled, path)
    gated = fires_before_gate(model)
    stream = _behind(stream_rows(model, rows), counters, path)
    with tqdm(desc="count neurons", unit="token", unit_scale=True, leave=False, delay=2) as bar:
        for number, part in enumerate(parts(stream), 1):
            counters = counted(model, part, counters, gated=gated)
            bar.update(sum(map(len, part.rows)))
            if path is not None and number % every == 0:
                counters.save(path)
    if empty := [name for name, count in zip(languages, counters.n, strict=True) if count == 0]:
        raise InputError(f"No tokens of {empty} came. Give text in every language, or leave the language out.")
    if path is not None:
        counters.save(path)
    return counters


def fires_before_gate(model: Model) -> bool:
    """Whether the sign of the activation function's output is read off its input, because `post` holds gate times up.

    Raises:
        SiteError: the model shows no neurons.
        ModelError: a gated MLP whose activation function does not keep the sign of its input.
    """
    require_exists(model, "post")
    if not getattr(model.cfg, "gated_mlp", False):
        return False
    require_exists(model, "pre")
    if (name := str(model.cfg.act_fn)) not in _KEEPS_SIGN:
        raise ModelError(
            f"The gate's activation function is {name!r}, of which it is not known that it is above zero where its "
            f"input is. Expected one of {list(_KEEPS_SIGN)}."
        )
    return True


def _begin(model: Model, languages: tuple[str, ...], sampled: int, path: Path | None) -> NeuronCounters:
    require_exists(model, "post")
    known = facts(model)
    fresh = NeuronCounters.zeros(
        languages, n_layers=known.n_layers, n_neurons=known.d_mlp, model=known.fingerprint, sampled=sampled
    )
    if path is None or not path.exists():
        return fresh
    held = NeuronCounters.load(path)
    theirs, ours = ((each.model, each.languages, each.sampled, each.total.shape) for each in (held, fresh))
    if theirs != ours:
        raise InputError(
            f"{path} holds counters of {theirs} (model, languages, sampled, shape), and these are {ours}. "
            "Expected those of the same call: give another file."
        )
    return held


def _behind(stream: Iterator[Row], counters: NeuronCounters, path: Path | None) -> Iterator[Row]:
    """Leave out the rows that are counted already, after a look at whether they are the same."""
    done = [row.hash for row in islice(stream, counters.n_rows)]
    if len(done) < counters.n_rows or sum(done) % 2**64 != counters.rows_sum:
        raise InputError(
            f"{path} holds counters of other rows than these begin with. Give another file, or those rows."
        )
    return stream


def counted(model: Model, part: Part, counters: NeuronCounters, *, gated: bool) -> NeuronCounters:
    """Run one pass and add it to the arrays of the counters, in place.

    Args:
        model: A hooked model.
        part: The rows of the pass.
        counters: Theirs change; what is returned is to be gone on with.
        gated: See `fires_before_gate`.
    """
    tokens = _Tokens.of(part, counters, facts(model).device)
    readers = {}
    for layer in range(facts(model).n_layers):
        readers[Site(layer, "post")] = _reader(counters, layer, tokens, counts_fires=not gated)
        if gated:
            readers[Site(layer, "pre")] = _gate_reader(counters, layer, tokens)
    observe(model, part.batch, readers)
    counters.n[:] += tokens.n
    hashes = sum(row.hash for row in part.rows)
    n_rows = counters.n_rows + len(part.rows)
    return replace(counters, n_rows=n_rows, rows_sum=(counters.rows_sum + hashes) % 2**64)


@dataclass(frozen=True)
class _Tokens:
    """Flat places of the tokens of a pass, by language; languages without tokens in it have no entry."""

    every: dict[int, Int[Tensor, " _"]]
    sampled: dict[int, Int[Tensor, " _"]]
    n: Int[np.ndarray, " language"]

    @classmethod
    def of(cls, part: Part, counters: NeuronCounters, device: str) -> "_Tokens":
        language = part.language
        # Begun at a place of the row's own, so that no position of a text is always left out.
        first = np.array([row.hash % counters.sampled for row in part.rows])[:, None]
        chosen = (np.arange(language.shape[1]) - first) % counters.sampled == 0
        flat, chosen = language.ravel(), chosen.ravel()
        n = np.bincount(flat[flat >= 0], minlength=len(counters.languages))

        def places(where: np.ndarray) -> Tensor:
            return torch.from_numpy(np.flatnonzero(where)).to(device)

        spoken = np.flatnonzero(n).tolist()
        return cls(
            {number: places(flat == number) for number in spoken},
            {number: places((flat == number) & chosen) for number in spoken},
            n,
        )


def _reader(counters: NeuronCounters, layer: int, tokens: _Tokens, *, counts_fires: bool) -> Callable[[Tensor], None]:
    def read(activation: Tensor) -> None:
        flat = activation.flatten(0, 1)
        for language, places in tokens.every.items():
            at = language, layer
            found = _reduced(flat, places)
            if not np.isfinite(found.squares).all():
                raise InputError(f"{Site(layer, 'post')} holds NaN or infinity. Load the model in float32.")
            counters.over_zero[at] += found.over_zero
            if counts_fires:
                counters.fires[at] += found.over_zero
            counters.total[at] += found.total
            counters.squares[at] += found.squares
            np.minimum(counters.low[at], found.low, out=counters.low[at])
            np.maximum(counters.high[at], found.high, out=counters.high[at])
            counters.histogram[at] += binned(flat[tokens.sampled[language]])

    return read


def _gate_reader(counters: NeuronCounters, layer: int, tokens: _Tokens) -> Callable[[Tensor], None]:
    def read(activation: Tensor) -> None:
        flat = activation.flatten(0, 1)
        for language, places in tokens.every.items():
            counters.fires[language, layer] += sum(_over_zero(flat[some]) for some in places.split(_TOKENS_IN_CACHE))

    return read


@dataclass(frozen=True)
class _Reduced:
    over_zero: Int[np.ndarray, " neuron"]
    total: Float[np.ndarray, " neuron"]
    squares: Float[np.ndarray, " neuron"]
    low: Float[np.ndarray, " neuron"]
    high: Float[np.ndarray, " neuron"]


def _reduced(flat: Float[Tensor, "token neuron"], places: Int[Tensor, " chosen"]) -> _Reduced:
    """Reduce some tokens to numbers of each neuron, a few tokens at a time, summing in float64."""
    found = []
    for some in places.split(_TOKENS_IN_CACHE):
        values = flat[some].float()
        total, squares = (each.sum(0, dtype=torch.float64) for each in (values, values * values))
        extremes = values.amin(0).double(), values.amax(0).double()
        found.append((_over_zero(values), *(each.cpu().numpy() for each in (total, squares, *extremes))))
    over_zero, total, squares, low, high = (np.stack(each) for each in zip(*found, strict=True))
    return _Reduced(over_zero.sum(0), total.sum(0), squares.sum(0), low.min(0), high.max(0))


def _over_zero(values: Float[Tensor, "token neuron"]) -> Int[np.ndarray, " neuron"]:
    return (values > 0).sum(0, dtype=torch.int32).cpu().numpy().astype(np.int64)


def binned(values: Float[Tensor, "token neuron"]) -> Int[np.ndarray, "neuron bin"]:
    """Count values by bin, which their bits tell: sign, exponent and the first two of the mantissa."""
    values = values.float().contiguous()
    size = ((values.view(torch.int32) & 0x7FFFFFFF) >> _DROPPED_BITS) - (_FIRST_BIN - 1)
    size = size.clamp_(0, BINS_PER_SIGN).long()
    place = BINS_PER_SIGN + torch.where(values < 0, -size, size)
    n_neurons = values.shape[1]
    flat = place + torch.arange(n_neurons, device=values.device) * N_BINS
    counts = torch.bincount(flat.flatten(), minlength=n_neurons * N_BINS)
    return counts.view(n_neurons, N_BINS).cpu().numpy().astype(np.int32)
