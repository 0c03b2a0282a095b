import html
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import Browser

from tests.interp.plots.browser import launch, opened

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))
FIRST_LOOK = ROOT / "notebooks" / "01_first_look.py"
SINKS = ROOT / "notebooks" / "02_attention_sinks.py"
SWITCHING = ROOT / "notebooks" / "03_code_switching.py"
PROBES = ROOT / "notebooks" / "04_probes.py"
N_FIGURES, N_PLOTLY = 5, 4
N_SINK_FIGURES, N_SWITCHING_FIGURES, N_PROBE_FIGURES = 5, 8, 7
MOST_LINES = 15
WATCH = """
import os, sys

def refuse_network(event, args):
    if event not in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        return
    host = args[0] if event != "socket.connect" else args[1][0] if isinstance(args[1], tuple) else "localhost"
    if host not in (None, "", "localhost", "127.0.0.1", "::1"):
        with open(os.environ["ASKED_NETWORK"], "a") as log:
            log.write(f"{event} {args}\\n")
        raise OSError("there is no network here")

sys.addaudithook(refuse_network)
"""


@dataclass(frozen=True)
class Executed:
    """A notebook after its run, and the directory it ran in."""

    notebook: Any
    directory: Path
    asked_network: Path

    @property
    def outputs(self) -> list[Any]:
        return [output for cell in self.notebook.cells for output in cell.get("outputs", [])]

    @property
    def shown(self) -> list[dict[str, Any]]:
        return [output.data for output in self.outputs if output.output_type in ("display_data", "execute_result")]

    @property
    def figures(self) -> list[dict[str, Any]]:
        return [data for data in self.shown if "interp-figure" in data.get("text/html", "")]


def _offline_kernel(root: Path, patch: pytest.MonkeyPatch) -> str:
    """A kernel of this very interpreter that reaches no host but its own, without installing anything."""
    name = "this-interpreter"
    spec = root / "jupyter" / "kernels" / name
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": command, "display_name": name, "language": "python"}))
    (root / "sitecustomize.py").write_text(WATCH)
    patch.setenv("JUPYTER_PATH", str(root / "jupyter"))
    patch.setenv("JUPYTER_RUNTIME_DIR", str(root / "runtime"))
    patch.setenv("IPYTHONDIR", str(root / "ipython"))
    patch.setenv("PYTHONPATH", os.pathsep.join([str(root), str(ROOT)]))
    patch.setenv("ASKED_NETWORK", str(root / "asked"))
    for switch in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        patch.delenv(switch, raising=False)
    return name


@pytest.fixture(scope="module")
def offline_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    root = tmp_path_factory.mktemp("kernel")
    with pytest.MonkeyPatch.context() as patch:
        yield _offline_kernel(root, patch), root


@pytest.fixture(scope="module")
def executed(offline_kernel: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Executed:
    return _execute(FIRST_LOOK, offline_kernel, tmp_path_factory.mktemp("notebook"))


def _execute(source: Path, kernel: tuple[str, Path], directory: Path) -> Executed:
    name, root = kernel
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name=name, resources={"metadata": {"path": str(directory)}}).execute()
    return Executed(notebook, directory, root / "asked")


@pytest.fixture(scope="module")
def sinks(offline_kernel: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Executed:
    return _execute(SINKS, offline_kernel, tmp_path_factory.mktemp("sinks"))


@pytest.fixture(scope="module")
def switching(offline_kernel: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Executed:
    return _execute(SWITCHING, offline_kernel, tmp_path_factory.mktemp("switching"))


@pytest.fixture(scope="module")
def probing(offline_kernel: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Executed:
    return _execute(PROBES, offline_kernel, tmp_path_factory.mktemp("probing"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launch()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_notebook_is_its_script_without_outputs(source: Path) -> None:
    made = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    script = jupytext.read(source)
    assert [(cell.cell_type, cell.source) for cell in made.cells] == [
        (cell.cell_type, cell.source) for cell in script.cells
    ], f"make it again: jupytext --update --to ipynb {source.relative_to(ROOT)}"
    assert made.metadata.kernelspec.name == "python3"
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert source.with_suffix(".ipynb").stat().st_size < 40_000


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_cells_are_short_and_go_through_the_front_doors(source: Path) -> None:
    code = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    assert max(len([line for line in cell.splitlines() if line.strip()]) for cell in code) < MOST_LINES
    lines = [line for cell in code for line in cell.splitlines()]
    assert not [line for line in lines if line.startswith(("from interp.", "import interp.", "from probes."))]


def test_the_kernel_has_no_network(offline_kernel: tuple[str, Path]) -> None:
    name, root = offline_kernel
    asking = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import socket\nsocket.getaddrinfo('a.b', 1)")])
    NotebookClient(asking, timeout=60, kernel_name=name, allow_errors=True).execute()
    assert asking.cells[0].outputs[0].evalue == "there is no network here"
    (root / "asked").unlink()


def test_every_cell_runs_without_a_warning(executed: Executed) -> None:
    assert [output.evalue for output in executed.outputs if output.output_type == "error"] == []
    said = "".join(output.text for output in executed.outputs if output.get("name") == "stderr")
    assert said == ""


def test_nothing_asks_for_the_network(executed: Executed) -> None:
    assert not executed.asked_network.exists(), executed.asked_network.read_text()


def test_every_figure_has_a_page_a_picture_and_words(executed: Executed) -> None:
    assert len(executed.figures) == N_FIGURES
    for data in executed.figures:
        assert data["image/png"].startswith("iVBOR")
        assert data["text/plain"]
    assert sum('class="interp-bundle"' in data["text/html"] for data in executed.figures) == 1
    assert len(json.dumps(executed.notebook)) < 3_000_000


def test_the_story_holds(executed: Executed) -> None:
    """What the words say of the table: the chosen heads are needed, other heads and a placebo matter less."""
    table = next(data["text/plain"] for data in executed.shown if "two other heads ablated" in data["text/plain"])
    gaps = {line.rsplit(maxsplit=3)[0]: [float(n) for n in line.split()[-3:]] for line in table.splitlines()[1:]}
    plain, ablated = gaps["nothing changed"][0], gaps["the two strongest heads ablated"][0]
    assert plain > 1
    assert ablated < plain / 2
    assert ablated < min(gaps["two other heads ablated"][1], gaps["placebo in the two strongest"][1])


@pytest.mark.browser
def test_its_outputs_draw_in_a_browser_without_a_network(executed: Executed, browser: Browser, tmp_path: Path) -> None:
    cells = [data.get("text/html") or f"<pre>{html.escape(data['text/plain'])}</pre>" for data in executed.shown]
    outputs = "".join(f"<div class='output'>{cell}</div>" for cell in cells)
    page = tmp_path / "notebook.html"
    page.write_text(f"<!DOCTYPE html><html><head><meta charset='utf-8'></head><body>{outputs}</body></html>")
    with opened(browser, page) as watched:
        watched.draw_all()
        assert watched.page.locator(".interp-figure[data-drawn]").count() == N_FIGURES
        assert watched.page.locator(".interp-plot .main-svg:first-child").count() == N_PLOTLY
        assert watched.page.locator(".interp-attention canvas").count() >= 2
        assert watched.page.locator(".interp-fallback").count() == 0
        watched.check_calm()


@pytest.mark.browser
def test_the_report_it_writes_draws_in_a_browser(executed: Executed, browser: Browser) -> None:
    with opened(browser, executed.directory / "first-look.html") as watched:
        watched.draw_all()
        assert watched.page.locator(".interp-figure[data-drawn]").count() == N_FIGURES
        watched.check_calm()


@pytest.mark.slow
def test_what_the_notebook_on_sinks_says_holds(sinks: Executed) -> None:
    """Masking the first key costs more than its control, and so does zeroing its value alone."""
    assert [output.evalue for output in sinks.outputs if output.output_type == "error"] == []
    assert not sinks.asked_network.exists()
    assert len(sinks.figures) == N_SINK_FIGURES
    table = next(data["text/plain"] for data in sinks.shown if "above_control" in data["text/plain"])
    rows = [line.split() for line in table.splitlines()[2:]]
    above = {row[0]: float(row[3]) for row in rows}
    assert above["mask_key"] > 0.5
    assert above["zero_value"] > above["mask_key"] / 2
    assert max(above["mask_key_equal_mass"], above["zero_value_equal_mass"]) < above["mask_key"] / 10


@pytest.mark.slow
def test_what_the_notebook_on_switching_says_holds(switching: Executed) -> None:
    """Every language's neurons hurt it most; some neurons follow switches, and whether they cause any is told."""
    assert [output.evalue for output in switching.outputs if output.output_type == "error"] == []
    assert not switching.asked_network.exists()
    assert len(switching.figures) == N_SWITCHING_FIGURES
    table = next(data["text/plain"] for data in switching.shown if "own_minus_others_low" in data["text/plain"])
    rows = [line.split() for line in table.splitlines()[2:]]
    assert len(rows) == 4
    assert all(float(low) > 0 for _, _, low, _, _ in rows)
    n_found, earned = next(
        data["text/plain"].strip("()").split(", ") for data in switching.shown if data["text/plain"].startswith("(")
    )
    assert int(n_found) > 20
    assert earned in ("True", "False"), "which of them is close to call in this model, as the notebook says"


@pytest.mark.slow
def test_what_the_notebook_on_probes_says_holds(probing: Executed) -> None:
    """Erasing the language moves what the model says more than random erasures do, and its label undoes that."""
    assert [output.evalue for output in probing.outputs if output.output_type == "error"] == []
    assert not probing.asked_network.exists()
    assert len(probing.figures) == N_PROBE_FIGURES
    table = next(data["text/plain"] for data in probing.shown if "above_control" in data["text/plain"])
    rows = [line.split()[2:] for line in table.splitlines()[2:]]
    assert len(rows) == 3
    for effect, control, above, reinjected, p in (map(float, row) for row in rows):
        assert above > 0.1 > 4 * control
        assert reinjected < effect / 3
        assert p < 0.01


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize(
    ("notebook", "n_figures"),
    [("sinks", N_SINK_FIGURES), ("switching", N_SWITCHING_FIGURES), ("probing", N_PROBE_FIGURES)],
)
def test_its_figures_draw_in_a_browser(
    notebook: str, n_figures: int, request: pytest.FixtureRequest, browser: Browser, tmp_path: Path
) -> None:
    executed: Executed = request.getfixturevalue(notebook)
    page = tmp_path / "notebook.html"
    outputs = "".join(data["text/html"] for data in executed.figures)
    page.write_text(f"<!DOCTYPE html><html><head><meta charset='utf-8'></head><body>{outputs}</body></html>")
    with opened(browser, page) as watched:
        watched.draw_all()
        assert watched.page.locator(".interp-figure[data-drawn]").count() == n_figures
        watched.check_calm()
