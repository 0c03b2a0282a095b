"""What a test changes: next-token loss, hidden states where there is no such loss, or a number of the caller's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.errors import InputError, ResultError
from interp.models import facts
from interp.prompts import TokenBatch
from interp.run import capture_batches, forward
from interp.sites import Site
from interp.types import Mask, Model

Loss = Callable[[Model, TokenBatch], Float[np.ndarray, " prompt"]]
"""A loss of the caller's: runs the model on prompts, with `interp.run.forward`, and returns one number for each."""


@runtime_checkable
class Score(Protocol):
    """Reads a run and compares it with the plain one."""

    @property
    def unit(self) -> str:
        """Unit of the change."""
        ...

    @property
    def sign(self) -> str:
        """What a positive change means."""
        ...

    @property
    def signed(self) -> bool:
        """Whether a change may be negative; a distance may not, and its distance from zero is no finding."""
        ...

    @property
    def by_position(self) -> bool:
        """Whether a reading has an axis of positions, by which runs on other tokens are aligned."""
        ...

    def read(self, model: Model, batch: TokenBatch) -> Tensor:
        """Run the model; NaN where a position has no number."""
        ...

    def change(self, plain: Tensor, edited: Tensor, counted: Mask) -> Float[Tensor, " batch"]:
        """Compare two readings at the counted positions."""
        ...


@dataclass(frozen=True)
class NextToken:
    """Loss of every real token but the first, given those before it."""

    unit: str = "change in next-token loss (nats per token, mean per prompt)"
    sign: str = "Positive means that the model predicts the text worse with the edit than without it."
    signed: bool = True
    by_position: bool = True

    def read(self, model: Model, batch: TokenBatch) -> Float[Tensor, "batch pos"]:
        """Loss at the place of the token it is of."""
        logits = forward(model, batch)
        if logits.shape[-1] < facts(model).d_vocab:
            raise InputError(
                f"The model has {facts(model).d_vocab} tokens and {logits.shape[-1]} outputs, which are no logits of "
                "next tokens. Give loss=, a function of model and prompts."
            )
        tokens, mask = (torch.from_numpy(np.ascontiguousarray(a)).to(logits.device) for a in (batch.tokens, batch.mask))
        wide = logits[:, :-1] if logits.dtype == torch.float64 else logits[:, :-1].float()
        losses = torch.nn.functional.cross_entropy(wide.transpose(1, 2), tokens[:, 1:], reduction="none")
        losses = torch.nn.functional.pad(losses, (1, 0), value=torch.nan).masked_fill(~mask, torch.nan)
        _refuse_not_finite(losses[:, 1:][mask[:, 1:]])
        return losses

    def change(
        self, plain: Float[Tensor, "batch pos"], edited: Float[Tensor, "batch pos"], counted: Mask
    ) -> Float[Tensor, " batch"]:
        """Mean difference per prompt."""
        return _mean_over(edited - plain, counted)


@dataclass(frozen=True)
class Hidden:
    """Hidden states after the last block, for models without a next-token loss."""

    unit: str = "change of the last hidden states (relative L2, mean over positions after the first, then per prompt)"
    sign: str = (
        "A larger number means that the edit moved the other tokens' hidden states further; it is never negative."
    )
    signed: bool = False
    by_position: bool = True

    def read(self, model: Model, batch: TokenBatch) -> Float[Tensor, "batch pos d_model"]:
        """The last residual stream."""
        site = Site(facts(model).n_layers - 1, "resid_post")
        ((_, seen),) = capture_batches(model, batch, [site], rows_per_batch=len(batch))
        hidden = seen[site] if seen[site].dtype == torch.float64 else seen[site].float()
        mask = torch.from_numpy(batch.mask).to(hidden.device)
        _refuse_not_finite(hidden[mask])
        return hidden.masked_fill(~mask[..., None], torch.nan)

    def change(
        self, plain: Float[Tensor, "batch pos d_model"], edited: Float[Tensor, "batch pos d_model"], counted: Mask
    ) -> Float[Tensor, " batch"]:
        """Mean of |edited - plain| / |plain| per prompt."""
        return _mean_over((edited - plain).norm(dim=-1) / plain.norm(dim=-1), counted)


@dataclass(frozen=True)
class Custom:
    """A loss of the caller's."""

    loss: Loss
    name: str
    signed: bool = True
    by_position: bool = False

    @property
    def unit(self) -> str:
        """The loss's name."""
        return f"change in {self.name}"

    @property
    def sign(self) -> str:
        """What positive means."""
        return f"Positive means that {self.name} is larger with the edit than without it."

    def read(self, model: Model, batch: TokenBatch) -> Float[Tensor, " batch"]:
        """One number per prompt.

        Raises:
            ResultError: another shape, NaN or infinity.
        """
        found = torch.from_numpy(np.asarray(self.loss(model, batch), dtype=np.float64))
        if found.shape != (len(batch),):
            raise ResultError(
                f"The loss returned shape {tuple(found.shape)} for {len(batch)} prompts. Expected one number for each."
            )
        _refuse_not_finite(found)
        return found

    def change(
        self, plain: Float[Tensor, " batch"], edited: Float[Tensor, " batch"], counted: Bool[Tensor, "..."]
    ) -> Float[Tensor, " batch"]:
        """The difference; positions are the loss's own affair."""
        del counted
        return edited - plain


def _mean_over(values: Float[Tensor, "batch pos"], counted: Mask) -> Float[Tensor, " batch"]:
    return values.masked_fill(~counted, 0.0).sum(-1) / counted.sum(-1)


def _refuse_not_finite(values: Tensor) -> None:
    if not torch.isfinite(values).all():
        raise ResultError(
            f"{int((~torch.isfinite(values)).sum())} of {values.numel()} numbers of a run are NaN or infinite. "
            "Load the model in a wider dtype, such as float32."
        )
