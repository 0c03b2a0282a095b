"""What the card of `zoo:polyglot` says in numbers: one record for each kind of measurement."""

from dataclasses import dataclass

from interp.models.zoo.measure import Estimate


@dataclass(frozen=True)
class LanguageScore:
    """Bits per byte on held-out text of one language, beside what needs no training on sequences."""

    language: str
    bits_per_byte: Estimate
    random_weights: float
    """Of the same architecture with random weights."""
    byte_unigram: float
    """Of a code that knows only how often each byte occurs in the training novels."""
    kneser_ney: float
    """Of an interpolated Kneser-Ney 5-gram over the same tokens, counted on the training novels of all languages."""
    n_train: int
    """Novels trained on."""
    train_chars: int
    held_out: tuple[str, ...]
    """How each held-out novel begins, to tell which it is."""
    held_out_bytes: int
    """Bytes measured on."""


@dataclass(frozen=True)
class HeadScore:
    """The best head of one detector."""

    detector: str
    head: str
    """Such as `L2H3`."""
    score: float
    low: float
    high: float
    threshold: float
    """Score from which on a head stands out among those of random-weights models, as `head_scores` says."""
    p_corrected: float


@dataclass(frozen=True)
class Sinks:
    """How much of the heads' attention goes to the first token, on texts of one kind."""

    text: str
    """What was read, in words."""
    share: Estimate
    """Share of heads whose mean attention to the first token is at least `AT_LEAST` times uniform."""
    uniform: float
    """Attention that the first token gets where it is spread evenly over what a query sees."""
    heads: dict[str, float]
    """Mean attention of each head, such as `L2H3`, to the first token; the strongest first."""
    random_weights: float
    """The same share in random weights."""
    epsilon: float
    """Sink^0.3 of Gu et al.: share of heads and texts where the first of 64 tokens receives more than 0.3."""
    epsilon_random_weights: float


@dataclass(frozen=True)
class Agreement:
    """Subject-verb agreement in one language: how much rather the model writes the verb of the clean prompt."""

    language: str
    clean: Estimate
    """Logit difference on the clean prompts, singular; positive is right."""
    corrupted: Estimate
    """The same difference on the corrupted prompts, plural; negative is right."""
    difference: Estimate
    """Clean minus corrupted, by pair: positive: the number of the subject counts, whatever verb is likelier."""
    right: Estimate
    """Share of pairs right on both sides."""
    random_weights: Estimate
    """The same share for random weights."""
    example: dict[str, str]


@dataclass(frozen=True)
class Fidelity:
    """Whether prompts of one language go on in it."""

    language: str
    same: Estimate
    """Share of sampled continuations judged to be in the prompt's language."""
    others: dict[str, float]
    """Share judged to be in each other language."""
    random_weights: Estimate
    """`same` for random weights."""
    identifier: Estimate
    """`same` for the true continuations, of as many tokens: what the judge gets right."""


@dataclass(frozen=True)
class SwitchFollowing:
    """Which language prompts go on in that have changed from an old language to a new one."""

    words_after: int
    """Words of the new language that the prompts show; with 0 they end right before the change."""
    new: Estimate
    """Share of sampled continuations judged to be in the new language."""
    old: Estimate
    other: Estimate
    """Share in a third language, or in none that can be told."""
    random_weights: Estimate
    """`new` for random weights."""
    identifier: Estimate
    """Share of true continuations judged rightly: of the old language with 0 words, of the new one with more."""
