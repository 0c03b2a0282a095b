"""Load a tokenizer so that its special tokens survive, refuse an unusable one, and read what it puts around a text."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoTokenizer

from interp.errors import ModelError

PROBE = "the cat sat on the mat"


@dataclass(frozen=True)
class Frame:
    """The special tokens a model puts around every text: BOS or `[CLS]` before it, `[SEP]` after it, or none."""

    before: tuple[int, ...]
    after: tuple[int, ...]


_frames: WeakKeyDictionary[TransformerBridge, Frame] = WeakKeyDictionary()


def load_tokenizer(directory: Path, trust: bool) -> Any:
    """Load the tokenizer of a directory, asking it to write BOS where it has one.

    TransformerLens asks every tokenizer for BOS; one without BOS (BERT's) then loses its `[CLS]` and `[SEP]`.

    Raises:
        ModelError: the directory has no tokenizer that can be read.
    """
    settings = {"trust_remote_code": trust, "local_files_only": True}
    try:
        plain: Any = AutoTokenizer.from_pretrained(directory, **settings)
        if plain.bos_token is None:
            return plain
        try:
            return AutoTokenizer.from_pretrained(directory, add_bos_token=True, **settings)
        except ValueError:  # a template cannot express some BOS tokens; such models begin without one
            return plain
    except Exception as error:  # the backends raise bare Exception for broken files
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{directory} has no usable tokenizer: {line} Expected tokenizer.json, as save_pretrained writes it."
        ) from error


def check_tokenizer(model: TransformerBridge, directory: Path) -> None:
    """Refuse a tokenizer that says nothing, that loses text, or that speaks of tokens the model has no row for.

    Raises:
        ModelError: saying which.
    """
    tokenizer: Any = model.tokenizer
    ids = body_ids(tokenizer, PROBE)
    ordinary = set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids)
    if not ids or not ordinary:
        raise ModelError(
            f"The tokenizer of {directory} is empty: {PROBE!r} became {len(ids)} tokens. "
            "Expected tokenizer.json beside config.json, as save_pretrained writes it."
        )
    back = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    if tokenizer.unk_token_id not in ids and back.split() != PROBE.split():
        raise ModelError(f"The tokenizer of {directory} loses text: {PROBE!r} came back as {back!r}. Mend its files.")
    framed = frame(model)
    if (highest := max(*ids, *framed.before, *framed.after)) >= model.cfg.d_vocab:
        raise ModelError(
            f"The tokenizer of {directory} writes token {highest}, but the model has {model.cfg.d_vocab} rows of "
            "embedding. Expected the tokenizer the model was trained with."
        )


def body_ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of the text alone, without any special token around it, and never cut to the context length."""
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def frame(model: TransformerBridge) -> Frame:
    """Read what TransformerLens puts around a text for this model, and keep it.

    Raises:
        ModelError: the model has no tokenizer, or more than one special token stands before a text.
    """
    if model not in _frames:
        _frames[model] = _read_frame(model)
    return _frames[model]


def _read_frame(model: TransformerBridge) -> Frame:
    if model.tokenizer is None:
        raise ModelError("This model has no tokenizer. Expected one loaded by load_model; otherwise pass token ids.")
    body, whole = body_ids(model.tokenizer, PROBE), model.to_tokens(PROBE, truncate=False)[0].tolist()
    for start in range(len(whole) - len(body) + 1):
        if whole[start : start + len(body)] == body:
            before, after = tuple(whole[:start]), tuple(whole[start + len(body) :])
            break
    else:
        raise ModelError(f"The tokenizer reads {PROBE!r} as {body} alone but as {whole} in a prompt. Mend its files.")
    if len(before) > 1:
        raise ModelError(
            f"The tokenizer writes {len(before)} tokens before a text ({list(before)}). Expected one BOS or none."
        )
    return Frame(before, after)
