"""Write labelled activations to disk batch by batch, in bounded memory."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.files import write_atomically
from interp.models import provenance
from interp.results import Provenance, hash_array
from interp.run import capture_batches
from interp.sites import SQUARE_HEAD_KINDS, Site
from interp.types import Model
from probes.samples.labels import AnyLabels, Groups, Rows
from probes.samples.row_digests import RowDigests, refuse_twins
from probes.samples.shards import FORMAT, GROUPS, LABELS, MANIFEST, POSITIONS, ShardedActivations, file_name
from probes.tasks.task import ProbeTask
from probes.tasks.wide import wide

DTYPES = ("float16", "float32", "float64")

Batch = Mapping[Site, Float[np.ndarray, "_ _"]]
"""Activations of some samples at every site."""


class ShardWriter:
    """Write labelled activations in memory bounded by one batch, and labels, groups and 16 bytes for each sample.

    The manifest is written when the `with` block ends without an error. Before, the directory counts as half-written,
    and neither is opened nor written to again.

    Args:
        directory: A new or empty directory.
        sites: Where the activations are from: whole sites, all of which each batch must hold.
        made_by: Where the activations come from.
        dtype: What to store: float16, float32 or float64.

    Raises:
        InputError: a directory that is not empty, no sites or parts of sites, or an unknown dtype; when the block ends,
            no samples, one group, or a sample that is the same in two groups.

    Example:
        >>> with ShardWriter("activations", sites, made_by) as writer:
        ...     writer.write({site: X[site] for site in sites}, labels, groups)
        >>> shards = ShardedActivations.open("activations")
    """

    def __init__(
        self, directory: str | Path, sites: Sequence[Site], made_by: Provenance, *, dtype: str = "float32"
    ) -> None:
        if dtype not in DTYPES:
            raise InputError(f"Activations cannot be stored as {dtype!r}. Expected one of {list(DTYPES)}.")
        if not sites or len(set(sites)) < len(sites) or any(site != site.whole for site in sites):
            raise InputError(
                f"Sites {[str(site) for site in sites]} cannot be written. Expected at least one, each whole (no head "
                "or position) and given once."
            )
        self.directory, self.sites, self.made_by, self.dtype = Path(directory), tuple(sites), made_by, dtype
        _refuse_used(self.directory)
        self._open = ExitStack()
        self._files: list[IO[bytes]] = []
        self._widths: list[int] = []
        self._labels: list[np.ndarray] = []
        self._groups: list[np.ndarray] = []
        self._positions: list[np.ndarray] = []
        self._digests = RowDigests()

    def __enter__(self) -> "ShardWriter":
        _refuse_used(self.directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._files = [self._open.enter_context((self.directory / file_name(site)).open("xb")) for site in self.sites]
        return self

    def write(self, X: Batch, labels: AnyLabels, groups: Groups, positions: Rows | None = None) -> None:
        """Append a batch of samples.

        Args:
            X: Activations at every site, one row for each sample.
            labels: Class of each sample, or a number, or a row of them.
            groups: What must not be split between fitting and testing, for each sample.
            positions: Position of each sample in its prompt: with every batch, or with none.

        Raises:
            InputError: another set of sites, lengths or widths that do not fit, labels of another shape than before,
                positions with some batches only, or values that are not finite in the stored dtype.
        """
        if not self._files:
            raise InputError("Nothing is open to write to. Write inside `with ShardWriter(...) as writer:`.")
        cells = self._checked(X, labels, groups)
        self._check_positions(positions, len(labels))
        if not self._widths:
            self._widths = [cell.shape[1] for cell in cells]
            self._write_headers(0)
        for file, cell in zip(self._files, cells, strict=True):
            file.write(cell.data)
        self._digests.add(cells)
        self._labels.append(labels)
        self._groups.append(groups)
        if positions is not None:
            self._positions.append(positions)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._open:
            if kind is None:
                self._finish()
        self._files = []

    def _checked(self, X: Batch, labels: AnyLabels, groups: Groups) -> list[np.ndarray]:
        if set(X) != set(self.sites):
            raise InputError(
                f"A batch holds the sites {sorted(map(str, X))}. Expected {sorted(map(str, self.sites))}, as announced."
            )
        if {len(labels)} != {len(groups), *(len(cell) for cell in X.values())}:
            raise InputError(
                f"{len(labels)} labels and {len(groups)} groups for {sorted({len(cell) for cell in X.values()})} "
                "samples. Give one for each."
            )
        if self._labels and labels.shape[1:] != self._labels[0].shape[1:]:
            raise InputError(f"Labels of shape {labels.shape[1:]} for each sample, {self._labels[0].shape[1:]} before.")
        widths = [X[site].shape[1] for site in self.sites]
        if self._widths and widths != self._widths:
            raise InputError(f"A batch has the widths {widths}. Expected {self._widths}, as in the batches before.")
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused
            cells = [np.ascontiguousarray(X[site], self.dtype) for site in self.sites]
        for site, cell in zip(self.sites, cells, strict=True):
            if bad := int((~np.isfinite(cell)).sum()):
                raise InputError(
                    f"{bad} of {cell.size} activations at {site} are NaN, infinite or too large for {self.dtype}. "
                    "Capture and store in a wider dtype, such as float32."
                )
        return cells

    def _check_positions(self, positions: Rows | None, n_samples: int) -> None:
        if positions is not None and len(positions) != n_samples:
            raise InputError(f"{len(positions)} positions for {n_samples} samples. Give one for each.")
        if self._labels and bool(self._positions) != (positions is not None):
            raise InputError("Some batches have positions and others do not. Give them with every batch, or with none.")

    def _write_headers(self, n_samples: int) -> None:
        # numpy leaves room in a header for the first axis to grow, so that it can be written again in place.
        for file, width in zip(self._files, self._widths, strict=True):
            file.seek(0)
            header = {"descr": np.dtype(self.dtype).str, "fortran_order": False, "shape": (n_samples, width)}
            np.lib.format.write_array_header_1_0(file, header)

    def _finish(self) -> None:
        if not self._labels:
            raise InputError(f"No sample was written to {self.directory}. Expected at least one batch.")
        labels, groups = np.concatenate(self._labels), np.concatenate(self._groups)
        if len(np.unique(groups)) < 2:
            raise InputError("All samples are in one group, so none can be held out. Expected at least 2 groups.")
        refuse_twins(self._digests, groups)
        self._write_headers(len(labels))
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        written = {LABELS: labels, GROUPS: groups}
        if self._positions:
            written[POSITIONS] = np.concatenate(self._positions)
        for name, values in written.items():
            np.save(self.directory / name, values, allow_pickle=False)
        content = {
            "format": FORMAT,
            "sites": [str(site) for site in self.sites],
            "layers": sorted({site.layer for site in self.sites}),
            "kinds": list(dict.fromkeys(site.kind for site in self.sites)),
            "widths": self._widths,
            "n_samples": len(labels),
            "dtype": self.dtype,
            "labels": hash_array(*written.values()),
            "positions": POSITIONS in written,
            "fingerprint": self._digests.fingerprint,
            "provenance": asdict(self.made_by),
        }
        write_atomically(self.directory / MANIFEST, lambda part: part.write_text(json.dumps(content, indent=1)))


def capture_shards(
    model: Model, task: ProbeTask, sites: Sequence[Site], directory: str | Path, *, dtype: str = "float32"
) -> ShardedActivations:
    """Capture the labelled positions of a task straight to disk, holding one batch at a time.

    Heads are laid side by side. The samples stand in the order of their prompts, with their labels and groups.

    Args:
        model: A hooked model.
        task: Labelled positions.
        sites: Where to capture: whole sites with a vector for each position.
        directory: A new or empty directory.
        dtype: What to store.

    Raises:
        InputError: sites without a vector for each position, or anything `ShardWriter` refuses.
        SiteError: a site that the model lacks.
    """
    if square := [str(site) for site in sites if site.kind in SQUARE_HEAD_KINDS]:
        raise InputError(
            f"{square} have no vector for each position. Give residual streams, outputs, heads or neurons."
        )
    made_by = provenance(
        model,
        tokens=[task.batch.tokens, task.batch.mask, task.prompts, task.positions],
        call=f"capture_shards({task.what!r}, {[str(site) for site in sites]})",
    )
    with ShardWriter(directory, sites, made_by, dtype=dtype) as writer:
        for rows, captured in capture_batches(model, task.batch, sites):
            here = np.flatnonzero((task.prompts >= rows.start) & (task.prompts < rows.stop))
            if not len(here):
                continue
            places = task.prompts[here] - rows.start, task.positions[here]
            found = {site: wide(captured[site][places]).cpu().numpy() for site in sites}
            batch = {site: values.reshape(len(here), -1) for site, values in found.items()}
            writer.write(batch, task.labels[here], task.groups[here], task.positions[here])
    return ShardedActivations.open(directory)


def _refuse_used(directory: Path) -> None:
    if (directory / MANIFEST).exists():
        raise InputError(f"{directory} holds finished activations and was left alone. Give a new directory.")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(
            f"{directory} is not an empty directory, perhaps a half-written one, and was left alone. "
            "Give a new directory, or delete it first."
        )
