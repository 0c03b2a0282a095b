"""What a training of `zoo:polyglot` keeps on disk: text as tokens, checkpoints, snapshots, the finished model."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from interp.errors import InputError
from interp.files import write_atomically
from interp.models.quiet import quiet_loading
from interp.models.zoo import tokenizer as bpe
from interp.models.zoo.corpus import LANGUAGE_FILES, read_aligned, read_novels
from interp.models.zoo.mixture import Streams
from interp.models.zoo.recipe import OPTIMIZER, Recipe, build_model
from interp.models.zoo.switching import Switched, switched_sentences

TRAINING = "training.json"
"""File in a trained model's directory that says how it was trained."""
SNAPSHOTS = 16
"""Models kept along the training, to measure what emerged when."""
_NOVELS = "novels."


def snapshot_steps(steps: int) -> list[int]:
    """Steps after which a snapshot is kept: dense at the beginning, where most changes."""
    return sorted({round(steps * (number / (SNAPSHOTS - 1)) ** 2) for number in range(SNAPSHOTS)})


def prepare(corpus: Path, state: Path, recipe: Recipe) -> Streams:
    """Learn the tokenizer and encode the training text once; later runs read both from `state`.

    Raises:
        InputError: the corpus or the directory cannot be used, or the state was begun with another recipe.
    """
    begun, streams, learned = state / "recipe.json", state / "streams.safetensors", state / "tokenizer.json"
    _check_directory(state)
    if begun.exists():
        _check_recipe(json.loads(begun.read_text(encoding="utf-8")), recipe, state)
    if not streams.exists():
        tokenizer, arrays = _encode(corpus, recipe)
        state.mkdir(parents=True, exist_ok=True)
        write_atomically(begun, lambda part: part.write_text(json.dumps(asdict(recipe), indent=1) + "\n"))
        write_atomically(learned, lambda part: tokenizer.save(str(part)))
        write_atomically(streams, lambda part: save_file(arrays, part))
    return _streams(load_file(streams), Tokenizer.from_file(str(learned)))


def save_checkpoint(state: Path, step: int, model, optimizers: list) -> None:
    """Write weights, optimizer moments and the step as one file."""
    content = {
        "step": step,
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    write_atomically(state / "checkpoint.pt", lambda path: torch.save(content, path))


def load_checkpoint(state: Path, model, optimizers: list) -> int:
    """Restore the newest checkpoint, if there is one, and forget what was logged after it.

    Returns:
        The step to go on from.
    """
    path, logged = state / "checkpoint.pt", state / "log.jsonl"
    step = 0
    if path.exists():
        content = torch.load(path, weights_only=True, map_location="cpu")
        model.load_state_dict(content["model"])
        for optimizer, saved in zip(optimizers, content["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        step = content["step"]
    if logged.exists():
        kept = logged.read_text(encoding="utf-8").splitlines(keepends=True)[:step]
        write_atomically(logged, lambda part: part.write_text("".join(kept), encoding="utf-8"))
    return step


def write_model(state: Path, model: LlamaForCausalLM, recipe: Recipe, *, steps: int, out: Path) -> Path:
    """Write the model and its tokenizer as a Hugging Face directory, in bfloat16, and how it was trained.

    Args:
        state: Where the tokenizer lies.
        model: The trained weights.
        recipe: How they were trained.
        steps: Steps taken so far.
        out: The directory to write.
    """
    # On a copy: the caller may go on training the float32 weights.
    shipped = build_model(recipe).to(torch.bfloat16)
    shipped.load_state_dict(model.state_dict())
    tokenizer = bpe.as_pretrained(Tokenizer.from_file(str(state / "tokenizer.json")), n_ctx=recipe.n_ctx)
    with quiet_loading():
        shipped.save_pretrained(out)
        tokenizer.save_pretrained(out)
    told = {
        "steps": steps,
        "tokens_seen": steps * recipe.batch * recipe.n_ctx,
        "optimizer": OPTIMIZER,
        "recipe": asdict(recipe),
    }
    write_atomically(out / TRAINING, lambda part: part.write_text(json.dumps(told, indent=1) + "\n"))
    return out


def _check_recipe(begun: dict[str, Any], recipe: Recipe, state: Path) -> None:
    changed = {name: (begun.get(name), value) for name, value in asdict(recipe).items() if begun.get(name) != value}
    if changed:
        raise InputError(
            f"{state} was begun with another recipe (then and now: {changed}). Expected the same one: "
            "use another directory for the state, or the recipe it was begun with."
        )


def _check_directory(state: Path) -> None:
    nearest = next(path for path in (state, *state.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(
            f"{state} cannot hold the state of a training: {nearest} is not a directory that can be written into. "
            "Expected a directory, or the path of a new one."
        )


def _encode(corpus: Path, recipe: Recipe) -> tuple[Tokenizer, dict[str, np.ndarray]]:
    """Everything that is trained on, as tokens, and the tokenizer learned from the novels."""
    novels, switched = read_novels(corpus), _switched(corpus, recipe)
    tokenizer = bpe.train_tokenizer((text for each in novels.values() for text in each.train), recipe.d_vocab)
    arrays = {
        f"{_NOVELS}{language}": np.concatenate([_ids(tokenizer, text + "\n") for text in each.train])
        for language, each in novels.items()
    }
    short = {name.removeprefix(_NOVELS): len(ids) for name, ids in arrays.items() if len(ids) <= recipe.n_ctx}
    if short:
        raise InputError(
            f"The training novels of {corpus} are too short: {short} tokens. Expected more than the context of "
            f"{recipe.n_ctx} in every language: add novels."
        )
    return tokenizer, arrays | _encode_switched(tokenizer, switched)


def _switched(corpus: Path, recipe: Recipe) -> list[Switched]:
    """Switched sentences in an order of their own."""
    rng = np.random.default_rng(recipe.seed)
    sentences = switched_sentences(read_aligned(corpus).train, rng)
    if not sentences:
        raise InputError(
            f"No sentence of {corpus / 'parallel'} can change language inside. Expected longer sentences, with "
            "commas, conjunctions or prepositions at about the same places."
        )
    return [sentences[number] for number in rng.permutation(len(sentences))]


def _encode_switched(tokenizer: Tokenizer, sentences: list[Switched]) -> dict[str, np.ndarray]:
    """Switched sentences as tokens, with the language of each token."""
    places = {language: place for place, language in enumerate(LANGUAGE_FILES)}
    tokens, languages, lengths = [], [], []
    for sentence in sentences:
        # Each piece begins with the space before its first word, as it does inside a text.
        parts = [(places[language], _ids(tokenizer, f" {text}")) for language, text in sentence.pieces]
        tokens += [ids for _, ids in parts]
        languages += [np.full(len(ids), place, np.uint8) for place, ids in parts]
        lengths.append(sum(len(ids) for _, ids in parts))
    return {
        "switched": np.concatenate(tokens),
        "switched_languages": np.concatenate(languages),
        "switched_starts": np.cumsum([0, *lengths[:-1]]),
    }


def _ids(tokenizer: Tokenizer, text: str) -> np.ndarray:
    return np.array(tokenizer.encode(text, add_special_tokens=False).ids, np.uint16)


def _streams(arrays: dict[str, np.ndarray], tokenizer: Tokenizer) -> Streams:
    # In the order of the alphabet, which is that of the file.
    novels = {language: arrays[f"{_NOVELS}{language}"] for language in sorted(LANGUAGE_FILES)}
    # The file numbers the languages as `LANGUAGE_FILES` does; the streams by their place in `novels`.
    places = np.array([list(novels).index(language) for language in LANGUAGE_FILES])
    written = [tokenizer.decode([number]) for number in range(tokenizer.get_vocab_size())]
    ends, clauses = (
        np.array([n for n, text in enumerate(written) if text.rstrip("»”’\"'\n ").endswith(marks)], np.int64)
        for marks in (tuple(".!?…"), tuple(",;:–—"))
    )
    return Streams(
        novels=novels,
        switched=arrays["switched"],
        switched_languages=places[arrays["switched_languages"]],
        switched_starts=arrays["switched_starts"],
        sentence_ends=ends,
        clause_ends=clauses,
    )
