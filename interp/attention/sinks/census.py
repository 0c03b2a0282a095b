"""The sink census: by the literature's definitions, in one pass, beside random weights."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from interp.attention.sinks import attention_results as attention
from interp.attention.sinks import mechanism_results as mechanism
from interp.attention.sinks.measures import EPSILON, LAST_KEYS
from interp.attention.sinks.patterns import PatternSettings, distance_bins
from interp.attention.sinks.stream import Numbers, detail_reductions, pattern_reductions, stream
from interp.attention.sinks.taken import Taken
from interp.attention.sinks.token_classes import TokenClasses, token_classes
from interp.attention.streaming import refuse_other_shape
from interp.errors import InputError
from interp.models import describe, provenance, str_tokens
from interp.models.architecture import is_encoder
from interp.prompts import TokenBatch
from interp.results import Result
from interp.types import Model

N_TOKENS = 64
"""T in the source of Sink^epsilon."""


@dataclass(frozen=True)
class SinkCensus:
    """Results of one census, by what they are over."""

    heads: Result
    """Layer x head: weight on the first token, alpha, learned sink mass, row entropy."""
    epsilons: Result
    """Epsilon x layer: Sink^epsilon."""
    depth: Result
    """Measure x layer: norms, matrix entropies, sinks."""
    values: Result
    """Layer x head: value drain, and the parts of the first key's score."""
    spikes: Result
    """Layer x rank: the largest activations of the residual stream."""
    spike_map: Result
    """Position x dimension: the spikes of one sequence."""
    keys: Result
    """Layer x position: received attention."""
    classes: Result
    """Class of token x layer x head."""
    distances: Result
    """Distance x layer x head."""
    secondary: Result
    """Layer of creation x life: later tokens that look like the first."""
    neurons: Result | None
    """Layer x rank: neurons that write most at the first token; None where the model shows no neurons."""
    domains: Result | None
    """Domain x layer x head, where domains were given."""

    @property
    def results(self) -> tuple[Result, ...]:
        """All results that there are, in this order."""
        found = [getattr(self, field.name) for field in fields(self)]
        return tuple(result for result in found if result is not None)


def sink_census(
    model: Model,
    batch: TokenBatch,
    control_model: Model,
    *,
    domains: Sequence[str] | None = None,
    n_tokens: int = N_TOKENS,
    n_detailed: int = 16,
    seed: int = 0,
) -> SinkCensus:
    """Count a model's attention sinks and measure what goes with them, in one pass over a corpus.

    Patterns are reduced where they pass and never kept. The control, and what lies behind attention (residual stream,
    queries, keys, values, neurons), are read on `n_detailed` sequences, evenly spaced in the corpus.

    Args:
        model: A hooked model.
        batch: The corpus; begin every sequence as the model expects, or on purpose otherwise.
        control_model: The same architecture with random weights.
        domains: A label for every sequence, to compare how heads rest on one domain and work on another.
        n_tokens: T of alpha and Sink^epsilon on causal models, which depend on it; less where a sequence is shorter.
        n_detailed: Sequences for the control and the readings behind attention.
        seed: Decides the resamples.

    Returns:
        Results, each with its control and bootstrap intervals. Positive numbers mean what each result's `sign` says.

    Raises:
        InputError: fewer than two sequences, one too short, labels that do not fit, or a control of another shape or
            with the model's weights.
        PromptError: sequences that do not fit the model.
        SiteError: the model shows no attention patterns.
    """
    n_detailed = min(n_detailed, len(batch))
    _check(batch, domains, n_detailed)
    refuse_other_shape(model, control_model)
    call = f"sink_census({len(batch)} sequences, n_tokens={n_tokens}, n_detailed={n_detailed}, seed={seed})"
    made_by = provenance(model, tokens=[batch.tokens, batch.mask], call=call, seed=seed)
    order = _detailed_first(len(batch), n_detailed)
    batch = TokenBatch(batch.tokens[order], batch.mask[order])
    classes, causal = token_classes(model, batch), not is_encoder(model)
    shortest = int(batch.lengths.min())
    settings = PatternSettings(
        n_tokens=min(n_tokens, shortest) if causal else shortest,
        causal=causal,
        n_classes=len(classes.names),
        distances=distance_bins(int(batch.lengths.max())),
        epsilon=EPSILON,
    )
    if causal and settings.n_tokens <= 2 * LAST_KEYS:
        raise InputError(
            f"The shortest sequence, or n_tokens, is {settings.n_tokens}: the last {LAST_KEYS} keys mean nothing, so "
            f"little is left. Expected more than {2 * LAST_KEYS} tokens."
        )
    taken = Taken(
        ours=_read(model, batch, classes, settings, n_detailed),
        control=_read(control_model, batch[:n_detailed], classes, settings, n_detailed),
        settings=settings,
        batch=batch,
        classes=classes,
        facts=describe(model).facts,
        made_by=made_by,
        seed=seed,
    )
    return _as_census(taken, _texts(model, batch), None if domains is None else [domains[row] for row in order])


def _read(
    model: Model, batch: TokenBatch, classes: TokenClasses, settings: PatternSettings, n_detailed: int
) -> Numbers:
    """One pass: patterns of all sequences, everything else of the first."""
    patterns = pattern_reductions(model, classes, settings)
    found = stream(model, batch[:n_detailed], [*patterns, *detail_reductions(model, batch.tokens.shape[1])])
    if n_detailed == len(batch):
        return found
    others = TokenClasses(classes.names, classes.numbers[n_detailed:])
    more = stream(model, batch[n_detailed:], pattern_reductions(model, others, settings))
    return found | {name: np.concatenate([found[name], numbers]) for name, numbers in more.items()}


def _detailed_first(n: int, n_detailed: int) -> list[int]:
    """An order of the corpus that begins with evenly spaced sequences: a corpus may lie in order of domains."""
    chosen = np.linspace(0, n - 1, n_detailed).round().astype(int)
    return [*chosen.tolist(), *np.setdiff1d(np.arange(n), chosen).tolist()]


def _as_census(taken: Taken, texts: list[str], domains: list[str] | None) -> SinkCensus:
    return SinkCensus(
        heads=attention.head_result(taken),
        epsilons=attention.epsilon_result(taken),
        depth=mechanism.depth_result(taken),
        values=mechanism.value_result(taken),
        spikes=mechanism.spike_result(taken),
        spike_map=mechanism.map_result(taken, texts),
        keys=attention.key_result(taken),
        classes=attention.class_result(taken),
        distances=attention.distance_result(taken),
        secondary=mechanism.secondary_result(taken),
        neurons=mechanism.neuron_result(taken),
        domains=None if domains is None else attention.domain_result(taken, domains),
    )


def _texts(model: Model, batch: TokenBatch) -> list[str]:
    ids = batch.tokens[0, : batch.lengths[0]]
    return str_tokens(model, ids) if model.tokenizer is not None else [str(token) for token in ids]


def _check(batch: TokenBatch, domains: Sequence[str] | None, n_detailed: int) -> None:
    if n_detailed < 2:
        raise InputError(
            f"{n_detailed} sequences give no interval. Expected at least 2, in the corpus and in n_detailed."
        )
    if batch.lengths.min() < 3:
        raise InputError(f"A sequence of {batch.lengths.min()} tokens has nothing to compare. Expected 3 or more.")
    if domains is None:
        return
    if len(domains) != len(batch):
        raise InputError(f"{len(domains)} domain labels for {len(batch)} sequences. Give one for each sequence.")
    few = [name for name in set(domains) if list(domains).count(name) < 2]
    if few or len(set(domains)) < 2:
        raise InputError(f"Domains {few or set(domains)} cannot be compared. Expected 2 or more of 2 sequences each.")
