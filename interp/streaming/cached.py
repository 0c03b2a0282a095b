"""Streaming as published: token by token, with a cache of unrotated keys that are rotated at their slots."""

import torch
from jaxtyping import Int
from torch import Tensor

from interp.models.decoder import Attention, Decoder
from interp.streaming.attention import Heads, Held, KeyHeads, Rows, Span, advance_layers, attend_spans
from interp.streaming.policy import Policy


class CachedStream:
    """Streams side by side, each token's keys put into a cache of `window` slots.

    Source: Xiao et al. 2023 (arXiv:2309.17453), sec. 3.2: keys are cached before rotation, and rotated at each step at
    the positions of their slots.
    """

    def __init__(self, decoder: Decoder, policy: Policy):
        self.decoder, self.policy = decoder, policy
        self.seen = 0
        """Tokens so far."""
        self.cache: list[Held] = []
        """Of each layer, in the order of the slots."""

    @torch.no_grad()
    def advance(self, tokens: Int[Tensor, "stream pos"]) -> Rows:
        """Read the next tokens and give their rows of the residual stream after the last block."""
        return torch.cat([self._step(token) for token in tokens.split(1, 1)], 1)

    def _step(self, token: Int[Tensor, "stream 1"]) -> Rows:
        slot = torch.tensor([min(self.seen, self.policy.window - 1)], device=token.device)
        rows = advance_layers(self.decoder, self.decoder.embed(token, slot), self._attend)
        self.seen += 1
        return rows

    def _attend(self, layer: int, attention: Attention, q: Heads, k: KeyHeads, v: KeyHeads) -> Heads:
        if layer == len(self.cache):
            self.cache.append(Held.nothing(k))
        held = self._evict(self.cache[layer]).then(Held(k, v))
        self.cache[layer] = held
        slots = torch.arange(held.k.shape[1], device=k.device)
        span = Span(slots[-1:], slots, torch.zeros(1, len(slots), dtype=torch.bool, device=k.device))
        return attend_spans(attention, q, [(span, held)], self.policy.window)

    def _evict(self, held: Held) -> Held:
        length = held.k.shape[1]
        if length < self.policy.window:
            return held
        victim = self.policy.victim(self.seen - self.policy.window)
        return held.part(0, victim).then(held.part(victim + 1, length))
