"""What a pass over a corpus leaves of every neuron in every language: counts, sums, extremes, a histogram."""

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from interp.errors import InputError
from interp.files import write_atomically

FORMAT = "interp-neuron-counters-1"
OCTAVES = (-8, 8)
"""Magnitudes that the histogram tells apart, as powers of two."""
BINS_PER_OCTAVE = 4
BINS_PER_SIGN = BINS_PER_OCTAVE * (OCTAVES[1] - OCTAVES[0])
N_BINS = 2 * BINS_PER_SIGN + 1
_MOST_SAMPLED = 2**31 - 1

PerNeuron = Float[np.ndarray, "language layer neuron"]
CountPerNeuron = Int[np.ndarray, "language layer neuron"]


@dataclass(frozen=True, eq=False)
class NeuronCounters:
    """Sums over the tokens of each language, for every neuron; counters of two shards add up to those of both.

    Neurons are the coordinates of site kind `post`. Counts, extremes, the histogram and the check sum of the rows add
    exactly, in any order; sums are float64 and differ in their last digits with the order of addition.

    Raises:
        InputError: shapes that do not fit together.
    """

    languages: tuple[str, ...]
    model: str
    """Fingerprint of the model's weights."""
    n: Int[np.ndarray, " language"]
    """Tokens of each language, the same for all neurons."""
    fires: CountPerNeuron = field(repr=False)
    """Tokens at which the activation function's output is above zero, as LAPE counts; of a gated MLP SiLU(gate) > 0."""
    over_zero: CountPerNeuron = field(repr=False)
    """Tokens at which the neuron itself, `post`, is above zero: of a gated MLP, SiLU(gate) * up > 0."""
    total: PerNeuron = field(repr=False)
    """Sum of `post`."""
    squares: PerNeuron = field(repr=False)
    """Sum of its square."""
    low: PerNeuron = field(repr=False)
    """Least value; infinite for a language without tokens."""
    high: PerNeuron = field(repr=False)
    """Largest value; minus infinity for a language without tokens."""
    histogram: Int[np.ndarray, "language layer neuron bin"] = field(repr=False)
    """Sampled tokens by bin of `bin_edges`."""
    sampled: int = 1
    """One token in so many of each row goes into the histogram."""
    n_rows: int = 0
    rows_sum: int = 0
    """Sum of the hashes of all rows and their labels, modulo 2**64: tells corpora apart, in whatever order read."""

    def __post_init__(self) -> None:
        shape = (len(self.languages), *self.fires.shape[1:])
        wanted = dict.fromkeys(_PER_NEURON, shape) | {"n": shape[:1], "histogram": (*shape, N_BINS)}
        if wrong := {name: getattr(self, name).shape for name in wanted if getattr(self, name).shape != wanted[name]}:
            raise InputError(f"Counters have shapes {wrong}. Expected {[wanted[name] for name in wrong]}.")

    @classmethod
    def zeros(
        cls, languages: tuple[str, ...], *, n_layers: int, n_neurons: int, model: str, sampled: int = 1
    ) -> "NeuronCounters":
        """Counters of an empty corpus: added to others they change nothing."""
        shape = (len(languages), n_layers, n_neurons)
        return cls(
            languages,
            model,
            n=np.zeros(shape[0], np.int64),
            fires=np.zeros(shape, np.int64),
            over_zero=np.zeros(shape, np.int64),
            total=np.zeros(shape),
            squares=np.zeros(shape),
            low=np.full(shape, np.inf),
            high=np.full(shape, -np.inf),
            histogram=np.zeros((*shape, N_BINS), np.int32),
            sampled=sampled,
        )

    def __add__(self, other: "NeuronCounters") -> "NeuronCounters":
        """Counters of both corpora together.

        Raises:
            InputError: counters of another model, of other languages, or of another share of sampled tokens.
        """
        mine, theirs = ((each.model, each.languages, each.sampled, each.total.shape) for each in (self, other))
        if mine != theirs:
            raise InputError(
                f"Counters of {theirs} cannot be added to those of {mine}. Expected the same model, languages, "
                "sampled tokens and shape: count the shards with the same call."
            )
        if int(self.n.max() + other.n.max()) // self.sampled >= _MOST_SAMPLED:
            raise InputError(f"More than {_MOST_SAMPLED} sampled tokens overflow the histogram. Sample fewer.")
        sums = {name: getattr(self, name) + getattr(other, name) for name in _ADDED}
        extremes = {"low": np.minimum(self.low, other.low), "high": np.maximum(self.high, other.high)}
        return replace(self, **sums, **extremes, rows_sum=(self.rows_sum + other.rows_sum) % 2**64)

    def __eq__(self, other: object) -> bool:
        """Whether every number is the same, to the last bit."""
        if not isinstance(other, NeuronCounters):
            return NotImplemented
        return all(np.array_equal(getattr(self, each.name), getattr(other, each.name)) for each in fields(self))

    @property
    def probability(self) -> PerNeuron:
        """Share of each language's tokens at which a neuron fires, as LAPE counts; from 0 to 1.

        Raises:
            InputError: a language without tokens, here and below.
        """
        return self.fires / self._tokens

    @property
    def mean(self) -> PerNeuron:
        """Mean activation in each language."""
        return self.total / self._tokens

    @property
    def std(self) -> PerNeuron:
        """Standard deviation of the activation over the tokens of each language."""
        return np.sqrt(np.maximum(self.squares / self._tokens - self.mean**2, 0))

    def quantile(self, share: float) -> PerNeuron:
        """Read a quantile off the histogram, between the edges of its bin and within the extremes.

        The histogram holds one token in `sampled`, in four bins per power of two from 1/256 to 256: a quantile lies
        within a quarter of its own size, or 1/256, of that of the sampled tokens.

        Args:
            share: From 0 to 1; 0.5 is the median.

        Raises:
            InputError: a share outside, or a language without sampled tokens.
        """
        if not 0 <= share <= 1:
            raise InputError(f"There is no quantile {share}. Expected a share from 0 to 1.")
        upto = np.cumsum(self.histogram, -1, dtype=np.int64)
        n_sampled = upto[..., -1:]
        if (n_sampled == 0).any():
            raise InputError("A language has no sampled tokens, so no quantiles. Give more text, or sampled=1.")
        wanted = share * n_sampled
        place = (upto >= np.maximum(wanted, 1)).argmax(-1)[..., None]
        inside = np.take_along_axis(self.histogram, place, -1)
        below = np.take_along_axis(upto, place, -1) - inside
        edges = bin_edges()
        lower = np.maximum(edges[place], self.low[..., None])
        upper = np.minimum(edges[place + 1], self.high[..., None])
        return (lower + (upper - lower) * np.clip((wanted - below) / inside, 0, 1))[..., 0]

    @property
    def _tokens(self) -> Int[np.ndarray, "language 1 1"]:
        if empty := [name for name, count in zip(self.languages, self.n, strict=True) if count == 0]:
            raise InputError(f"No tokens were counted in {empty}. Give text in every language, or leave it out.")
        return self.n[:, None, None]

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file, its manifest in the header, so that a reader sees the old one or the new one."""
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        words = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _ARRAYS}
        manifest = {"format": FORMAT, **words}
        return write_atomically(Path(path), lambda part: save_file(arrays, part, {"interp": json.dumps(manifest)}))

    @classmethod
    def load(cls, path: str | Path) -> "NeuronCounters":
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing, damaged or holds something else.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                manifest = json.loads((file.metadata() or {})["interp"])
                if (found := manifest.pop("format")) != FORMAT:
                    raise ValueError(f"its format is {found!r}")
                arrays = {name: file.get_tensor(name) for name in _ARRAYS}
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read as neuron counters: {error}. Expected a file that NeuronCounters.save wrote."
            ) from error
        return cls(**manifest | {"languages": tuple(manifest["languages"])}, **arrays)


_PER_NEURON = ("fires", "over_zero", "total", "squares", "low", "high")
_ADDED = ("n", "fires", "over_zero", "total", "squares", "histogram", "n_rows")
_ARRAYS = ("n", *_PER_NEURON, "histogram")


def bin_edges() -> Float[np.ndarray, " edge"]:
    """Edges of the histogram's bins, the outermost infinite: the middle bin holds what is nearer to 0 than 1/256."""
    # What shares sign, exponent and the first two bits of the mantissa shares a bin.
    positive = (2.0 ** np.arange(*OCTAVES)[:, None] * (1 + np.arange(BINS_PER_OCTAVE) / BINS_PER_OCTAVE)).ravel()
    return np.array([-np.inf, *-positive[::-1], *positive, np.inf])
