"""The tokenizer of `zoo:polyglot`: a byte-level BPE whose every text begins with `<s>`."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = ["<s>", "</s>", "<pad>"]
BOS, EOS, PAD = range(3)


def train_tokenizer(texts: Iterable[str], d_vocab: int) -> Tokenizer:
    """Learn a byte-level BPE with `d_vocab` entries; any text can be written in it, so there is no unknown token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
    return tokenizer


def as_pretrained(tokenizer: Tokenizer, *, n_ctx: int) -> PreTrainedTokenizerFast:
    """Wrap for Hugging Face, so that `save_pretrained` writes a directory any loader understands."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side="right",
        model_max_length=n_ctx,
        clean_up_tokenization_spaces=False,
    )
