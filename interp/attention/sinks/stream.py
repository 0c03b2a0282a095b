"""One pass over a corpus: every activation is reduced where it passes, and only small numbers of each prompt stay."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from interp.attention.sinks import residual, vectors
from interp.attention.sinks.patterns import PatternSettings, reduce_pattern
from interp.attention.sinks.token_classes import TokenClasses
from interp.models import describe, facts
from interp.prompts import TokenBatch
from interp.run import observe
from interp.sites import Site
from interp.types import Model

PATTERN_BYTES = 2**24
"""Patterns of one layer and one batch stay below this: nothing larger is alive at a time."""

Numbers = dict[str, Float[np.ndarray, "prompt ..."]]
"""Name to numbers of every prompt, by layer (or layer boundary) and whatever else they have."""


@dataclass(frozen=True)
class Part:
    """The prompts of one forward pass."""

    rows: slice
    batch: TokenBatch


@dataclass(frozen=True)
class Reduction:
    """What becomes of one layer's activations, prompt by prompt, once all of them have passed."""

    sites: tuple[Site, ...]
    reduce: Callable[..., dict[str, Tensor]]
    """From which prompt of the corpus it is, and its activations without padding, to numbers by name."""


def stream(model: Model, batch: TokenBatch, reductions: Sequence[Reduction]) -> Numbers:
    """Run a corpus through a model once, reducing activations as they pass.

    The memory above the model is one batch's forward pass and the numbers returned, whatever the corpus.

    Args:
        model: A hooked model.
        batch: The corpus.
        reductions: What to reduce; those of the same name stand for layers, from first to last.

    Returns:
        Numbers by name, `[prompt, layer, ...]`.
    """
    kept: dict[str, list[np.ndarray]] = defaultdict(list)
    for part in _parts(model, batch):
        found: dict[str, list[list[Tensor]]] = defaultdict(list)
        readers = {site: reader for reduction in reductions for site, reader in _readers(part, reduction, found)}
        observe(model, part.batch, readers)
        for name, layers in found.items():
            stacked = torch.stack([torch.stack(prompts) for prompts in layers], 1)
            kept[name].append(stacked.cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in kept.items()}


def pattern_reductions(model: Model, classes: TokenClasses, settings: PatternSettings) -> list[Reduction]:
    """What is read of every layer's pattern."""

    def reduce(row: int, pattern: Tensor) -> dict[str, Tensor]:
        numbers = torch.from_numpy(classes.numbers[row, : pattern.shape[-1]]).to(pattern.device)
        return reduce_pattern(pattern, numbers, settings)

    return [Reduction((Site(layer, "pattern"),), reduce) for layer in range(facts(model).n_layers)]


def detail_reductions(model: Model, n_pos: int) -> list[Reduction]:
    """What is read of the residual stream, queries, keys, values and neurons; what the model lacks is left out."""
    n_layers, described = facts(model).n_layers, describe(model)
    boundaries = [Site(layer, "resid_pre") for layer in range(n_layers)] + [Site(n_layers - 1, "resid_post")]
    found = [Reduction((site,), lambda _, rows: residual.reduce_residual(rows, n_pos)) for site in boundaries]
    found += [_values(model, layer) for layer in range(n_layers)]
    if (turns := vectors.turns(model)) is not None:
        found += [_queries_and_keys(layer, *turn) for layer, turn in enumerate(turns)]
    if described.row("post").exists:
        found += [_neurons(model, layer) for layer in range(n_layers)]
    return found


def _values(model: Model, layer: int) -> Reduction:
    written = vectors.written_gram(model, layer)
    return Reduction((Site(layer, "v"),), lambda _, v: vectors.reduce_values(v, written))


def _queries_and_keys(layer: int, turn_q: vectors.Turn, turn_k: vectors.Turn) -> Reduction:
    def reduce(_: int, q: Tensor, k: Tensor) -> dict[str, Tensor]:
        return vectors.reduce_queries_and_keys(turn_q(q), turn_k(k))

    return Reduction((Site(layer, "q"), Site(layer, "k")), reduce)


def _neurons(model: Model, layer: int) -> Reduction:
    norms = vectors.out_norms(model, layer)
    return Reduction((Site(layer, "post"),), lambda _, post: vectors.reduce_neurons(post, norms))


def _readers(
    part: Part, reduction: Reduction, found: dict[str, list[list[Tensor]]]
) -> Iterator[tuple[Site, Callable[[Tensor], None]]]:
    """Readers of one reduction's sites: the last of them to be called reduces what all have seen."""
    seen: dict[Site, Tensor] = {}

    def reading(site: Site) -> Callable[[Tensor], None]:
        def read(activation: Tensor) -> None:
            seen[site] = activation
            if len(seen) == len(reduction.sites):
                held = [seen.pop(other) for other in reduction.sites]
                for name, values in _reduce(part, reduction, held).items():
                    found[name].append(values)

        return read

    return ((site, reading(site)) for site in reduction.sites)


def _reduce(part: Part, reduction: Reduction, held: list[Tensor]) -> dict[str, list[Tensor]]:
    numbers: dict[str, list[Tensor]] = defaultdict(list)
    for place, length in enumerate(part.batch.lengths.tolist()):
        square = reduction.sites[0].kind == "pattern"
        cut = [rows[place, :, :length, :length] if square else rows[place, :length] for rows in held]
        for name, value in reduction.reduce(part.rows.start + place, *cut).items():
            numbers[name].append(value)
    return numbers


def rows_at_once(model: Model, batch: TokenBatch) -> int:
    """Sequences of one forward pass, so that one layer's patterns stay below `PATTERN_BYTES`."""
    one = 4 * facts(model).n_heads * batch.tokens.shape[1] ** 2
    return max(1, min(32, PATTERN_BYTES // one))


def _parts(model: Model, batch: TokenBatch) -> Iterator[Part]:
    rows = rows_at_once(model, batch)
    starts = range(0, len(batch), rows)
    hidden = len(starts) < 2
    with tqdm(total=len(starts), desc="sinks", unit="batch", leave=False, delay=2, disable=hidden) as bar:
        for start in starts:
            chosen = batch[start : start + rows]
            longest = int(chosen.lengths.max())
            yield Part(slice(start, start + rows), TokenBatch(chosen.tokens[:, :longest], chosen.mask[:, :longest]))
            bar.update()
