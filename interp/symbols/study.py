"""Symbols instead of words: how close an emoji, a translation or a romanised word comes to the plain word in a model.

Every form of a concept takes the plain word's place in the same sentence. Whatever is measured of a form against its
own word is measured against the words of all other concepts, too; only the difference counts, because states of any two
tokens in the same place are alike. Beside the emoji stands a nonsense symbol of as many bytes, and beside the model the
same architecture with random weights.

Source: no neuron-level measure of emoji was found published; compare Emojinize (arXiv:2403.03857) and Text2Emoji
(arXiv:2311.01751). The protocol is this project's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from interp.errors import InputError
from interp.languages.symbol_sets import CARRIERS, Carrier, SymbolSet
from interp.models import facts, provenance
from interp.neurons.units import Neurons
from interp.results import Result
from interp.run.lens import lens_layers
from interp.statistics import bootstrap_interval, sign_flips
from interp.symbols.material import Slots, slots_of
from interp.symbols.reading import Reading, cosines, first_tokens_apart, overlaps, read_slots, shares_in_set
from interp.types import Model

STRONGEST = 0.02
"""Share of a block's neurons that count as its strongest."""
_DETECTABLE = 1.96 + 0.84
"""Standard errors that an effect needs, to be found at the 5 % level four times in five."""
MEASURES = ("cosine", "lens", "overlap")
_METHOD = (
    "{n_concepts} concepts in {n_forms} forms and {n_carriers} sentences. Cosine: of the residual stream at the form's "
    "last token with that at the plain word's in the same sentence. Lens: log probability, in nats, of the plain "
    "word's first token, read off that state by the model's own final norm and unembedding. Overlap: share of the "
    "{n_strongest} neurons of a block with the largest activation, by size, that are the word's, too. Control: the "
    "same of mismatched concepts: this form with other words, plus other forms with this word, minus the mean of all "
    "(lens: words with another first token); `above` is the difference. Surprisal: summed loss of the form's "
    "tokens given what stands before; change after: mean loss of the rest of the sentence minus that after the plain "
    "word. Means over sentences, then concepts; 95 % bootstrap over concepts; q: sign flips of `above` over concepts, "
    "over all layers and forms but the word, each measure by itself. Detectable: 2.8 standard errors of `above`, what "
    "would be found four times in five. A state that is close is no evidence that the model understands the form: it "
    "may have been seen in the same places."
)

ByForm = Float[np.ndarray, "form concept"]
Variables = dict[str, tuple[tuple[str, ...], np.ndarray]]


def symbol_study(
    model: Model,
    sets: Sequence[SymbolSet],
    *,
    control: Model,
    carriers: Sequence[Carrier] = CARRIERS,
    neuron_sets: Mapping[str, Neurons] | None = None,
    strongest: float = STRONGEST,
    seed: int = 0,
) -> Result:
    """Compare every form of some concepts with the plain word, in the model and in random weights.

    Args:
        model: A hooked decoder with the site `post`.
        sets: Concepts that all have the same forms; `read_symbol_sets()` has words, translations, emoji, nonsense.
        control: The same architecture and tokenizer with random weights.
        carriers: Sentences with a slot, in the language of the plain words.
        neuron_sets: Neurons by name, such as those found for a language: which share of a form's strongest they are.
        strongest: Share of a block's neurons that count as strongest.
        seed: Decides resamples and flips.

    Returns:
        Kind `symbol_study`. By `form` and `layer` (for overlap, `block`): `cosine`, `lens` and `overlap`, each with
        `_above` its mismatched control, interval, q and what was `_detectable`. By `form`: tokens, bytes, surprisal and
        the change of loss after it. Positive `above` means more like its own word than like others.

    Raises:
        InputError: unequal sets, too few concepts, neurons the model lacks, or a control that is none.
    """
    _check(model, control, neuron_sets or {})
    slots = slots_of(model, sets, carriers)
    n_strongest = max(1, round(strongest * facts(model).d_mlp))
    read, random = (read_slots(each, slots, n_strongest=n_strongest) for each in (model, control))
    variables: Variables = {}
    for name in MEASURES:
        of, untrained = (_against_words(each, slots, name, n_strongest) for each in (read, random))
        variables |= _contrast(name, of, untrained, seed)
    variables |= _by_form(read, random, slots, seed)
    if neuron_sets:
        variables |= _in_sets(read, random, slots, neuron_sets, seed)
    call = f"symbol_study({len(sets)} concepts, {len(carriers)} carriers, strongest={strongest}, seed={seed})"
    sizes = {"n_concepts": len(slots.concepts), "n_forms": len(slots.forms), "n_carriers": len(carriers)}
    coords = {
        "form": np.array(slots.forms, object),
        "layer": lens_layers(model),
        "block": np.arange(facts(model).n_layers),
        **({"set": np.array(list(neuron_sets), object)} if neuron_sets else {}),
    }
    return Result(
        kind="symbol_study",
        data=xr.Dataset(variables, coords),
        unit="cosine; nats; share of neurons",
        sign="Above its control: more like its own word than like other words",
        method=_METHOD.format(**sizes, n_strongest=n_strongest),
        provenance=provenance(model, tokens=[slots.batch.tokens, slots.batch.mask], call=call, seed=seed),
        baselines={f"overlap of two sets of {n_strongest} drawn at random": n_strongest / facts(model).d_mlp},
        notes={
            **sizes,
            "n_samples": len(slots.concepts),
            "n_strongest": n_strongest,
            "control": "the words of all other concepts in the same sentence; a nonsense symbol of as many bytes, "
            "where the sets hold one; the same architecture with random weights",
        },
    )


@dataclass(frozen=True)
class Against:
    """A measure of every form, by concept: against its own word, and what is expected of it against any word."""

    own: Float[np.ndarray, "concept form layer"]
    expected: Float[np.ndarray, "concept form layer"]
    """From the mismatched pairs: mean of this form with other words, plus that of other forms with this word, minus the
    mean of all. So neither a form that is near every word nor a word that is near every form counts as a match."""

    @property
    def above(self) -> Float[np.ndarray, "concept form layer"]:
        """The difference."""
        return self.own - self.expected

    @classmethod
    def of(
        cls, values: Float[np.ndarray, "form concept word layer"], counts: Bool[np.ndarray, "concept word"]
    ) -> "Against":
        """Take the diagonal, and what the pairs off it that count let expect.

        Raises:
            InputError: a concept for which none counts.
        """
        counts = counts & ~np.eye(len(counts), dtype=bool)
        if not counts.any(1).all():
            raise InputError("Some words begin with the token of all others, so that the lens cannot tell them apart.")
        weight = counts / counts.sum(1, keepdims=True)
        own = np.einsum("fccl->cfl", values)
        of_form = np.einsum("fcwl,cw->cfl", values, weight)
        of_word = np.einsum("fcwl,wc->wfl", values, weight)
        return cls(own, of_form + of_word - (of_form + of_word).mean(0) / 2)


def _against_words(read: Reading, slots: Slots, measure: str, n_strongest: int) -> Against:
    every = np.ones((len(slots.concepts),) * 2, bool)
    if measure == "cosine":
        return Against.of(cosines(read.state.reshape(*slots.shape, *read.state.shape[1:])), every)
    if measure == "overlap":
        strongest = read.strongest.reshape(*slots.shape, *read.strongest.shape[1:])
        return Against.of(overlaps(strongest, n_strongest), every)
    said = read.lens.reshape(*slots.shape, *read.lens.shape[1:]).mean(2, dtype=np.float64)
    return Against.of(np.moveaxis(said, 3, 2), first_tokens_apart(slots.word_token))


def _contrast(name: str, of: Against, untrained: Against, seed: int) -> Variables:
    dims = ("form", "block" if name == "overlap" else "layer")
    tested = of.above.copy()
    # The word against itself is no hypothesis: cells of zeros are not counted.
    tested[:, 0] = 0
    spread = of.above.std(0, ddof=1) / np.sqrt(len(of.above))
    return {
        **_interval(name, dims, of.own, seed),
        f"control_{name}": (dims, of.expected.mean(0)),
        **_interval(f"{name}_above", dims, of.above, seed),
        f"{name}_q": (dims, sign_flips(tested, seed=seed).q_fdr),
        f"{name}_detectable": (dims, _DETECTABLE * spread),
        **_interval(f"control_random_{name}_above", dims, untrained.above, seed),
    }


def _by_form(read: Reading, random: Reading, slots: Slots, seed: int) -> Variables:
    found: Variables = {
        "n_tokens": (("form",), slots.n_tokens.mean(1)),
        "n_bytes": (("form",), slots.n_bytes.mean(1)),
    }
    for prefix, each in (("", read), ("control_random_", random)):
        surprisal, after = (of.reshape(slots.shape).mean(2) for of in (each.surprisal, each.after))
        found |= _interval(f"{prefix}surprisal", ("form",), surprisal.T, seed)
        found |= _interval(f"{prefix}surprisal_per_token", ("form",), (surprisal / slots.n_tokens).T, seed)
        found |= _interval(f"{prefix}after_change", ("form",), (after - after[0]).T, seed)
    return found


def _in_sets(read: Reading, random: Reading, slots: Slots, neuron_sets: Mapping[str, Neurons], seed: int) -> Variables:
    """Share of each form's strongest neurons in each set; the control is the set's share of all neurons."""
    shape = (*slots.shape, *read.strongest.shape[1:])
    shares, untrained, chance = [], [], []
    for neurons in neuron_sets.values():
        chosen = np.zeros(shape[3:], bool)
        chosen[neurons.layer, neurons.neuron] = True
        shares.append(shares_in_set(read.strongest.reshape(shape), chosen).T)
        untrained.append(shares_in_set(random.strongest.reshape(shape), chosen).mean(1))
        chance.append(chosen.mean())
    dims = ("set", "form")
    return {
        **_interval("in_set", dims, np.stack(shares, 1), seed),
        "control_in_set": (dims, np.tile(np.array(chance)[:, None], (1, shape[0]))),
        "control_random_in_set": (dims, np.stack(untrained)),
    }


def _interval(name: str, dims: tuple[str, ...], values: Float[np.ndarray, "concept ..."], seed: int) -> Variables:
    low, high = bootstrap_interval(values, seed=seed)
    return {f"{name}{end}": (dims, of) for end, of in (("", values.mean(0)), ("_low", low), ("_high", high))}


def _check(model: Model, control: Model, neuron_sets: Mapping[str, Neurons]) -> None:
    known, other = facts(model), facts(control)
    if known.fingerprint == other.fingerprint:
        raise InputError("The control model has the model's own weights. Load random: before the model's name.")
    if (known.n_layers, known.d_mlp, known.tokenizer) != (other.n_layers, other.d_mlp, other.tokenizer):
        raise InputError("The control has another shape or tokenizer. Load random: before the model's name.")
    for name, neurons in neuron_sets.items():
        if not len(neurons) or neurons.layer.max() >= known.n_layers or neurons.neuron.max() >= known.d_mlp:
            raise InputError(
                f"The set {name!r} of {len(neurons)} neurons is empty or reaches past {known.n_layers} layers of "
                f"{known.d_mlp}. Expected neurons of this model."
            )
