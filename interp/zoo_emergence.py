"""Measure every snapshot of a training of `zoo:polyglot`: what came when.

python -m interp.zoo_emergence --state DIR --out DIR [--corpus DIR]
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from interp.attention.detectors import induction, previous_token
from interp.attention.repeats import repeated_tokens
from interp.attention.streaming import Detector, score_heads
from interp.errors import InputError, InterpError
from interp.files import write_atomically
from interp.models import facts, load_model, provenance
from interp.models.tokenizers import frame
from interp.models.zoo import corpus as corpora
from interp.models.zoo import measure, texts
from interp.models.zoo.card import check_out, read_training
from interp.models.zoo.emergence import EMERGENCE, Emergence, Measure, Snapshot, write_emergence
from interp.models.zoo.measure import Estimate
from interp.types import Model
from interp.zoo_figures import Sizes, held_out_passages
from interp.zoo_heads import first_token_weights, sink_share, uniform_weight, windows
from interp.zoo_language import (
    Opening,
    Switch,
    draw_switches,
    following_nats,
    held_out_openings,
    same_language,
    shipped_openings,
)

log = logging.getLogger(__name__)
_MODEL = "zoo:polyglot"

SIZES = Sizes(characters=20_000, openings=20, switches=6)
"""Less than for a card: there are many snapshots."""
SHIPPED_CHARACTERS = 6_000
N_SEQUENCES, PERIOD = 32, 25
"""Sequences of random tokens said twice."""
FIRST_TOKEN_WINDOWS = 3


@dataclass(frozen=True)
class Materials:
    """What every snapshot is measured on."""

    words: str
    """What `passages` are."""
    passages: dict[str, list[str]]
    held_out: bool
    """Whether they are of held-out novels, beside which the shipped sentences are measured."""
    openings: list[Opening]
    switches: list[Switch]


def measure_emergence(state: Path, out: Path, *, corpus: Path | None = None, sizes: Sizes = SIZES) -> Path:
    """Measure all snapshots of a training and write `emergence.json`.

    Args:
        state: The training's state directory; the snapshots lie in `snapshots`.
        out: Directory to write into: the trained model's.
        corpus: Directory of the texts the model was trained on, to measure on what was held out; the shipped text
            alone without.
        sizes: How much to measure.

    Returns:
        The file written.

    Raises:
        InputError: no snapshots, or a directory that cannot be used.
    """
    check_out(out)
    directories = sorted(path.parent for path in (state / "snapshots").glob("*/config.json"))
    if not directories:
        raise InputError(f"{state / 'snapshots'} holds no snapshots. Expected the state directory of a training.")
    materials, snapshots, made_by = _materials(corpus, sizes), [], None
    for directory in directories:
        model, training = load_model(str(directory)), read_training(directory)
        measured = measure_snapshot(model, materials)
        snapshots.append(Snapshot(int(training["steps"]), int(training["tokens_seen"]), measured))
        # By the trained model's name: where the snapshots lay means nothing elsewhere.
        made_by = replace(provenance(model, tokens=[np.zeros(0, np.int64)], call="measure_emergence"), model=_MODEL)
        log.info("step %d: %s", training["steps"], {name: round(each.value, 3) for name, each in measured.items()})
    assert made_by is not None
    found = Emergence(
        model=_MODEL,
        command="python -m interp.zoo_emergence --state DIR --out DIR" + (" --corpus DIR" if corpus else ""),
        text=materials.words,
        measures={name: each for name, each in _MEASURES.items() if name in snapshots[0].measured},
        snapshots=snapshots,
        provenance=made_by,
    )
    return write_atomically(out / EMERGENCE, lambda part: write_emergence(found, part))


def measure_snapshot(model: Model, materials: Materials) -> dict[str, Estimate]:
    """Measure one model."""
    shipped = {language: ["\n".join(rows)[:SHIPPED_CHARACTERS]] for language, rows in texts.read_sentences().items()}
    found = dict(_losses(model, _HELD_OUT, materials.passages)) if materials.held_out else {}
    found |= _losses(model, _SHIPPED, shipped)
    found |= dict(_heads(model, materials))
    repeated = measure.repeated_random_loss(model, n_sequences=N_SEQUENCES)
    return found | {
        "random tokens": repeated.first,
        "random tokens said again": repeated.second,
        "following a switch": following_nats(model, materials.switches),
        "same language": same_language(model, materials.openings),
    }


def _materials(corpus: Path | None, sizes: Sizes) -> Materials:
    if corpus is None:
        sentences = texts.read_sentences()
        passages = {language: ["\n".join(rows)] for language, rows in sentences.items()}
        openings, switches = shipped_openings(sizes.openings), draw_switches(sentences, sizes.switches)
        return Materials("the shipped sentences", passages, False, openings, switches)
    novels, aligned = corpora.read_novels(corpus), corpora.read_aligned(corpus)
    return Materials(
        "the beginnings of held-out novels, and the shipped sentences",
        {language: held_out_passages(split, sizes.characters) for language, split in novels.items()},
        True,
        held_out_openings(novels, aligned, sizes.openings),
        draw_switches(aligned.held_out, sizes.switches),
    )


def _losses(model: Model, words: str, passages: Mapping[str, list[str]]) -> Iterator[tuple[str, Estimate]]:
    for language, each in passages.items():
        yield f"{_BITS}, {words}, {language}", measure.text_loss(model, each).bits_per_byte()


def _heads(model: Model, materials: Materials) -> Iterator[tuple[str, Estimate]]:
    full = windows(model, [text for each in materials.passages.values() for text in each], n=FIRST_TOKEN_WINDOWS)
    weights = first_token_weights(model, full)
    yield "heads on the first token", sink_share(weights, uniform_weight(full))
    yield "attention to the first token", _best(weights)
    before = frame(model).before
    special = set(model.tokenizer.all_special_ids)
    pool = np.array([token for token in range(facts(model).d_vocab) if token not in special])
    drawn = repeated_tokens(pool, bos=before[0] if before else None, n_sequences=N_SEQUENCES, period=PERIOD)
    matching: Detector = partial(induction, period=drawn.period, start=drawn.start)
    looking, following = score_heads(model, drawn.batch, {"previous": previous_token, "induction": matching})
    yield "previous token", _best(looking)
    yield "induction", _best(following)


def _best(scores: np.ndarray) -> Estimate:
    """The head with the largest mean over prompts."""
    layer, head = np.unravel_index(scores.mean(0).argmax(), scores.shape[1:])
    return measure.estimate(scores[:, layer, head])


_HELD_OUT, _SHIPPED = "held-out novels", "shipped sentences"
_BITS = "bits per byte"
_WEIGHT = "attention weight"
_LOSS = {
    f"{_BITS}, {words}, {language}": Measure(f"loss, {words}", _BITS, "Lower is better.")
    for words in (_HELD_OUT, _SHIPPED)
    for language in corpora.LANGUAGE_FILES
}
_MEASURES = _LOSS | {
    "heads on the first token": Measure(
        "shares", "share", "Of heads: their attention to the first token is at least five times uniform."
    ),
    "attention to the first token": Measure("heads", _WEIGHT, "Of the head that looks there most."),
    "previous token": Measure("heads", _WEIGHT, "Of the head that looks there most, on random tokens said twice."),
    "induction": Measure("heads", _WEIGHT, "On the token after the earlier occurrence, on random tokens said twice."),
    "random tokens": Measure("copying", "nats per token", "Loss on random tokens: lower is better."),
    "random tokens said again": Measure("copying", "nats per token", "Loss on their repetition: lower is copying."),
    "following a switch": Measure(
        "switching", "nats per token", "Positive: two words after a switch, the new language is likelier than the old."
    ),
    "same language": Measure("shares", "share", "Of prompts: they are gone on from in their own language."),
}


def main(arguments: list[str] | None = None) -> None:
    """Measure and write from the command line; stdout names the file written."""
    parser = argparse.ArgumentParser(
        prog="python -m interp.zoo_emergence", description="Measure a training's snapshots."
    )
    parser.add_argument("--state", type=Path, required=True, help="state directory of the training")
    parser.add_argument("--out", type=Path, required=True, help="directory of the trained model, to write into")
    parser.add_argument("--corpus", type=Path, help="directory of the texts it was trained on")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        path = measure_emergence(given.state, given.out, corpus=given.corpus)
    except InterpError as error:
        parser.error(str(error))
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
