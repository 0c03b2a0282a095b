"""Count which head detectors find what they should, and how often they find something in random weights.

    python -m tests.bench.heads --json
    python -m tests.bench.heads --shape zoo:induction --random 20 --controls 20

For each shape: new models of random weights (`random:NAME`, seeds from 1001 on) against the control models that
`interp heads` takes (seeds from 1 on), by attention patterns (texts and settings as that command takes them) and by
weights, where the architecture has them. `p` and `q` count models with any head at 0.05 or below, `found` those with
any head that is found. `named` gives the heads of the answer key, or of the card, with the detectors that find them;
`missed` lists those not found by the detector of their own role, `wrong` what is found and not so by the answer key.
One model of each shape goes through `head_scores` and `weight_scores` themselves, and must give the same.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from interp.attention import heads, weights
from interp.attention.materials import prepare
from interp.attention.significance import LEVEL, Measured, beside_random
from interp.errors import ModelError
from interp.models import load_model
from interp.models.compiled import compiled_model
from interp.models.zoo import WEIGHTS
from interp.overview import load_controls
from interp.zoo_heads import shipped_sentences

NEW = 1001
"""First seed of the models under test; controls have seeds from 1 on."""
ROLES = {
    "compiled:brackets": {"counter": ("key_tokens", "token_pairs", "first_token")},
    "compiled:skip-trigram": {"in": ("token_pairs", "first_token"), "at": ("token_pairs", "first_token")},
    "compiled:induction": {
        "previous": ("previous_token", "local"),
        "induction": ("induction", "copying", "first_token"),
    },
    "compiled:copy": {
        "duplicate": ("duplicate_token", "token_pairs", "first_token"),
        "collector": ("first_token",),  # where it rests: what it brings shows in composition alone
        "mover_a": ("copying", "key_tokens", "token_pairs", "first_token"),
        "mover_b": ("copying", "key_tokens", "token_pairs", "first_token"),
        "suppressor": ("copy_suppression", "first_token"),
    },
    "compiled:decoys": {
        "previous": ("previous_token", "local"),
        "induction": ("induction", "copying", "first_token"),
        "backup": ("copying", "induction", "first_token"),
        "loud_words": ("previous_token", "local"),  # decoys look as they do, and are found to
        "loud_twin": ("induction", "first_token"),
        "loud_echo": (),
    },
}
"""By head of the answer key, what is true of it: its own role first, then what follows from where it looks."""
SHAPES = (*ROLES, "zoo:induction", "zoo:polyglot", "zoo:sink-softmax-0")

Found = dict[str, list[str]]


class Family:
    """Detectors that are tested together, on the models of one shape."""

    def __init__(self, names: list[str], beats: np.ndarray, calls: tuple[Callable[..., Any], ...]):
        self.names, self.beats, (self.score, self.measure, self.whole) = names, beats, calls
        self.controls: list[np.ndarray] = []

    def variables(self, measured: Measured) -> dict[str, np.ndarray]:
        """A model beside the controls."""
        told = beside_random(measured, np.stack(self.controls), beats=self.beats)
        return {name: array for name, (_, array) in told.items()}

    def found(self, variables: dict[str, np.ndarray]) -> Found:
        """Detectors by head, such as `{"L0H1": ["copying"]}`."""
        found: Found = {}
        for detector, layer, head in np.argwhere(variables["found"]):
            found.setdefault(f"L{layer}H{head}", []).append(self.names[detector])
        return found

    def check(self, model: Any, name: str, n_controls: int) -> None:
        """What is counted is what the public function returns."""
        told, ours = self.whole(model, control_models=load_controls(name, n_controls)), self.measure(model)
        for variable, values in self.variables(ours).items():
            np.testing.assert_array_equal(told.data[variable].values, values)


def families(model: Any) -> dict[str, Family]:
    """Both families of detectors, or patterns alone where the weights cannot be read."""
    texts = shipped_sentences(model)
    materials = prepare(model, texts, n_sequences=32, period=25, seed=0)
    by_pattern = (
        partial(heads.score, materials=materials),
        partial(heads.measure, materials=materials, seed=0),
        partial(heads.head_scores, texts=texts),
    )
    found = {"patterns": Family(materials.names, heads.of_repetition(materials.names), by_pattern)}
    try:
        tokens = weights.draw_tokens(model, 2000, 0)
        weights.score(model, tokens)
    except ModelError:
        return found
    by_weight = partial(weights.score, tokens=tokens), partial(weights.measure, tokens=tokens), weights.weight_scores
    every = np.ones(len(weights.DETECTORS), dtype=bool)
    return found | {"weights": Family(list(weights.DETECTORS), every, by_weight)}


def measure_shape(name: str, n_random: int, n_controls: int) -> dict[str, Any]:
    """Test the model itself and new random ones against the same controls."""
    model, began = load_model(name), time.perf_counter()
    tested = families(model)
    for control in load_controls(name, n_controls):
        for family in tested.values():
            family.controls.append(family.score(control))
    new: dict[str, list[dict[str, np.ndarray]]] = {kind: [] for kind in tested}
    for seed in tqdm(range(NEW, NEW + n_random), desc=name, mininterval=60):
        other = load_model(f"random:{name}", seed=seed)
        for kind, family in tested.items():
            new[kind].append(family.variables(family.measure(other)))
    found: Found = {}
    for family in tested.values():
        family.check(model, name, n_controls)
        for head, detectors in family.found(family.variables(family.measure(model))).items():
            found.setdefault(head, []).extend(detectors)
    random = {kind: count(tested[kind], rows) for kind, rows in new.items()}
    return {"random": random, **judge(name, found), "wall_s": round(time.perf_counter() - began, 1)}


def count(family: Family, rows: list[dict[str, np.ndarray]]) -> dict[str, Any]:
    """How many models have any head that passes."""
    hits = [some for row in rows if (some := family.found(row))]
    passed = {name: sum(bool((row[name] <= LEVEL).any()) for row in rows) for name in ("p_corrected", "q_fdr")}
    return {"models": len(rows), "p": passed["p_corrected"], "q": passed["q_fdr"], "found": len(hits), "heads": hits}


def judge(name: str, found: Found) -> dict[str, Any]:
    """Compare what is found with the answer key, or with the heads that the card names."""
    if name in ROLES:
        key = compiled_model(name).key
        sites = {node.name: node.site for node in key.nodes + key.decoys if node.site.kind == "z"}
        places = {role: f"L{site.layer}H{site.head}" for role, site in sites.items()}
        true = {places[role]: detectors for role, detectors in ROLES[name].items()}
        working = {node.name for node in key.nodes}
        named = {role: [places[role], *found.get(places[role], [])] for role in sites if role in working}
        missed = [role for role, (_, *by) in named.items() if ROLES[name][role][0] not in by]
        wrong = {head: sorted(set(by) - set(true.get(head, ()))) for head, by in found.items()}
        return {"named": named, "missed": missed, "wrong": {head: by for head, by in wrong.items() if by}}
    if name != "zoo:induction":
        return {"found_heads": found}
    card = (WEIGHTS / "induction" / "card.json").read_text()
    own = {place: kind.replace("-", "_") for kind, place in re.findall(r"best ([\w-]+) head, (L\dH\d)", card)}
    named = {kind: [place, *found.get(place, [])] for place, kind in own.items()}
    missed = [kind for kind, (_, *by) in named.items() if kind not in by]
    return {"named": named, "missed": missed, "found_heads": found}


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shape", choices=SHAPES, action="append", help="may be given again; by default all")
    parser.add_argument("--random", type=int, default=20)
    parser.add_argument("--controls", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="the figures alone, without the settings")
    given = parser.parse_args()
    torch.set_num_threads(1)
    shapes = {name: measure_shape(name, given.random, given.controls) for name in given.shape or SHAPES}
    counts = [kind for shape in shapes.values() for kind in shape["random"].values()]
    missed = {name: shape["missed"] for name, shape in shapes.items() if shape.get("missed")}
    wrong = {name: shape["wrong"] for name, shape in shapes.items() if shape.get("wrong")}
    found = {
        "random_tests": sum(kind["models"] for kind in counts),
        "random_found": sum(kind["found"] for kind in counts),
        "random_p": sum(kind["p"] for kind in counts),
        "random_q": sum(kind["q"] for kind in counts),
        "missed": missed,
        "wrong": wrong,
        "shapes": shapes,
    }
    sys.stdout.write(json.dumps(found if given.json else vars(given) | found) + "\n")


if __name__ == "__main__":
    main()
