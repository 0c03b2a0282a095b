"""Figures of the sink census over layers and heads: sinks, classes of token, domains."""

from dataclasses import replace

from interp.plots import contract
from interp.plots.figure import Figure
from interp.plots.heatmap import Line, head_axes
from interp.plots.sink_panels import Pair, Words, details_of, figure_of_pairs, with_interval
from interp.results import Result

_DIMS = ("layer", "head")
_HEADS = (
    ("first", "attention to the first token"),
    ("alpha", "attention received by the first token (alpha)"),
    ("learned", "attention to no token (learned sink)"),
)
_READ_HEADS = (
    "Each cell is one head, layers down and heads across; darker is more. A ring marks heads that count as sinks in at "
    "least half of the sequences: alpha above epsilon. Uniform attention would give the numbers named in the caption. "
    "A sink shows where a head looks, not that anything depends on it."
)
_READ_CLASSES = (
    "Each cell is one head; darker means that more of its attention goes to tokens of that class. A class with many "
    "tokens gets more by number alone: compare with uniform attention, given in each title. "
    "Attention to a class is not evidence that the model uses it."
)
_READ_DOMAINS = (
    "Each cell is one head; darker means that it looks more at the first token on that domain. The control is the same "
    "with domain labels shuffled. A ring marks heads whose domains are further apart than those of any head after "
    "shuffling (corrected p below 0.05). Resting on a domain does not show that the head's work elsewhere matters."
)


def plot_sink_heads(result: Result) -> Figure:
    """Draw layer x head heatmaps of the sink, each beside random weights.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["first", "alpha", "learned", "sink_share", "control_first"])
    shown = _HEADS if result.notes.get("learned_sinks") else _HEADS[:2]
    marked = contract.matrix(result, "sink_share", *_DIMS) >= 0.5
    lines = [line for name, words in shown for line in with_interval(name, f"<br>{words}")]
    lines += with_interval("sink_share", "<br>sequences with alpha above epsilon")
    lines += with_interval("entropy", "<br>row entropy (nats)")
    details = details_of(result, lines, *_DIMS)
    pairs = []
    for (name, words), rings in zip(shown, [None, marked, None], strict=False):
        values, control = (contract.matrix(result, key, *_DIMS) for key in (name, f"control_{name}"))
        pairs.append(Pair(words, values, control, details, "weight", rings))
    return figure_of_pairs(result, Words("Attention sinks by head", _READ_HEADS), head_axes(result), pairs, lines)


def plot_sink_classes(result: Result) -> Figure:
    """Draw one pair of heatmaps for each class of token.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["weight", "control_weight", "uniform"])
    lines, pairs = with_interval("weight", "weight"), []
    for name in result.data["token_class"].values:
        part = _selected(result, token_class=name)
        values, control = (contract.matrix(part, key, *_DIMS) for key in ("weight", "control_weight"))
        even = float(part.data["uniform"])
        pairs.append(Pair(f"{name} (uniform {even:.3g})", values, control, details_of(part, lines, *_DIMS)))
    words = Words("Attention by class of token", _READ_CLASSES)
    return figure_of_pairs(result, words, head_axes(result), pairs, lines)


def plot_sink_domains(result: Result) -> Figure:
    """Draw one pair of heatmaps for each domain, the control with shuffled labels.

    Raises:
        ResultError: no control, or a variable missing.
    """
    contract.check_drawable(result, ["first", "control_shuffled", "spread", "p_corrected"])
    lines = [
        Line("first", "attention to the first token", ".4g"),
        Line("first_low", "<br>95 % interval", ".4g"),
        Line("first_high", " to", ".4g"),
        Line("control_shuffled", "<br>with shuffled labels", ".4g"),
        Line("control_first", "<br>random weights", ".4g"),
        Line("spread", "<br>largest less smallest domain", ".4g"),
        Line("control_spread", "<br>the same, shuffled", ".4g"),
        Line("p_corrected", "<br>corrected p", ".3g"),
    ]
    marked, pairs = contract.matrix(result, "p_corrected", *_DIMS) < contract.ALPHA, []
    for name in result.data["domain"].values:
        part = _selected(result, domain=name)
        values, control = (contract.matrix(part, key, *_DIMS) for key in ("first", "control_shuffled"))
        pairs.append(Pair(str(name), values, control, details_of(part, lines, *_DIMS), "weight", marked))
    words = Words("Heads at rest, by domain", _READ_DOMAINS)
    return figure_of_pairs(result, words, head_axes(result), pairs, lines)


def _selected(result: Result, **where: object) -> Result:
    """One slice of a result, with everything it says."""
    return replace(result, data=result.data.sel(where, drop=True))
