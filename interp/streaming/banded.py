"""Streaming by a mask: a block of tokens in one pass, with queries moved up where the keys they look at have been.

A key keeps its place in the text and the query is moved instead, so that the distance between them is that of their
slots in the cache. Only kept keys need it. Between blocks nothing is held but the kept keys and the last `window - 1`.
"""

import torch
from jaxtyping import Int
from torch import Tensor

from interp.models.decoder import Attention, Decoder
from interp.streaming.attention import Heads, Held, KeyHeads, Rows, Span, advance_layers, attend_spans
from interp.streaming.policy import Policy


class BandedStream:
    """Streams side by side, advanced by blocks of any size up to `block`; the numbers do not depend on the sizes."""

    def __init__(self, decoder: Decoder, policy: Policy, *, block: int):
        self.decoder, self.policy = decoder, policy
        self.seen = 0
        """Tokens so far."""
        # Positions within a block and what it looks back on: more never stand in one softmax.
        self._n_rotated = decoder.n_positions or policy.window - 1 + block
        self.recent: list[Held] = []
        self.kept: list[Held] = []
        self._spans: tuple[Span, Span]

    @torch.no_grad()
    def advance(self, tokens: Int[Tensor, "stream pos"]) -> Rows:
        """Read the next tokens and give their rows of the residual stream after the last block."""
        queries = torch.arange(self.seen, self.seen + tokens.shape[1], device=tokens.device)
        self._spans = self._recent_span(queries), self._kept_span(queries)
        rows = advance_layers(self.decoder, self.decoder.embed(tokens, self.policy.slots(queries)), self._attend)
        self.seen += tokens.shape[1]
        return rows

    @property
    def _first_recent(self) -> int:
        return max(0, self.seen - self.policy.window + 1)

    def _recent_span(self, queries: Tensor) -> Span:
        first = self._first_recent
        keys = torch.arange(first, int(queries[-1]) + 1, device=queries.device)
        return Span(queries - first, keys - first, self.policy.hides(queries, keys))

    def _kept_span(self, queries: Tensor) -> Span:
        kept = self.policy.kept
        n_come = min(max(int(queries[-1]) + 1 - kept.start, 0), len(kept))
        keys = torch.arange(n_come, device=queries.device)
        placed = self.policy.from_kept(queries)
        return Span(placed.clamp(min=0), keys, keys[None] > placed[:, None])

    def _attend(self, layer: int, attention: Attention, q: Heads, k: KeyHeads, v: KeyHeads) -> Heads:
        if layer == len(self.recent):
            self.recent.append(Held.nothing(k))
            self.kept.append(Held.nothing(k))
        new, kept = Held(k, v), self.policy.kept
        start, stop = (min(max(place - self.seen, 0), k.shape[1]) for place in (kept.start, kept.stop))
        self.kept[layer] = self.kept[layer].then(new.part(start, stop))
        both = self.recent[layer].then(new)
        held = [(self._spans[0], both), (self._spans[1], self.kept[layer])]
        z = attend_spans(attention, q, held[: 1 + bool(len(kept))], self._n_rotated)
        length = both.k.shape[1]
        self.recent[layer] = both.part(max(0, length - self.policy.window + 1), length)
        return z
