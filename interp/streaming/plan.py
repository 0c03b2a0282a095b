"""What is to be streamed: the arms, what each keeps, and everything that can be refused before anything runs."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int

from interp.errors import InputError, ModelError, PromptError
from interp.models import facts
from interp.models.decoder import FAMILIES, Decoder, as_decoder
from interp.streaming.policy import Policy
from interp.types import Model

Kind = Literal["dense", "window", "sinks", "control", "recompute"]
FIRST_OTHER = 5
"""Where the control's tokens begin, unless more sinks than this are kept."""
CONTEXTS_SHOWN = 2
"""The dense arm is read so many times as far as the model's context, where it can be."""


@dataclass(frozen=True)
class Arm:
    """One way to go on when the cache is full."""

    name: str
    kind: Kind
    kept: range = range(0)
    control: str = "window"
    """The arm it is compared with."""


@dataclass(frozen=True)
class Plan:
    """Checked settings of one streaming run."""

    decoder: Decoder
    tokens: Int[np.ndarray, "stream pos"]
    window: int
    arms: tuple[Arm, ...]
    dense_stop: int
    """Positions that the dense arm reads."""
    n_ctx: int

    @property
    def n_positions(self) -> int:
        """Positions with a next token."""
        return self.tokens.shape[1] - 1

    def policy(self, arm: Arm) -> Policy:
        """What the arm keeps in its cache."""
        return Policy(self.dense_stop if arm.kind == "dense" else self.window, arm.kept)


def make_plan(
    model: Model,
    tokens: Int[np.ndarray, "stream pos"],
    *,
    window: int,
    sinks: tuple[int, ...],
    keep: int | None,
    dense_to: int | None,
) -> Plan:
    """Check everything that can be checked without running the model.

    Raises:
        ModelError: an architecture that cannot be taken apart, or whose outputs are no next-token logits.
        InputError: settings that do not fit together or the model's context.
        PromptError: streams that are too short, or token ids outside the vocabulary.
    """
    decoder, known = _decoder(model), facts(model)
    limit = known.n_ctx if decoder.n_positions is None else min(known.n_ctx, decoder.n_positions)
    if not 1 <= window <= limit:
        raise InputError(f"A window of {window} does not fit the context of {limit}. Expected 1 to {limit} tokens.")
    own = [block.attention.window for block in decoder.blocks]
    if all(own) and window > (widest := max(width or 0 for width in own)):
        raise InputError(
            f"No layer of this model sees more than {widest} keys, so what a cache of {window} keeps beyond them "
            f"changes nothing. Expected a window of at most {widest}."
        )
    others = max([FIRST_OTHER, *sinks]) if keep is None else keep
    _check_kept(window, sinks, others)
    _check_tokens(tokens, window, known.d_vocab)
    longest = CONTEXTS_SHOWN * known.n_ctx if decoder.n_positions is None else decoder.n_positions
    if dense_to is not None and not 1 <= dense_to <= (decoder.n_positions or dense_to):
        raise InputError(f"dense_to={dense_to} does not fit: this model has {decoder.n_positions} positions.")
    dense_stop = min(longest if dense_to is None else dense_to, tokens.shape[1] - 1)
    return Plan(decoder, tokens, window, _arms(sinks, others, with_dense=dense_stop > window), dense_stop, known.n_ctx)


def _decoder(model: Model) -> Decoder:
    decoder, known = as_decoder(model), facts(model)
    if decoder is None:
        raise ModelError(
            f"A {known.architecture} cannot be streamed: its keys cannot be kept apart from their positions here. "
            f"Expected one of {list(FAMILIES)}, in its usual settings."
        )
    if (width := decoder.w_u()[0].shape[0]) < known.d_vocab:
        raise ModelError(
            f"{known.name} has {known.d_vocab} tokens and {width} outputs, so these are no next-token logits. "
            "Expected a language model."
        )
    return decoder


def _check_kept(window: int, sinks: tuple[int, ...], others: int) -> None:
    if not sinks or min(sinks) < 0 or len(set(sinks)) < len(sinks):
        raise InputError(f"sinks={sinks} cannot be used. Expected different numbers of kept tokens, 0 or more.")
    if max(sinks) >= window:
        raise InputError(f"{max(sinks)} sinks leave no room in a window of {window}. Expected fewer sinks than that.")
    if others < 1:
        raise InputError(f"keep={others} would keep the first token in the control, too. Expected a later position.")
    if others + max(sinks) > window:
        raise InputError(
            f"The control would keep positions {others} to {others + max(sinks) - 1}, and a window of {window} is full "
            "before they have come. Use a wider window, fewer sinks, or an earlier keep=."
        )


def _check_tokens(tokens: Int[np.ndarray, "stream pos"], window: int, d_vocab: int) -> None:
    if not tokens.size or tokens.shape[1] < window + 2:
        raise PromptError(
            f"Streams of {tokens.shape[1]} tokens never leave a window of {window}. Expected {window + 2} or more."
        )
    bad = tokens[(tokens < 0) | (tokens >= d_vocab)]
    if len(bad):
        raise PromptError(f"Token id {bad[0]} is out of range. Expected ids from 0 to {d_vocab - 1}.")


def _arms(sinks: tuple[int, ...], others: int, *, with_dense: bool) -> tuple[Arm, ...]:
    arms = [Arm("dense", "dense")] if with_dense else []
    arms.append(Arm("window", "window"))
    for n in sorted(set(sinks) - {0}):
        control = f"control: {n} from {others}"
        arms.append(Arm(f"{n} sink{'' if n == 1 else 's'}", "sinks", range(n), control))
        arms.append(Arm(control, "control", range(others, others + n)))
    return (*arms, Arm("recompute", "recompute"))
