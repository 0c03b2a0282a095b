"""Texts token by token: language, switches, surprisal, and what chosen neurons do, beside random neurons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float
from torch import Tensor

from interp.errors import InputError, ModelError
from interp.languages import TaggedText, tag_words
from interp.models import facts, provenance, str_tokens
from interp.models.architecture import is_encoder
from interp.neurons.labelled import LabelledTokens
from interp.neurons.masked import masked_losses
from interp.neurons.passes import passes, token_losses
from interp.neurons.spelled import label_spelled
from interp.neurons.units import Neurons
from interp.prompts import TokenBatch
from interp.results import Result
from interp.run import observe
from interp.sites import Site
from interp.types import Model

_METHOD = (
    "Every token with the language of its word (the word that most of its characters lie in); a switch is the first "
    "token of a word whose language is not that of the last word before it that has one. Surprisal: {surprisal}. "
    "Activation: site post. Mean and sd of each neuron: over the {n_usual} tokens that have a language and are no "
    "switch, {n_background} of them in texts that are not drawn; the sd over all tokens with a language where it would "
    "be 0. Control: as many random neurons of the same layers, alike in mean absolute activation{random}. A neuron "
    "that is active at some tokens of a few texts is an example, not evidence of what it does."
)
_SURPRISAL = {
    False: "loss of the token given those before it, in nats; none for a first token",
    True: "loss of the token when it alone is masked, in nats, as for an encoder (Salazar et al. 2020)",
}


def token_ribbon(
    model: Model,
    texts: Sequence[TaggedText | str],
    neurons: Neurons,
    *,
    languages: Sequence[str] | None = None,
    background: Sequence[TaggedText | str] = (),
    random_weights: Model | None = None,
    seed: int = 0,
) -> Result:
    """Lay out texts token by token, with surprisal and the activation of chosen neurons.

    Args:
        model: A hooked model with a tokenizer.
        texts: What to draw: words with their languages, or plain texts, whose words `tag_words` tags.
        neurons: Whose activation to show; the result has them in order of depth.
        languages: Of tagged texts, which tags are languages (None: all but those of `LANGUAGE_LESS`). Plain texts need
            at least two ISO 639-1 codes to be tagged with.
        background: Texts that are not drawn, over which means and standard deviations are taken, too.
        random_weights: The same architecture with random weights, for a second surprisal.
        seed: Decides the random neurons.

    Returns:
        Kind `token_ribbon`. Over `token` (of all texts, one after the other) and `neuron`: `activation`, `control`. By
        token: `str_token`, `text`, `pos`, `word` (-1: around the text), `language` (empty: none), `switch`,
        `surprisal_nats`, perhaps `control_surprisal_nats`; NaN where not `ran`. By neuron: `mean` and `sd` over tokens
        that are no switch, `control_neuron` with `control_mean` and `control_sd`, and, where there is a switch, the
        mean z at switches, `switch_z` and `control_switch_z`. Larger: more active, more surprised.

    Raises:
        InputError: no text, no such neuron, no tokens without a switch, plain texts without languages to tag them
            with, or random weights of another vocabulary.
        SiteError: the model shows no neurons.
        PromptError: a text that does not fit the model's context.
    """
    chosen = _in_order_of_depth(model, neurons)
    tokens = label_spelled(model, _tagged([*texts, *background], languages), languages=languages)
    drawn, usual = _drawn(tokens, len(texts)), (tokens.language >= 0) & ~tokens.switch
    if usual.sum() < 2:
        raise InputError(
            f"{usual.sum()} tokens have a language and are no switch. Expected two or more to compare with."
        )
    others = chosen.like(_activity(model, tokens.batch, usual, chosen), np.random.default_rng(seed))
    kept = {"activation": _Kept.of(model, tokens, chosen, usual), "control": _Kept.of(model, tokens, others, usual)}
    surprisal = {"surprisal_nats": _surprisal(model, tokens.batch)}
    if random_weights is not None:
        _check_vocabulary(model, random_weights)
        surprisal["control_surprisal_nats"] = _surprisal(random_weights, tokens.batch)
    variables: dict[str, Any] = {name: (("token", "neuron"), of.values[drawn]) for name, of in kept.items()}
    variables |= _by_token(model, tokens, drawn, surprisal)
    variables |= _by_neuron(kept, tokens.switch) | {"control_neuron": ("neuron", np.array(others.names, object))}
    coords = {"token": np.arange(drawn.sum()), "neuron": np.array(chosen.names, object)}
    told = {
        "surprisal": _SURPRISAL[is_encoder(model)],
        "n_usual": int(usual.sum()),
        "n_background": int(usual[len(texts) :].sum()),
        "random": "" if random_weights is None else "; surprisal of the same architecture with random weights",
    }
    call = f"token_ribbon({len(texts)} texts, {chosen.names}, {len(background)} in the background, seed={seed})"
    return Result(
        kind="token_ribbon",
        data=xr.Dataset(variables, coords),
        unit="activation after the nonlinearity; surprisal in nats per token",
        sign="Larger: the neuron is more active, the token is less expected",
        method=_METHOD.format(**told),
        provenance=provenance(model, tokens=[tokens.batch.tokens], call=call, seed=seed),
        baselines=_mean_surprisal(tokens, surprisal),
        notes=told
        | {
            "control": "random neurons of the same layers, alike in mean absolute activation" + told["random"],
            "languages": list(tokens.languages),
            "names": [text.name if isinstance(text, TaggedText) else "" for text in texts],
            "n_samples": int(drawn.sum()),
            "n_groups": len(texts),
        },
    )


@dataclass(frozen=True)
class _Kept:
    """What some neurons do at every token, and what is usual for them."""

    values: Float[np.ndarray, "text pos neuron"]
    mean: Float[np.ndarray, " neuron"]
    sd: Float[np.ndarray, " neuron"]

    @classmethod
    def of(cls, model: Model, tokens: LabelledTokens, neurons: Neurons, usual: Bool[np.ndarray, "text pos"]) -> "_Kept":
        values = _read(model, tokens.batch, neurons)
        sd = values[usual].std(0)
        # A neuron that is silent but at switches has no spread elsewhere; its z would be infinite.
        return cls(values, values[usual].mean(0), np.where(sd > 0, sd, values[tokens.language >= 0].std(0)))

    def z_at(self, where: Bool[np.ndarray, "text pos"]) -> Float[np.ndarray, " neuron"]:
        """Mean distance from what is usual, in standard deviations; 0 for a neuron that never changes."""
        return (self.values[where].mean(0) - self.mean) / np.where(self.sd > 0, self.sd, np.inf)


def _in_order_of_depth(model: Model, neurons: Neurons) -> Neurons:
    known = facts(model)
    outside = (neurons.layer >= known.n_layers) | (neurons.neuron >= known.d_mlp) | (neurons.layer < 0)
    if not len(neurons) or (outside | (neurons.neuron < 0)).any():
        raise InputError(
            f"Cannot show the neurons {neurons.names}. Expected at least one, in layers below {known.n_layers}, by "
            f"numbers below {known.d_mlp}."
        )
    order = np.lexsort((neurons.neuron, neurons.layer))
    return replace(neurons, layer=neurons.layer[order], neuron=neurons.neuron[order])


def _tagged(texts: Sequence[TaggedText | str], languages: Sequence[str] | None) -> list[TaggedText]:
    plain = [text for text in texts if isinstance(text, str)]
    if plain and languages is None:
        raise InputError(
            f"{len(plain)} texts are not tagged. Give languages=[...] to tag their words with, such as en."
        )
    tagged = iter(tag_words(plain, languages or [])) if plain else iter(())
    return [next(tagged) if isinstance(text, str) else text for text in texts]


def _drawn(tokens: LabelledTokens, n_texts: int) -> Bool[np.ndarray, "text pos"]:
    return tokens.batch.mask & (np.arange(len(tokens)) < n_texts)[:, None]


def _read(model: Model, batch: TokenBatch, neurons: Neurons) -> Float[np.ndarray, "text pos neuron"]:
    found = np.zeros((*batch.tokens.shape, len(neurons)))

    def reading(layer: int, rows: np.ndarray) -> Callable[[Tensor], None]:
        columns = np.flatnonzero(neurons.layer == layer)

        def read(post: Tensor) -> None:
            values = post[..., neurons.neuron[columns].tolist()].double().cpu().numpy()
            found[np.ix_(rows, np.arange(values.shape[1]), columns)] = values

        return read

    for rows, part in passes(batch):
        observe(model, part, {Site(layer, "post"): reading(layer, rows) for layer in neurons.by_layer()})
    if not np.isfinite(found[batch.mask]).all():
        raise ModelError("Activations hold NaN or infinity. Load the model in a wider dtype, such as float32.")
    return found


def _activity(
    model: Model, batch: TokenBatch, usual: Bool[np.ndarray, "text pos"], neurons: Neurons
) -> Float[np.ndarray, "layer neuron"]:
    """Mean absolute activation of all neurons, in the layers that the chosen ones lie in."""
    known = facts(model)
    total = np.zeros((known.n_layers, known.d_mlp))

    def reading(layer: int, counted: np.ndarray) -> Callable[[Tensor], None]:
        def read(post: Tensor) -> None:
            total[layer] += post.double().abs().cpu().numpy()[counted].sum(0)

        return read

    for rows, part in passes(batch):
        counted = usual[rows, : part.tokens.shape[1]]
        observe(model, part, {Site(layer, "post"): reading(layer, counted) for layer in neurons.by_layer()})
    return total / usual.sum()


def _surprisal(model: Model, batch: TokenBatch) -> Float[np.ndarray, "text pos"]:
    return masked_losses(model, batch) if is_encoder(model) else token_losses(model, batch)


def _check_vocabulary(model: Model, random_weights: Model) -> None:
    mine, other = facts(model), facts(random_weights)
    if mine.tokenizer != other.tokenizer:
        raise InputError(f"{other.name} has another vocabulary than {mine.name}. Load random: before the model's name.")
    if mine.fingerprint == other.fingerprint:
        raise InputError("The control model has the model's own weights. Load random: before the model's name.")


def _by_token(
    model: Model, tokens: LabelledTokens, drawn: Bool[np.ndarray, "text pos"], surprisal: dict[str, np.ndarray]
) -> dict[str, tuple[str, np.ndarray]]:
    names = np.array([*tokens.languages, ""], object)
    row, pos = np.nonzero(drawn)
    told: dict[str, Any] = {
        "str_token": np.array(str_tokens(model, tokens.batch.tokens[drawn]), object),
        "text": row,
        "pos": pos,
        "word": tokens.word[drawn],
        "language": names[tokens.language[drawn]],
        "switch": tokens.switch[drawn],
        **{name: values[drawn] for name, values in surprisal.items()},
        "ran": np.isfinite(surprisal["surprisal_nats"][drawn]),
    }
    return {name: ("token", values) for name, values in told.items()}


def _by_neuron(kept: dict[str, _Kept], switch: Bool[np.ndarray, "text pos"]) -> dict[str, tuple[str, np.ndarray]]:
    found = {}
    for before, of in zip(("", "control_"), kept.values(), strict=True):
        found |= {f"{before}mean": of.mean, f"{before}sd": of.sd}
        found |= {f"{before}switch_z": of.z_at(switch)} if switch.any() else {}
    return {name: ("neuron", values) for name, values in found.items()}


def _mean_surprisal(tokens: LabelledTokens, surprisal: dict[str, np.ndarray]) -> dict[str, float]:
    """At switches, and at the first tokens of other words: later tokens of a word are easier."""
    first = (tokens.place_in_word == 0) & (tokens.language >= 0) & np.isfinite(surprisal["surprisal_nats"])
    found = {}
    for name, values in surprisal.items():
        whose = "with random weights, " if name.startswith("control") else ""
        for where, words in ((first & tokens.switch, "switches"), (first & ~tokens.switch, "other first tokens")):
            if where.any():
                found[f"surprisal, {whose}{words} (nats)"] = float(values[where].mean())
    return found
