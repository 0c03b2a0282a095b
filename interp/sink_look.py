"""Attention sinks of one model on one page: how many, what they do, and what happens when they are evicted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from interp.attention import attention_patterns, sink_census, sink_tests
from interp.errors import ModelError, PromptError
from interp.models import encode, facts
from interp.models.tokenizers import frame
from interp.models.zoo import texts
from interp.prompts import TokenBatch
from interp.report import Report, Section
from interp.results import Result
from interp.streaming import cut_streams, stream_losses
from interp.streaming.plan import make_plan
from interp.types import Model

N_SHOWN_TOKENS = 48
"""Tokens of the patterns that a click on a head opens."""
N_TOKENS = 128
"""Tokens of a sequence, or the model's context where that is shorter."""
MOST_SEQUENCES, N_TESTED = 64, 16
"""Sequences counted in all, and those the battery of causal tests runs on."""
WINDOW, N_STREAMS, STREAMED_WINDOWS = 64, 8, 8
"""Window of the streams where none is asked for, how many streams there are, and how many windows long they may be."""
SINKS = (0, 1, 2, 4, 8)
"""Numbers of first tokens kept in the streams."""
FIRST_LOOK = ("heads", "epsilons", "depth")
"""Results of the census that a first look shows."""

SINK_TITLE = "Where does attention rest?"
CENSUS_WORDS = (
    "How much attention goes to the first token, by the definitions of the literature, and what goes with it inside: "
    "spikes in the residual stream, values that drain, rows that spread or gather. The same architecture with random "
    "weights is the control. A sink that is seen is not yet one that does anything. Click a head in any map to see its "
    "pattern."
)
TEST_WORDS = (
    "What is lost without the sink, or without a part of what makes it. Every test stands beside a control that edits "
    "as much of something else: an effect no larger than its control's speaks for the disturbance, not for the sink."
)
STREAM_WORDS = (
    "A stream longer than the window: the loss by position when the first tokens are evicted, when some of them are "
    "kept for ever, and when as many others are kept instead."
)


@dataclass(frozen=True)
class SinkLook:
    """The results of a look at a model's sinks, and the report made of them."""

    results: tuple[Result, ...]
    report: Report


@dataclass(frozen=True)
class Corpus:
    """Texts by domain, cut for a model."""

    batch: TokenBatch
    """Sequences of one length, each begun as the model begins a text."""
    domains: list[str]
    """Domain of each sequence."""
    text: str
    """All of it, for streams."""

    @property
    def shown(self) -> TokenBatch:
        """The beginning of the first sequence of each domain, for looking at single patterns."""
        first = [self.domains.index(name) for name in dict.fromkeys(self.domains)]
        batch = self.batch[np.array(first)]
        return TokenBatch(batch.tokens[:, :N_SHOWN_TOKENS], batch.mask[:, :N_SHOWN_TOKENS])

    @property
    def by_domain(self) -> dict[str, TokenBatch]:
        """Sequences of each domain; nothing where there is only one."""
        names = list(dict.fromkeys(self.domains))
        if len(names) < 2:
            return {}
        return {name: self.batch[np.flatnonzero(np.array(self.domains) == name)] for name in names}


def cut_corpus(model: Model, passages: Mapping[str, str], *, n_tokens: int | None = None) -> Corpus:
    """Cut texts into sequences, as many of each domain.

    Args:
        model: A hooked model with a tokenizer.
        passages: A long text by domain.
        n_tokens: Tokens of a sequence; `N_TOKENS`, or the context where that is shorter.

    Raises:
        PromptError: a text too short for two sequences.
    """
    length = min(n_tokens or N_TOKENS, facts(model).n_ctx)
    inside = length - len(frame(model).before)
    rows, domains = [], []
    for name, text in passages.items():
        n = min(len(encode(model, text)) // max(inside, 1), MOST_SEQUENCES // len(passages))
        if n < 2:
            raise PromptError(
                f"The text {name!r} gives {n} sequences of {length} tokens, and an interval needs 2. Give a longer one."
            )
        rows += list(cut_streams(model, text, n_streams=n, length=length))
        domains += [name] * n
    return Corpus(TokenBatch.of(rows), domains, "\n".join(passages.values()))


def shipped_passages() -> dict[str, str]:
    """The shipped sentences, one passage in each language."""
    return {language: " ".join(sentences) for language, sentences in texts.read_sentences().items()}


def look_at_sinks(
    model: Model,
    control: Model,
    corpus: Corpus,
    *,
    window: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
    seed: int = 0,
) -> SinkLook:
    """Count a model's attention sinks, test what they do, and stream past them.

    Args:
        model: A hooked model.
        control: The same architecture with random weights.
        corpus: What it reads.
        window: Keys in the cache of the streams; by default `WINDOW`, or less where context or corpus are short.
        progress: Told the name of each part as it begins.
        seed: Decides whatever is drawn at random.

    Raises:
        InterpError: whatever the analyses refuse; a model that cannot be streamed gets a section that says so, unless
            a window was asked for.
    """
    streamed = _Streamed.of(model, corpus, window)
    sections = [
        census_section(model, control, corpus, progress=progress, seed=seed),
        battery_section(model, corpus, progress=progress, seed=seed),
        streaming_section(model, streamed, progress=progress, seed=seed),
    ]
    known = facts(model)
    report = Report(f"Attention sinks of {known.name}", f"{known.architecture}, {known.n_layers} layers", sections)
    return SinkLook(tuple(result for section in sections for result in section.figures), report)


def census_section(
    model: Model,
    control: Model,
    corpus: Corpus,
    *,
    only: tuple[str, ...] = (),
    progress: Callable[[str], None],
    seed: int,
) -> Section:
    """The sink census.

    Args:
        model: A hooked model.
        control: The same architecture with random weights.
        corpus: What it reads.
        only: Names of the results to show; all where none is given.
        progress: Told that it begins.
        seed: Decides the resamples.
    """
    progress("sink census")
    # A head of the maps opens in the figure of patterns; a first look has one of its own.
    patterns = [] if only else [attention_patterns(model, corpus.shown, control)]
    domains = corpus.domains if len(set(corpus.domains)) > 1 else None
    census = sink_census(model, corpus.batch, control, domains=domains, seed=seed)
    shown = [getattr(census, name) for name in only] if only else list(census.results)
    return Section(SINK_TITLE, CENSUS_WORDS, figures=[*patterns, *shown])


def battery_section(model: Model, corpus: Corpus, *, progress: Callable[[str], None], seed: int) -> Section:
    """The causal tests, on sequences spread evenly over the corpus."""
    progress("causal tests of the sink")
    chosen = np.unique(np.linspace(0, len(corpus.batch) - 1, min(N_TESTED, len(corpus.batch))).round().astype(int))
    tested = sink_tests(model, corpus.batch[chosen], domains=corpus.by_domain, seed=seed)
    return Section("What does the sink do?", TEST_WORDS, figures=[tested])


@dataclass(frozen=True)
class _Streamed:
    """What is to be streamed, checked; or why nothing is."""

    streams: Int[np.ndarray, "stream pos"] | None
    window: int
    reason: str = ""

    @classmethod
    def of(cls, model: Model, corpus: Corpus, window: int | None) -> "_Streamed":
        n_ids = len(encode(model, corpus.text))
        width = window or max(2 * max(SINKS), min(WINDOW, facts(model).n_ctx // 2, n_ids // (4 * N_STREAMS)))
        length = min(STREAMED_WINDOWS * width, n_ids // N_STREAMS)
        streams = cut_streams(model, corpus.text, n_streams=N_STREAMS, length=length)
        try:
            make_plan(model, streams, window=width, sinks=SINKS, keep=None, dense_to=None)
        except ModelError as error:
            if window is not None:
                raise
            return cls(None, width, str(error))
        return cls(streams, width)


def streaming_section(model: Model, streamed: _Streamed, *, progress: Callable[[str], None], seed: int) -> Section:
    """Streams past the window, or the reason why there are none."""
    title = "What if its beginning is evicted?"
    if streamed.streams is None:
        return Section(title, f"No stream was run. {streamed.reason}")
    progress("streaming")
    result = stream_losses(model, streamed.streams, window=streamed.window, sinks=SINKS, seed=seed)
    return Section(title, STREAM_WORDS, figures=[result])
