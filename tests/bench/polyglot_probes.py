"""Probe zoo:polyglot for language and more, beside what the input tells, and erase language: one JSON line a part.

    python -m tests.bench.polyglot_probes [--corpus DIRECTORY] [--sentences N] [PART ...]

Parts: `language` (token language by layer), `amnesic` (language erased at one layer after another, and what becomes of
the next token's language; erasers fitted to the sentences they are applied to), `held_out` (the same, with erasers
fitted to other sentences), `tasks` (next language, place in the sentence, number of the subject and, with a corpus that
has treebanks, part of speech), `contrast` (number of the subject, by a direction found without labels in pairs that
differ in the form of the verb). All on the shipped sentences, which the model has not read. Which language a token
speaks for is counted on shipped sentences that are not erased from; with a corpus, on aligned training sentences.
One part needs a corpus: `trees` (distances and depths in the syntax trees of its treebanks, most of whose sentences the
model has read, though never their trees).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from interp.models import encode, load_model
from interp.models.zoo.corpus import read_aligned
from interp.models.zoo.texts import read_sentences
from interp.neurons.next_language import learn_vocabulary
from interp.results import Result
from interp.sites import Site
from interp.statistics import bootstrap_interval
from probes.estimators import ContrastConsistentProbe, TreeDepthProbe, TreeDistanceProbe
from probes.tasks.conllu import read_parts_of_speech
from probes.tasks.contrast_task import agreement_contrast_task, contrast_probe
from probes.tasks.floors import input_floor
from probes.tasks.ready_tasks import (
    next_language_task,
    part_of_speech_task,
    sentence_position_task,
    subject_number_task,
    switched_texts,
)
from probes.tasks.site_sweep import probe_task
from probes.tasks.structural_probe import structural_probe
from probes.tasks.task import ProbeTask, capture_samples
from probes.tasks.task_sources import text_language_task, token_language_task
from probes.tasks.treebank import read_trees
from probes.use.amnesic import N_RANDOM, amnesic_probe
from probes.use.answers import Answer, answers
from probes.use.erasure import leace, random_eraser
from probes.use.labelled import at_labels
from probes.use.language_answer import next_language_answer

LANGUAGES = ("en", "fr", "de", "es")
SITES = [Site(0, "resid_pre"), *(Site(layer, "resid_post") for layer in range(4))]
N_PROBED = 80
"""Shipped sentences of each language whose tokens are probed for language."""
N_SWITCHED = 120
"""Aligned sentences that switched texts are built of."""
N_TREEBANK = 80
"""Sentences of each treebank."""
N_PARSED, PARSED = 300, ("en", "de")
"""Sentences of a treebank whose trees are probed for, and of which."""
Texts = dict[str, list[str]]


@cache
def model() -> Any:
    """The shipped model."""
    return load_model("zoo:polyglot")


@cache
def random_model() -> Any:
    """The same architecture with random weights."""
    return load_model("random:zoo:polyglot", seed=1)


def rounded(values: Any) -> Any:
    """Numbers to four places, as JSON has them."""
    return np.round(np.asarray(values, float), 4).tolist()


def told(result: Result) -> dict[str, Any]:
    """All variables of a result."""
    dim = next(iter(result.data.dims))
    found = {str(name): rounded(of.values) for name, of in result.data.data_vars.items()}
    return {str(dim): result.data[dim].values.tolist(), **found}


def probed(task: ProbeTask) -> dict[str, Any]:
    """A task by layer and its floor."""
    floor = input_floor(model(), task)
    counts = ("n_samples", "n_groups", "n_tokens", "unseen_tokens")
    return {
        "what": task.what,
        **{name: floor.notes[name] for name in counts},
        "floor": told(floor),
        "layers": told(probe_task(model(), random_model(), task)),
    }


def language(_: Path | None, __: int) -> dict[str, Any]:
    """Token language by layer."""
    return probed(token_language_task(read_sentences(N_PROBED), partial(encode, model()), samples_per_text=6))


def erased_texts(n: int) -> tuple[Texts, Texts]:
    """Sentences to erase from, and all other shipped ones."""
    texts = read_sentences()
    return {name: rows[:n] for name, rows in texts.items()}, {name: rows[n:] for name, rows in texts.items()}


def answer_on(task: ProbeTask, others: Texts, corpus: Path | None) -> Answer:
    """The next token's language, by a vocabulary counted on other sentences."""
    counted = learn_vocabulary(model(), others if corpus is None else read_aligned(corpus).train)
    return next_language_answer(task, counted.posterior * counted.begins[:, None], counted.languages)


def amnesic(corpus: Path | None, n: int) -> dict[str, Any]:
    """Language erased at one site after another."""
    texts, others = erased_texts(n)
    task = text_language_task(texts, partial(encode, model()))
    result = amnesic_probe(model(), task, answer_on(task, others, corpus), SITES)
    return {"baseline": rounded(result.baselines["next_language"]), "n_prompts": len(task.batch), **told(result)}


def held_out(corpus: Path | None, n: int) -> dict[str, Any]:
    """The same with erasers fitted to other sentences, and with the sign kept: below 0, the own language loses."""
    texts, others = erased_texts(n)
    task, fitted = (text_language_task(given, partial(encode, model())) for given in (texts, others))
    answer, found = answer_on(task, others, corpus), []
    for site, X in zip(SITES, capture_samples(model(), fitted, SITES), strict=True):
        eraser = leace(X, fitted.labels)
        erasers = {"erased": eraser} | {f"random{k}": random_eraser(X, eraser.rank, seed=k) for k in range(N_RANDOM)}
        arms = {name: at_labels(task, site, lambda _, one=one: one) for name, one in erasers.items()}
        read = answers(model(), task.batch, answer, arms)
        moves = {name: values - read["plain"] for name, values in read.items() if name != "plain"}
        control = np.mean([moves[f"random{k}"] for k in range(N_RANDOM)], 0)
        found.append({"site": str(site), **_with_intervals(moves["erased"], control)})
    return {"baseline": rounded(read["plain"].mean()), "n_prompts": len(task.batch), "sites": found}


def _with_intervals(erased: np.ndarray, control: np.ndarray) -> dict[str, Any]:
    named = {"effect": erased, "control": control, "above_control": erased - control}
    intervals = {name: bootstrap_interval(values[:, None]) for name, values in named.items()}
    return {
        name: rounded([values.mean(), intervals[name][0][0], intervals[name][1][0]]) for name, values in named.items()
    }


def tasks(corpus: Path | None, _: int) -> dict[str, Any]:
    """The other ready tasks."""
    texts, reader = read_sentences(N_PROBED // 2), partial(encode, model())
    built, groups = switched_texts(read_sentences(N_SWITCHED))
    made: dict[str, Callable[[], ProbeTask]] = {
        "next language": lambda: next_language_task(built, reader, groups, languages=LANGUAGES),
        "place": lambda: sentence_position_task([text for rows in texts.values() for text in rows], reader),
        "number": lambda: subject_number_task(reader),
    }
    treebanks = [corpus / "parallel" / f"{name}_pud.conllu.gz" for name in LANGUAGES] if corpus else []
    if treebanks and all(path.exists() for path in treebanks):
        tagged = [sentence for path in treebanks for sentence in read_parts_of_speech(path)[:N_TREEBANK]]
        made["part of speech"] = lambda: part_of_speech_task(tagged, reader, samples_per_text=5, fewest_groups=25)
        made["part of speech, unknown words"] = lambda: part_of_speech_task(tagged, reader, group_by="word")
    return {name: probed(make()) for name, make in made.items()}


def trees(corpus: Path | None, _: int) -> dict[str, Any]:
    """Distances and depths in syntax trees."""
    if corpus is None:
        return {"not_run": "needs --corpus"}
    found: dict[str, Any] = {}
    for language, probe in product(PARSED, (TreeDistanceProbe(), TreeDepthProbe())):
        sentences = read_trees(corpus / "parallel" / f"{language}_pud.conllu.gz")[:N_PARSED]
        result = structural_probe(model(), random_model(), sentences, partial(encode, model()), probe=probe)
        counts = {name: result.notes[name] for name in ("n_sentences", "n_words", "dropped", "rank")}
        found[f"{language}: {result.notes['what']}"] = counts | told(result)
    return found


def contrast(_: Path | None, __: int) -> dict[str, Any]:
    """Contrast-consistent search for agreement, as strongly penalised as usual and more, and with all verbs as one."""
    task = agreement_contrast_task(partial(encode, model()))
    pooled = replace(task, templates=np.zeros(len(task), int))
    arms = {f"alpha {alpha}": (task, ContrastConsistentProbe(alpha=alpha)) for alpha in (0.01, 0.1, 1.0)}
    arms["one template"] = (pooled, ContrastConsistentProbe())
    found = {name: told(contrast_probe(model(), random_model(), of, probe=probe)) for name, (of, probe) in arms.items()}
    templates = dict(zip(*np.unique(task.templates, return_counts=True), strict=True))
    counted = {str(name): int(count) for name, count in templates.items()}
    return {"n_pairs": len(task), "n_groups": len(np.unique(task.groups)), "templates": counted, **found}


PARTS: Mapping[str, Callable[[Path | None, int], dict[str, Any]]] = {
    "language": language,
    "amnesic": amnesic,
    "held_out": held_out,
    "tasks": tasks,
    "trees": trees,
    "contrast": contrast,
}


def main() -> None:
    """Measure and print one JSON line per part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all by default")
    parser.add_argument("--corpus", type=Path, help="directory with parallel/, for tokens' languages and treebanks")
    parser.add_argument("--sentences", type=int, default=16, help="sentences of each language to erase from")
    parser.add_argument("--json", action="store_true", help="JSON lines; there is no other output")
    given = parser.parse_args()
    for part in given.parts or PARTS:
        start = time.perf_counter()
        found = PARTS[part](given.corpus, given.sentences)
        seconds = round(time.perf_counter() - start, 1)
        sys.stdout.write(json.dumps({"part": part, "seconds": seconds, **found}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
