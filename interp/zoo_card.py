"""Measure a shipped model and write its card.

python -m interp.zoo_card --corpus DIR [--model zoo:polyglot] [--out DIR]
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from interp import zoo_heads, zoo_language
from interp.attention import head_scores
from interp.errors import InterpError
from interp.models import facts, load_model, provenance
from interp.models.sources import find_source
from interp.models.tokenizers import body_ids
from interp.models.zoo import card as cards
from interp.models.zoo import corpus as corpora
from interp.models.zoo import measure
from interp.models.zoo.emergence import EMERGENCE, load_emergence
from interp.models.zoo.ngram import KneserNey
from interp.models.zoo.scores import LanguageScore
from interp.types import Model
from interp.zoo_agreement import measure_agreement
from interp.zoo_figures import (
    CARD,
    Sizes,
    held_out_passages,
    loss_figures,
    shipped_figures,
    speak_held_out,
    speak_shipped,
    text_bits,
)

_OPENING = 60


def write_card(
    model_name: str = "zoo:polyglot",
    *,
    corpus: Path,
    out: Path | None = None,
    sizes: Sizes = CARD,
) -> list[Path]:
    """Measure a model trained by `interp.models.zoo.train` and write `README.md` and `card.json`.

    What was measured along its training is told, too, where `emergence.json` lies beside the weights or in `out`.

    Args:
        model_name: As `load_model` takes it.
        corpus: The directory of texts the model was trained on: with another one, text counts as held out that the
            model has read.
        out: Directory to write into; the model's own by default.
        sizes: How much to measure; figures measured on less than usual do not compare with a shipped card's.

    Returns:
        The files written.

    Raises:
        InterpError: a corpus, model or directory that cannot be used.
    """
    directory = find_source(model_name, revision=None, allow_remote_code=False).directory
    out = cards.check_out(out or directory)
    training = cards.read_training(directory)
    novels, aligned = corpora.read_novels(corpus), corpora.read_aligned(corpus)
    model, control = load_model(model_name), load_model(f"random:{model_name}")
    scores = head_scores(
        model, texts=zoo_heads.shipped_sentences(model), control_models=_controls(model_name, sizes.controls)
    )
    made_by = provenance(model, tokens=[np.zeros(0, np.int64)], call="write_card")
    counted = count_novels(model, novels.values())
    held_out, shipped = speak_held_out(model, control, (novels, aligned), sizes), speak_shipped(model, control, sizes)
    scored = [_language(model, control, counted, item, sizes.characters) for item in novels.items()]
    figures = shipped_figures(model, control, shipped)
    losses = {one.language: one.bits_per_byte for one in scored}
    figures_held_out = loss_figures(losses, "held-out novels") | held_out.figures
    reads_aligned = "switched" in training["recipe"]["mixture"]
    card = cards.Card(
        model=model_name,
        facts=asdict(facts(model)),
        size_mb=(directory / "model.safetensors").stat().st_size / 1e6,
        training=training,
        aligned_train=len(next(iter(aligned.train.values()))) if reads_aligned else 0,
        aligned_held_out=len(next(iter(aligned.held_out.values()))),
        languages=scored,
        repeated=measure.repeated_random_loss(model),
        repeated_random_weights=measure.repeated_random_loss(control),
        heads=zoo_heads.best_heads(scores),
        n_controls=sizes.controls,
        settings=_settings(),
        sinks=[held_out.sinks, shipped.sinks],
        agreement=measure_agreement(model, control),
        fidelity=held_out.fidelity,
        switching=held_out.switching,
        command=f"python -m interp.zoo_card --model {model_name} --corpus DIR",
        figures=figures.values,
        n_sampled=figures.n_sampled,
        held_out_figures=figures_held_out.values,
        n_sampled_held_out=figures_held_out.n_sampled,
        emergence=next((load_emergence(place) for place in (out, directory) if (place / EMERGENCE).exists()), None),
        versions=made_by.versions,
        made=made_by.made,
    )
    return cards.write_card_files(card, out)


def count_novels(model: Model, novels: Iterable[corpora.Novels]) -> KneserNey:
    """Count the n-grams of all training novels, in the model's own tokens."""
    ids = [body_ids(model.tokenizer, text + "\n") for split in novels for text in split.train]
    return KneserNey.fit(np.concatenate(ids), d_vocab=facts(model).d_vocab)


def counted_bits_per_byte(model: Model, counted: KneserNey, passages: list[str]) -> float:
    """Bits per byte that counting gives on the passages, every token scored once."""
    bits = sum(-counted.log2_prob(np.array(body_ids(model.tokenizer, text))).sum() for text in passages)
    return float(bits) / sum(len(text.encode()) for text in passages)


def _language(
    model: Model, control: Model, counted: KneserNey, item: tuple[str, corpora.Novels], characters: int
) -> LanguageScore:
    language, novels = item
    passages = held_out_passages(novels, characters)
    return LanguageScore(
        language=language,
        bits_per_byte=text_bits(model, passages),
        random_weights=text_bits(control, passages).value,
        byte_unigram=measure.byte_unigram_bits(novels.train, passages),
        kneser_ney=counted_bits_per_byte(model, counted, passages),
        n_train=len(novels.train),
        train_chars=sum(map(len, novels.train)),
        held_out=tuple(text[:_OPENING] for text in novels.held_out),
        held_out_bytes=sum(len(text.encode()) for text in passages),
    )


def _settings() -> dict[str, int | float]:
    return {
        "opening": zoo_language.OPENING_WORDS,
        "opening_tokens": zoo_language.OPENING_TOKENS,
        "switch_tokens": zoo_language.SWITCH_TOKENS,
        "first_query": zoo_heads.FIRST_QUERY,
        "at_least": zoo_heads.AT_LEAST,
        "epsilon": zoo_heads.EPSILON,
        "epsilon_tokens": zoo_heads.EPSILON_TOKENS,
    }


def _controls(model_name: str, n_controls: int) -> Iterator[Model]:
    for seed in range(n_controls):
        yield load_model(f"random:{model_name}", seed=seed)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write from the command line; stdout names the files written."""
    parser = argparse.ArgumentParser(prog="python -m interp.zoo_card", description="Measure a model, write its card.")
    parser.add_argument("--corpus", type=Path, required=True, help="directory of texts the model was trained on")
    parser.add_argument("--model", default="zoo:polyglot", help="the model (zoo:polyglot)")
    parser.add_argument("--out", type=Path, help="directory to write into (the model's own)")
    given = parser.parse_args(arguments)
    try:
        written = write_card(given.model, corpus=given.corpus, out=given.out)
    except InterpError as error:
        parser.error(str(error))
    sys.stdout.writelines(f"{path}\n" for path in written)


if __name__ == "__main__":
    main()
