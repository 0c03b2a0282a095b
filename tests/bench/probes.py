"""Time the sweep of logistic probes over activations on disk against a scikit-learn loop over the same files.

    python -m tests.bench.probes --layers 12 --sites 3 --tokens 100000 --width 768 --sample-cells 6 --json

Activations are made up to be like those of a trained model: correlations with a power-law spectrum and one direction
that holds much of the variance, heavy tails, two massive coordinates, groups of 20 tokens that are alike, and a planted
label of four classes that about 80 to 90 % of the tokens tell. They are written to a temporary directory (11 GB at the
size above), which is deleted at the end.

Both fit the true labels and `--shuffles` permutations of them, on the same training rows, and predict the same rows
held out, in one process on one thread, the two in turn first, cell by cell. scikit-learn standardises once and fits
each, at the same C and to the same tolerance. Times are CPU seconds and include reading the file. `ratio` is for this
same work; `ratio_true_only` lets scikit-learn leave out the permutations and ours not. `--sample-cells` times both on
that many cells only, spread evenly; `cells_timed` says how many. The whole sweep over all cells runs in a process of
its own, whose peak resident memory is `peak_gb`. The last line is one JSON object.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from interp.results import Provenance
from interp.sites import RESIDUAL_KINDS, Site
from probes.estimators.large_logistic import LargeLogisticProbe
from probes.reading.cell_readers import ClassReader
from probes.reading.controls import shuffled_labels
from probes.reading.portions import SweepPlan
from probes.reading.shard_sweep import probe_shards
from probes.samples.shards import ShardedActivations
from probes.samples.split import Fold, group_folds
from probes.tasks.shard_writer import ShardWriter
from tests.bench.patching import timed

KINDS = ("resid_post", "attn_out", "mlp_out", *RESIDUAL_KINDS[:-1])
N_CLASSES = 4
PER_GROUP = 20
BATCH = 2000
SEED = 0


class Stream:
    """What one site's activations are drawn from."""

    def __init__(self, width: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        variances = np.arange(1, width + 1) ** -rng.uniform(0.7, 1.0) * np.exp(-3 * np.arange(width) / width)
        variances[0] *= width / 40
        self.scales = np.sqrt(variances / variances.mean()).astype(np.float32)
        self.turn = np.linalg.qr(rng.standard_normal((width, width)))[0].astype(np.float32)
        # Labels lean towards directions in which much varies, as they do in trained models.
        means = rng.standard_normal((N_CLASSES, width)) * variances**0.25
        means *= rng.uniform(2.3, 2.9) / np.linalg.norm(means, axis=1, keepdims=True)
        self.means = means.astype(np.float32)
        self.massive = rng.choice(width, 2, replace=False)

    def draw(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Activations of some tokens, whole groups of them."""
        width = len(self.scales)
        z = rng.standard_normal((len(labels), width), dtype=np.float32)
        z += np.repeat(0.3 * rng.standard_normal((len(labels) // PER_GROUP, width), dtype=np.float32), PER_GROUP, 0)
        z += self.means[labels]
        x = (z * self.scales * np.sqrt(5 / rng.chisquare(5, (len(labels), 1))).astype(np.float32)) @ self.turn
        x[:, self.massive] = x[:, self.massive] * np.float32([30, 10]) + np.float32([300, -80])
        return x


def write(directory: Path, sites: list[Site], n_tokens: int, width: int, dtype: str) -> None:
    """Make the activations up, batch by batch."""
    rng = np.random.default_rng(SEED)
    streams = {site: Stream(width, number) for number, site in enumerate(sites)}
    made_by = Provenance("made up", "0", "0", "0", dtype, True, "tests.bench.probes")
    with ShardWriter(directory, sites, made_by, dtype=dtype) as writer:
        for start in tqdm(range(0, n_tokens, BATCH), "write", mininterval=30):
            rows = np.arange(start, min(n_tokens, start + BATCH))
            labels = rng.integers(N_CLASSES, size=len(rows))
            writer.write(
                {site: stream.draw(labels, rng) for site, stream in streams.items()}, labels, rows // PER_GROUP
            )


def scikit_learn(
    shards: ShardedActivations, site: Site, labellings: list[np.ndarray], fold: Fold, C: float
) -> tuple[list[float], list[int], list[float]]:
    """Held-out accuracy, iterations, and CPU seconds so far, after each labelling."""

    def prepare() -> tuple[np.ndarray, np.ndarray]:
        X = shards.cell(site.layer, site.kind)
        scaler = StandardScaler()
        return (
            scaler.fit_transform(X[fold.train].astype(np.float32)),
            scaler.transform(X[fold.test].astype(np.float32)),
        )

    spent, (train, test) = timed(prepare)
    accuracies, iterations, seconds = [], [], []
    for labels in labellings:
        fit = LogisticRegression(C=C, max_iter=1000).fit
        took, fitted = timed(lambda fit=fit, labels=labels: fit(train, labels[fold.train]))
        scored, accuracy = timed(lambda fitted=fitted, labels=labels: fitted.score(test, labels[fold.test]))
        spent += took + scored
        accuracies.append(float(accuracy))
        iterations.append(int(fitted.n_iter_.max()))
        seconds.append(spent)
    return accuracies, iterations, seconds


def measure(shards: ShardedActivations, sites: list[Site], C: float, n_shuffles: int) -> dict[str, Any]:
    """Interleave both, cell by cell."""
    fold = group_folds(shards.labels, shards.groups, seed=SEED)[0]
    turned = [shuffled_labels(shards.labels, shards.groups, seed=SEED + number) for number in range(n_shuffles)]
    labellings = [shards.labels, *turned]
    reader = ClassReader(LargeLogisticProbe(C))
    ours, theirs, true_only, found, iterations = 0.0, 0.0, 0.0, [], []
    for number, site in enumerate(tqdm(sites, "compare", mininterval=30)):
        for mine in (number % 2 == 0, number % 2 == 1):
            if mine:
                X = shards.cell(site.layer, site.kind)
                seconds, correct = timed(lambda X=X: reader.score(X, labellings, fold))
                ours += seconds
            else:
                accuracies, steps, spent = scikit_learn(shards, site, labellings, fold, C)
                iterations += steps
                true_only, theirs = true_only + spent[0], theirs + spent[1]
        found.append([correct.mean(1), accuracies])
    reached = np.array(found)
    gaps = np.abs(reached[:, 0] - reached[:, 1]).max(0)
    return {
        "ours_s": round(ours, 1),
        "theirs_s": round(theirs, 1),
        "ratio": round(theirs / ours, 2),
        "ratio_true_only": round(true_only / ours, 2),
        "max_accuracy_gap": round(float(gaps[0]), 5),
        "max_shuffled_gap": round(float(gaps[1:].max()), 5),
        "accuracy": [round(float(end), 3) for end in (reached[:, 0, 0].min(), reached[:, 0, 0].max())],
        "scikit_learn_iterations": [min(iterations), max(iterations)],
        "cells_timed": len(sites),
    }


def sweep(directory: Path, C: float, n_shuffles: int) -> None:
    """Run the whole sweep and print what it took, in a process of its own."""
    plan = SweepPlan(all_folds=False, n_shuffles=n_shuffles, seed=SEED)
    shards = ShardedActivations.open(directory)
    seconds, result = timed(lambda: probe_shards(shards, plan=plan, probe=LargeLogisticProbe(C)))
    margins = result.data["accuracy_low"] - result.data["control_shuffled_high"]
    told = {
        "sweep_cpu_s": round(seconds, 1),
        "peak_gb": round(_peak_bytes() / 1e9, 2),
        "smallest_margin": round(float(margins.min()), 3),
    }
    sys.stdout.write(json.dumps(told) + "\n")


def _peak_bytes() -> int:
    """Peak resident memory of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Write, measure, delete, and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--sites", type=int, default=1, choices=range(1, len(KINDS) + 1))
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--C", type=float, default=0.01)
    parser.add_argument("--shuffles", type=int, default=3, help="permutations of the labels, at least 1")
    parser.add_argument("--dtype", default="float32", choices=("float16", "float32"), help="what is stored")
    parser.add_argument("--sample-cells", type=int, help="time both on so many cells only; by default on all")
    parser.add_argument("--directory", type=Path, help="where to make the temporary directory")
    parser.add_argument("--sweep", type=Path, help="only sweep over this directory, and print what it took")
    parser.add_argument("--json", action="store_true", help="the figures alone, without the settings")
    given = parser.parse_args()
    if given.sweep:
        sweep(given.sweep, given.C, given.shuffles)
        return
    sites = [Site(layer, kind) for layer in range(given.layers) for kind in KINDS[: given.sites]]
    few = np.unique(np.linspace(0, len(sites) - 1, given.sample_cells or len(sites)).round().astype(int))
    with tempfile.TemporaryDirectory(dir=given.directory) as made, threadpool_limits(1):
        directory = Path(made) / "activations"
        write(directory, sites, given.tokens, given.width, given.dtype)
        own = [sys.executable, "-m", "tests.bench.probes", "--sweep", str(directory), "--C", str(given.C)]
        own += ["--shuffles", str(given.shuffles)]
        alone = json.loads(subprocess.run(own, check=True, capture_output=True, text=True).stdout)
        found = measure(ShardedActivations.open(directory), [sites[place] for place in few], given.C, given.shuffles)
    settings = {} if given.json else {name: str(value) for name, value in vars(given).items() if value is not None}
    sys.stdout.write(json.dumps({**settings, **found, **alone, "cells": len(sites)}) + "\n")


if __name__ == "__main__":
    main()
