"""What every command does around its work: streams kept apart, refusals printed as one line, exit codes."""

import contextlib
import json
import logging
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import typer

from interp.errors import InterpError

REFUSED, INTERRUPTED = 2, 130


@dataclass
class Output:
    """What a command has to say: one object for `--json`, lines for people."""

    command: str
    answer: dict[str, Any] = field(default_factory=dict)

    def say(self, answer: dict[str, Any]) -> None:
        """Keep the answer; it is printed once the command has ended well. Its `text` is what people see."""
        self.answer = answer


@contextlib.contextmanager
def running(command: str, *, as_json: bool) -> Generator[Output]:
    """Run a command's work with stdout kept for its answer alone.

    Exit codes: 0 done, 1 failed, 2 refused, 130 interrupted.
    """
    output, began = Output(command), time.perf_counter()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    stdout = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield output
    except InterpError as error:
        typer.echo(f"interp {command}: {error}", err=True)
        raise typer.Exit(REFUSED) from None
    except KeyboardInterrupt:
        typer.echo(f"interp {command}: interrupted; nothing was written.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    answer = {"command": command, "seconds": round(time.perf_counter() - began, 2), **output.answer}
    text = str(answer.pop("text", ""))
    stdout.write((json.dumps(answer, ensure_ascii=False) if as_json else text) + "\n")
