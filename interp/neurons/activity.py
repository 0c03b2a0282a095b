"""What every neuron does in every text: what scores of language neurons, their shuffled controls and halves rest on."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from interp.errors import InputError
from interp.models import facts, provenance
from interp.neurons.count import fires_before_gate
from interp.neurons.rows import Part, Row, Rows, languages_of, parts, stream_rows
from interp.results import Provenance
from interp.run import observe
from interp.sites import Site
from interp.types import Model


@dataclass(frozen=True)
class TextActivity:
    """Mean activation and firing of every neuron in every text, each text in one language.

    Raises:
        InputError: a document in two languages, or a language without text.
    """

    languages: tuple[str, ...]
    language: Int[np.ndarray, " text"]
    document: Int[np.ndarray, " text"]
    """What a text was cut from: the unit of shuffles and halves. Texts of one document are in one language."""
    n_tokens: Int[np.ndarray, " text"]
    mean: Float[np.ndarray, "text layer neuron"] = field(repr=False)
    """Mean over the text's tokens of site `post`."""
    fires: Int[np.ndarray, "text layer neuron"] = field(repr=False)
    """Tokens at which the activation function's output is above zero, as LAPE counts."""
    provenance: Provenance = field(repr=False)

    def __post_init__(self) -> None:
        pairs = np.unique(np.stack([self.document, self.language]), axis=1)
        if len(pairs[0]) > len(np.unique(self.document)):
            raise InputError("A document is in two languages. Expected each in one: labels are shuffled by document.")
        if missing := [name for number, name in enumerate(self.languages) if number not in self.language]:
            raise InputError(f"There is no text in {missing}. Give text in every language, or leave the language out.")

    def __len__(self) -> int:
        return len(self.language)

    def __getitem__(self, texts: Int[np.ndarray, " chosen"] | Bool[np.ndarray, " text"]) -> "TextActivity":
        arrays = {name: getattr(self, name)[texts] for name in _BY_TEXT}
        return replace(self, **arrays)

    @property
    def probability(self) -> Float[np.ndarray, "language layer neuron"]:
        """Share of each language's tokens at which a neuron fires."""
        firing = [self.fires[self.language == number].sum(0, dtype=np.int64) for number in range(len(self.languages))]
        return np.stack(firing) / np.bincount(self.language, self.n_tokens)[:, None, None]

    def shuffled_labels(self, rng: np.random.Generator) -> Int[np.ndarray, " text"]:
        """Deal the languages out among the documents anew: every document keeps one, no neuron knows which."""
        _, first, of_text = np.unique(self.document, return_index=True, return_inverse=True)
        return rng.permutation(self.language[first])[of_text]

    def relabelled(self, language: Int[np.ndarray, " text"]) -> "TextActivity":
        """The same activity under other labels."""
        return replace(self, language=language)

    def halves(self) -> tuple["TextActivity", "TextActivity"]:
        """Split into every other document of each language.

        Raises:
            InputError: a language of one document.
        """
        documents, first = np.unique(self.document, return_index=True)
        second = np.zeros(len(documents), bool)
        for number, name in enumerate(self.languages):
            mine = np.flatnonzero(self.language[first] == number)
            if len(mine) < 2:
                raise InputError(
                    f"{name!r} has one document, which cannot be split. Give two or more of each language."
                )
            second[mine[1::2]] = True
        chosen = second[np.searchsorted(documents, self.document)]
        return self[~chosen], self[chosen]


_BY_TEXT = ("language", "document", "n_tokens", "mean", "fires")


def text_activity(model: Model, rows: Rows) -> TextActivity:
    """Read, text by text, the mean activation of every neuron and how often it fires.

    Every row is a text. Memory: eight bytes for each text and neuron.

    Args:
        model: A hooked model with the site `post`.
        rows: Token ids by language, or rows whose tokens carry a language, the same in the whole document.

    Raises:
        SiteError: the model shows no neurons.
        InputError: a document in two languages, a row without a token in one, or activations that are not finite.
        PromptError: rows that do not fit the model.
    """
    languages, gated = languages_of(rows), fires_before_gate(model)
    taken: list[_Taken] = []
    language: list[int] = []
    with tqdm(desc="read neurons", unit="pass", leave=False, delay=2) as bar:
        for part in parts(stream_rows(model, rows)):
            language += [_one_language(row) for row in part.rows]
            taken.append(_taken(model, part, gated))
            bar.update()
    texts = [row for each in taken for row in each.part.rows]
    mean, fires = (np.concatenate([getattr(each, name) for each in taken]) for name in ("mean", "fires"))
    if not np.isfinite(mean).all():
        raise InputError("Activations hold NaN or infinity. Load the model in a wider dtype, such as float32.")
    return TextActivity(
        languages,
        language=np.array(language),
        document=np.array([row.document for row in texts]),
        n_tokens=np.array([(row.language >= 0).sum() for row in texts]),
        mean=mean,
        fires=fires,
        provenance=provenance(model, tokens=[row.ids for row in texts], call=f"text_activity({len(texts)} texts)"),
    )


@dataclass(frozen=True)
class _Taken:
    part: Part
    mean: Float[np.ndarray, "text layer neuron"]
    fires: Int[np.ndarray, "text layer neuron"]


def _taken(model: Model, part: Part, gated: bool) -> _Taken:
    counted = torch.from_numpy(part.language >= 0).to(facts(model).device, torch.float32)
    layers = range(facts(model).n_layers)
    means: dict[int, np.ndarray] = {}
    fires: dict[int, np.ndarray] = {}

    def summed(values: Float[Tensor, "text pos neuron"]) -> Float[Tensor, "text neuron"]:
        return (counted[:, None] @ values)[:, 0]

    def reading(layer: int) -> Callable[[Tensor], None]:
        def read(post: Tensor) -> None:
            means[layer] = (summed(post.float()) / counted.sum(1, keepdim=True)).cpu().numpy()
            if not gated:
                fires[layer] = _whole(summed((post > 0).float()))

        return read

    def reading_gate(layer: int) -> Callable[[Tensor], None]:
        def read(pre: Tensor) -> None:
            fires[layer] = _whole(summed((pre > 0).float()))

        return read

    readers = {Site(layer, "post"): reading(layer) for layer in layers}
    if gated:
        readers |= {Site(layer, "pre"): reading_gate(layer) for layer in layers}
    observe(model, part.batch, readers)
    return _Taken(part, *(np.stack([found[layer] for layer in layers], 1) for found in (means, fires)))


def _whole(counts: Float[Tensor, "text neuron"]) -> Int[np.ndarray, "text neuron"]:
    return counts.round().to(torch.int32).cpu().numpy()


def _one_language(row: Row) -> int:
    spoken = np.unique(row.language[row.language >= 0])
    if len(spoken) != 1:
        raise InputError(
            f"A row of document {row.document} is in {len(spoken)} languages. Expected every row in one: cut texts "
            "that mix languages, and leave out those without any."
        )
    return int(spoken[0])
