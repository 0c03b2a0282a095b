"""What else a unit may follow: language, script, frequency, place, surprise. Measured where no switch is."""

import unicodedata
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.models import str_tokens
from interp.neurons.labelled import LabelledTokens
from interp.neurons.matching import after_punctuation
from interp.neurons.passes import Places, UnitKind, read_units, token_losses
from interp.neurons.separation import auroc
from interp.types import Model

MOST_TOKENS = 3000
FEWEST_TOKENS = 20
"""Tokens on either side, for a factor to be measured."""

Split = tuple[Bool[np.ndarray, " place"], Bool[np.ndarray, " place"]]
"""Two groups of tokens that a factor tells apart."""


def factor_aurocs(
    model: Model, tokens: LabelledTokens, rows: np.ndarray, kind: UnitKind, *, seed: int = 0
) -> dict[str, Float[np.ndarray, "layer unit"]]:
    """How well each unit tells tokens apart by something else than a switch.

    Factors: `language` (each against the others, the farthest from 0.5), `script` (the same, where there are two),
    `frequency` (rarer half of the tokens), `position` (later half of the text), `after punctuation`, `surprisal` (half
    of the tokens that the model predicted worse), and `inside word` against word-initial tokens. All but script and the
    last compare tokens that begin a word.

    Args:
        model: A hooked model.
        tokens: Texts.
        rows: Rows without a switch.
        kind: Which units.
        seed: Decides which tokens, where there are many.

    Returns:
        AUROC by factor; factors with too few tokens on a side are left out.
    """
    row, pos = np.nonzero(tokens.language[rows] >= 0)
    places = Places(rows[row], pos)
    if len(places) > MOST_TOKENS:
        places = places[np.sort(np.random.default_rng(seed).choice(len(places), MOST_TOKENS, replace=False))]
    values = read_units(model, tokens.batch, places, kind)
    found: dict[str, np.ndarray] = {}
    for name, (positive, negative) in factor_splits(model, tokens, rows, places).items():
        if min(positive.sum(), negative.sum()) < FEWEST_TOKENS:
            continue
        both = positive | negative
        mine = auroc(values[both], positive[both])
        factor = name.split(":")[0]
        best = found.get(factor, np.full(mine.shape, 0.5))
        found[factor] = np.where(np.abs(mine - 0.5) > np.abs(best - 0.5), mine, best)
    return found


def factor_splits(model: Model, tokens: LabelledTokens, rows: np.ndarray, places: Places) -> Mapping[str, Split]:
    """Both sides of every factor; of several splits of one factor, `language:fr`, the strongest counts."""
    row, pos = places.row, places.pos
    initial = tokens.place_in_word[row, pos] == 0
    language, ids = tokens.language[row, pos], tokens.batch.tokens[row, pos]
    count = np.bincount(tokens.batch.tokens[rows][tokens.word[rows] >= 0], minlength=int(ids.max()) + 1)[ids]
    loss = token_losses(model, tokens.batch, np.unique(row))[row, pos]
    late = 2 * tokens.word[row, pos] > tokens.word.max(1)[row]
    script, closed = _scripts(model, ids), after_punctuation(model, tokens)[row, pos]
    masks = {f"language:{name}": language == number for number, name in enumerate(tokens.languages)}
    masks |= {"frequency": count < np.median(count[initial]), "position": late, "after punctuation": closed}
    masks["surprisal"] = loss > np.median(loss[initial])
    splits = {name: (initial & mask, initial & ~mask) for name, mask in masks.items()}
    splits |= {f"script:{name}": (script == name, (script != name) & (script != "")) for name in np.unique(script)}
    return splits | {"inside word": (~initial, initial)}


def _scripts(model: Model, ids: Int[np.ndarray, " place"]) -> np.ndarray:
    """Script of each token's first letter; empty where it has none."""
    different = np.unique(ids)
    scripts = np.array([_script(text) for text in str_tokens(model, different)])
    return scripts[np.searchsorted(different, ids)]


def _script(text: str) -> str:
    letters = [char for char in text if char.isalpha()]
    return unicodedata.name(letters[0], "").split(" ")[0] if letters else ""
