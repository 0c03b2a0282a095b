"""Structural probes: is there a linear map under which distance is distance in the tree, and length is depth?"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import InputError
from probes.estimators.linear import check_samples
from probes.estimators.tree_scores import attachment_score, depth_spearman, distance_spearman

Sentences = Sequence[Float[np.ndarray, "_ d_model"]]
"""Of each sentence, one vector for each word."""
Targets = Sequence[Float[np.ndarray, "..."]]


class _StructuralProbe(BaseEstimator, ABC):
    """A map B of given rank, fitted to sentences by Adam on an L1 loss."""

    projection_: Float[np.ndarray, "rank d_model"]
    """B, in the coordinates of the activations; known up to a rotation of its rows."""
    loss_: float
    """Loss of the last pass over the sentences."""
    n_axes: ClassVar[int]

    def __init__(
        self,
        rank: int = 32,
        learning_rate: float = 0.01,
        n_epochs: int = 40,
        batch_size: int = 20,
        seed: int = 0,
    ) -> None:
        self.rank = rank
        self.learning_rate = learning_rate
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.seed = seed

    @abstractmethod
    def _measure(self, mapped: Float[Tensor, "sentence word rank"]) -> Float[Tensor, "sentence word *word"]:
        """What is predicted, from the words after B."""

    @abstractmethod
    def score(self, X: Sentences, y: Targets) -> float:
        """How well trees are given back; higher is better."""

    def fit(self, X: Sentences, y: Targets) -> "_StructuralProbe":
        """Fit to sentences.

        Args:
            X: Activations of the words of each sentence.
            y: What is to be predicted of each sentence.

        Raises:
            InputError: settings out of range, sentences and targets that do not fit, or values that are not finite.
        """
        self.check_settings()
        X = self._checked(X, y)
        # One scale for all coordinates, so that one learning rate serves every model.
        scale = float(np.sqrt(np.mean(np.concatenate(X) ** 2))) or 1.0
        generator = torch.Generator().manual_seed(self.seed)
        with torch.enable_grad(), tqdm(total=self.n_epochs, desc="fit", unit="epoch", leave=False, delay=2) as bar:
            B = torch.empty(self.rank, X[0].shape[1]).uniform_(-0.05, 0.05, generator=generator).requires_grad_()
            optimiser = torch.optim.Adam([B], lr=self.learning_rate)
            decay = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=self.n_epochs)
            for _ in range(self.n_epochs):
                order = torch.randperm(len(X), generator=generator).tolist()
                self.loss_ = self._epoch(B, optimiser, [(X[place] / scale, y[place]) for place in order])
                decay.step()
                bar.update()
        self.projection_ = B.detach().numpy().astype(np.float64) / scale
        self.n_features_in_ = X[0].shape[1]
        return self

    def _epoch(
        self, B: Tensor, optimiser: torch.optim.Optimizer, sentences: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> float:
        total = 0.0
        for start in range(0, len(sentences), self.batch_size):
            words, targets, true = _batch(sentences[start : start + self.batch_size], self.n_axes)
            gaps = (self._measure(words @ B.T) - targets).abs() * true
            # Of each sentence the mean over what is predicted, so that long sentences do not count for more.
            loss = (gaps.flatten(1).sum(1) / true.flatten(1).sum(1)).sum()
            optimiser.zero_grad()
            (loss / len(words)).backward()
            optimiser.step()
            total += loss.item()
        return total / len(sentences)

    def predict(self, X: Sentences) -> list[Float[np.ndarray, "word *word"]]:
        """Predict the target of each sentence."""
        check_is_fitted(self)
        words = [check_samples(sentence, width=self.projection_.shape[1]) for sentence in X]
        return [self._measure(torch.from_numpy(each @ self.projection_.T)[None])[0].numpy() for each in words]

    def check_settings(self) -> None:
        """Refuse settings that nothing can be fitted with, before anything is.

        Raises:
            InputError: settings out of range.
        """
        settings = {name: getattr(self, name) for name in ("rank", "learning_rate", "n_epochs", "batch_size")}
        if not all(value > 0 for value in settings.values()):
            raise InputError(f"The settings are {settings}. Expected all above zero.")

    def _checked(self, X: Sentences, y: Targets) -> list[Float[np.ndarray, "_ d_model"]]:
        if not len(X) or len(X) != len(y):
            raise InputError(f"{len(X)} sentences and {len(y)} targets. Expected one for each, and at least one.")
        checked = [check_samples(sentence) for sentence in X]
        for place, (sentence, target) in enumerate(zip(checked, y, strict=True)):
            if target.shape != (len(sentence),) * self.n_axes:
                raise InputError(
                    f"Sentence {place} has {len(sentence)} words and a target of shape {target.shape}. "
                    f"Expected {(len(sentence),) * self.n_axes}."
                )
            if not np.isfinite(target).all() or (target < 0).any():
                raise InputError(f"The target of sentence {place} holds NaN, infinity or numbers below zero.")
        return checked


class TreeDistanceProbe(_StructuralProbe):
    """Predict how far apart two words are in the dependency tree: |B (h_i - h_j)|^2.

    Loss: per sentence the sum of |predicted - true| over its squared length. That trees can be read off so is no
    evidence that the model builds or uses them: set it beside the same probe on shuffled sentences, on random weights,
    and on the word's place alone. Larger is farther.

    Args:
        rank: Rows of B.
        learning_rate: Of Adam at the start; it falls linearly to 0.
        n_epochs: Passes over the sentences.
        batch_size: Sentences in each step.
        seed: Decides the initial B and the order of sentences.

    Source: Hewitt & Manning 2019, A Structural Probe for Finding Syntax in Word Representations, sec. 2.2 (NAACL,
    N19-1419).
    """

    n_axes = 2

    def _measure(self, mapped: Float[Tensor, "sentence word rank"]) -> Float[Tensor, "sentence word word"]:
        squares = mapped.square().sum(2)
        products = mapped @ mapped.transpose(1, 2)
        # Rounding may leave a small number below zero.
        return (squares[:, :, None] + squares[:, None] - 2 * products).clamp(min=0)

    def score(self, X: Sentences, y: Targets) -> float:
        """Undirected attachment score (UUAS) of the minimum spanning trees; 0 to 1, higher is better."""
        return attachment_score(self.predict(X), y)

    def spearman(self, X: Sentences, y: Targets) -> float:
        """Mean Spearman correlation of distances (DSpr), sentences of 5 to 50 words."""
        return distance_spearman(self.predict(X), y)


class TreeDepthProbe(_StructuralProbe):
    """Predict how deep a word lies in the dependency tree: |B h_i|^2.

    Loss: per sentence the sum of |predicted - true| over its length. What it is evidence of: see `TreeDistanceProbe`.
    Larger is deeper.

    Args: those of `TreeDistanceProbe`.

    Source: Hewitt & Manning 2019, A Structural Probe for Finding Syntax in Word Representations, sec. 2.3 (NAACL,
    N19-1419).
    """

    n_axes = 1

    def _measure(self, mapped: Float[Tensor, "sentence word rank"]) -> Float[Tensor, "sentence word"]:
        return mapped.square().sum(2)

    def score(self, X: Sentences, y: Targets) -> float:
        """Mean Spearman correlation of depths (NSpr), sentences of 5 to 50 words; higher is better."""
        return depth_spearman(self.predict(X), y)


def _batch(
    sentences: Sequence[tuple[np.ndarray, np.ndarray]], n_axes: int
) -> tuple[Float[Tensor, "sentence word d_model"], Float[Tensor, "..."], Bool[Tensor, "..."]]:
    """Words and targets padded to one length, and which targets are true."""
    longest = max(len(words) for words, _ in sentences)
    words = torch.zeros(len(sentences), longest, sentences[0][0].shape[1])
    targets = torch.zeros(len(sentences), *(longest,) * n_axes)
    true = torch.zeros(targets.shape, dtype=torch.bool)
    for place, (vectors, target) in enumerate(sentences):
        words[place, : len(vectors)] = torch.from_numpy(vectors)
        inside = (place, *(slice(len(vectors)),) * n_axes)
        targets[inside], true[inside] = torch.from_numpy(target), True
    return words, targets, true
