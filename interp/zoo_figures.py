"""The figures of a card that anybody can measure again: on the shipped text, and with the corpus on held-out text."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from interp import zoo_heads, zoo_language
from interp.attention import head_scores
from interp.models.zoo import measure
from interp.models.zoo import texts as shipped_texts
from interp.models.zoo.corpus import Aligned, Novels
from interp.models.zoo.measure import Estimate
from interp.models.zoo.scores import Fidelity, Sinks, SwitchFollowing
from interp.types import Model
from interp.zoo_agreement import measure_agreement


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    characters: int = 60_000
    """Of held-out text for each language, in equal parts from the beginnings of its held-out novels."""
    openings: int = zoo_language.N_OPENINGS
    """Prompts for each language."""
    switches: int = zoo_language.N_SWITCHES
    """Sentences that change language, for each ordered pair of languages."""
    controls: int = 19
    """Random-weights models behind the heads' thresholds: as many as p = 0.05 needs."""


CARD = Sizes()
"""For a card."""


@dataclass(frozen=True)
class Figures:
    """Numbers by name."""

    values: dict[str, float] = field(default_factory=dict)
    n_sampled: dict[str, int] = field(default_factory=dict)
    """Samples behind those that are shares of samples, which rounding can tip."""

    def __or__(self, other: "Figures") -> "Figures":
        return Figures(self.values | other.values, self.n_sampled | other.n_sampled)


@dataclass(frozen=True)
class Spoken:
    """Which language a model goes on in, and what looks at the first token, on text of one kind."""

    text: str
    fidelity: list[Fidelity]
    switching: list[SwitchFollowing]
    sinks: Sinks

    @property
    def figures(self) -> Figures:
        """The model's numbers by name, without the controls'."""
        shares = {f"goes on in {one.language}, {self.text}": one.same for one in self.fidelity}
        shares |= {f"new language, {one.words_after} words after, {self.text}": one.new for one in self.switching}
        values = {name: found.value for name, found in shares.items()}
        values[f"heads on the first token, {self.text}"] = self.sinks.share.value
        values[f"most attention to the first token, {self.text}"] = max(self.sinks.heads.values())
        return Figures(values, {name: found.n for name, found in shares.items()})


def speak_shipped(model: Model, control: Model, sizes: Sizes = CARD) -> Spoken:
    """Measure on the shipped sentences."""
    sentences = shipped_texts.read_sentences()
    return Spoken(
        "shipped text",
        zoo_language.measure_fidelity(model, control, zoo_language.shipped_openings(sizes.openings)),
        zoo_language.measure_switching(model, control, zoo_language.draw_switches(sentences, sizes.switches)),
        zoo_heads.measure_sinks(model, control, ["\n".join(rows) for rows in sentences.values()], "shipped sentences"),
    )


def speak_held_out(
    model: Model, control: Model, texts: tuple[dict[str, Novels], Aligned], sizes: Sizes = CARD
) -> Spoken:
    """Measure on held-out novels and held-out aligned sentences.

    Args:
        model: A hooked model of the four languages.
        control: The same architecture with random weights.
        texts: The novels and the aligned sentences of the corpus.
        sizes: How much to measure.
    """
    novels, aligned = texts
    openings = zoo_language.held_out_openings(novels, aligned, sizes.openings)
    switches = zoo_language.draw_switches(aligned.held_out, sizes.switches)
    passages = [text for split in novels.values() for text in held_out_passages(split, sizes.characters)]
    return Spoken(
        "held-out text",
        zoo_language.measure_fidelity(model, control, openings),
        zoo_language.measure_switching(model, control, switches),
        zoo_heads.measure_sinks(model, control, passages, "held-out novels"),
    )


def shipped_figures(model: Model, control: Model, spoken: Spoken) -> Figures:
    """Measure what needs nothing but the shipped text, so that anybody can check the card.

    Args:
        model: A hooked model of the four languages.
        control: The same architecture with random weights.
        spoken: What `speak_shipped` measured.

    Returns:
        Bits per byte on the shipped sentences by language, nats on random tokens said twice, the best head of each
        detector, logit differences on the agreement prompts, and what `spoken` holds.
    """
    repeated = measure.repeated_random_loss(model)
    scores = head_scores(model, texts=zoo_heads.shipped_sentences(model), control_models=[control])
    losses = {
        language: text_bits(model, ["\n".join(rows)]) for language, rows in shipped_texts.read_sentences().items()
    }
    values = {
        **{f"best {head.detector.replace('_', '-')} head": head.score for head in zoo_heads.best_heads(scores)},
        "random tokens, first copy, nats": repeated.first.value,
        "random tokens, second copy, nats": repeated.second.value,
    }
    for found in measure_agreement(model, control):
        values[f"agreement, singular, nats, {found.language}"] = found.clean.value
        values[f"agreement, plural, nats, {found.language}"] = found.corrupted.value
        values[f"agreement, share of pairs right, {found.language}"] = found.right.value
    return loss_figures(losses, "shipped sentences") | Figures(values) | spoken.figures


def loss_figures(losses: dict[str, Estimate], text: str) -> Figures:
    """Bits per byte of each language by name."""
    return Figures({f"bits per byte, {text}, {language}": found.value for language, found in losses.items()})


def text_bits(model: Model, passages: Sequence[str]) -> Estimate:
    """Bits per byte of some passages together."""
    return measure.text_loss(model, passages).bits_per_byte()


def held_out_passages(novels: Novels, characters: int = Sizes.characters) -> list[str]:
    """The beginnings of the held-out novels of one language, in equal parts."""
    return [text[: characters // len(novels.held_out)] for text in novels.held_out]
