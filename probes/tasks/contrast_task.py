"""Contrast pairs of texts, and contrast-consistent search on a model's activations of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from interp.errors import InputError
from interp.models import facts, provenance
from interp.models.zoo.texts import AGREEMENT_IN
from interp.prompts import TokenBatch
from interp.results import Result
from interp.sites import Site
from interp.types import Model
from probes.estimators.contrast import ContrastConsistentProbe
from probes.reading.contrast_by_layer import contrast_by_layer
from probes.samples.contrast_pairs import ContrastPairs, Stack, contrast_folds
from probes.samples.data import Groups, Labels
from probes.samples.labels import check_labels_of
from probes.tasks.ready_tasks import AGREEMENT_SIDES, SUBJECT_NUMBER, agreement_records
from probes.tasks.task import ProbeTask, capture_samples, sites_by_layer
from probes.tasks.token_places import Encode

FEWEST_NOUNS = 5
"""Nouns that a pair of verb forms must come with to be kept."""


@dataclass(frozen=True)
class ContrastTask:
    """Pairs of texts that are answered one way and the other, and which answer is right.

    The vector of a half is the activation at its last token, which on a causal model has read the whole of it.

    Raises:
        InputError: lengths that do not fit, other than two classes or too few pairs of one, a pair whose halves are the
            same text, a pair given twice, or a text in two groups: a probe could be tested on what it was fitted to.
    """

    first: TokenBatch
    """One half of each pair: answered the first way."""
    second: TokenBatch
    """The other half: the same, answered the second way."""
    labels: Labels
    """Class of each pair, one of two: which half is right."""
    groups: Groups
    """What must not be split between fitting and testing, for each pair."""
    templates: Groups = field(default_factory=lambda: np.zeros(0, int))
    """Wording of the two answers of each pair, by default one for all: what the words themselves do is taken off."""
    what: str = "label"
    """What the label says, in words."""

    def __post_init__(self) -> None:
        if not len(self.templates):
            object.__setattr__(self, "templates", np.zeros(len(self.first), int))
        counts = {"second halves": self.second, "labels": self.labels, "groups": self.groups}
        for name, given in (counts | {"templates": self.templates}).items():
            if len(given) != len(self.first):
                raise InputError(f"{len(given)} {name} for {len(self.first)} first halves. Give one for each.")
        check_labels_of("binary", self.labels)
        self._check_texts()

    def _check_texts(self) -> None:
        home: dict[bytes, int] = {}
        pairs: dict[frozenset[bytes], int] = {}
        for pair, texts in enumerate(zip(_texts(self.first), _texts(self.second), strict=True)):
            halves = [text.tobytes() for text in texts]
            if halves[0] == halves[1]:
                raise InputError(f"The halves of pair {pair} are the same text. Expected two different answers.")
            # Exchanged halves are the same pair, too.
            if (before := pairs.setdefault(frozenset(halves), pair)) != pair:
                raise InputError(f"Pairs {before} and {pair} are the same two texts. Give each pair once.")
            for half in halves:
                twin = home.setdefault(half, pair)
                if self.groups[twin] != self.groups[pair]:
                    raise InputError(
                        f"Pairs {twin} and {pair} share a text but are in groups {self.groups[twin].item()!r} and "
                        f"{self.groups[pair].item()!r}, so a probe could be tested on what it was fitted to. "
                        "Drop one, or put them in one group."
                    )

    def __len__(self) -> int:
        return len(self.first)

    def halves(self) -> ProbeTask:
        """Return all first halves and then all second ones as samples, each at its last token."""
        batch = TokenBatch.of([*_texts(self.first), *_texts(self.second)])
        labels, groups = np.tile(self.labels, 2), np.tile(self.groups, 2)
        return ProbeTask(batch, np.arange(len(batch)), batch.lengths - 1, labels, groups, what=self.what)


def contrast_task(
    first_texts: Sequence[str],
    second_texts: Sequence[str],
    labels: Sequence[str] | Sequence[int],
    groups: Sequence[str] | Sequence[int],
    encode: Encode,
    *,
    templates: Sequence[str] | Sequence[int] = (),
    what: str = "label",
) -> ContrastTask:
    """Make a task of your own pairs.

    Balance the classes in each template, and let the halves differ in the answer alone: what else always differs
    between first and second halves is taken off, and what differs in one template only stands out more than anything.

    Args:
        first_texts: First half of each pair, such as a question answered "yes".
        second_texts: Second half, such as the same question answered "no".
        labels: One of two classes for each pair: which half is right.
        groups: What must not be split, for each pair: the question, the document.
        encode: The model's way from text to ids.
        templates: Wording of the answers of each pair, such as "yes/no" and "true/false"; by default one for all.
        what: What the label says, in words.

    Raises:
        InputError: anything `ContrastTask` refuses.
        PromptError: no pairs, or an empty text.
    """
    first, second = (TokenBatch.of([encode(text) for text in texts]) for texts in (first_texts, second_texts))
    return ContrastTask(first, second, np.array(labels), np.array(groups), np.array(templates), what)


def agreement_contrast_task(encode: Encode, *, languages: Sequence[str] = tuple(AGREEMENT_IN)) -> ContrastTask:
    """Contrast the shipped agreement prompts with the verb in the singular and in the plural.

    The label is which is right: the number of the subject. Each prompt comes in both numbers and with both verb forms,
    so that neither the verb nor the half tells anything: only whether subject and verb agree does. All prompts about a
    noun are one group; each pair of verb forms is a template, kept where it comes with at least `FEWEST_NOUNS` nouns.

    Args:
        encode: The model's way from text to ids.
        languages: Some of `AGREEMENT_IN`.

    Raises:
        InputError: an unknown language, none, or anything `ContrastTask` refuses.
    """
    records = list(agreement_records(languages))
    nouns: dict[str, set[str]] = {}
    for language, group, record in records:
        nouns.setdefault(_template(language, record), set()).add(group)
    rows = [
        (record[side] + record["answer"], record[side] + record["wrong_answer"], number, group, template)
        for language, group, record in records
        for side, number in AGREEMENT_SIDES.items()
        if len(nouns[template := _template(language, record)]) >= FEWEST_NOUNS
    ]
    if not rows:
        raise InputError(f"No pairs of {list(languages)}. Expected at least one of {list(AGREEMENT_IN)}.")
    first, second, labels, groups, templates = zip(*rows, strict=True)
    return contrast_task(first, second, labels, groups, encode, templates=templates, what=SUBJECT_NUMBER)


def contrast_probe(
    model: Model,
    control_model: Model,
    task: ContrastTask,
    *,
    probe: ContrastConsistentProbe | None = None,
    site_kind: str = "resid_post",
    n_splits: int = 5,
    seed: int = 0,
) -> Result:
    """Measure at which layers the direction found without labels tells which half of a pair is right.

    Captures the last token of each half in both models. For `resid_post`, what enters the first block stands first, as
    layer -1: there, only the last token itself is known, so that nothing is to be found.

    Args:
        model: The model to probe.
        control_model: The same architecture with random weights.
        task: Contrast pairs.
        probe: Settings of the search.
        site_kind: Which activation of each layer: a residual stream, `attn_out` or `mlp_out`.
        n_splits: Folds, split by group.
        seed: Decides folds, random directions, permutations, resamples and flips.

    Returns:
        A `contrast_probe` over `layer`, as `contrast_by_layer` gives it.

    Raises:
        InputError: settings out of range, too few groups of a class or template, or anything `contrast_by_layer`
            refuses.
        SiteError: a site that the model lacks.
        PromptError: texts that do not fit the model.

    Source: Burns, Ye, Klein & Steinhardt 2022, Discovering Latent Knowledge, sec. 2 (arXiv:2212.03827).
    """
    probe = probe or ContrastConsistentProbe()
    probe.check_settings()
    # Before anything is run: the split alone may refuse the task.
    contrast_folds(task.labels, task.groups, task.templates, n_splits=n_splits, seed=seed)
    sites = sites_by_layer(facts(model).n_layers, site_kind)
    X, control = (_capture(each, task, list(sites.values())) for each in (model, control_model))
    made_by = provenance(
        model,
        tokens=[part for each in (task.first, task.second) for part in (each.tokens, each.mask)],
        call=f"contrast_probe({task.what!r}, {probe}, site_kind={site_kind!r}, n_splits={n_splits}, seed={seed})",
        seed=seed,
    )
    pairs = ContrastPairs(X, task.labels, task.groups, tuple(sites), task.templates)
    result = contrast_by_layer(pairs, control, made_by, probe=probe, n_splits=n_splits, seed=seed)
    notes = {"what": task.what, "sites": [str(site) for site in sites.values()], "n_prompts": 2 * len(task)}
    return replace(result, notes=result.notes | notes)


def _capture(model: Model, task: ContrastTask, sites: list[Site]) -> Stack:
    captured = capture_samples(model, task.halves(), sites)
    return captured.reshape(len(sites), 2, len(task), -1).transpose(0, 2, 1, 3)


def _texts(batch: TokenBatch) -> list[np.ndarray]:
    return [row[:length] for row, length in zip(batch.tokens, batch.lengths, strict=True)]


def _template(language: str, record: dict[str, str]) -> str:
    return f"{language}{record['answer']}/{record['wrong_answer'].strip()}"
