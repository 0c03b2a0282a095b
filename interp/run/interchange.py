"""Interchange interventions on subspaces: TransformerLens's own, on the toolkit's sites, prompts and refusals.

`h_base + (h_source - h_base) @ B @ B.T` at one position of each prompt; B is given, drawn at random, or learned (DAS).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import InputError, ResultError, SiteError
from interp.models import require_causal
from interp.prompts import TokenBatch
from interp.run.forward import as_inputs
from interp.run.hooks import refuse_foreign_hooks
from interp.run.places import check_places
from interp.run.subspaces import Basis, orthonormal, random_subspace
from interp.sites import OUTPUT_KINDS, Site
from interp.types import Model

KINDS = ("resid_pre", "resid_post", *OUTPUT_KINDS)
"""Where a subspace can be exchanged. Not `resid_mid`: an edit of its hook alone reaches the MLP, not the stream."""
PAIRS_AT_ONCE = 64

Read = Callable[[Tensor], Float[Tensor, "pair choice"]]


@dataclass(frozen=True)
class Pairs:
    """Base and source prompts, where each is read and written, and the tokens between which an answer is chosen.

    Raises:
        InputError: numbers that do not fit, or a position outside its prompt.
    """

    base: TokenBatch
    source: TokenBatch
    base_pos: Int[np.ndarray, " _"]
    source_pos: Int[np.ndarray, " _"]
    choices: Int[np.ndarray, " choice"]
    """Token ids, each once."""

    def __post_init__(self) -> None:
        for side in ("base", "source"):
            batch, pos = getattr(self, side), getattr(self, f"{side}_pos")
            if not len(batch) == len(pos) == len(self.base):
                raise InputError(f"{len(pos)} {side} positions and {len(batch)} prompts for {len(self.base)} bases.")
            if ((pos < 0) | (pos >= batch.lengths)).any():
                bad = int(((pos < 0) | (pos >= batch.lengths)).argmax())
                raise InputError(
                    f"Position {pos[bad]} of {side} prompt {bad}, which has {batch.lengths[bad]} tokens. "
                    "Give a position inside the prompt."
                )

    def __len__(self) -> int:
        return len(self.base)

    def take(self, rows: Int[np.ndarray, " row"]) -> "Pairs":
        """The pairs with these numbers, in this order."""
        return Pairs(self.base[rows], self.source[rows], self.base_pos[rows], self.source_pos[rows], self.choices)


@dataclass(frozen=True)
class Training:
    """How a subspace is learned.

    Raises:
        InputError: a number that is not above zero.
    """

    rank: int
    epochs: int = 20
    learning_rate: float = 1e-2
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.rank > 0 and self.epochs > 0 and self.learning_rate > 0 and self.batch_size > 0):
            raise InputError(f"{self}: expected a rank, epochs, a learning rate and a batch size above zero.")


@dataclass(frozen=True)
class Learned:
    """A subspace found by distributed alignment search."""

    basis: Basis = field(repr=False)
    """Orthonormal columns."""
    losses: tuple[float, ...]
    """Mean cross-entropy of the targets by epoch, in nats."""


@dataclass(frozen=True)
class Interchange:
    """Pairs of prompts whose activations at a site can be exchanged inside a subspace. Make one with `at`."""

    model: Model = field(repr=False)
    site: Site
    pairs: Pairs = field(repr=False)
    base: Float[Tensor, "pair d_model"] = field(repr=False)
    """Activation of each base at its position."""
    source: Float[Tensor, "pair d_model"] = field(repr=False)

    @classmethod
    def at(cls, model: Model, site: Site, pairs: Pairs) -> "Interchange":
        """Capture both sides at a site.

        Raises:
            SiteError: a site that holds no vector for each position, or where an edit has no effect.
            HookError: hooks of somebody else are on the model.
            PromptError: prompts that do not fit the model.
        """
        from transformer_lens.tools.analysis.interchange import collect_activations

        if site.kind not in KINDS or site.pos is not None:
            raise SiteError(
                f"{site}: a subspace is interchanged in one of {list(KINDS)}, without a position (the pairs say which)."
            )
        check_places(model, [site])
        require_causal(model, site.kind)
        refuse_foreign_hooks(model)
        for batch in (pairs.base, pairs.source):
            batch.check_fits(d_vocab=model.cfg.d_vocab, n_ctx=model.cfg.n_ctx)
        read, n = _reader(model, pairs), len(pairs)
        base, source = (
            collect_activations(
                model, site.hook_name, rows, read, positions=torch.from_numpy(pos), batch_size=PAIRS_AT_ONCE
            )
            for rows, pos in ((torch.arange(n), pairs.base_pos), (torch.arange(n, 2 * n), pairs.source_pos))
        )
        return cls(model, site, pairs, base, source)

    @property
    def d_model(self) -> int:
        """Width of the activations."""
        return self.base.shape[1]

    def take(self, rows: Int[np.ndarray, " row"]) -> "Interchange":
        """Leave the pairs with these numbers, in this order."""
        chosen = torch.from_numpy(rows)
        return replace(self, pairs=self.pairs.take(rows), base=self.base[chosen], source=self.source[chosen])

    def plain(self) -> Float[np.ndarray, "pair choice"]:
        """Logits of the choices at the end of each base, with nothing exchanged."""
        return self._run(lambda base, source: base)  # noqa: ARG005 -- TransformerLens gives both

    def swapped(self, basis: Basis) -> Float[np.ndarray, "pair choice"]:
        """Logits of the choices at the end of each base whose part in the subspace is its source's."""
        from transformer_lens.tools.analysis.interchange import SubspaceInterchange

        return self._run(SubspaceInterchange(self._checked(basis)))

    def placebo(self, basis: Basis, *, seed: int) -> Float[np.ndarray, "pair choice"]:
        """The same, but each base is moved as far inside a random subspace of equal rank."""
        from transformer_lens.tools.analysis.interchange import NormMatchedPlacebo, SubspaceInterchange

        drawn = torch.from_numpy(random_subspace(self.d_model, basis.shape[1], seed=seed))
        return self._run(NormMatchedPlacebo(SubspaceInterchange(self._checked(basis)), drawn))

    def learn(self, targets: Int[np.ndarray, " pair"], training: Training) -> Learned:
        """Learn the subspace whose interchange makes the model choose the targets (DAS).

        Args:
            targets: For each pair the place, among the choices, of the token that should be chosen.
            training: Rank and budget.

        Raises:
            InputError: a rank above the width, or targets that are no choices.

        Source: Geiger, Wu, Potts, Icard & Goodman 2024 (arXiv:2303.02536).
        """
        from transformer_lens.tools.analysis.interchange import fit_das

        if training.rank > self.d_model or not len(targets) == len(self.pairs):
            raise InputError(
                f"Rank {training.rank} for activations of width {self.d_model}, {len(targets)} targets for "
                f"{len(self.pairs)} pairs. Expected a rank up to the width, and a target for each pair."
            )
        if (targets < 0).any() or (targets >= len(self.pairs.choices)).any():
            raise InputError(f"Targets from {targets.min()} to {targets.max()} of {len(self.pairs.choices)} choices.")
        refuse_foreign_hooks(self.model)
        n = len(self.pairs)
        # Gradients pass through the model whether or not the caller has switched them off.
        with torch.enable_grad():
            found = fit_das(
                self.model,
                self.site.hook_name,
                torch.arange(n),
                torch.arange(n, 2 * n),
                torch.from_numpy(targets),
                _reader(self.model, self.pairs),
                rank=training.rank,
                base_positions=torch.from_numpy(self.pairs.base_pos),
                source_positions=torch.from_numpy(self.pairs.source_pos),
                epochs=training.epochs,
                batch_size=training.batch_size,
                lr=training.learning_rate,
                seed=training.seed,
            )
        if not np.isfinite(found.losses).all():
            raise ResultError(
                "The loss of the search became NaN or infinite. Lower the learning rate, or use float32 or wider."
            )
        return Learned(orthonormal(found.basis.double().cpu().numpy()), found.losses)

    def _run(self, intervention: Any) -> Float[np.ndarray, "pair choice"]:
        from transformer_lens.tools.analysis.interchange import intervened_logits

        refuse_foreign_hooks(self.model)
        logits = intervened_logits(
            self.model,
            self.site.hook_name,
            intervention,
            torch.arange(len(self.pairs)),
            self.source,
            _reader(self.model, self.pairs),
            positions=torch.from_numpy(self.pairs.base_pos),
            batch_size=PAIRS_AT_ONCE,
        )
        if not torch.isfinite(logits).all():
            raise ResultError(f"Interchange at {self.site} gave NaN or infinity. Use a dtype such as float32.")
        return logits.double().numpy()

    def _checked(self, basis: Basis) -> Tensor:
        if len(basis) != self.d_model or not 0 < basis.shape[1] <= self.d_model:
            raise InputError(
                f"A basis of shape {basis.shape} for activations of width {self.d_model}. Expected one row for each "
                "coordinate, and at least one column."
            )
        if not np.allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-5):
            raise InputError("The columns of the basis are not orthonormal. Make it with `span_of`.")
        return torch.from_numpy(basis)


def arbitrary_targets(pairs: Pairs, *, seed: int) -> Int[np.ndarray, " pair"]:
    """Draw for each source text one of the choices, the same wherever the text comes again."""
    from transformer_lens.tools.analysis import interchange

    keys = [tuple(row[:length].tolist()) for row, length in zip(pairs.source.tokens, pairs.source.lengths, strict=True)]
    return interchange.arbitrary_targets(keys, len(pairs.choices), seed).numpy()


def _reader(model: Model, pairs: Pairs) -> Read:
    """Logits of the choices at the end of prompts given by number: bases first, then sources.

    Numbers, because TransformerLens passes inputs on as one tensor, and a padded batch is two.
    """
    choices = torch.from_numpy(pairs.choices)

    def read(numbers: Tensor) -> Float[Tensor, "pair choice"]:
        rows = numbers.numpy() % len(pairs)
        batch = (pairs.source if int(numbers[0]) >= len(pairs) else pairs.base)[rows]
        tokens, mask = as_inputs(model, batch)
        logits = model(tokens) if mask is None else model(tokens, attention_mask=mask)
        last = torch.from_numpy(batch.lengths - 1).to(logits.device)
        end = logits[torch.arange(len(last), device=logits.device), last]
        return (end if end.dtype == torch.float64 else end.float())[:, choices.to(end.device)]

    return read
