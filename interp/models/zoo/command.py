"""The command line that the training scripts of the small zoo models share."""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

from interp.errors import InterpError
from interp.models.zoo.card import check_out

log = logging.getLogger(__name__)


def run_training(name: str, write: Callable[[Path, int], list[Path]], arguments: list[str] | None = None) -> None:
    """Train a small model from the command line; progress goes to stderr.

    Args:
        name: The model's name in the zoo.
        write: Trains from a seed and writes model directories into an existing directory.
        arguments: Instead of those of the command line.
    """
    parser = argparse.ArgumentParser(prog=f"python -m interp.models.zoo.{name}", description=f"Train zoo:{name}.")
    parser.add_argument("--out", type=Path, required=True, help="existing directory for the model directories")
    parser.add_argument("--seed", type=int, default=0, help="decides weights and data (0)")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        for path in write(check_out(given.out), given.seed):
            log.info("wrote %s", path)
    except InterpError as error:
        parser.error(str(error))
