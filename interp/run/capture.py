"""Capture activations: estimate first, stop at the last layer needed, keep only what was asked for."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.models import provenance
from interp.prompts import TokenBatch
from interp.results import Provenance
from interp.run.activations import Activations, open_activations, write_manifest, write_shard
from interp.run.observe import check_capture, observe
from interp.sites import Site
from interp.types import Model

TRANSIENT_BYTES = 64 * 2**20
"""Activations of one batch stay below this, so that the peak is what was asked for and little more."""
SHARE_OF_FREE_MEMORY = 0.8
MOST_ROWS = 32


def capture_batches(
    model: Model, batch: TokenBatch, sites: Sequence[Site], *, rows_per_batch: int | None = None
) -> Iterator[tuple[slice, dict[Site, Tensor]]]:
    """Capture batch by batch, in bounded memory.

    Args:
        model: A hooked model.
        batch: The prompts.
        sites: What to capture; a head or a position in a site is ignored, the whole activation comes.
        rows_per_batch: Prompts per forward pass; by default as many as keep one batch small.

    Yields:
        Which prompts, and their activations by site. Copies: editing them changes nothing else.

    Raises:
        SiteError: a site the model lacks.
    """
    wholes = check_capture(model, sites)
    rows = rows_per_batch or _rows_per_batch(estimate_bytes(model, batch, wholes) // len(batch))
    starts = range(0, len(batch), rows)
    hidden = len(starts) < 2
    with tqdm(total=len(starts), desc="capture", unit="batch", leave=False, delay=2, disable=hidden) as bar:
        for start in starts:
            part = slice(start, start + rows)
            yield part, _capture_once(model, batch[part], wholes)
            bar.update()


def capture(
    model: Model,
    batch: TokenBatch,
    sites: Sequence[Site],
    *,
    rows_per_batch: int | None = None,
    max_bytes: int | None = None,
    to: str | Path | None = None,
) -> Activations:
    """Run the model and keep the activations at some sites.

    The model runs only until the last site is reached. The memory needed is measured on one prompt first.

    Args:
        model: A hooked model.
        batch: The prompts.
        sites: What to capture; a head or a position in a site is ignored, the whole activation comes.
        rows_per_batch: Prompts per forward pass; by default as many as keep one batch small.
        max_bytes: Refuse to hold more than this; by default 80 % of the free memory. Not applied with `to`.
        to: Directory for safetensors shards instead of memory.

    Returns:
        Activations by site.

    Raises:
        SiteError: a site the model lacks.
        InputError: too large for memory, or `to` exists and is not empty.
    """
    made_by = provenance(model, tokens=[batch.tokens, batch.mask], call=f"capture({[str(site) for site in sites]})")
    batches = capture_batches(model, batch, sites, rows_per_batch=rows_per_batch)
    if to is not None:
        return _to_disk(batches, batch, Path(to), made_by)
    _refuse_too_large(estimate_bytes(model, batch, sites), max_bytes)
    tensors: dict[Site, Tensor] = {}
    for rows, captured in batches:
        for site, part in captured.items():
            if site not in tensors:
                tensors[site] = part.new_empty((len(batch), *part.shape[1:]))
            tensors[site][rows] = part
    return Activations(tensors, batch.mask, made_by)


def estimate_bytes(model: Model, batch: TokenBatch, sites: Sequence[Site]) -> int:
    """Bytes that capturing `sites` on all prompts takes, measured on one prompt of full length."""
    longest = int(batch.lengths.argmax())
    one = _capture_once(model, batch[longest : longest + 1], check_capture(model, sites))
    return len(batch) * sum(tensor.numel() * tensor.element_size() for tensor in one.values())


def _capture_once(model: Model, batch: TokenBatch, sites: Sequence[Site]) -> dict[Site, Tensor]:
    kept: dict[Site, Tensor] = {}

    def keep_at(site: Site) -> Callable[[Tensor], None]:
        def keep(activation: Tensor) -> None:
            kept[site] = activation.clone()

        return keep

    observe(model, batch, {site: keep_at(site) for site in sites})
    return {site: kept[site] for site in sites}


def _rows_per_batch(bytes_per_row: int) -> int:
    return int(min(max(1, TRANSIENT_BYTES // max(1, bytes_per_row)), MOST_ROWS))


def _refuse_too_large(needed: int, max_bytes: int | None) -> None:
    allowed = max_bytes if max_bytes is not None else int(SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available)
    if needed > allowed:
        raise InputError(
            f"The activations need {needed / 2**20:,.0f} MiB and {allowed / 2**20:,.0f} MiB are allowed. "
            "Capture fewer sites or prompts, or give to=DIRECTORY to write them to disk."
        )


def _to_disk(
    batches: Iterator[tuple[slice, dict[Site, Tensor]]], batch: TokenBatch, directory: Path, made_by: Provenance
) -> Activations:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(f"{directory} is not an empty directory and was left alone. Give a new one.")
    directory.mkdir(parents=True, exist_ok=True)
    shards, sites = [], []
    for _, captured in batches:
        shards.append(write_shard(directory, len(shards), captured))
        sites = list(captured)
    write_manifest(directory, sites, shards, batch.mask, made_by)
    return open_activations(directory)
