"""The tests: for each, what one run edits and what its controls edit instead."""

from collections.abc import Callable

import numpy as np

from interp.attention.sink_tests import other_tokens, writers
from interp.attention.sink_tests.arms import Arm
from interp.attention.sink_tests.edits import PinRow, RefusedError, Take
from interp.attention.sink_tests.setting import Case, Setting
from interp.models import describe

_SHARE = "attention weight per query and head"


def mask_key(setting: Setting) -> Case:
    """Mask the first key; control: other keys of the same weight, drawn anew for every query and head."""
    _need_patterns(setting)
    return Case(
        "mask_key",
        "mask key 0 for all later queries and renormalise",
        "mask random other keys until every query and head has lost as much weight as key 0 has there; where they "
        "together have less, all of them, which is a smaller budget: see mask_key_equal_mass",
        Arm(Take("first")),
        setting.masked_others,
        budget_unit=_SHARE,
    )


def mask_key_equal_mass(setting: Setting) -> Case:
    """As `mask_key`, with exactly equal weights on both sides."""
    _need_patterns(setting)
    return Case(
        "mask_key_equal_mass",
        "take from key 0 as much weight as the other keys together could give, at most, and renormalise",
        "take exactly that weight from random other keys and renormalise",
        Arm(Take("first", all_of_it=False)),
        setting.masked_others,
        budget_unit=_SHARE,
    )


def zero_value(setting: Setting) -> Case:
    """Zero the first token's value with attention kept; control: values of other keys of the same weight."""
    _need_patterns(setting)
    return Case(
        "zero_value",
        "set v_0 to zero as later queries read it, attention kept",
        "set the values of random other keys to zero, for every query and head as many as are attended as much; where "
        "the others together have less, all of them, which is a smaller budget: see zero_value_equal_mass",
        Arm(Take("first", renormalise=False)),
        setting.valueless_others,
        budget_unit=_SHARE,
    )


def zero_value_equal_mass(setting: Setting) -> Case:
    """As `zero_value`, with exactly equal weights on both sides."""
    _need_patterns(setting)
    return Case(
        "zero_value_equal_mass",
        "take from what v_0 gives each query as much weight as the other keys together have, at most, attention kept",
        "take exactly that weight from what the values of random other keys give",
        Arm(Take("first", all_of_it=False, renormalise=False)),
        setting.valueless_others,
        budget_unit=_SHARE,
    )


def move_sink(setting: Setting) -> Case:
    """Let a token in the middle attend to itself alone, as the first token must; control: to another token alone."""
    _need_patterns(setting)
    batch, first = setting.subject.batch, setting.move_from_layer
    rng, reach = np.random.default_rng(setting.seed), _least_window(setting)
    query = np.array([rng.integers(2, length - 1) for length in batch.lengths])
    arms = []
    for _ in range(setting.n_draws):
        other = np.array([rng.integers(max(1, at - reach + 1), at) for at in query])
        arms.append(Arm(PinRow(query, other, first), target=query))
    return Case(
        "move_sink",
        f"mask a random token so that it attends to itself alone, from layer {first} on",
        f"mask it so that it attends to one random other token alone, not the first, from layer {first} on",
        Arm(PinRow(query, query, first), target=query),
        tuple(arms),
        target="the masked token",
        budget_unit="attention weight per head of the masked row",
        plain=Arm(target=query),
    )


def _least_window(setting: Setting) -> int:
    windows = [window for window in describe(setting.subject.model).facts["sliding_windows"] if window]
    return min(windows, default=int(setting.subject.batch.lengths.max()))


def _need_patterns(setting: Setting) -> None:
    if setting.subject.route.kind == "none":
        raise RefusedError(setting.subject.route.reason)


CASES: dict[str, Callable[[Setting], Case]] = {
    "bos": other_tokens.bos,
    "random_tokens": other_tokens.random_tokens,
    "one_token_repeated": other_tokens.one_token_repeated,
    "mask_key": mask_key,
    "mask_key_equal_mass": mask_key_equal_mass,
    "zero_value": zero_value,
    "zero_value_equal_mass": zero_value_equal_mass,
    "massive_zero": writers.massive_zero,
    "massive_mean": writers.massive_mean,
    "massive_zero_mean": writers.massive_zero_mean,
    "spike_neuron": writers.spike_neuron_test,
    "move_sink": move_sink,
}
"""The battery, by name."""
ALL = tuple(CASES)
