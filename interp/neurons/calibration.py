"""How well the mass of the next word's language tells that language, on texts it was not counted on."""

import numpy as np
import xarray as xr

from interp.errors import InputError
from interp.models import provenance
from interp.neurons.labelled import LabelledTokens
from interp.neurons.next_language import LanguageVocabulary, before_words, read_predictions
from interp.results import Result
from interp.statistics import bootstrap_interval
from interp.types import Model

N_BINS = 10
_METHOD = (
    "At every position whose next token begins a word: share of a language = sum over tokens that begin words of "
    "p(token) P(language | token), over the sum of p(token); P(language | token) from counts on other texts, languages "
    "weighted equally, {smoothing} occurrences added. Intervals: 95 % bootstrap over documents. Control: the same "
    "shares, given to the languages of other documents. It says what the next token tells of its language, which is "
    "less than the model may know: words that languages share are split."
)


def calibrate(model: Model, tokens: LabelledTokens, vocabulary: LanguageVocabulary, *, seed: int = 0) -> Result:
    """Measure how well the mass tells the language of the next word, on texts that the counts were not made on.

    Args:
        model: A hooked decoder.
        tokens: Texts of the vocabulary's languages.
        vocabulary: What `learn_vocabulary` counted.
        seed: Decides resamples and the documents of the control.

    Returns:
        A `next_language` result: for every language the mean `share` of the true one with interval and `control`, the
        `hits` (largest share is the true language's) and `log_loss` in nats; for every bin of the largest share its
        mean (`confidence`), how often it is right (`right`) and `n`. `baselines` has the calibration error.

    Raises:
        InputError: other languages than the vocabulary's, or fewer than two documents.
    """
    if tokens.languages != vocabulary.languages or len(np.unique(tokens.text)) < 2:
        raise InputError(
            f"Texts in {tokens.languages} of {len(np.unique(tokens.text))} documents; the vocabulary has "
            f"{vocabulary.languages}. Expected the same languages, and at least two documents."
        )
    row, pos = np.nonzero(before_words(tokens))
    shares = read_predictions(model, tokens.batch, vocabulary).share[row, pos]
    true, document = tokens.language[row, pos + 1], tokens.text[row]
    other = np.random.default_rng(seed).permutation(true)
    variables = {"share": _of(shares, true), "control": _of(shares, other)}
    variables |= {"hits": (shares.argmax(1) == true) * 1.0, "log_loss": -np.log(_of(shares, true))}
    numbers = _by_language(variables, true, document, len(vocabulary.languages), seed)
    bins, error = _bins(shares, true)
    return Result(
        kind="next_language",
        data=xr.Dataset(
            {name: ("language", values) for name, values in numbers.items()}
            | {name: ("bin", values) for name, values in bins.items()},
            {"language": list(vocabulary.languages), "bin": np.arange(len(bins["n"]))},
        ),
        unit="probability (share of the mass on the true language of the next word)",
        sign="Larger means that the next token tells the language better; 1 / number of languages by chance.",
        method=_METHOD.format(smoothing=vocabulary.smoothing),
        provenance=provenance(
            model, tokens=[tokens.batch.tokens], call=f"calibrate({len(tokens)} texts, seed={seed})", seed=seed
        ),
        baselines={"calibration error": error, "hits": float(variables["hits"].mean())},
        notes={"n_samples": len(row), "n_groups": len(np.unique(document)), "control": "languages of other words"},
    )


def _of(shares: np.ndarray, language: np.ndarray) -> np.ndarray:
    return np.take_along_axis(shares, language[:, None], 1)[:, 0]


def _by_language(
    variables: dict[str, np.ndarray], true: np.ndarray, document: np.ndarray, n_languages: int, seed: int
) -> dict[str, np.ndarray]:
    """Means by language, over words; the interval of the first variable is over documents."""
    means = {
        name: np.array([values[true == number].mean() for number in range(n_languages)])
        for name, values in variables.items()
    }
    ends = []
    for number in range(n_languages):
        mine = true == number
        documents = [variables["share"][mine & (document == one)].mean() for one in np.unique(document[mine])]
        ends.append([float(end) for end in bootstrap_interval(np.array(documents), seed=seed)])
    low, high = np.array(ends).T
    return means | {"share_low": low, "share_high": high}


def _bins(shares: np.ndarray, true: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
    """Reliability: words in bins of the largest share, and the mean distance of share and hits."""
    best, right = shares.max(1), shares.argmax(1) == true
    place = np.minimum((best * N_BINS).astype(int), N_BINS - 1)
    filled = np.unique(place)
    bins = {
        "confidence": np.array([best[place == one].mean() for one in filled]),
        "right": np.array([right[place == one].mean() for one in filled]),
        "n": np.array([(place == one).sum() for one in filled]),
    }
    error = float((np.abs(bins["confidence"] - bins["right"]) * bins["n"]).sum() / bins["n"].sum())
    return bins, error
