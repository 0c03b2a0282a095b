"""Which tests can be run on which prompts, and the reasons of those that cannot."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from interp.attention.sink_tests import places, writers
from interp.attention.sink_tests.arms import Subject
from interp.attention.sink_tests.cases import ALL, CASES
from interp.attention.sink_tests.edits import RefusedError
from interp.attention.sink_tests.route import find_route
from interp.attention.sink_tests.scores import Custom, Hidden, Loss, NextToken, Score
from interp.attention.sink_tests.setting import Case, Setting
from interp.errors import InputError, PromptError, SiteError
from interp.models import describe, facts
from interp.prompts import TokenBatch
from interp.types import Model

LEAST_TOKENS = 4
"""Shorter prompts have no token in the middle to move a sink to."""
_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Options:
    """Settings of a battery."""

    tests: tuple[str, ...] = ALL
    domains: Mapping[str, TokenBatch] = field(default_factory=dict)
    loss: Loss | None = None
    n_draws: int = 3
    n_heads: int = 3
    move_from_layer: int = 0
    seed: int = 0
    rows_per_batch: int | None = None

    @property
    def words(self) -> str:
        """The settings as they are called."""
        shown = ("n_draws", "n_heads", "move_from_layer", "seed")
        return ", ".join([f"domains={sorted(self.domains)}", *(f"{name}={getattr(self, name)}" for name in shown)])


@dataclass(frozen=True)
class Sample:
    """The tests to be run on some prompts, with the reasons of those that cannot be."""

    name: str
    setting: Setting
    cases: tuple[Case, ...]
    refused: dict[str, str]
    order: tuple[str, ...]


def prepare(model: Model, batch: TokenBatch, options: Options) -> list[Sample]:
    """Make the tests of the battery's prompts, then those of each domain.

    Raises:
        InputError: an unknown test, or settings out of range.
        PromptError: prompts that do not fit, or too few or too short ones.
    """
    _check_options(options, facts(model).n_layers)
    for name, part in {"the battery": batch, **options.domains}.items():
        _check_prompts(model, name, part)
    known, route = describe(model).facts, find_route(model, batch)
    causal, score = known["family"] != "encoder", _score(options.loss, known["family"])

    def setting(part: TokenBatch) -> Setting:
        return Setting(
            Subject(model, part, score, route, causal, bool(known["learned_sinks"])),
            seed=options.seed,
            n_draws=options.n_draws,
            move_from_layer=options.move_from_layer,
            rows_per_batch=options.rows_per_batch or _rows_per_batch(model, part),
        )

    main = setting(batch)
    samples = [_sample("prompts", main, {test: partial(CASES[test], main) for test in options.tests})]
    heads = places.strongest_heads(main.sink_by_head.mean(0), options.n_heads) if options.domains else []
    for domain, part in options.domains.items():
        own = setting(part)
        makers = {
            f"L{layer}H{head} on {domain}": partial(writers.head_test, own, domain, layer, head)
            for layer, head in heads
        }
        samples.append(_sample(domain, own, makers))
    return samples


def _score(loss: Loss | None, family: str) -> Score:
    if loss is not None:
        return Custom(loss, getattr(loss, "__name__", type(loss).__name__))
    return Hidden() if family == "encoder" else NextToken()


def _sample(name: str, setting: Setting, makers: Mapping[str, Callable[[], Case]]) -> Sample:
    cases, refused = [], {}
    for test, make in makers.items():
        try:
            cases.append(make())
        except (RefusedError, SiteError) as error:
            refused[test] = str(error)
    return Sample(name, setting, tuple(cases), refused, tuple(makers))


def _check_options(options: Options, n_layers: int) -> None:
    tests = options.tests
    if unknown := [name for name in tests if name not in CASES]:
        raise InputError(f"No sink test {unknown[0]!r}. Expected some of {list(ALL)}.")
    if len(set(tests)) < len(tests):
        raise InputError(f"The tests {list(tests)} name one twice. Give each once.")
    if not tests and not options.domains:
        raise InputError(f"There is neither a test nor a domain. Expected some of {list(ALL)}, or prompts by domain.")
    if options.n_draws < 1 or options.n_heads < 1:
        raise InputError(f"n_draws is {options.n_draws} and n_heads {options.n_heads}. Expected at least 1 of each.")
    if not 0 <= options.move_from_layer < n_layers:
        raise InputError(f"move_from_layer is {options.move_from_layer}. Expected 0 to {n_layers - 1}.")


def _check_prompts(model: Model, name: str, batch: TokenBatch) -> None:
    known = facts(model)
    batch.check_fits(d_vocab=known.d_vocab, n_ctx=known.n_ctx)
    if len(batch) < 2:
        raise PromptError(f"One prompt for {name} gives no interval over prompts. Expected at least 2.")
    if (shortest := int(batch.lengths.min())) < LEAST_TOKENS:
        raise PromptError(f"A prompt for {name} has {shortest} tokens. Expected at least {LEAST_TOKENS}.")


def _rows_per_batch(model: Model, batch: TokenBatch) -> int:
    """As many prompts as keep logits and one layer's patterns small."""
    known, n_pos = facts(model), batch.tokens.shape[1]
    numbers = n_pos * max(known.d_vocab, known.n_heads * n_pos, known.d_mlp)
    return int(np.clip(_BYTES // (4 * numbers), 1, 32))
