"""`interp zoo`: the shipped models, their cards, and whether the cards still hold."""

from pathlib import Path
from typing import Annotated, Any

import typer

from interp.cli.running import INTERRUPTED, running

app = typer.Typer(
    help="The shipped models: list them, read a card, measure its figures again, train them anew.", no_args_is_help=True
)
train = typer.Typer(help="Train a shipped model anew, as its card says.", no_args_is_help=True)
app.add_typer(train, name="train")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A shipped model, such as polyglot.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; everything else on stderr.")]
Out = Annotated[Path, typer.Option(help="Existing directory for the model directories.")]
Seed = Annotated[int, typer.Option(min=0, help="Decides weights and data.")]


@app.command("list")
def list_models(json: Json = False) -> None:
    """Name the shipped models."""
    with running("zoo list", as_json=json) as output:
        from interp.models.zoo import model_names

        names = [f"zoo:{name}" for name in model_names()]
        output.say({"models": names, "text": "\n".join(names)})


@app.command()
def card(name: Name, json: Json = False) -> None:
    """Print a model's card: what it is, what was measured, what it cannot do."""
    with running("zoo card", as_json=json) as output:
        from interp.models.zoo import model_directory

        text = (model_directory(name.removeprefix("zoo:")) / "README.md").read_text(encoding="utf-8")
        output.say({"card": text, "text": text.rstrip()})


@app.command()
def verify(
    name: Name,
    corpus: Annotated[
        Path | None, typer.Option(help="Directory of texts, to measure held-out novels too.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Measure the card's figures again and compare; exit code 1 if one does not hold."""
    with running("zoo verify", as_json=json) as output:
        from interp.zoo_verify import verify as measure_again

        checks = measure_again(name, corpus=corpus)
        answers = [{**vars(check), "holds": check.holds} for check in checks]
        output.say({"checks": answers, "text": "\n".join(map(_line, answers))})
    if not all(check.holds for check in checks):
        raise typer.Exit(1)


@train.command()
def polyglot(
    corpus: Annotated[Path, typer.Option(help="Directory with novels/ and parallel/, one file a language in each.")],
    state: Annotated[
        Path, typer.Option(help="Directory for checkpoints, the log and the model. Run again with it to go on.")
    ],
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps in all, instead of the recipe's.", show_default=False)
    ] = None,
    seed: Seed = 0,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the model: faster, where there is a C++ compiler.")
    ] = False,
    json: Json = False,
) -> None:
    """The four-language model. Hours on a CPU; can be killed and run again."""
    with running("zoo train polyglot", as_json=json) as output:
        from interp.models.zoo.recipe import Recipe
        from interp.models.zoo.train import train as train_polyglot

        recipe = Recipe(seed=seed) if steps is None else Recipe(seed=seed, steps=steps)
        try:
            written = train_polyglot(corpus, state, recipe, device=device, compiled=compiled)
        except KeyboardInterrupt:
            typer.echo(f"interp zoo train polyglot: interrupted; run again to go on from {state}.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        output.say(_written([written]))


@train.command()
def induction(out: Out, seed: Seed = 0, json: Json = False) -> None:
    """Two layers of attention on random words that repeat."""
    with running("zoo train induction", as_json=json) as output:
        from interp.models.zoo import induction as zoo
        from interp.models.zoo.card import check_out

        check_out(out)
        output.say(_written(zoo.write(zoo.train(zoo.Recipe(seed=seed)), out)))


@train.command()
def modular(out: Out, seed: Seed = 0, json: Json = False) -> None:
    """One layer that groks addition modulo a prime, with checkpoints on the way."""
    with running("zoo train modular", as_json=json) as output:
        from interp.models.zoo import modular as zoo
        from interp.models.zoo.card import check_out

        check_out(out)
        output.say(_written(zoo.write(zoo.train(zoo.Recipe(seed=seed)), out)))


@train.command()
def sink(out: Out, seed: Seed = 0, json: Json = False) -> None:
    """One head that needs an attention sink, beside two arms that do not; four seeds of each."""
    with running("zoo train sink", as_json=json) as output:
        from interp.models.zoo import sink as zoo
        from interp.models.zoo.card import check_out

        check_out(out)
        output.say(_written(zoo.write(zoo.train_all(seed), out)))


def _written(directories: list[Path]) -> dict[str, Any]:
    paths = [str(directory.resolve()) for directory in directories]
    return {"models": paths, "text": "\n".join(paths)}


def _line(check: dict[str, Any]) -> str:
    word = "holds" if check["holds"] else "DIFFERS"
    return f"{word:8} {check['figure']}: card {check['card']:.4f}, now {check['measured']:.4f}"
