"""Captured activations, in memory or in shards on disk."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from interp.errors import InputError, ResultError, SiteError
from interp.files import write_atomically
from interp.results import Provenance
from interp.sites import Site

FORMAT = "interp-activations-1"
MANIFEST = "manifest.json"
"""Written last: a directory without it is an unfinished capture."""


@dataclass(frozen=True)
class ShardedTensors:
    """Activations on disk: reading a site reads that site from every shard, and nothing else."""

    shards: tuple[Path, ...]
    sites: tuple[Site, ...]

    def get(self, site: Site) -> Tensor | None:
        """The whole activation at a site, or None where it was not captured."""
        return torch.cat([self._read(shard, site) for shard in self.shards]) if site in self.sites else None

    @staticmethod
    def _read(shard: Path, site: Site) -> Tensor:
        try:
            with safe_open(shard, framework="pt") as file:
                return file.get_tensor(str(site))
        except (OSError, SafetensorError) as error:
            raise ResultError(f"Shard {shard} cannot be read: {error}. Capture the activations again.") from error

    def __iter__(self) -> Iterator[Site]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)


@dataclass(frozen=True)
class Activations(Mapping):  # no parameters: checking them at run time would read a shard
    """Tensors by site, `[prompt, pos, ...]` or `[prompt, head, dest_pos, src_pos]`; values at padding mean nothing."""

    tensors: dict[Site, Tensor] | ShardedTensors
    mask: Bool[np.ndarray, "prompt pos"]
    """True at real tokens."""
    provenance: Provenance

    def __getitem__(self, site: Site) -> Tensor:
        """The activation at a site; a site with a head or a position gives that part.

        Raises:
            SiteError: the site was not captured.
        """
        whole = self.tensors.get(site.whole)
        if whole is None:
            raise SiteError(f"{site} was not captured. Captured: {[str(known) for known in self.tensors]}.")
        return whole[site.index]

    def __iter__(self) -> Iterator[Site]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def write_shard(directory: Path, number: int, tensors: Mapping[Site, Tensor]) -> Path:
    """Write one batch of activations as a safetensors file.

    Raises:
        ResultError: a value is NaN or infinite.
    """
    for site, tensor in tensors.items():
        if not torch.isfinite(tensor).all() and site.kind != "attn_scores":
            raise ResultError(f"{site} holds NaN or infinity. Capture in a wider dtype, such as float32.")
    content = {str(site): tensor.contiguous().cpu() for site, tensor in tensors.items()}
    return write_atomically(directory / f"{number:06d}.safetensors", lambda part: save_file(content, part))


def write_manifest(
    directory: Path, sites: list[Site], shards: list[Path], mask: Bool[np.ndarray, "prompt pos"], provenance: Provenance
) -> None:
    """Mark a capture as complete."""
    content = {
        "format": FORMAT,
        "sites": [str(site) for site in sites],
        "shards": [shard.name for shard in shards],
        "lengths": mask.sum(1).tolist(),
        "n_pos": mask.shape[1],
        "provenance": asdict(provenance),
    }
    write_atomically(directory / MANIFEST, lambda part: part.write_text(json.dumps(content, indent=1)))


def open_activations(directory: str | Path) -> Activations:
    """Open activations that `capture(..., to=directory)` wrote; nothing is read until a site is asked for.

    Raises:
        InputError: not a finished capture.
    """
    directory = Path(directory)
    try:
        content = json.loads((directory / MANIFEST).read_text())
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}")
        shards = tuple(directory / name for name in content["shards"])
        sites = tuple(Site.parse(text) for text in content["sites"])
        mask = np.arange(content["n_pos"]) < np.array(content["lengths"])[:, None]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{directory} is not a finished capture: {error}. Give a directory that capture wrote."
        ) from error
    return Activations(ShardedTensors(shards, sites), mask, Provenance(**content["provenance"]))
