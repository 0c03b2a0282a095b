"""The tested families, each built tiny from its Hugging Face config into an ordinary model directory.

Weights are random but seeded and drawn wide (`initializer_range` 0.2), so that the logits of two prompts differ by far
more than float error. Heads and key/value heads differ in number wherever the family allows it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    GptOssConfig,
    GptOssForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

D_VOCAB = 400
"""Entries of the byte-level tokenizers, and rows of every model's embedding."""
N_CTX = 64
SLIDING_WINDOW = 6
SENTENCES = (
    "The cat sat on the mat because the dog slept.",
    "When Mary and John went to the store, John gave a drink to Mary.",
    "Der Hund schläft und die Katze sitzt auf der Matte.",
    "Le chat dort pendant que le chien mange.",
    "El gato duerme mientras el perro come.",
    "one two three four five six seven eight nine ten",
)
"""What the tokenizers learn their merges from; tests may use these as prompts."""


def byte_level_tokenizer(*, bos: str, eos: str, prepends_bos: bool) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on a few sentences.

    Args:
        bos: The beginning-of-sequence token as written.
        eos: The end-of-sequence token; GPT-2's way is to use one token for both.
        prepends_bos: Whether the tokenizer itself puts `bos` first, as Llama's does and GPT-2's does not.
    """
    specials = list(dict.fromkeys([bos, eos, "<pad>"]))
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=D_VOCAB, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(SENTENCES, trainer)
    if prepends_bos:
        raw.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token=bos,
        eos_token=eos,
        pad_token="<pad>",
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def word_piece_tokenizer() -> PreTrainedTokenizerFast:
    """Train a WordPiece tokenizer the way BERT's is: lower case, `[CLS]` first, `[SEP]` last."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer()
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.decoder = decoders.WordPiece()
    raw.train_from_iterator(
        SENTENCES, trainers.WordPieceTrainer(vocab_size=D_VOCAB, special_tokens=specials, show_progress=False)
    )
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {
        name: f"[{name[:-6].upper()}]" for name in ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    }
    return PreTrainedTokenizerFast(tokenizer_object=raw, **names)


_GQA = {
    "vocab_size": D_VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": N_CTX,
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
_WINDOWED = {"sliding_window": SLIDING_WINDOW}
_ALTERNATING = _WINDOWED | {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
_GPT2_SIZE = {"vocab_size": D_VOCAB, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": N_CTX}
_PLAIN_HEADS = {name: value for name, value in _GQA.items() if name not in ("num_key_value_heads", "head_dim")}

_BUILDERS: dict[str, Callable[[], PreTrainedModel]] = {
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(**_GPT2_SIZE, initializer_range=0.2, bos_token_id=0, eos_token_id=0, pad_token_id=1)
    ),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**_GQA)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**_without("head_dim"))),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**_GQA)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**_GQA, **_ALTERNATING, query_pre_attn_scalar=8)),
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**_GQA, **_ALTERNATING, query_pre_attn_scalar=8)),
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**_PLAIN_HEADS)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**_GQA, **_WINDOWED)),
    "mixtral": lambda: MixtralForCausalLM(MixtralConfig(**_GQA, **_EXPERTS)),
    "gpt_oss": lambda: GptOssForCausalLM(GptOssConfig(**_GQA, **_ALTERNATING, **_EXPERTS)),
    "bert": lambda: BertForMaskedLM(
        BertConfig(**{**_PLAIN_HEADS, "bos_token_id": None, "eos_token_id": None, "pad_token_id": 0})
    ),
}
FAMILIES = tuple(_BUILDERS)
"""Names of the tested families; the first is the plainest."""
PREPENDS_NO_BOS = ("qwen2", "qwen3", "gpt_neox")
"""Families whose policy is to begin without BOS, or whose tokenizer leaves it out."""


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in _GQA.items() if key != name}


def build_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Build the kind of tokenizer the family ships: GPT-2's, BERT's, or one that writes `<s>` first."""
    if family == "bert":
        return word_piece_tokenizer()
    if family in ("gpt2", *PREPENDS_NO_BOS):
        return byte_level_tokenizer(bos="<|endoftext|>", eos="<|endoftext|>", prepends_bos=False)
    return byte_level_tokenizer(bos="<s>", eos="</s>", prepends_bos=True)


def build_family(family: str, directory: Path, *, seed: int = 0) -> Path:
    """Write the tiny model of a family, with its tokenizer, as a Hugging Face directory.

    Returns:
        `directory`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _BUILDERS[family]()
        _spread(model)
    model.save_pretrained(directory)
    build_tokenizer(family).save_pretrained(directory)
    return directory


def _spread(model: PreTrainedModel) -> None:
    """Give every vector (norms, biases, sinks) values of its own, so that a dropped or ignored one shows."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
