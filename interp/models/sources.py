"""From the name of a model to a directory of files: local, shipped or fetched from the hub. No torch."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interp.errors import ModelError
from interp.models import zoo
from interp.models.quiet import quiet_loading
from interp.models.refusals import INDEX_FILE, WEIGHTS_FILE, check_config, indexed_shards

log = logging.getLogger(__name__)

ZOO, COMPILED, RANDOM = "zoo:", "compiled:", "random:"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_TEXT_FILES = ["*.json", "*.txt", "*.model", "*.jinja", "tokenizer*"]


@dataclass(frozen=True)
class Source:
    """Where a model comes from, decided from its name before anything heavy is imported."""

    name: str
    """The name as given."""
    directory: Path
    """A Hugging Face directory on this machine."""
    random: bool
    """Whether the architecture is wanted with random weights; the stored weights are then not needed."""
    revision: str | None
    """The commit of a hub model as resolved; None for a directory."""


def find_source(name: str, *, revision: str | None, allow_remote_code: bool) -> Source:
    """Find the directory a name stands for; a hub model is fetched first, its settings before its weights.

    Raises:
        ModelError: the name stands for nothing that can be loaded.
    """
    random = name.startswith(RANDOM)
    bare = name.removeprefix(RANDOM)
    if bare.startswith(RANDOM) or bare in ("", ZOO):
        raise ModelError(
            f"{name!r} names no model. Expected a hub name, a directory or zoo:NAME, with one random: at most."
        )
    shipped = bare.startswith(ZOO)
    directory = zoo.model_directory(bare.removeprefix(ZOO)) if shipped else Path(bare).expanduser()
    if directory.is_dir():
        if revision is not None:
            raise ModelError(f"{name!r} is a directory, which has no revision {revision!r}. Leave the revision out.")
        return Source(name, directory.resolve(), random, None)
    if directory.exists():
        raise ModelError(f"{bare} is a file. Expected a model directory with config.json and *.safetensors in it.")
    if not _HUB_NAME.fullmatch(bare):
        raise ModelError(
            f"No model directory {bare!r} here, and it is no hub name either. "
            f"Expected an existing directory, a hub name such as 'openai-community/gpt2', or one of {_zoo_names()}."
        )
    directory, commit = _fetch(bare, revision, weights=not random, allow_remote_code=allow_remote_code)
    return Source(name, directory, random, commit)


def _zoo_names() -> list[str]:
    return [ZOO + name for name in zoo.model_names()]


def _fetch(name: str, revision: str | None, *, weights: bool, allow_remote_code: bool) -> tuple[Path, str]:
    """Fetch the settings, refuse what they make impossible, then the safetensors they name; never a pickle."""
    commit, unreachable = _resolve(name, revision)
    code = ["*.py"] if allow_remote_code else []
    directory = _snapshot(name, commit or revision, [*_TEXT_FILES, *code], unreachable)
    check_config(directory, allow_remote_code=allow_remote_code)
    if weights and not unreachable:
        index = directory / INDEX_FILE
        shards = sorted(indexed_shards(index)) if index.exists() else [WEIGHTS_FILE]
        _snapshot(name, commit, shards, unreachable)
    return directory, directory.name


def _resolve(name: str, revision: str | None) -> tuple[str | None, str]:
    """Ask the hub once for the commit; without an answer say why, so that the cache is tried and nothing is retried."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        return HfApi().model_info(name, revision=revision, timeout=10).sha, ""
    except GatedRepoError as error:
        raise ModelError(f"The hub model {name!r} is gated. Accept its terms on huggingface.co and log in.") from error
    except RevisionNotFoundError as error:
        raise ModelError(
            f"The hub model {name!r} has no revision {revision!r}. Give a branch, tag or commit."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"No model {name!r}: not a directory here, and the hub has none of this name that you may read. "
            f"Expected an existing directory, a hub name, or one of {_zoo_names()}."
        ) from error
    except Exception as error:  # whatever the network layer raises: a model fetched before still loads
        return None, _first_line(error)


def _snapshot(name: str, revision: str | None, patterns: list[str], unreachable: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    where: dict[str, Any] = {
        "allow_patterns": patterns,
        "ignore_patterns": ["*/*"],
        "local_files_only": bool(unreachable),
    }
    log.info("looking for %s of %s on the hub", ", ".join(patterns), name)
    try:
        with quiet_loading():
            return Path(snapshot_download(name, revision=revision, **where))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise ModelError(
            f"No directory {name!r} here, and it cannot be fetched from the hub: {unreachable or _first_line(error)} "
            f"Give a local directory or one of {_zoo_names()}, or connect to the network once: it is then kept."
        ) from error


def _first_line(error: Exception) -> str:
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return line if line.endswith(".") else line + "."
