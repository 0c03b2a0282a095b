"""Chosen neurons, and as many others like them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from interp.errors import InputError


@dataclass(frozen=True)
class Neurons:
    """Neurons by layer and number."""

    layer: Int[np.ndarray, " n"]
    neuron: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.layer)

    @property
    def names(self) -> list[str]:
        """`L2N17` and so on, in order."""
        return [f"L{layer}N{neuron}" for layer, neuron in zip(self.layer, self.neuron, strict=True)]

    def by_layer(self) -> dict[int, np.ndarray]:
        """Numbers of the neurons of each layer that has some."""
        return {int(layer): self.neuron[self.layer == layer] for layer in np.unique(self.layer)}

    def like(self, activity: Float[np.ndarray, "layer neuron"], rng: np.random.Generator) -> "Neurons":
        """Draw as many others in every layer, none of these, each near one of these in activity.

        Args:
            activity: How much each neuron does; ranks within a layer are compared.
            rng: Decides which of the near ones.

        Raises:
            InputError: a layer with fewer others than neurons.
        """
        drawn = [self._like(layer, mine, activity[layer], rng) for layer, mine in self.by_layer().items()]
        return Neurons(np.concatenate([layers for layers, _ in drawn]), np.concatenate([those for _, those in drawn]))

    def _like(
        self, layer: int, mine: np.ndarray, activity: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        rank = np.argsort(np.argsort(activity, kind="stable"))
        free = np.setdiff1d(np.arange(len(activity)), mine)
        if len(free) < len(mine):
            raise InputError(f"Layer {layer} has {len(free)} other neurons for {len(mine)}. Choose fewer neurons.")
        taken = []
        for neuron in rng.permutation(mine):
            near = free[np.argsort(np.abs(rank[free] - rank[neuron]), kind="stable")[:_NEAR]]
            taken.append(int(rng.choice(near)))
            free = free[free != taken[-1]]
        return np.full(len(taken), layer), np.array(taken)


_NEAR = 20
"""A neuron is drawn from so many of the nearest in rank."""
