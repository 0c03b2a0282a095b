"""One answer: named arrays over named dimensions, with everything needed to read and to doubt it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from interp.errors import ResultError
from interp.files import write_atomically
from interp.results.provenance import Provenance

CONTROL = "control"
"""Variables whose name begins so hold the control that stands beside the effect."""
RAN = "ran"
"""Boolean variable: False marks cells that were not run. They are NaN in the other variables, never zero."""
FORMAT = "interp-result-1"


@dataclass(frozen=True)
class Result:
    """Labelled arrays with unit, sign, baselines, control and provenance.

    Raises:
        ResultError: a variable holds NaN or infinity in a cell that was run, or has a dimension without coordinates.
    """

    kind: str
    """Which analysis made it, e.g. `patch_sweep`; decides the figure."""
    data: xr.Dataset
    """The variables; every dimension has coordinates."""
    unit: str
    """Unit of the main variable, e.g. `logit difference (nats)`."""
    sign: str
    """What a positive number means, as a sentence."""
    method: str
    """How the numbers were made and what they are not evidence of."""
    provenance: Provenance
    baselines: dict[str, float] = field(default_factory=dict)
    """Reference numbers, e.g. the metric of the clean and of the corrupted run."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Further facts a figure needs that are not arrays: tokens per prompt, what the control is."""

    def __post_init__(self) -> None:
        for name, array in self.data.data_vars.items():
            if bare := [dim for dim in array.dims if dim not in self.data.coords]:
                raise ResultError(f"Variable {name!r} has dimensions {bare} without coordinates. Give each its labels.")
            self._check_finite(str(name), array)

    def _check_finite(self, name: str, array: xr.DataArray) -> None:
        if array.dtype.kind != "f":
            return
        bad = ~np.isfinite(array)
        if RAN in self.data and set(self.data[RAN].dims) <= set(array.dims):
            bad = bad & self.data[RAN]
        if count := int(bad.sum()):
            raise ResultError(
                f"{count} of {array.size} values of {name!r} are NaN or infinite. Expected finite numbers: "
                "look for overflow in a low-precision dtype, or mark cells that were not run."
            )

    @property
    def has_control(self) -> bool:
        """Whether the effect stands beside a control."""
        return any(str(name).startswith(CONTROL) for name in self.data.data_vars)

    def to_dataframe(self, of: str | None = None) -> pd.DataFrame:
        """Return one row per cell of a variable: coordinates first, then every variable that its cells decide.

        Args:
            of: The variable; by default the first one, which is the answer. `patch_sweep(...).to_dataframe("values")`
                has one row for each prompt and cell.

        Raises:
            ResultError: no variable of that name.
        """
        names = [str(name) for name in self.data.data_vars]
        if of is not None and of not in names:
            raise ResultError(f"There is no variable {of!r}. Expected one of {names}.")
        wide = self.data[of or names[0]].dims
        kept = [name for name in names if set(self.data[name].dims) <= set(wide)]
        return self.data[kept].to_dataframe(dim_order=wide).reset_index()

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file: arrays as tensors, labels and words in its header. Never pickle."""
        arrays, labels, names = {}, {}, {**self.data.data_vars, **self.data.coords}
        for name, array in names.items():
            values = array.values
            if values.dtype.kind in "OUT":
                labels[str(name)] = values.tolist()
            else:
                arrays[str(name)] = np.asarray(values, order="C")  # ascontiguousarray would give a number a dimension
        header = {
            "format": FORMAT,
            "dims": {str(name): [str(dim) for dim in array.dims] for name, array in names.items()},
            "coords": [str(name) for name in self.data.coords],
            "labels": labels,
            "provenance": asdict(self.provenance),
            **{key: getattr(self, key) for key in ("kind", "unit", "sign", "method", "baselines", "notes")},
        }
        metadata = {"interp": json.dumps(header, ensure_ascii=False)}
        return write_atomically(Path(path), lambda part: save_file(arrays, part, metadata))

    @classmethod
    def load(cls, path: str | Path) -> "Result":
        """Read what `save` wrote.

        Raises:
            ResultError: the file is missing, damaged or not a result.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                header = json.loads((file.metadata() or {})["interp"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ResultError(
                f"{path} cannot be read as a result: {error}. Expected a file that Result.save wrote."
            ) from error
        if header["format"] != FORMAT:
            raise ResultError(f"{path} has format {header['format']!r}; this version reads {FORMAT!r}.")
        values = arrays | {name: np.array(items, dtype=object) for name, items in header["labels"].items()}
        # In the order they were saved in: the first variable is the answer.
        variables = {name: (dims, values[name]) for name, dims in header["dims"].items()}
        coords = {name: variables.pop(name) for name in header["coords"]}
        words = {key: header[key] for key in ("kind", "unit", "sign", "method", "baselines", "notes")}
        return cls(data=xr.Dataset(variables, coords), provenance=Provenance(**header["provenance"]), **words)
