"""`interp zoo`: the shipped models, their cards, and whether the cards still hold."""

from pathlib import Path
from typing import Annotated, Any

import typer

from interp.cli.running import running

app = typer.Typer(help="The shipped models: list them, read a card, measure its figures again.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A shipped model, such as polyglot.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; everything else on stderr.")]


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
        Path | None, typer.Option(help="Directory of novels, to measure held-out text too.", show_default=False)
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


def _line(check: dict[str, Any]) -> str:
    word = "holds" if check["holds"] else "DIFFERS"
    return f"{word:8} {check['figure']}: card {check['card']:.4f}, now {check['measured']:.4f}"
