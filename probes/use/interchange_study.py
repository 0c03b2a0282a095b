"""The runs behind `interchange_probe`: what is learned on some pairs and tested on others, and the numbers of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.prompts import PromptSet
from interp.run.interchange import Interchange, Training, arbitrary_targets
from interp.run.subspaces import mean_difference
from interp.statistics import sign_flips
from probes.use.means import means

DAS, MEANS = "das", "mean_difference"
FEWEST_PAIRS = 4
"""On either side of the split."""

AnyBasis = Float[np.ndarray, "d_model _"]
"""Orthonormal columns; subspaces compared with each other may differ in rank."""


@dataclass(frozen=True)
class InterchangePlan:
    """What is learned, on how many pairs, beside how many placebos.

    Raises:
        InputError: numbers that mean nothing.
    """

    rank: int = 1
    epochs: int = 20
    learning_rate: float = 1e-2
    batch_size: int = 32
    n_placebos: int = 5
    test_share: float = 0.5
    """Share of the pairs held out."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_placebos < 1 or not 0 < self.test_share < 1:
            raise InputError(
                f"{self.n_placebos} placebos and a share of {self.test_share} held out. Expected at least one, and a "
                "share between 0 and 1."
            )
        self.training()

    def training(self) -> Training:
        """The budget of every search."""
        return Training(self.rank, self.epochs, self.learning_rate, self.batch_size, self.seed)


def split_pairs(
    prompts: PromptSet, test_share: float, *, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]:
    """Hold out pairs, so that no text stands on both sides, be it clean or corrupted.

    Raises:
        InputError: fewer than four pairs on a side.
    """
    texts = [getattr(pair, side).tobytes() for side in ("clean", "corrupted") for pair in prompts]
    _, number = np.unique(np.array(texts, dtype=object), return_inverse=True)
    clean, corrupted = number.reshape(2, -1)
    n_texts = int(number.max()) + 1
    links = coo_array((np.ones(len(clean)), (clean, corrupted)), shape=(n_texts, n_texts))
    together = connected_components(links, directed=False)[1][clean]
    order = np.random.default_rng(seed).permutation(int(together.max()) + 1)
    sizes = np.bincount(together)[order]
    # Whole groups of pairs that share texts, as long as they fit into the share held out.
    held_out, wanted = [], test_share * len(prompts)
    for group, size in zip(order.tolist(), sizes.tolist(), strict=True):
        if size <= wanted + 0.5:
            held_out.append(group)
            wanted -= size
    tested = np.isin(together, held_out)
    if min(tested.sum(), (~tested).sum()) < FEWEST_PAIRS:
        raise InputError(
            f"{len(prompts)} pairs, of which {int(tested.sum())} could be held out without sharing a text with the "
            f"others. Expected at least {FEWEST_PAIRS} on either side: give more pairs of different texts."
        )
    return np.flatnonzero(~tested), np.flatnonzero(tested)


@dataclass(frozen=True)
class Side:
    """Pairs with the places of both answers among the choices."""

    at: Interchange
    answers: Int[np.ndarray, "2 pair"]
    """The base's own, then the source's."""

    def flips(self, logits: Float[np.ndarray, "pair choice"]) -> Bool[np.ndarray, " pair"]:
        """Where the most likely choice is the source's answer."""
        return logits.argmax(1) == self.answers[1]

    def toward_source(self, logits: Float[np.ndarray, "pair choice"]) -> Float[np.ndarray, " pair"]:
        """How far the source's answer is preferred to the base's, in nats."""
        own, source = np.take_along_axis(logits, self.answers.T, axis=1).T
        return source - own


@dataclass(frozen=True)
class Study:
    """Pairs to learn on, pairs to test on, and the budget."""

    train: Side
    test: Side
    plan: InterchangePlan

    def bases(self, given: Mapping[str, AnyBasis]) -> dict[str, AnyBasis]:
        """Subspaces to exchange: learned, between the means, and those given."""
        side, plan = self.train, self.plan
        between = mean_difference(torch.cat([side.at.base, side.at.source]), side.answers.reshape(-1), rank=plan.rank)
        learned = side.at.learn(side.answers[1], plan.training()).basis
        return {DAS: learned, MEANS: between} | dict(given)

    def measure(self, bases: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """By subspace and held-out pair: flips and effects, and those of the placebos; and the controls of DAS."""
        at, plain = self.test.at, self.test.toward_source(self.test.at.plain())
        found: dict[str, list[np.ndarray]] = {name: [] for name in ("iia", "effect", "placebo", "placebo_effect")}
        with tqdm(total=len(bases), desc="interchange", unit="subspace", leave=False, delay=2) as bar:
            for basis in bases.values():
                swapped = at.swapped(basis)
                placebos = [at.placebo(basis, seed=self.plan.seed + number) for number in range(self.plan.n_placebos)]
                moves = [self.test.toward_source(one) - plain for one in placebos]
                found["iia"].append(self.test.flips(swapped).astype(float))
                found["effect"].append(self.test.toward_source(swapped) - plain)
                found["placebo"].append(np.mean([self.test.flips(one) for one in placebos], axis=0))
                found["placebo_effect"].append(np.mean(moves, axis=0))
                bar.update()
        whole = at.swapped(np.eye(at.d_model))
        return (
            {name: np.stack(parts) for name, parts in found.items()}
            | {"fit": self.train.flips(self.train.at.swapped(bases[DAS])).astype(float)}
            | {"everything": self.test.flips(whole).astype(float)}
            | self._arbitrary()
        )

    def _arbitrary(self) -> dict[str, np.ndarray]:
        targets = arbitrary_targets(self.train.at.pairs, seed=self.plan.seed)
        basis = self.train.at.learn(targets, self.plan.training()).basis
        return {
            "arbitrary": self.test.flips(self.test.at.swapped(basis)).astype(float),
            "arbitrary_fit": (self.train.at.swapped(basis).argmax(1) == targets).astype(float),
        }

    def untrained(self, train: Interchange, test: Interchange) -> dict[str, np.ndarray]:
        """The same search in a model with random weights."""
        basis = train.learn(self.train.answers[1], self.plan.training()).basis
        return {
            "untrained": self.test.flips(test.swapped(basis)).astype(float),
            "untrained_fit": self.train.flips(train.swapped(basis)).astype(float),
        }

    def baselines(self) -> dict[str, float]:
        """What the model answers on held-out bases with nothing exchanged."""
        plain = self.test.at.plain()
        return {
            "own_answer": float((plain.argmax(1) == self.test.answers[0]).mean()),
            "source_answer": float(self.test.flips(plain).mean()),
            "logit_diff": float(-self.test.toward_source(plain).mean()),
        }


def interchange_dataset(found: dict[str, np.ndarray], bases: Mapping[str, np.ndarray], seed: int) -> xr.Dataset:
    """Means over held-out pairs (for `fit`, over those trained on), with intervals and p."""
    variables: dict[str, Any] = {}

    def add(name: str, values: np.ndarray) -> None:
        """Values by pair (last axis), with or without subspaces before it."""
        variables.update(means(name, ("subspace",) if values.ndim > 1 else (), values.T, seed=seed))

    names = {"iia": "iia", "placebo": "control_placebo", "effect": "effect", "placebo_effect": "control_placebo_effect"}
    names |= {"everything": "everything", "fit": "fit"}
    names |= {name: f"control_{name}" for name in ("arbitrary", "arbitrary_fit", "untrained", "untrained_fit")}
    for name, shown in names.items():
        add(shown, found[name])
    cells = {"above_placebo": found["iia"] - found["placebo"]}
    cells |= {f"above_{name}": found["iia"][0] - found[name] for name in ("arbitrary", "untrained")}
    for name, values in cells.items():
        add(name, values)
    flips = sign_flips(np.concatenate([np.atleast_2d(values) for values in cells.values()]).T, seed=seed)
    for end in ("p", "p_corrected"):
        values = getattr(flips, end)
        variables[f"above_placebo_{end}"] = ("subspace", values[: len(bases)])
        variables[f"above_arbitrary_{end}"], variables[f"above_untrained_{end}"] = (
            ((), value) for value in values[len(bases) :]
        )
    variables["rank"] = ("subspace", np.array([basis.shape[1] for basis in bases.values()]))
    return xr.Dataset(variables, {"subspace": list(bases)})
