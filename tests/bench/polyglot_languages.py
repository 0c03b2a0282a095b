"""Measure languages inside zoo:polyglot on text that it has not read: one JSON line per part.

    python -m tests.bench.polyglot_languages --corpus DIRECTORY [PART ...]

Parts: `neurons` (how many each method finds on held-out novels, where, and how far methods agree), `matrix` (ablation x
evaluation on held-out aligned sentences), `switching` (built switches of held-out aligned sentences: search,
replication, causal test) and `natural` (the neurons of `switching` on switches inside the English and German novels,
tagged word by word; every text that mixes is one that an author mixed).
"""

import argparse
import json
import sys
from collections.abc import Iterator
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from interp.languages import TaggedText, tag_words
from interp.models import encode, load_model
from interp.models.zoo.corpus import read_aligned, read_novels
from interp.neurons import depth_profile, language_neurons, method_agreement, text_activity
from interp.neurons.find_switching import SwitchingNeurons, find_switching_neurons, search_material
from interp.neurons.labelled import label_tokens
from interp.neurons.next_language import learn_vocabulary
from interp.neurons.passages import label_passages
from interp.neurons.switch_pairs import pair_switches, replicate_switching
from interp.results import Result
from interp.steering import ablation_matrix, neurons_by_language, read_levels

LANGUAGES = ("en", "fr", "de", "es")
N_PASSAGES, N_CHARS = 32, 2500
"""Passages of each language, from both of its held-out novels."""
SHORTEST_RUN, FEWEST_WORDS, MOST_WORDS = 3, 8, 90
"""A switch of a novel is a run of so many words of another language, in a paragraph of so many words."""
MOST_MIXED, MOST_PLAIN, N_SENTENCES = 150, 250, 50


@cache
def model() -> Any:
    """The shipped model."""
    return load_model("zoo:polyglot")


def passages(corpus: Path) -> dict[str, list[str]]:
    """Whole paragraphs from all over the held-out novels."""
    found = {}
    for name, novels in read_novels(corpus).items():
        pieces = []
        for text in novels.held_out:
            starts = np.linspace(0, len(text) - N_CHARS, N_PASSAGES // len(novels.held_out)).astype(int)
            pieces += [text[start : start + N_CHARS].split(None, 1)[1] for start in starts]
        found[name] = pieces
    return found


@cache
def found_neurons(corpus: Path) -> Result:
    """Language neurons on held-out novels."""
    texts = passages(corpus)
    random = load_model("random:zoo:polyglot", seed=1)
    activities = [text_activity(one, label_passages(one, texts)) for one in (model(), random)]
    return language_neurons(activities[0], random_weights=activities[1])


def rounded(values: np.ndarray) -> Any:
    """Numbers to four places, as JSON has them."""
    return np.round(values.astype(float), 4).tolist()


def neurons(corpus: Path, _: int) -> dict[str, Any]:
    """How many, where, and agreement."""
    found = found_neurons(corpus)
    data, depth = found.data, depth_profile(found).data
    agreement = method_agreement(found).data
    return {
        "found": {
            str(method): data["found"].sel({"method": method}).sum(("layer", "neuron")).values.tolist()
            for method in data["method"].values
        },
        "replicated": {
            str(method): int(data["replicated"].sel({"method": method}).sum()) for method in data["method"].values
        },
        "shuffled": {
            str(method): float(data["control_found"].sel({"method": method}).mean()) for method in data["method"].values
        },
        "random_weights": {
            str(method): int(data["control_random_found"].sel({"method": method}).sum())
            for method in data["method"].values
        },
        "by_layer": {
            str(method): depth["n_found"].sel({"method": method}).sum("language").values.tolist()
            for method in depth["method"].values
        },
        "agreement": {
            str(name): rounded(agreement[name].values) for name in agreement.data_vars if agreement[name].ndim == 2
        },
    }


def matrix(corpus: Path, draws: int) -> dict[str, Any]:
    """The ablation x evaluation matrix of two methods."""
    tested = {name: rows[:N_SENTENCES] for name, rows in read_aligned(corpus).held_out.items()}
    levels = read_levels(model(), passages(corpus))
    told = {}
    for method in ("lape", "auroc"):
        data = ablation_matrix(
            model(), tested, neurons_by_language(found_neurons(corpus), method), levels, n_draws=draws
        ).data
        names = ("effect", "effect_low", "effect_high", "control", "p", "q_fdr")
        own = [name for name in data.data_vars if str(name).startswith(("own_minus", "control_own", "p_own"))]
        told[method] = {str(name): rounded(data[name].values) for name in (*names, *own)}
        told[method] |= {"dominant": data["dominant"].values.tolist(), "stands": data["stands"].values.tolist()}
        told[method]["n_neurons"] = data["n_neurons"].values.tolist()
    return told


@cache
def searched(corpus: Path, draws: int) -> SwitchingNeurons:
    """Built switches of held-out sentences."""
    aligned = read_aligned(corpus)
    held_out = {name: rows[:N_SENTENCES] for name, rows in aligned.held_out.items()}
    return find_switching_neurons(model(), held_out, aligned.train, n_draws=draws, n_single=2)


def switching(corpus: Path, draws: int) -> dict[str, Any]:
    """Code-switching neurons: search, replication, cause."""
    return told_of(searched(corpus, draws))


def told_of(found: SwitchingNeurons) -> dict[str, Any]:
    """The figures of a search."""
    data, notes = found.neurons.data, found.neurons.notes
    chosen = data["found"].values
    last = found.directions.data
    told: dict[str, Any] = {
        key: notes[key]
        for key in (
            "n_samples",
            "n_groups",
            "n_significant",
            "n_replicated",
            "n_found",
            "n_significant_before",
            "n_found_before",
            "shuffled_found",
            "detectable_auroc",
        )
    }
    told["by_layer"] = chosen.sum(1).tolist()
    told["held_out_auroc"] = {
        "from_half": round(float(np.abs(data["replication"].values[chosen] - 0.5).mean()), 4) if chosen.any() else None,
        "largest": round(float(np.abs(data["replication"].values - 0.5).max()), 4),
    }
    told["heads_found"] = int(found.heads.data["found"].sum())
    names: tuple[str, ...] = ("score", "score_low", "score_high", "control", "before")
    told["directions"] = {name: rounded(last[name].values) for name in names}
    if found.tests is not None:
        tests = found.tests.data
        names = ("effect", "effect_low", "effect_high", "control", "control_low", "control_high", "p", "stands")
        told["tests"] = {
            f"{subject} | {edit} | {measure}": [
                round(float(tests[name].sel(subject=subject, edit=edit, measure=measure)), 4) for name in names
            ]
            for subject in tests["subject"].values
            for edit in tests["edit"].values
            for measure in tests["measure"].values
            if bool(tests["ran"].sel(subject=subject, edit=edit, measure=measure))
        }
        told["plain"] = dict(zip(tests["measure"].values.tolist(), rounded(tests["plain"].values), strict=True))
        told["earned"] = dict(zip(tests["subject"].values.tolist(), tests["earned"].values.tolist(), strict=True))
    return told


def natural(corpus: Path, draws: int) -> dict[str, Any]:
    """Switches that the authors of English and German novels wrote."""
    built, texts = searched(corpus, draws), list(mixed_paragraphs(corpus))
    tokens = label_tokens(model(), texts, languages=LANGUAGES)
    material = pair_switches(model(), tokens)
    n_mixed = sum(1 for row in tokens.switch if row.any())
    told: dict[str, Any] = {"paragraphs_that_switch": n_mixed, "switches": int(tokens.switch.sum())}
    if len(built.found):
        again = replicate_switching(model(), material, built.neurons, built.found)
        told["replicated"] = {str(name): rounded(of.values) for name, of in again.data.items() if not of.ndim}
        told["replicated"] |= {
            "neurons": len(built.found),
            "q<.05": int((again.data["q_fdr"] < 0.05).sum()),
            "detectable_auroc": again.notes["detectable_auroc"],
        }
    vocabulary = learn_vocabulary(model(), read_aligned(corpus).train)
    return told | {"own_search": told_of(search_material(model(), material, vocabulary, n_draws=draws, n_single=0))}


def mixed_paragraphs(corpus: Path) -> Iterator[TaggedText]:
    """Paragraphs of the English and German training novels that an author mixed, and others that none did."""
    novels, n_ctx = read_novels(corpus), 250
    for name in ("en", "de"):
        lines = [line for text in (*novels[name].train, *novels[name].held_out) for line in text.splitlines()]
        lines = [line.strip() for line in lines if FEWEST_WORDS <= len(line.split()) <= MOST_WORDS]
        mixed, plain = [], []
        for tagged in _tagged(lines):
            runs = [(tag, len(list(words))) for tag, words in groupby(t for t in tagged.languages if t in LANGUAGES)]
            kind = mixed if _switches(runs, name) else plain if runs and {tag for tag, _ in runs} == {name} else None
            if kind is not None and len(encode(model(), tagged.text)) <= n_ctx:
                kind.append(tagged)
            if len(mixed) >= MOST_MIXED:
                break
        yield from mixed
        yield from plain[:MOST_PLAIN]


def _switches(runs: list[tuple[str, int]], own: str) -> bool:
    """Whether every run of another language is long, and there is one, between words of the novel's own."""
    others = [n for tag, n in runs if tag != own]
    return bool(others) and min(others) >= SHORTEST_RUN and sum(n for tag, n in runs if tag == own) >= SHORTEST_RUN


def _tagged(lines: list[str]) -> Iterator[TaggedText]:
    for start in range(0, len(lines), 200):
        for one in tag_words(lines[start : start + 200], LANGUAGES, switch_nats=6.0):
            if all(not word.isspace() for word in one.words):
                yield one


PARTS = {"neurons": neurons, "matrix": matrix, "switching": switching, "natural": natural}


def main() -> None:
    """Measure and print one JSON line per part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all by default")
    parser.add_argument("--corpus", type=Path, required=True, help="directory with novels/ and parallel/")
    parser.add_argument("--draws", type=int, default=100, help="random sets of neurons")
    given = parser.parse_args()
    for part in given.parts or PARTS:
        measure = partial(PARTS[part], given.corpus, given.draws)
        sys.stdout.write(json.dumps({"part": part, **measure()}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
