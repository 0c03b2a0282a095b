"""How well attribution patching and AtP* rank cells, against patching every cell: one JSON line per model.

    python -m tests.bench.attribution [MODEL ...]

Each line holds, by kind of site, Spearman's rho over the cells that a patch can change (effects are means over prompts,
denoising, logit difference): of the signed estimate (`atp`, `atp*`) with the exact effect, with a 95 % bootstrap
interval over prompts, and of AtP*'s GradDrop score with the size of the exact effect; null with fewer than three such
cells, or where a method gives the same number everywhere. `largest` is the cell with the largest exact effect, and
what each method says there; `rank` is its place (1 is first) among all cells by the size of each estimate.
"""

import argparse
import json
import sys
import time
from typing import Any

import numpy as np

from interp.models import ModelEncoder, load_model
from interp.models.compiled import compiled_prompts
from interp.models.zoo import prompts
from interp.patching import against_exact, patch_sweep
from interp.patching.attribution.against import NEGLIGIBLE
from interp.patching.cells import By
from interp.prompts import PromptPair, PromptSet, repeated_random_prompts
from interp.results import Result

KINDS: tuple[tuple[str, By], ...] = (
    ("resid_pre", "pos"),
    ("z", "head"),
    ("q", "head"),
    ("k", "head"),
    ("v", "head"),
    ("mlp_out", "pos"),
)
MODELS = (
    "zoo:polyglot polyglot/agreement",
    "zoo:polyglot polyglot/induction",
    "zoo:induction",
    "zoo:modular",
    "compiled:induction",
    "compiled:copy",
    "compiled:random-3x4-7",
)
BOS, WORDS = 1, range(2, 258)
"""Token ids of `zoo:induction`."""
N_PROMPTS = 16
METHODS = (("atp", 0), ("atp*", 0), ("atp*", 64))


def main() -> None:
    """Measure the models named on the command line, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS, help="a model, or a model and a prompt set in quotes")
    for name in parser.parse_args().models:
        sys.stdout.write(json.dumps(measure(name)) + "\n")
        sys.stdout.flush()


def measure(name: str) -> dict[str, Any]:
    """Compare both estimates with the exact sweep on every kind of site that the model has."""
    begun = time.perf_counter()
    bare, *prompt_set = name.split()
    model = load_model(bare, dtype="float64" if bare.startswith("compiled:") else "float32")
    pairs = _pairs(model, bare, *prompt_set)
    has_mlp = not getattr(model.cfg, "attn_only", False)
    # Circuits by hand have few heads, so those of queries and keys are taken position by position.
    finer: dict[str, By] = {"q": "pos_head", "k": "pos_head"} if bare.startswith("compiled:") else {}
    kinds = [(kind, finer.get(kind, by)) for kind, by in KINDS if kind != "mlp_out" or has_mlp]
    found = {f"{kind} by {by}": _compare(model, pairs, kind, by) for kind, by in kinds}
    seconds = time.perf_counter() - begun
    return {"model": name, "prompts": len(pairs), **found, "seconds": round(seconds, 1)}


def _compare(model: Any, pairs: PromptSet, kind: str, by: By) -> dict[str, Any]:
    exact = patch_sweep(model, pairs, kind, by=by, control=False)
    row: dict[str, Any] = {}
    for method, ig_steps in METHODS:
        asked: dict[str, Any] = {"by": by, "method": method, "ig_steps": ig_steps, "control": False}
        seen = against_exact(patch_sweep(model, pairs, kind, **asked), exact)
        name = f"{method}{ig_steps or ''}"
        agreement = seen.notes.get("rank_correlation")
        row["cells"] = None if agreement is None else agreement["cells"]
        ends = ("rho", "low", "high")
        row[name] = None if agreement is None else [_rounded(agreement.get(end)) for end in ends]
        row["largest"] = row.get("largest", {}) | _largest(seen, name)
        row["found"] = row.get("found", {}) | _found(seen, name)
        if name == "atp*":
            row["graddrop"] = _rounded(seen.notes.get("graddrop_rank_correlation"))
    return row


def _found(seen: Result, method: str) -> dict[str, int]:
    exact, ours = (np.abs(seen.data[name].values) for name in ("exact", "effect"))
    planted, empty = (exact > 0) & (exact >= exact.max() / 10), exact <= NEGLIGIBLE * exact.max()
    floor = max(ours[empty].max(initial=0), NEGLIGIBLE * exact.max())
    return {"of": int(planted.sum()), method: int((ours[planted] > floor).sum())}


def _largest(seen: Result, method: str) -> dict[str, Any]:
    exact, ours = (seen.data[name].values for name in ("exact", "effect"))
    place = np.unravel_index(np.abs(exact).argmax(), exact.shape)
    rank = 1 + int((np.abs(ours) > np.abs(ours[place])).sum())
    names = zip(seen.data["effect"].dims, place, strict=True)
    cell = " ".join(f"{name} {index}" for name, index in names)
    return {
        "cell": cell,
        "exact": _rounded(float(exact[place])),
        method: _rounded(float(ours[place])),
        f"{method} rank": rank,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _pairs(model: Any, bare: str, prompt_set: str = "") -> PromptSet:
    if bare.startswith("compiled:"):
        return compiled_prompts(bare, N_PROMPTS)
    if bare == "zoo:modular":
        return _sums(prime=59)
    if prompt_set:
        return prompts(prompt_set, ModelEncoder(model), n=N_PROMPTS)
    return repeated_random_prompts(N_PROMPTS, 8, ids=WORDS, bos=BOS)


def _sums(prime: int) -> PromptSet:
    """Pairs `a b =` whose first number is another in the corrupted prompt."""
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(N_PROMPTS):
        first, other = rng.choice(prime, 2, replace=False)
        second = rng.integers(prime)
        clean, corrupted = (np.array([number, second, prime], np.int64) for number in (first, other))
        pairs.append(PromptPair(clean, corrupted, int(first + second) % prime, int(other + second) % prime))
    return PromptSet.of(pairs)


if __name__ == "__main__":
    main()
