"""What the commands do. Everything that can be refused is refused before a model is loaded or run."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from interp.attention import head_scores
from interp.errors import InputError
from interp.files import check_output
from interp.metrics import as_metric
from interp.models import ModelEncoder, describe, encode, facts, load_model
from interp.models.compiled import compiled_prompts
from interp.models.zoo import texts
from interp.overview import N_HEAD_CONTROLS, default_prompts, first_look, load_controls
from interp.plots import plot
from interp.prompts import PromptSet, TokenBatch, read_prompts
from interp.report import write_report
from interp.results import Result
from interp.types import Model

RESULT_SUFFIX, FIGURE_SUFFIX = ".safetensors", ".html"
N_COMPILED_PROMPTS = 16


@dataclass(frozen=True)
class Loading:
    """How the command's model is to be loaded."""

    name: str
    dtype: str
    device: str
    seed: int
    allow_remote_code: bool

    def load(self) -> Model:
        """Load the model."""
        progress(f"loading {self.name}")
        return load_model(
            self.name, dtype=self.dtype, device=self.device, seed=self.seed, allow_remote_code=self.allow_remote_code
        )

    def load_controls(self, n: int) -> Iterator[Model]:
        """Load the same architecture with random weights, one model at a time."""
        return load_controls(self.name, n, dtype=self.dtype, device=self.device)

    def default_out(self, command: str, suffix: str) -> Path:
        """A file name in the current directory that says what it holds."""
        plain = "".join(char if char.isalnum() or char in "-." else "-" for char in self.name).strip("-.")
        return Path(f"interp-{command}-{plain}{suffix}")


def progress(what: str) -> None:
    """Tell on stderr what begins now."""
    sys.stderr.write(f"{what} ...\n")
    sys.stderr.flush()


def write_first_look(
    loading: Loading, prompts: Path | None, out: Path | None, metric: str, *, force: bool
) -> dict[str, Any]:
    """Write the report of `interp report`."""
    out = check_output(out or loading.default_out("report", FIGURE_SUFFIX), force=force)
    as_metric(metric)
    model = loading.load()
    asked = choose_prompts(model, loading, prompts)
    control, head_controls = next(loading.load_controls(1)), loading.load_controls(N_HEAD_CONTROLS)
    look = first_look(model, control, head_controls, asked, metric=metric, progress=progress, seed=loading.seed)
    progress("writing the report")
    path = write_report(look.report, out, force=force).resolve()
    kinds = [result.kind for result in look.results]
    return {"report": str(path), "results": kinds, "prompts": len(asked), "text": str(path)}


def describe_model(loading: Loading) -> dict[str, Any]:
    """Answer `interp describe`."""
    model = loading.load()
    described = describe(model)
    sites = json.loads(str(described.to_dataframe().to_json(orient="records")))
    known = {**asdict(facts(model)), **described.facts}
    return {"facts": json.loads(json.dumps(known, default=str)), "sites": sites, "text": _described(known, sites)}


def score_heads(loading: Loading, text: Path | None, out: Path | None, *, force: bool) -> dict[str, Any]:
    """Run `interp heads`."""
    lines = None if text is None else _read_lines(text)

    def work(model: Model) -> Result:
        chosen = lines or [line for rows in texts.read_sentences(texts.N_FIRST_LOOK).values() for line in rows]
        batch = TokenBatch.of([encode(model, line) for line in chosen])
        controls = loading.load_controls(N_HEAD_CONTROLS)
        return head_scores(model, texts=batch, control_models=controls, seed=loading.seed)

    return write_result("heads", loading, out, work, force=force)


def choose_prompts(model: Model, loading: Loading, path: Path | None) -> PromptSet:
    """Read the user's prompts, or take the ones that fit the model."""
    encoder = ModelEncoder(model)
    if path is not None:
        return read_prompts(path, encoder)
    plain = loading.name.removeprefix("random:")
    if plain == "zoo:polyglot":
        return read_prompts(texts.AGREEMENT, encoder)
    if plain.startswith("compiled:"):
        return compiled_prompts(plain, N_COMPILED_PROMPTS, loading.seed)
    return default_prompts(model)


def _read_lines(path: Path) -> list[str]:
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Cannot read the text file {path}: {error}. Expected UTF-8 text, one prompt a line."
        ) from error
    if not lines:
        raise InputError(f"{path} holds no text. Expected one prompt a line.")
    return lines


def write_result(
    command: str, loading: Loading, out: Path | None, work: Callable[[Model], Result], *, force: bool
) -> dict[str, Any]:
    """Run a command's analysis and write its result, and its figure where the result has a control."""
    out = out or loading.default_out(command, RESULT_SUFFIX)
    if out.suffix != RESULT_SUFFIX:
        raise InputError(
            f"{out} ends in {out.suffix!r}. Expected {RESULT_SUFFIX}; the figure gets {FIGURE_SUFFIX} beside it."
        )
    check_output(out, force=force)
    figure = check_output(out.with_suffix(FIGURE_SUFFIX), force=force)
    result = work(loading.load())
    result.save(out)
    written = {"result": str(out.resolve()), "kind": result.kind, "unit": result.unit}
    if not result.has_control:
        progress("no figure: an effect without its control has none")
        return {**written, "figure": None, "text": written["result"]}
    plot(result).write_html(figure, force=force)
    return {**written, "figure": str(figure.resolve()), "text": f"{figure.resolve()}\n{written['result']}"}


def results_directory(out: Path, *, force: bool) -> Path:
    """Say where the results behind a page lie, before anything is run.

    Raises:
        InputError: something lies there already.
    """
    directory = out.with_suffix("")
    if directory.exists() and not (force and directory.is_dir()):
        raise InputError(f"{directory} exists and was kept. Give another path, or --force to replace what is in it.")
    return directory


def _described(known: dict[str, Any], sites: list[dict[str, Any]]) -> str:
    about = Table("fact", "value", title=str(known["name"]))
    for name, value in known.items():
        about.add_row(name, str(value))
    table = Table("site", "exists", "causal", "shape", "note", title="sites (measured)")
    for row in sites:
        marks = ("yes" if row[key] else "no" for key in ("exists", "causal"))
        table.add_row(row["kind"], *marks, row["shape"], row["reason"])
    console = Console(width=110)
    with console.capture() as capture:
        console.print(about, table)
    return capture.get()
