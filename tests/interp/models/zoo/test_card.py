import json
import re
from dataclasses import replace

import pytest

from interp.errors import InputError, ModelError
from interp.models.zoo import card as cards
from interp.models.zoo.emergence import Emergence, Measure, Snapshot
from interp.models.zoo.measure import Estimate, RepeatLoss
from interp.models.zoo.scores import Agreement, Fidelity, HeadScore, LanguageScore, Sinks, SwitchFollowing
from interp.results import Provenance

NAMES_WITH_DIGITS = {"19", "20", "16204", "16", "32", "95", "5", "3", "0", "2410", "10781"}
"""Centuries, the number of the COST Action, bfloat16 and float32, the size of all intervals, a licence and a paper."""


def number(value: float) -> Estimate:
    return Estimate(value, value - 0.05, value + 0.05, 24)


def share(value: float, n: int = 50) -> Estimate:
    return Estimate(value, value - 0.05, value + 0.05, n)


def emergence() -> Emergence:
    names = {"bits per byte, held-out novels, en": "bits per byte", "induction": "attention weight"}
    return Emergence(
        "zoo:invented",
        "python -m interp.zoo_emergence --state DIR",
        "held-out novels",
        {name: Measure("x", unit, f"What {name} is.") for name, unit in names.items()},
        [
            Snapshot(step, step * 1000, {"bits per byte, held-out novels, en": number(4.26), "induction": number(0.31)})
            for step in range(0, 1600, 100)
        ],
        Provenance("zoo:invented", "abc", "def", "ghi", "float32", True, "measure_emergence"),
    )


def repeats(first: float, second: float) -> RepeatLoss:
    return RepeatLoss(number(first), number(second), number(first - second), period=41)


@pytest.fixture
def card():
    facts = {"architecture": "LlamaForCausalLM", "n_params": 1234567, "fingerprint": "abc", "n_layers": 5, "n_heads": 7}
    facts |= {"d_model": 111, "d_head": 22, "d_mlp": 333, "d_vocab": 4444, "n_ctx": 77}
    mixture = {"natural": 0.4, "repeated_passage": 0.23, "repeated_random": 0.2, "switched": 0.17}
    recipe = {
        "mixture": mixture,
        "decay": 0.37,
        "steps": 900,
        "batch": 13,
        "n_ctx": 77,
        "muon_lr": 0.03,
        "adam_lr": 0.004,
        "warmup": 17,
    }
    scores = {"low": 0.61, "high": 0.69, "threshold": 0.21, "p_corrected": 0.25}
    return cards.Card(
        model="zoo:invented",
        facts=facts,
        size_mb=8.76,
        training={"steps": 450, "tokens_seen": 5_400_000, "optimizer": "Muon", "recipe": recipe},
        languages=[
            LanguageScore(code, number(2.5 + i), 4.31, 4.83, 2.87, 3, 1000, ("One.", "Two."), 60123)
            for i, code in enumerate(cards.LANGUAGE_NAMES)
        ],
        repeated=repeats(9.25, 1.12),
        repeated_random_weights=repeats(8.41, 8.41),
        heads=[HeadScore("previous_token", "L1H2", 0.65, **scores)],
        n_controls=3,
        settings={"opening": 9, "opening_tokens": 61, "switch_tokens": 23, "first_query": 7, "at_least": 6.0}
        | {"epsilon": 0.35, "epsilon_tokens": 65},
        aligned_train=901,
        aligned_held_out=102,
        sinks=[Sinks("old novels", share(0.22, 24), 0.0123, {"L2H1": 0.81, "L0H3": 0.32}, 0.11, 0.41, 0.01)],
        agreement=[
            Agreement(
                code,
                number(3.31),
                number(-2.21),
                number(5.52),
                share(0.72, 18),
                share(0.14 if code != "de" else 0.9, 18),
                dict.fromkeys(["clean", "corrupted", "answer", "wrong_answer"], "x"),
            )
            for code in ("fr", "de")
        ],
        fidelity=[
            Fidelity("en", share(0.96), {"fr": 0.03, "de": 0.01}, share(0.24), share(0.99)),
            Fidelity("fr", share(0.86), {"en": 0.13, "de": 0.01}, share(0.21), share(0.98)),
        ],
        switching=[SwitchFollowing(2, share(0.77, 96), share(0.15, 96), share(0.08), share(0.26), share(0.97))],
        command="python -m interp.zoo_card",
        versions={"torch": "9.9"},
        made="2030-01-01",
    )


def test_no_number_is_typed_into_the_template():
    typed = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", cards.TEMPLATE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert set(re.findall(r"\d+", typed)) <= NAMES_WITH_DIGITS


@pytest.mark.parametrize(
    "told",
    [
        "5 | 7 | 111 | 22 | 333 | 4444 | 77 tokens | 8.8 MB",
        "1,234,567 parameters",
        "450 of 900 planned steps of 13 sequences of 77 tokens: 5.4 million tokens seen",
        "- 40 % running text",
        "- 17 % aligned sentences that change language inside and keep the sense.",
        "- 23 % a passage",
        "- 20 % random tokens",
        "901 line-aligned sentences in each language",
        "CC BY-SA 3.0); 102 more",
        "17 steps of warm-up,\nthen level, then a linear fall over the last 37 % of the steps)",
        "interp zoo train polyglot --corpus DIR --state DIR",
        "| English | 96 % (91 to 101) | French 3 %, German 1 % | 24 % | 99 % |",
        "All languages together: 91 % (84 to 95).",
        "the first 9 words",
        "61 tokens sampled",
        "| 2 | 77 % (72 to 82) | 15 % (10 to 20) | 8 % | 26 % | 97 % |",
        "96 prompts: a held-out sentence",
        "| old novels | 24 | 0.0123 | 22 % (17 to 27) | 11 % | L2H1 0.81, L0H3 0.32 | 41 % | 1 % |",
        "6 times what the first token",
        "| French | 18 | 3.31 (3.26 to 3.36) | -2.21 (-2.26 to -2.16) | 5.52 (5.47 to 5.57) | 72 % (67 to 77) | 14 % (",
        "random weights do in\n  German.",
        "| English | 2.50 (2.45 to 2.55) | 2.87 | 4.31 | 4.83 | 60,123 |",
        "| Spanish | 5.50 (5.45 to 5.55) | 2.87 | 4.31 | 4.83 | 60,123 |",
        "| French | 3 | 1,000 | the last 2 novels",
        "| zoo:invented | 9.25 (9.20 to 9.30) | 1.12 (1.07 to 1.17) | 8.13 (8.08 to 8.18) |",
        "| random weights | 8.41 (8.36 to 8.46) | 8.41 (8.36 to 8.46) | 0.00 (-0.05 to 0.05) |",
        "worse than even guessing (8.40 nats)",
        "| previous-token | L1H2 | 0.65 (0.61 to 0.69) | 0.21 | 0.25 |",
        "English, French, German and Spanish",
    ],
)
def test_measured_numbers_stand_in_the_card(card, told):
    assert told in cards.render_card(card)


def test_what_came_when_is_told_where_it_was_measured(card):
    assert "What came when" not in cards.render_card(card)
    told = cards.render_card(replace(card, emergence=emergence()))
    head = (
        "| step | tokens (millions) | bits per byte, held-out novels, en | induction |\n|---|---|---|---|\n| 0 | 0.00 |"
    )
    assert head in told
    assert told.count("| 4.26 | 0.31 |") == cards.EMERGENCE_ROWS
    assert "| 1500 | 1.50 | 4.26 | 0.31 |\n" in told
    assert "- induction (attention weight): What induction is.\n" in told
    assert "python -m interp.zoo_emergence --state DIR" in told


def test_an_older_training_is_read_and_told_as_it_was(card, tmp_path):
    recipe = {name: value for name, value in card.training["recipe"].items() if name not in ("mixture", "decay")}
    mixture = {"natural": 0.9, "language_change": 0.1}
    old = card.training | {"recipe": recipe, "mixture": mixture}
    (tmp_path / "training.json").write_text(json.dumps(old))
    training = cards.read_training(tmp_path)
    assert training["recipe"] == recipe | {"mixture": mixture}
    assert "mixture" not in training
    told = cards.render_card(replace(card, training=training, aligned_train=0))
    assert "then a cosine)" in told
    assert "Parallel Universal" not in told
    assert "following a switch" not in told


def test_every_table_has_as_many_cells_in_every_row(card):
    told = cards.render_card(replace(card, emergence=emergence()))
    tables = re.findall(r"(?:^\|.*\n)+", told, flags=re.MULTILINE)
    assert len(tables) == 10
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_front_matter_names_licence_and_languages(card):
    _, front, body = cards.render_card(card).split("---\n", 2)
    assert "license: mit\nlanguage:\n- en\n- fr\n- de\n- es\n" in front
    assert body.startswith("\n# zoo:invented\n")


def test_a_head_that_random_weights_equal_is_called_none(card):
    assert "No previous-token head" not in cards.render_card(card)
    told = cards.render_card(replace(card, heads=[replace(card.heads[0], threshold=0.65)]))
    assert "No previous-token head: the best, L1H2, scores 0.65" in told


def test_a_head_below_half_is_called_so(card):
    assert "less than half" not in cards.render_card(card)
    told = cards.render_card(replace(card, heads=[replace(card.heads[0], score=0.31)]))
    assert "L1H2 puts 31 % of its attention" in told


def test_a_model_that_saves_nothing_is_said_not_to_copy(card):
    assert "the model copies" in cards.render_card(card)
    for saved in (0.02, -1.0):
        told = cards.render_card(replace(card, repeated=repeats(8.4, 8.4 - saved)))
        assert "does not copy" in told
        assert "the model copies" not in told


def test_both_files_are_written_and_agree(card, tmp_path):
    written = cards.write_card_files(card, tmp_path)
    assert sorted(path.name for path in written) == sorted(path.name for path in tmp_path.iterdir())
    told = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert told["languages"][1]["bits_per_byte"] == {"value": 3.5, "low": 3.45, "high": 3.55, "n": 24}
    assert told["sinks"][0]["heads"] == {"L2H1": 0.81, "L0H3": 0.32}
    assert "emergence" not in told
    assert told["command"] in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_a_missing_directory_is_refused(card, tmp_path):
    with pytest.raises(InputError, match="not a directory"):
        cards.write_card_files(card, tmp_path / "nowhere")


@pytest.mark.parametrize("content", [None, "{"])
def test_a_model_that_does_not_say_how_it_was_trained_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "training.json").write_text(content)
    with pytest.raises(ModelError, match=r"training\.json cannot be read.*run its command again"):
        cards.read_training(tmp_path)


def test_each_stage_of_the_training_has_its_shares(card):
    stages = {
        "copying_from": 123,
        "copying_mixture": {"natural": 0.3, "repeated_random": 0.7, "longest_period": 48},
        "final_mixture": {"natural": 0.95, "switched": 0.05, "longest_period": 128},
        "settling": 21,
        "settling_rate": 0.31,
        "settling_mixture": {"natural": 0.99, "switched": 0.01, "longest_period": 128},
    }
    training = card.training | {"recipe": card.training["recipe"] | stages}
    text = cards.render_card(replace(card, training=training))
    begun = ("- 40 %", "From step 123", "While the learning rate fell")
    before, copying, final = (text.index(words) for words in begun)
    assert before < copying < text.index("- 70 % random tokens") < text.index("within 48 tokens") < final
    assert final < text.index("- 95 % running text") < text.index("within 128 tokens")
    assert text.index("the last 21 steps") < text.index("31 % of its peak") < text.index("- 99 % running text")
    assert "longest_period" not in text
    assert "From step" not in cards.render_card(card)
