"""The gradient of a metric at every site of a run, by the model taken apart: no hooks, no gradients of parameters."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.models.decoder import Block, Decoder
from interp.models.decoder.parts import RowFunction
from interp.patching.engine.runs import Run, no_grad_run, run

Score = Callable[[Float[Tensor, "batch d_model"]], Float[Tensor, " batch"]]
"""Last position's residual stream after the last block to the metric, differentiable."""
WRITERS = ("attn_out", "mlp_out")
"""What a layer adds to the residual stream; dropped with the layer."""


@dataclass
class _Gates:
    """Lets gradients through every layer, except through what one of them adds to the residual stream."""

    dropped: int | None = None

    def apply(self, decoder: Decoder) -> Decoder:
        """The same decoder, with gates."""
        return replace(decoder, blocks=tuple(self._block(block, layer) for layer, block in enumerate(decoder.blocks)))

    def _block(self, block: Block, layer: int) -> Block:
        attention = replace(block.attention, o=self._gated(block.attention.o, layer))
        mlp = None if block.mlp is None else replace(block.mlp, out=self._gated(block.mlp.out, layer))
        return replace(block, attention=attention, mlp=mlp)

    def _gated(self, function: RowFunction, layer: int) -> RowFunction:
        def gated(rows: Tensor) -> Tensor:
            added = function(rows)
            added.register_hook(lambda grad: torch.zeros_like(grad) if self.dropped == layer else grad)
            return added

        return gated


@dataclass(frozen=True)
class Gradients:
    """A run, its metric, and the metric's gradient at one kind of site."""

    base: Run
    values: Float[Tensor, " batch"]
    plain: list[Tensor]
    """By layer, of the shape of the site."""
    dropped: list[list[Tensor]]
    """For each layer dropped: the gradients by layer; empty where none were asked for."""

    @property
    def passes(self) -> Iterator[list[Tensor]]:
        """The plain gradients first, then those with each layer dropped."""
        yield self.plain
        yield from self.dropped


@dataclass(frozen=True)
class Tap:
    """Which activations of a run are kept, and at which of them gradients are taken."""

    kind: str
    keep: frozenset[str]
    drop: bool

    def read(self, decoder: Decoder, tokens: Int[Tensor, "batch pos"], score: Score) -> Gradients:
        """Run once forward and once backward, and with `drop` once more backward for each layer.

        Args:
            decoder: The model, taken apart.
            tokens: Prompts of one length.
            score: The metric of each prompt.
        """
        with torch.no_grad():
            embedded = decoder.embed(tokens)
        return self._at(decoder, tokens, embedded, score)

    def read_toward(
        self,
        decoder: Decoder,
        tokens: Int[Tensor, "batch pos"],
        embedded: Float[Tensor, "batch pos d_model"],
        score: Score,
        n: int,
    ) -> Gradients:
        """The same at a run, but with the mean gradient of `n` runs on the way to another one.

        Their embeddings lie on the straight line from this run's to the other's, in the middle of `n` equal parts.

        Args:
            decoder: The model, taken apart.
            tokens: Prompts of one length: the run whose activations are kept.
            embedded: The other run's embeddings at the same positions.
            score: The metric of each prompt.
            n: How many runs.
        """
        base = no_grad_run(decoder, tokens, self.keep | {"resid", self._name})
        with torch.no_grad():
            values = score(base["resid"][-1][:, -1])
        passes: list[list[Tensor]] = []
        for part in range(n):
            between = torch.lerp(base["resid"][0], embedded, (part + 0.5) / n)
            found = self._at(decoder, tokens, between, score)
            passes = passes or [[torch.zeros_like(grad) for grad in layers] for layers in found.passes]
            for layers, grads in zip(passes, found.passes, strict=True):
                for total, grad in zip(layers, grads, strict=True):
                    total += grad / n
        return Gradients(base, values, passes[0], passes[1:])

    def _at(self, decoder: Decoder, tokens: Tensor, embedded: Tensor, score: Score) -> Gradients:
        gates = _Gates()
        with torch.enable_grad():
            gated = gates.apply(decoder) if self.drop else decoder
            gated = replace(gated, embed=lambda _: embedded.detach().requires_grad_())
            base = run(gated, tokens, self.keep | {"resid", self._name})
            values = score(base["resid"][-1][:, -1])
            plain = self._gradients(base, values, None)
            dropped = []
            for layer in range(decoder.n_layers if self.drop else 0):
                gates.dropped = layer
                dropped.append(self._gradients(base, values, layer))
        kept = {name: [rows.detach() for rows in layers] for name, layers in base.kept.items()}
        return Gradients(Run(kept), values.detach(), plain, dropped)

    @property
    def _name(self) -> str:
        return "resid" if self.kind in ("resid_pre", "resid_post") else self.kind

    def _gradients(self, base: Run, values: Tensor, dropped: int | None) -> list[Tensor]:
        sites = base[self._name]
        # Nothing the metric reads comes after some sites of the last layer: None there means zero.
        found = torch.autograd.grad(values.sum(), sites, retain_graph=self.drop, allow_unused=True)
        grads = [torch.zeros_like(site) if grad is None else grad for site, grad in zip(sites, found, strict=True)]
        if dropped is not None and self.kind in WRITERS:
            grads[dropped] = torch.zeros_like(grads[dropped])
        return {"resid_pre": grads[:-1], "resid_post": grads[1:]}.get(self.kind, grads)
