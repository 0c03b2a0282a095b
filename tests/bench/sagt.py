"""Read the Turkish-German SAGT treebank, measure its code-switching, and draw it token by token.

    python -m tests.bench.sagt --corpus DIRECTORY --plain DIRECTORY --out DIRECTORY

`--corpus` holds the treebank's `*.conllu` (UD_Turkish_German-SAGT), `--plain` line-aligned German and Turkish sentences
(`de.txt`, `tr.txt`), which give the words of one language to match switches with and the vocabulary of each language.
Two models: `zoo:polyglot`, which has read German and no Turkish, and a GPT-2 with random weights over bytes. On the
training file, neurons are looked for that follow switches; the ribbon and the curves are of the development file. Words
are as they are written: the treebank's own count of tokens splits some in two. The last line is one JSON object.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from interp.languages import TaggedText, code_mix, read_aligned_texts, read_tagged
from interp.models import load_model
from interp.neurons.events import switch_events
from interp.neurons.next_language import learn_vocabulary
from interp.neurons.ribbon import token_ribbon
from interp.neurons.spelled import label_spelled
from interp.neurons.switch_pairs import pair_switches
from interp.neurons.switching import find_switching_units
from interp.neurons.units import Neurons
from interp.plots import plot
from interp.results import Result

LANGUAGES = ("DE", "TR")
LANGUAGES_AND_MIXED = ("DE", "TR", "MIXED", "LANG3")
"""Tags between which the treebank counts switches; only OTHER is stepped over."""
N_CHOSEN, N_DRAWN, N_BACKGROUND = 6, 6, 120


def read_files(directory: Path) -> dict[str, list[TaggedText]]:
    """Sentences of each file, by its name."""
    return {path.stem: read_tagged(path) for path in sorted(directory.glob("*.conllu"))}


def counts(texts: Sequence[TaggedText]) -> dict[str, Any]:
    """Sizes and code-mix measures; measures of a sentence are means over the sentences that have them."""
    mixes = [code_mix(text.languages) for text in texts]
    measures = ("cmi", "cmi_2016", "m_index", "language_entropy_bits", "i_index", "burstiness", "memory")
    told = {name: [getattr(mix, name) for mix in mixes if getattr(mix, name) is not None] for name in measures}
    whole = [code_mix(text.languages, languages=LANGUAGES_AND_MIXED) for text in texts]
    return {
        "sentences": len(texts),
        "words": sum(len(text.words) for text in texts),
        "tags": dict(Counter(tag for text in texts for tag in text.languages).most_common()),
        "switch_points": sum(len(mix.switch_points) for mix in whole),
        "switch_points_de_tr": sum(len(mix.switch_points) for mix in mixes),
        "mean_of_sentences": {name: float(np.mean(values)) for name, values in told.items() if values},
        "corpus": {
            name: value
            for name, value in asdict(code_mix([tag for text in texts for tag in text.languages])).items()
            if name in measures
        },
    }


def byte_gpt2(directory: Path) -> Path:
    """Write a GPT-2 of random weights whose tokens are bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE({"<|endoftext|>": 0} | {char: n for n, char in enumerate(alphabet, 1)}, []))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    end = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    PreTrainedTokenizerFast(tokenizer_object=raw, **end).save_pretrained(directory)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=257, n_embd=64, n_layer=3, n_head=4, n_positions=1024, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(directory)
    return directory


def plain_texts(lines: Mapping[str, Sequence[str]]) -> list[TaggedText]:
    """Sentences of one language each, tagged as the treebank tags it."""
    return [
        TaggedText(tuple(line.split()), (name.upper(),) * len(line.split()), (True,) * len(line.split()))
        for name, rows in lines.items()
        for line in rows
    ]


def measure(
    model: Any, files: Mapping[str, Sequence[TaggedText]], lines: Mapping[str, Sequence[str]], control: Any
) -> tuple[Result, Result, dict[str, Any]]:
    """Find neurons on the training sentences; ribbon and curves of the development sentences."""
    train, dev = (next(of for name, of in files.items() if end in name) for end in ("train", "dev"))
    plain = plain_texts(lines)
    material = [pair_switches(model, label_spelled(model, [*of, *plain], languages=LANGUAGES)) for of in (train, dev)]
    found = find_switching_units(model, material[0]).data
    distance = np.abs(found["score"].values - 0.5)
    layer, neuron = np.unravel_index(np.argsort(-distance, axis=None)[:N_CHOSEN], distance.shape)
    chosen = Neurons(layer.astype(np.int64), neuron.astype(np.int64))
    ribbon = token_ribbon(
        model,
        dev[:N_DRAWN],
        chosen,
        languages=LANGUAGES,
        background=dev[N_DRAWN : N_DRAWN + N_BACKGROUND],
        random_weights=control,
    )
    vocabulary = learn_vocabulary(model, {name.upper(): rows for name, rows in lines.items()})
    events = switch_events(model, material[1], vocabulary, chosen)
    at = events.data.sel(offset=0)
    said = {
        "found": int(found["found"].values.sum()),
        "chosen": chosen.names,
        "train_auroc": [
            round(float(found["score"].values[one, two]), 3) for one, two in zip(layer, neuron, strict=True)
        ],
        "surprisal": ribbon.baselines,
        "switch_z": dict(
            zip(ribbon.data["neuron"].values, ribbon.data["switch_z"].values.round(2).tolist(), strict=True)
        ),
        "control_switch_z": ribbon.data["control_switch_z"].values.round(2).tolist(),
        "events": {
            str(name): [
                round(float(at[side].sel(measure=name)), 3) for side in ("value", "value_low", "value_high", "control")
            ]
            for name in at["measure"].values
        },
        "n_switches": events.notes["n_samples"],
    }
    return ribbon, events, said


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("corpus", "plain", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    asked = parser.parse_args(arguments)
    files = read_files(asked.corpus)
    lines = read_aligned_texts({name: asked.plain / f"{name}.txt" for name in ("de", "tr")}).lines
    told: dict[str, Any] = {name: counts(texts) for name, texts in files.items()}
    told["all"] = counts([text for texts in files.values() for text in texts])
    with tempfile.TemporaryDirectory() as directory:
        byte_model = str(byte_gpt2(Path(directory)))
        for name, model in (("polyglot", "zoo:polyglot"), ("bytes", byte_model)):
            control = load_model(f"random:{model}", seed=1)
            ribbon, events, told[name] = measure(load_model(model), files, lines, control)
            for kind, result in (("ribbon", ribbon), ("events", events)):
                plot(result).write_html(asked.out / f"{name}-{kind}.html", force=True)
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
