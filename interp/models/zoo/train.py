"""Train `zoo:polyglot`: a small four-language Llama, resumable at any step.

The state directory holds the tokenizer, the token streams, the newest checkpoint and a log of losses; the finished
model is written as an ordinary Hugging Face directory. Killing the run loses at most the steps since the last
checkpoint: running the same command again goes on from there.

    python -m interp.models.zoo.train --corpus DIR --state DIR
"""

import argparse
import json
import logging
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from interp.errors import InputError, InterpError
from interp.files import write_atomically
from interp.models.zoo import corpus as novels_of
from interp.models.zoo import tokenizer as bpe

log = logging.getLogger(__name__)

TRAINING = "training.json"
"""File in a trained model's directory that says how it was trained."""
OPTIMIZER = "Muon for the matrices inside the blocks, AdamW for the embedding and the norms"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what the trained model is."""

    d_vocab: int = 4096
    d_model: int = 256
    n_layers: int = 4
    n_heads: int = 4
    d_mlp: int = 704
    n_ctx: int = 256
    batch: int = 16
    steps: int = 3000
    warmup: int = 60
    muon_lr: float = 0.02
    adam_lr: float = 2e-3
    weight_decay: float = 0.05
    seed: int = 0


def build_model(recipe: Recipe) -> LlamaForCausalLM:
    """Build the untrained Llama of a recipe, with weights drawn from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=recipe.d_vocab,
        hidden_size=recipe.d_model,
        intermediate_size=recipe.d_mlp,
        num_hidden_layers=recipe.n_layers,
        num_attention_heads=recipe.n_heads,
        num_key_value_heads=recipe.n_heads,
        max_position_embeddings=recipe.n_ctx,
        tie_word_embeddings=True,
        bos_token_id=bpe.BOS,
        eos_token_id=bpe.EOS,
        pad_token_id=bpe.PAD,
    )
    return LlamaForCausalLM(config)


def learning_rate(step: int, recipe: Recipe) -> float:
    """Factor on the peak rate: linear warm-up, then a cosine down to 5 %."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def build_optimizers(model: LlamaForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for the embedding and the norms.

    Source: Jordan et al. 2024, Muon (github.com/KellerJordan/Muon).
    """
    inside = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
    chosen = {id(p) for p in inside}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(inside, lr=recipe.muon_lr, weight_decay=recipe.weight_decay, momentum=0.95),
        torch.optim.AdamW(rest, lr=recipe.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def loss_nats(model: LlamaForCausalLM, tokens: Tensor, scored: Tensor) -> Tensor:
    """Mean cross-entropy of the scored tokens, in nats."""
    with torch.autocast(tokens.device.type, dtype=torch.bfloat16):
        logits = model(tokens[:, :-1]).logits
    targets = tokens[:, 1:].masked_fill(~scored[:, 1:], -100)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100)


def prepare(corpus: Path, state: Path, recipe: Recipe) -> dict[str, np.ndarray]:
    """Learn the tokenizer and encode the training novels once; later runs read both from `state`."""
    streams_file, tokenizer_file = state / "streams.safetensors", state / "tokenizer.json"
    if not streams_file.exists():
        novels = novels_of.read_novels(corpus)
        state.mkdir(parents=True, exist_ok=True)
        tokenizer = bpe.train_tokenizer(
            (novel for split in novels.values() for novel in split.train), d_vocab=recipe.d_vocab
        )
        tokenizer.save(str(tokenizer_file))
        streams = {
            language: np.concatenate(
                [
                    np.array(tokenizer.encode(novel + "\n", add_special_tokens=False).ids, np.uint16)
                    for novel in split.train
                ]
            )
            for language, split in novels.items()
        }
        write_atomically(streams_file, lambda part: save_file(streams, part))
    return load_file(streams_file)


def train(corpus: Path, state: Path, recipe: Recipe | None = None, *, device: str = "cpu", every: int = 100) -> Path:
    """Train, or go on training, and write the finished model.

    Args:
        corpus: Directory of novels, as `zoo.corpus` describes it.
        state: Directory for resumable state, outside the repository.
        recipe: What to train; must equal the recipe that `state` was begun with.
        device: Where to train.
        every: Steps between checkpoints.

    Returns:
        The directory of the finished model.
    """
    recipe = recipe or Recipe()
    streams = prepare(corpus, state, recipe)
    mixer = novels_of.SequenceMixer(
        streams, bos=bpe.BOS, n_special=len(bpe.SPECIAL_TOKENS), length=recipe.n_ctx, mixture=novels_of.Mixture()
    )
    model = build_model(recipe).to(device).train()
    optimizers = build_optimizers(model, recipe)
    first = load_checkpoint(state, model, optimizers, recipe)
    for step in range(first, recipe.steps):
        began = time.perf_counter()
        # The generator depends on the step alone, so a resumed run sees the sequences an undisturbed run would.
        tokens, scored = mixer.batch(recipe.batch, np.random.default_rng([recipe.seed, step]))
        for optimizer, peak in zip(optimizers, (recipe.muon_lr, recipe.adam_lr), strict=True):
            optimizer.param_groups[0]["lr"] = peak * learning_rate(step, recipe)
        loss = loss_nats(model, torch.from_numpy(tokens).to(device), torch.from_numpy(scored).to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        entry = {"step": step, "loss_nats": loss.item(), "seconds": time.perf_counter() - began}
        with (state / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")
        if (step + 1) % every == 0 or step + 1 == recipe.steps:
            log.info("step %d: loss %.3f nats, %.2f s", step, entry["loss_nats"], entry["seconds"])
            save_checkpoint(state, step + 1, model, optimizers, recipe)
    return write_model(state, model, recipe, steps=recipe.steps)


def save_checkpoint(state: Path, step: int, model, optimizers: list, recipe: Recipe) -> None:
    """Write weights, optimizer moments and the step as one file."""
    content = {
        "step": step,
        "recipe": asdict(recipe),
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    write_atomically(state / "checkpoint.pt", lambda path: torch.save(content, path))


def load_checkpoint(state: Path, model, optimizers: list, recipe: Recipe) -> int:
    """Restore the newest checkpoint, if there is one.

    Returns:
        The step to go on from.

    Raises:
        InputError: the state was begun with another recipe.
    """
    path = state / "checkpoint.pt"
    if not path.exists():
        return 0
    content = torch.load(path, weights_only=True)
    if content["recipe"] != asdict(recipe):
        changed = {name: (content["recipe"].get(name), value) for name, value in asdict(recipe).items()}
        changed = {name: values for name, values in changed.items() if values[0] != values[1]}
        raise InputError(
            f"{state} was begun with another recipe (then and now: {changed}). Expected the same one: "
            "use another directory for the state, or the recipe it was begun with."
        )
    model.load_state_dict(content["model"])
    for optimizer, saved in zip(optimizers, content["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return content["step"]


def write_model(state: Path, model: LlamaForCausalLM, recipe: Recipe, *, steps: int) -> Path:
    """Write the model and its tokenizer as a Hugging Face directory, in bfloat16, and how it was trained.

    Args:
        state: Where the tokenizer lies; the model is written to its subdirectory `model`.
        model: The trained weights.
        recipe: How they were trained.
        steps: Steps taken so far.
    """
    out = state / "model"
    # On a copy: the caller may go on training the float32 weights.
    shipped = build_model(recipe).to(torch.bfloat16)
    shipped.load_state_dict(model.state_dict())
    shipped.save_pretrained(out)
    tokenizer = Tokenizer.from_file(str(state / "tokenizer.json"))
    bpe.as_pretrained(tokenizer, n_ctx=recipe.n_ctx).save_pretrained(out)
    told = {
        "steps": steps,
        "tokens_seen": steps * recipe.batch * recipe.n_ctx,
        "optimizer": OPTIMIZER,
        "recipe": asdict(recipe),
        "mixture": asdict(novels_of.Mixture()),
    }
    write_atomically(out / TRAINING, lambda part: part.write_text(json.dumps(told, indent=1) + "\n"))
    return out


def main(arguments: list[str] | None = None) -> None:
    """Train the shipped model from the command line; progress goes to stderr."""
    parser = argparse.ArgumentParser(prog="python -m interp.models.zoo.train", description="Train zoo:polyglot.")
    parser.add_argument("--corpus", type=Path, required=True, help="directory of novels, one file per language")
    parser.add_argument("--state", type=Path, required=True, help="directory for resumable state")
    parser.add_argument("--device", default="cpu", help="where to train (cpu)")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        log.info("wrote %s", train(given.corpus, given.state, device=given.device))
    except InterpError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
