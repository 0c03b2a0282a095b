"""The commands and their arguments. Their work is in `interp.cli.work`, imported only when a command runs."""

from pathlib import Path
from typing import Annotated

import typer

from interp.cli import zoo
from interp.cli.options import (
    Aligned,
    Bins,
    Columns,
    Corpora,
    Device,
    Direction,
    Dtype,
    Engine,
    Force,
    IgSteps,
    Json,
    Kinds,
    LabelColumn,
    Labels,
    LanguageCorpora,
    Method,
    MetricName,
    ModelName,
    Out,
    Precision,
    Prompts,
    RemoteCode,
    Seed,
    Tagged,
    TaskFile,
    Window,
)
from interp.cli.running import Output, running

app = typer.Typer(
    name="interp",
    help="Find out where in a transformer a behaviour lives: patching, attention and probes, each beside its control.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(zoo.app, name="zoo")


@app.command()
def report(
    model: ModelName = "zoo:polyglot",
    prompts: Prompts = None,
    out: Out = None,
    metric: MetricName = "logit_diff",
    dtype: Precision = Dtype.float32,
    device: Device = "cpu",
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
    allow_remote_code: RemoteCode = False,
) -> None:
    """A first look: facts, attention, patching and a probe, as one offline HTML file."""
    with running("report", as_json=json) as output:
        from interp.cli import work

        loading = work.Loading(model, dtype.value, device, seed, allow_remote_code)
        output.say(work.write_first_look(loading, prompts, out, metric, force=force))


@app.command()
def describe(
    model: ModelName = "zoo:polyglot",
    dtype: Precision = Dtype.float32,
    device: Device = "cpu",
    json: Json = False,
    allow_remote_code: RemoteCode = False,
) -> None:
    """What a model is, and which of its activations can be read and edited (measured)."""
    with running("describe", as_json=json) as output:
        from interp.cli import work

        output.say(work.describe_model(work.Loading(model, dtype.value, device, 0, allow_remote_code)))


@app.command()
def sweep(
    model: ModelName = "zoo:polyglot",
    prompts: Prompts = None,
    site: Annotated[str, typer.Option(help="Kind of site: resid_pre, attn_out, mlp_out, z, ...")] = "resid_pre",
    by: Annotated[
        Columns, typer.Option(help="Columns: positions, words, heads, or each head at each position.")
    ] = Columns.pos,
    metric: MetricName = "logit_diff",
    direction: Annotated[
        Direction, typer.Option(help="denoising: clean into corrupted; noising: the reverse.")
    ] = Direction.denoising,
    engine: Annotated[
        Engine, typer.Option(help="exact: only what a patch can change is computed; hooks: full forward passes.")
    ] = Engine.auto,
    method: Annotated[
        Method, typer.Option(help="exact: patch every cell; atp and atp*: estimate all of them from a gradient.")
    ] = Method.exact,
    ig_steps: IgSteps = 0,
    no_control: Annotated[
        bool, typer.Option("--no-control", help="Leave out the placebos: half the time, and no figure.")
    ] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say cells, seconds and memory; run and write nothing.")
    ] = False,
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="Refuse a sweep that needs more beside the model, such as 2GB; keeping to it takes a fifth more time.",
            show_default=False,
        ),
    ] = None,
    out: Out = None,
    dtype: Precision = Dtype.float32,
    device: Device = "cpu",
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
    allow_remote_code: RemoteCode = False,
) -> None:
    """Patch every layer and column; writes the result and its figure."""
    with running("sweep", as_json=json) as output:
        from interp.cli import sweeping, work

        loading = work.Loading(model, dtype.value, device, seed, allow_remote_code)
        settings = sweeping.Sweep(
            site, by.name, metric, direction.value, engine.value, method.value, ig_steps, control=not no_control
        )
        output.say(
            sweeping.estimate(loading, prompts, settings, max_memory)
            if estimate
            else sweeping.sweep(loading, prompts, out, settings, sweeping.Limits(max_memory, force))
        )


@app.command()
def heads(
    model: ModelName = "zoo:polyglot",
    text: Annotated[Path | None, typer.Option(help="Text file, one prompt a line.", show_default=False)] = None,
    out: Out = None,
    dtype: Precision = Dtype.float32,
    device: Device = "cpu",
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
    allow_remote_code: RemoteCode = False,
) -> None:
    """Score every head as previous-token, duplicate-token, induction and first-token head."""
    with running("heads", as_json=json) as output:
        from interp.cli import work

        loading = work.Loading(model, dtype.value, device, seed, allow_remote_code)
        output.say(work.score_heads(loading, text, out, force=force))


@app.command()
def sinks(
    model: ModelName = "zoo:polyglot",
    corpus: Corpora = None,
    window: Window = None,
    out: Out = None,
    dtype: Precision = Dtype.float32,
    device: Device = "cpu",
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
    allow_remote_code: RemoteCode = False,
) -> None:
    """Count attention sinks, test what they do, stream past them; writes a report and its results."""
    with running("sinks", as_json=json) as output:
        from interp.cli import sinks as room
        from interp.cli import work

        loading = work.Loading(model, dtype.value, device, seed, allow_remote_code)
        output.say(room.sinks(loading, corpus or [], window, out, force=force))


@app.command()
def neurons(
    model: ModelName = "zoo:polyglot",
    corpus: LanguageCorpora = None,
    tagged: Tagged = None,
    aligned: Aligned = False,
    out: Out = None,
    dtype: Precision = Dtype.float32,
    device: Device = "cpu",
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
    allow_remote_code: RemoteCode = False,
) -> None:
    """Find language neurons and code-switching neurons, test what they do; writes a report and its results."""
    with running("neurons", as_json=json) as output:
        from interp.cli import neurons as room
        from interp.cli import work

        loading = work.Loading(model, dtype.value, device, seed, allow_remote_code)
        output.say(room.neurons(loading, corpus or [], tagged, out, aligned=aligned, force=force))


@app.command()
def probe(
    model: ModelName = "zoo:polyglot",
    task: TaskFile = None,
    sites: Kinds = "resid_post",
    labels: LabelColumn = Labels.classes,
    positions: Bins = None,
    out: Out = None,
    dtype: Precision = Dtype.float32,
    device: Device = "cpu",
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
    allow_remote_code: RemoteCode = False,
) -> None:
    """Fit a linear probe after every layer; writes how well labels are read beside its controls."""
    with running("probe", as_json=json) as output:
        from interp.cli import probing, work

        loading = work.Loading(model, dtype.value, device, seed, allow_remote_code)
        output.say(probing.probe(loading, probing.Asked(task, sites, labels.value, positions), out, force=force))


def main() -> None:
    """Run the command line."""
    app()


__all__ = ["Output", "app", "main"]
