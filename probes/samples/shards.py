"""Labelled activations on disk, larger than memory: one memory-mapped array for each site, and a manifest.

A directory holds `L3.resid_post.npy` and the like, `labels.npy`, `groups.npy`, maybe `positions.npy`, and
`manifest.json`, which is written last: a directory without it is half-written and is refused.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from interp.errors import InputError
from interp.results import Provenance, hash_array
from interp.sites import Site
from probes.samples.labels import AnyLabels, Groups, Rows
from probes.samples.row_blocks import blocks_of
from probes.samples.row_digests import RowDigests

FORMAT = "probes-shards-1"
MANIFEST = "manifest.json"
LABELS, GROUPS, POSITIONS = "labels.npy", "groups.npy", "positions.npy"


@dataclass(frozen=True)
class ShardedActivations:
    """Activations with labels and groups on disk; reading a cell maps its file and reads nothing yet."""

    directory: Path
    sites: tuple[Site, ...]
    labels: AnyLabels
    groups: Groups
    dtype: str
    widths: tuple[int, ...]
    """Width of each site's activations."""
    fingerprint: str
    """Hash of every row at every site."""
    provenance: Provenance
    positions: Rows | None = None
    """Position of each sample in its prompt, where it was written."""

    @classmethod
    def open(cls, directory: str | Path) -> "ShardedActivations":
        """Open what a `ShardWriter` wrote.

        Raises:
            InputError: half-written, of another format, or with a file that is missing or not as the manifest says.
        """
        directory = Path(directory)
        try:
            content = json.loads((directory / MANIFEST).read_text())
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']!r} where {FORMAT!r} was expected")
            names = (LABELS, GROUPS, POSITIONS) if content.get("positions") else (LABELS, GROUPS)
            labels, groups, *positions = (np.load(directory / name, allow_pickle=False) for name in names)
            if (found := hash_array(labels, groups, *positions)) != content["labels"]:
                raise ValueError(f"labels and groups have the hash {found}, and {content['labels']} was written")
            opened = cls(
                directory,
                tuple(Site.parse(text) for text in content["sites"]),
                labels,
                groups,
                content["dtype"],
                tuple(content["widths"]),
                content["fingerprint"],
                Provenance(**content["provenance"]),
                *positions,
            )
            for site in opened.sites:
                opened._map(site)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{directory} does not hold finished activations, or they were changed since: {error}. "
                "Write them again, into a new directory."
            ) from error
        return opened

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers of the sites, in ascending order."""
        return tuple(sorted({site.layer for site in self.sites}))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of the sites, in the order they were written in."""
        return tuple(dict.fromkeys(site.kind for site in self.sites))

    def cell(self, layer: int, kind: str) -> Shaped[np.ndarray, "sample d_model"]:
        """Map the activations at one site, read-only: rows are read from disk when they are used.

        Raises:
            InputError: a site that was not written, or a file that is damaged.
        """
        site = Site(layer, kind)
        if site not in self.sites:
            raise InputError(f"{site} was not written. Expected one of {[str(known) for known in self.sites]}.")
        try:
            return self._map(site)
        except (OSError, ValueError) as error:
            raise InputError(f"{site} cannot be read: {error}. Write the activations again.") from error

    def blocks(self, layer: int, kind: str) -> Iterator[tuple[slice, Shaped[np.ndarray, "_ d_model"]]]:
        """Read the activations at one site in blocks of rows, saying which rows."""
        cell = self.cell(layer, kind)
        for part in blocks_of(len(self)):
            yield part, np.array(cell[part])

    def only(self, sites: Sequence[Site]) -> "ShardedActivations":
        """Narrow down to some sites.

        Raises:
            InputError: no site, or one that was not written.
        """
        if not sites or (unknown := [str(site) for site in sites if site not in self.sites]):
            raise InputError(
                f"{unknown if sites else 'No site'} was not written. "
                f"Expected some of {[str(known) for known in self.sites]}."
            )
        widths = dict(zip(self.sites, self.widths, strict=True))
        return replace(self, sites=tuple(sites), widths=tuple(widths[site] for site in sites))

    def verify(self) -> None:
        """Read everything and compare it with the fingerprint it was written under.

        Raises:
            InputError: a value was changed since.
        """
        digests = RowDigests()
        cells = [self._map(site) for site in self.sites]
        for part in blocks_of(len(self)):
            digests.add([cell[part] for cell in cells])
        if (found := digests.fingerprint) != self.fingerprint:
            raise InputError(
                f"The activations in {self.directory} have the fingerprint {found}, and {self.fingerprint} was "
                "written: they were changed since, or this is a part of the sites. Write them again."
            )

    def _map(self, site: Site) -> np.ndarray:
        path = self.directory / file_name(site)
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        expected = (len(self.labels), self.widths[self.sites.index(site)])
        if mapped.shape != expected or mapped.dtype != self.dtype:
            raise ValueError(
                f"{path.name} holds {mapped.dtype} of shape {mapped.shape}, and {self.dtype} of shape {expected} was "
                "written"
            )
        return mapped


def file_name(site: Site) -> str:
    """Name of the file with the activations at a site."""
    return f"{site}.npy".replace(" ", ".")
