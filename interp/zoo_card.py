"""Measure a shipped model and write its card.

python -m interp.zoo_card --corpus DIR [--model zoo:polyglot] [--out DIR]
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import Float

from interp.attention import head_scores
from interp.errors import InterpError
from interp.metrics import as_metric
from interp.metrics.metric import reading
from interp.models import ModelEncoder, encode, facts, load_model, provenance
from interp.models.sources import find_source
from interp.models.tokenizers import body_ids
from interp.models.zoo import card as cards
from interp.models.zoo import corpus as novels_of
from interp.models.zoo import measure, texts
from interp.models.zoo.ngram import KneserNey
from interp.prompts import PromptSet, TokenBatch, read_prompts
from interp.prompts.prompt_set import Side
from interp.results import Result
from interp.run import forward
from interp.types import Model

N_CONTROLS = 19
"""Random-weights models behind the heads' thresholds: as many as p = 0.05 needs."""
CHARACTERS = 60_000
"""Of held-out text for each language, in equal parts from the beginnings of its held-out novels."""
_OPENING = 60


def write_card(
    model_name: str = "zoo:polyglot",
    *,
    corpus: Path,
    out: Path | None = None,
    characters: int = CHARACTERS,
    n_controls: int = N_CONTROLS,
) -> list[Path]:
    """Measure a model trained by `interp.models.zoo.train` and write `README.md` and `card.json`.

    Args:
        model_name: As `load_model` takes it.
        corpus: The directory of novels the model was trained on: with another one, novels count as held out that the
            model has read.
        out: Directory to write into; the model's own by default.
        characters: Held-out text for each language.
        n_controls: Random-weights models behind the heads' thresholds.

    Returns:
        The files written.

    Raises:
        InterpError: a corpus, model or directory that cannot be used.
    """
    directory = find_source(model_name, revision=None, allow_remote_code=False).directory
    out = cards.check_out(out or directory)
    training, novels = cards.read_training(directory), novels_of.read_novels(corpus)
    model, control = load_model(model_name), load_model(f"random:{model_name}")
    scores = head_scores(model, texts=_sentences(model), control_models=_controls(model_name, n_controls))
    known = facts(model)
    made_by = provenance(model, tokens=[np.zeros(0, np.int64)], call="write_card")
    counted = count_novels(model, novels.values())
    card = cards.Card(
        model=model_name,
        facts=asdict(known),
        size_mb=(directory / "model.safetensors").stat().st_size / 1e6,
        training=training,
        languages=[_language(model, control, counted, item, characters) for item in novels.items()],
        repeated=measure.repeated_random_loss(model),
        repeated_random_weights=measure.repeated_random_loss(control),
        heads=best_heads(scores),
        n_controls=n_controls,
        agreement=measure_agreement(model, control),
        command=f"python -m interp.zoo_card --model {model_name} --corpus DIR",
        figures=shipped_figures(model, control),
        versions=made_by.versions,
        made=made_by.made,
    )
    return cards.write_card_files(card, out)


def best_heads(scores: Result) -> list[cards.HeadScore]:
    """The head with the highest score of each detector."""
    found = []
    for detector in scores.data.detector.values:
        rows = scores.data.sel(detector=detector)
        where = rows.score.argmax(...)
        best = rows.isel(where)
        values = {name: float(best[variable]) for name, variable in _HEAD_VALUES.items()}
        found.append(
            cards.HeadScore(detector=str(detector), head=f"L{int(best['layer'])}H{int(best['head'])}", **values)
        )
    return found


def shipped_figures(model: Model, control: Model) -> dict[str, float]:
    """Measure what needs nothing but the shipped text, so that anybody can check the card.

    Returns:
        Bits per byte on the shipped sentences by language, nats on random tokens said twice, the best head of each
        detector, and logit differences on the agreement prompts.
    """
    sentences = texts.read_sentences().items()
    figures = {
        f"bits per byte, shipped sentences, {language}": measure.text_loss(model, ["\n".join(rows)])
        .bits_per_byte()
        .value
        for language, rows in sentences
    }
    repeated = measure.repeated_random_loss(model)
    agreement = measure_agreement(model, control)
    scores = head_scores(model, texts=_sentences(model), control_models=[control])
    figures |= {f"{head.detector}, {head.head}": head.score for head in best_heads(scores)}
    return figures | {
        "random tokens, first copy, nats": repeated.first.value,
        "random tokens, second copy, nats": repeated.second.value,
        "agreement, clean, nats": agreement.clean.value,
        "agreement, corrupted, nats": agreement.corrupted.value,
        "agreement, share of pairs right": agreement.right,
    }


_HEAD_VALUES = {
    "score": "score",
    "low": "score_low",
    "high": "score_high",
    "threshold": "threshold",
    "p_corrected": "p_corrected",
}


def measure_agreement(model: Model, control: Model) -> cards.Agreement:
    """Score the shipped French agreement prompts, and count the pairs that both sides of are right."""
    prompts = read_prompts(texts.AGREEMENT, ModelEncoder(model))
    clean, corrupted = (logit_differences(model, prompts, side) for side in ("clean", "corrupted"))
    of_control = [logit_differences(control, prompts, side) for side in ("clean", "corrupted")]
    with texts.AGREEMENT.open(encoding="utf-8") as file:
        example = json.loads(file.readline())
    return cards.Agreement(
        n_pairs=len(prompts),
        clean=measure.estimate(clean),
        corrupted=measure.estimate(corrupted),
        right=float(((clean > 0) & (corrupted < 0)).mean()),
        random_weights=float(((of_control[0] > 0) & (of_control[1] < 0)).mean()),
        example=example,
    )


def logit_differences(model: Model, prompts: PromptSet, side: Side) -> Float[np.ndarray, " prompt"]:
    """Logit of the answer minus that of the wrong answer, after each prompt of one side."""
    logits = forward(model, prompts.batch(side))
    return as_metric("logit_diff")(reading(logits, prompts, side)).cpu().double().numpy()


def count_novels(model: Model, novels: Iterable[novels_of.Novels]) -> KneserNey:
    """Count the n-grams of all training novels, in the model's own tokens."""
    ids = [body_ids(model.tokenizer, text + "\n") for split in novels for text in split.train]
    return KneserNey.fit(np.concatenate(ids), d_vocab=facts(model).d_vocab)


def counted_bits_per_byte(model: Model, counted: KneserNey, passages: list[str]) -> float:
    """Bits per byte that counting gives on the passages, every token scored once."""
    bits = sum(-counted.log2_prob(np.array(body_ids(model.tokenizer, text))).sum() for text in passages)
    return float(bits) / sum(len(text.encode()) for text in passages)


def held_out_passages(novels: novels_of.Novels, characters: int = CHARACTERS) -> list[str]:
    """The beginnings of the held-out novels of one language, in equal parts."""
    return [text[: characters // len(novels.held_out)] for text in novels.held_out]


def _language(
    model: Model, control: Model, counted: KneserNey, item: tuple[str, novels_of.Novels], characters: int
) -> cards.LanguageScore:
    language, novels = item
    passages = held_out_passages(novels, characters)
    return cards.LanguageScore(
        language=language,
        bits_per_byte=measure.text_loss(model, passages).bits_per_byte(),
        random_weights=measure.text_loss(control, passages).bits_per_byte().value,
        byte_unigram=measure.byte_unigram_bits(novels.train, passages),
        kneser_ney=counted_bits_per_byte(model, counted, passages),
        n_train=len(novels.train),
        train_chars=sum(map(len, novels.train)),
        held_out=tuple(text[:_OPENING] for text in novels.held_out),
        held_out_bytes=sum(len(text.encode()) for text in passages),
    )


def _sentences(model: Model) -> TokenBatch:
    sentences = texts.read_sentences(texts.N_FIRST_LOOK)
    return TokenBatch.of([encode(model, text) for rows in sentences.values() for text in rows])


def _controls(model_name: str, n_controls: int) -> Iterator[Model]:
    for seed in range(n_controls):
        yield load_model(f"random:{model_name}", seed=seed)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write from the command line; stdout names the files written."""
    parser = argparse.ArgumentParser(prog="python -m interp.zoo_card", description="Measure a model, write its card.")
    parser.add_argument("--corpus", type=Path, required=True, help="directory of novels the model was trained on")
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
