"""The answer key of a compiled model: which parts do the work, what they tell each other, what removing them does."""

from dataclasses import dataclass
from typing import Literal

from interp.models.compiled.language import OUT, POS, TOKEN, Circuit, Head, Read
from interp.sites import Site

Role = Literal["q", "k", "v", "mlp", "logits"]
EMBED, POS_EMBED, LOGITS = "embed", "pos_embed", "logits"
"""Ends of the graph: the token embedding, the position embedding, the unembedding."""


@dataclass(frozen=True)
class Node:
    """One head or MLP."""

    name: str
    site: Site
    """Where to ablate it: `z` of a head, `mlp_out` of an MLP."""
    writes: str
    """What it writes and where, in words."""


@dataclass(frozen=True, order=True)
class Edge:
    """One node reads what another wrote: as its query, key or value, as an MLP, or as the logits."""

    source: str
    target: str
    role: Role


@dataclass(frozen=True)
class Inputs:
    """A family of prompts, and the nodes that its answer depends on."""

    name: str
    says: str
    needs: frozenset[str]
    """Nodes whose ablation alone changes the logit difference on every prompt of the family."""


@dataclass(frozen=True)
class Prediction:
    """Zero-ablating these nodes, at all positions, changes the logit difference by exactly this, on every prompt."""

    inputs: str
    ablated: tuple[str, ...]
    effect: float
    """Logit of the answer minus that of the wrong answer, ablated minus plain."""


@dataclass(frozen=True)
class AnswerKey:
    """What a discovery method should find in a compiled model, and what it should leave out."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    inputs: tuple[Inputs, ...]
    predictions: tuple[Prediction, ...]
    decoys: tuple[Node, ...]
    """Heads that do something and change nothing: none of them has a path to the logits."""

    def node(self, name: str) -> Node:
        """The node or decoy of this name."""
        return next(node for node in self.nodes + self.decoys if node.name == name)

    def effect(self, inputs: str, *ablated: str) -> float:
        """What the key predicts for ablating these nodes, or decoys, together; decoys add nothing.

        Raises:
            KeyError: the key says nothing about these nodes together.
        """
        decoys = {node.name for node in self.decoys}
        live = frozenset(ablated) - decoys
        table = {(said.inputs, frozenset(said.ablated)): said.effect for said in self.predictions}
        return table[inputs, live] if live else 0.0


def answer_key(circuit: Circuit, inputs: tuple[tuple[str, str], ...], predictions: tuple[Prediction, ...]) -> AnswerKey:
    """Complete a key: nodes and edges follow from who reads what, the predictions were worked out by hand.

    Args:
        circuit: The model.
        inputs: Name and description of each family of prompts.
        predictions: Effects of ablation; every node not named alone for a family has the effect 0 there.
    """
    wires = _wires(circuit)
    live = {LOGITS}
    while more := {wire.source for wire in wires if wire.target in live} - live:
        live |= more
    every = _nodes(circuit)
    nodes = tuple(node for node in every if node.name in live)
    stated = {(said.inputs, said.ablated) for said in predictions}
    silent = tuple(
        Prediction(name, (node.name,), 0.0)
        for name, _ in inputs
        for node in nodes
        if (name, (node.name,)) not in stated
    )
    needed = {
        name: frozenset(said.ablated[0] for said in predictions if said.inputs == name and len(said.ablated) == 1)
        for name, _ in inputs
    }
    return AnswerKey(
        nodes,
        tuple(sorted(wire for wire in wires if wire.target in live)),
        tuple(Inputs(name, says, needed[name]) for name, says in inputs),
        predictions + silent,
        tuple(node for node in every if node.name not in live),
    )


def _nodes(circuit: Circuit) -> list[Node]:
    nodes = []
    for number, layer in enumerate(circuit.layers):
        nodes += [Node(part.name, Site(number, "z", head), part.does) for head, part in enumerate(layer.heads)]
        if layer.mlp is not None:
            nodes.append(Node(layer.mlp.name, Site(number, "mlp_out"), layer.mlp.does))
    return nodes


def _wires(circuit: Circuit) -> set[Edge]:
    """All connections: whoever reads a space hears everybody who wrote into it before."""
    writers: dict[str, list[str]] = {TOKEN: [EMBED], POS: [POS_EMBED]}
    wires: set[Edge] = set()
    for layer in circuit.layers:
        for head in layer.heads:
            for role, read in _readings(head):
                wires |= {Edge(source, head.name, role) for source in writers.get(read.space, [])}
        for head in layer.heads:
            for space in {move.writes for move in head.moves}:
                writers.setdefault(space, []).append(head.name)
        if layer.mlp is not None:
            wires |= {Edge(source, layer.mlp.name, "mlp") for source in writers.get(layer.mlp.read.space, [])}
            writers.setdefault(layer.mlp.writes, []).append(layer.mlp.name)
    return wires | {Edge(source, LOGITS, "logits") for source in [POS_EMBED, *writers.get(OUT, [])]}


def _readings(head: Head) -> list[tuple[Role, Read]]:
    queries: list[tuple[Role, Read]] = [("q", look.query) for look in head.looks]
    keys: list[tuple[Role, Read]] = [("k", look.key) for look in head.looks]
    values: list[tuple[Role, Read]] = [("v", move.value) for move in head.moves]
    return queries + keys + values
