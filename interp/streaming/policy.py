"""Which keys a query sees in a cache of fixed size, and where each of them stands in it.

The cache of `window` keys holds a few kept ones and the most recent others, the query's own key among them. Until it is
full every token sees all before it. From then on the oldest key that is not kept goes whenever one comes. A key's slot
is its place in the cache, and its position is its slot: the model always sees a text of `window` tokens.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Int
from torch import Tensor

Queries = Int[Tensor, " query"]
Keys = Int[Tensor, " key"]
"""Positions in the stream."""


@dataclass(frozen=True)
class Policy:
    """What is kept in the cache.

    Attention to a kept key is attention over `slot of the query - slot of the key` positions; to any other key it is
    attention over as many positions as lie between them in the text, because both have moved up equally often.

    Source: Xiao et al. 2023 (arXiv:2309.17453), sec. 3.2. Their code lets a query see one key more than the cache
    holds, its own; here its own key counts.
    """

    window: int
    """Keys that a query sees, its own included."""
    kept: range = range(0)
    """Positions in the stream whose keys are never evicted; they must have come before the cache is full."""

    def evicted(self, queries: Queries) -> Queries:
        """How many keys have gone when each query is computed."""
        return (queries + 1 - self.window).clamp(min=0)

    def slots(self, queries: Queries) -> Queries:
        """Place in the cache of each query's own key, the last: what its position is."""
        return queries.clamp(max=self.window - 1)

    def victim(self, n_evicted: int) -> int:
        """Slot of the next key to go, after so many have gone."""
        return 0 if n_evicted < self.kept.start else len(self.kept)

    def from_kept(self, queries: Queries) -> Queries:
        """Position of each query, counted from the first kept key; below 0 where that has not come yet.

        Counted so, the kept keys have the positions 0, 1, 2, ... from beginning to end.
        """
        gone_between = (self.evicted(queries) - self.kept.start).clamp(min=0)
        return queries - gone_between - self.kept.start

    def hides(self, queries: Queries, keys: Keys) -> Bool[Tensor, "query key"]:
        """Which keys that are not kept a query does not see; the kept ones are all marked."""
        behind = keys >= self.kept.stop
        kept = (keys >= self.kept.start) & ~behind
        place = keys - behind.long() * len(self.kept)
        gone = place[None] < self.evicted(queries)[:, None]
        return gone | kept[None] | (keys[None] > queries[:, None])

    def mask(self, queries: Queries, keys: Keys) -> Bool[Tensor, "query key"]:
        """Which keys a query does not see, kept ones and others alike, where keys stand in one row."""
        kept = (keys >= self.kept.start) & (keys < self.kept.stop)
        return self.hides(queries, keys) & ~(kept[None] & (keys[None] <= queries[:, None]))
