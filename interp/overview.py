"""A first look at a model: what it is, where it looks, which activations matter, what can be read off them.

Every number stands beside its control; the same model with random weights is the control of attention and probe.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from interp.attention import attention_patterns, head_scores
from interp.models import describe, encode, facts, load_model, str_tokens
from interp.models.zoo import texts
from interp.patching import check_prompts, patch_sweep
from interp.prompts import PromptSet, TokenBatch, repeated_random_prompts
from interp.report import Report, Section, Table
from interp.results import Result
from interp.sink_look import FIRST_LOOK, SINK_TITLE, census_section, cut_corpus, shipped_passages
from interp.types import Model
from probes import ProbeTask, probe_task, token_language_task

N_SHOWN = 2
"""Texts whose attention patterns are shown."""
SWEEPS = (("resid_pre", "pos"), ("attn_out", "pos"), ("mlp_out", "pos"), ("z", "head"))
"""Kinds of site swept, and what their columns are."""
MOST_UNKNOWN = 0.2
"""Share of unknown tokens from which on a tokenizer does not read a sentence."""
N_HEAD_CONTROLS = 20
"""Random-weights models that head scores are compared with: one more than a head needs to be found."""


@dataclass(frozen=True)
class FirstLook:
    """The results of a first look, and the report made of them."""

    results: tuple[Result, ...]
    report: Report


def load_controls(name: str, n: int, *, dtype: str = "float32", device: str = "cpu") -> Iterator[Model]:
    """Load the same architecture with random weights `n` times, one model at a time, each from another seed."""
    plain = name.removeprefix("random:")
    with tqdm(total=n, desc="random-weights controls", leave=False, delay=2, disable=n < 2) as bar:
        for seed in range(n):
            # Seed 0 is what random:NAME itself gives, which may be the very model under study.
            yield load_model(f"random:{plain}", dtype=dtype, device=device, seed=seed + 1)
            bar.update()


def default_prompts(model: Model, *, n_prompts: int = 16, seed: int = 0) -> PromptSet:
    """Prompts for any language model: random tokens said twice, where only copying predicts the next one."""
    known = facts(model)
    special = set(model.tokenizer.all_special_ids)
    first = next(token for token in range(known.d_vocab) if token not in special)
    bos = int(encode(model, "a")[0]) if known.bos else None
    prompts = repeated_random_prompts(n_prompts, 8, ids=range(first, min(known.d_vocab, 2000)), bos=bos, seed=seed)
    return PromptSet.of([replace(pair, str_tokens=tuple(str_tokens(model, pair.clean))) for pair in prompts])


def first_look(
    model: Model,
    control: Model,
    head_controls: Iterable[Model],
    prompts: PromptSet,
    *,
    metric: str = "logit_diff",
    progress: Callable[[str], None] = lambda _: None,
    seed: int = 0,
) -> FirstLook:
    """Run the first analyses on a model and set them out as a report.

    Args:
        model: A hooked model.
        control: The same architecture with random weights, from `load_controls`; for attention patterns and the probe.
        head_controls: Several such models, for head scores; a generator holds one at a time.
        prompts: Clean and corrupted prompts for the patching sweeps.
        metric: What the sweeps measure.
        progress: Told the name of each part as it begins.
        seed: Decides whatever is drawn at random.

    Raises:
        InterpError: whatever the analyses refuse.
    """
    check_prompts(model, prompts, metric)
    progress("capabilities")
    sections, results = [facts_section(model)], []
    for make in (
        lambda: attention_section(model, control, head_controls, prompts, progress=progress, seed=seed),
        lambda: sink_section(model, control, progress=progress, seed=seed),
        lambda: patching_section(model, prompts, metric, progress=progress, seed=seed),
        lambda: probe_section(model, control, progress=progress, seed=seed),
    ):
        sections.append(make())
        results += sections[-1].figures
    known = facts(model)
    title = f"A first look at {known.name}"
    subtitle = f"{known.architecture}, {known.n_layers} layers, {known.n_heads} heads, {known.n_params:,} parameters"
    return FirstLook(tuple(results), Report(title, subtitle, sections))


def reads_sentences(model: Model) -> bool:
    """Whether the model's tokenizer knows the words of the shipped sentences; those of toy models do not."""
    unknown = model.tokenizer.unk_token_id
    ids = encode(model, texts.read_sentences(1)["en"][0])
    return unknown is None or float((ids == unknown).mean()) < MOST_UNKNOWN


def attention_section(
    model: Model,
    control: Model,
    head_controls: Iterable[Model],
    prompts: PromptSet,
    *,
    progress: Callable[[str], None],
    seed: int,
) -> Section:
    """Patterns of two texts and scores of all heads; on the prompts where the model cannot read sentences."""
    progress("attention patterns")
    natural, shown = None, [pair.clean for pair in prompts.pairs[:N_SHOWN]]
    if reads_sentences(model):
        rows = list(texts.read_sentences(texts.N_FIRST_LOOK).values())
        natural = TokenBatch.of([encode(model, text) for sentences in rows for text in sentences])
        shown = [encode(model, sentences[0]) for sentences in rows[:N_SHOWN]]
    names = [str_tokens(model, ids) for ids in shown]
    patterns = attention_patterns(model, TokenBatch.of(shown), control, str_tokens=names)
    progress("head scores")
    scores = head_scores(model, texts=natural, control_models=head_controls, seed=seed)
    return Section("Where does it look?", ATTENTION_WORDS, figures=[patterns, scores])


def sink_section(model: Model, control: Model, *, progress: Callable[[str], None], seed: int) -> Section:
    """What a look at the model's attention sinks shows first, or the reason why there is none."""
    if not reads_sentences(model):
        return Section(SINK_TITLE, NO_SINK_WORDS)
    corpus = cut_corpus(model, shipped_passages())
    return census_section(model, control, corpus, only=FIRST_LOOK, progress=progress, seed=seed)


def patching_section(
    model: Model, prompts: PromptSet, metric: str, *, progress: Callable[[str], None], seed: int
) -> Section:
    """Sweeps over every kind of site that the model has; what it lacks is named."""
    sweeps, lacking = [], []
    for kind, by in SWEEPS:
        row = describe(model).row(kind)
        if not row.causal:
            lacking.append(f"{kind} ({row.reason.rstrip('.')})")
            continue
        progress(f"patching {kind}")
        sweeps.append(patch_sweep(model, prompts, kind, by=by, metric=metric, seed=seed))
    words = patching_words(prompts, sweeps[0], lacking)
    return Section("Which activations carry the answer?", words, figures=sweeps)


def probe_section(model: Model, control: Model, *, progress: Callable[[str], None], seed: int) -> Section:
    """The default probe, or the reason why there is none."""
    if not reads_sentences(model):
        return Section("What can be read off it?", NO_PROBE_WORDS)
    progress("probe by layer")
    task = default_task(lambda text: encode(model, text), seed=seed)
    return Section("What can be read off it?", PROBE_WORDS, figures=[probe_task(model, control, task, seed=seed)])


def default_task(encoded: Callable[[str], np.ndarray], *, seed: int = 0) -> ProbeTask:
    """Which language is a token's text in? On the shipped sentences, two to a text so that each is long enough."""
    sentences = texts.read_sentences(texts.N_FIRST_LOOK).items()
    passages = {
        name: [" ".join(rows[start : start + 2]) for start in range(0, len(rows), 2)] for name, rows in sentences
    }
    return token_language_task(passages, encoded, seed=seed)


ATTENTION_WORDS = (
    "Each head's attention on two texts, and how much each head behaves like a known kind. "
    "The same architecture with random weights is the control: what it shows too is no sign of training."
)
NO_SINK_WORDS = (
    "Sinks were not counted: this model's tokenizer does not know the words of the shipped sentences. Give a text of "
    "your own with interp sinks --corpus FILE."
)
NO_PROBE_WORDS = (
    "No probe was run: the default one asks for the language of the shipped sentences, and this model's tokenizer does "
    "not know their words. Give a task of your own with interp probe --task FILE."
)
PROBE_WORDS = (
    "A linear classifier is trained on the residual stream after each layer to tell which language a token's text is "
    "in, and tested on texts it has not seen. High accuracy says that the language can be read off, not that the model "
    "uses it. The same probe on random weights shows how much the token itself gives away."
)


def patching_words(prompts: PromptSet, sweep: Result, lacking: list[str]) -> str:
    """Say what the prompts ask and how far apart clean and corrupted are."""
    pair = prompts.pairs[0]
    # By words, not tokens: a letter of several byte tokens is written as the letter.
    text = " ".join(word.text for word in pair.words) or "".join(pair.str_tokens) or f"{len(pair.clean)} token ids"
    clean, corrupted = sweep.baselines["clean"], sweep.baselines["corrupted"]
    return (
        f"{len(prompts)} pairs of prompts; the first clean one is {text!r}. The {sweep.notes['metric']} is {clean:.2f} "
        f"on the clean and {corrupted:.2f} on the corrupted prompts ({sweep.unit}). Each cell patches one clean "
        "activation into the corrupted run and asks how much of that difference comes back; beside it, a random change "
        "of the same size."
        + (f"\n\nNot swept, because this model does not have it: {', '.join(lacking)}." if lacking else "")
    )


def facts_section(model: Model) -> Section:
    """What the model is and what can be captured and edited in it."""
    described = describe(model)
    known = {**asdict(facts(model)), **described.facts}
    told = {name: str(value) for name, value in known.items() if value not in (None, False, 0, (), [], "")}
    about = pd.DataFrame({"fact": list(told), "value": list(told.values())})
    sites = described.to_dataframe()
    sites = sites.loc[:, [column for column in sites if (sites[column] != "").any()]]
    return Section(
        "What is this model?",
        "The kinds of activation it has, and which of them change the output when they are edited. Both were measured "
        "on this model, in its first and its last layer, not looked up.",
        tables=[
            Table("Facts", about, ""),
            Table("Sites", sites, "Causal: an edit changes the output, early and late."),
        ],
    )
