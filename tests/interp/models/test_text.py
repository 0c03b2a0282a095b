import numpy as np
import pytest
import torch

from interp.errors import ModelError, PromptError
from interp.models import encode, load_model, str_tokens, word_spans
from tests import families

HOSTILE = (
    "🙂 emoji",
    "مرحبا بالعالم",
    "two\nlines\n",
    "  leading spaces",
    "a <s> b",
    "</script><script>",
    "&lt",
    "naïve",
)
TEXTS = ("The cat sat on the mat.", *HOSTILE)
BYTE_LEVEL = [name for name in families.FAMILIES if name != "bert"]
WITH_BOS = [name for name in BYTE_LEVEL if name not in families.PREPENDS_NO_BOS]


def bos_string(model):
    return model.tokenizer.convert_ids_to_tokens(int(encode(model, "a")[0]))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", BYTE_LEVEL)
def test_text_comes_back(name, text, family_model):
    model = family_model(name)
    ids = encode(model, text)
    body = ids[1:] if name in WITH_BOS else ids
    assert model.tokenizer.decode(body, clean_up_tokenization_spaces=False) == text


@pytest.mark.parametrize("text", TEXTS[:1])
def test_encode_agrees_with_transformer_lens(text, family, family_model):
    model = family_model(family)
    assert encode(model, text).tolist() == model.to_tokens(text)[0].tolist()


@pytest.mark.parametrize("name", WITH_BOS)
@pytest.mark.parametrize("text", ["cat", "", "<s> cat", "a <s> b"])
def test_bos_stands_first_exactly_once(name, text, family_model):
    model = family_model(name)
    bos = bos_string(model)
    ids = encode(model, text.replace("<s>", bos)).tolist()
    assert ids[0] == 0
    assert ids[1:2] != [0]


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert"])
def test_a_text_that_spells_bos_itself_gets_no_second_one(name, family_model):
    model = family_model(name)
    assert encode(model, bos_string(model) + "the cat").tolist() == encode(model, "the cat").tolist()


@pytest.mark.parametrize("name", families.PREPENDS_NO_BOS)
def test_without_bos_no_leading_token_is_lost(name, family_model):
    model = family_model(name)
    ids = encode(model, "The cat")
    assert str_tokens(model, ids) == ["The", " cat"]
    spelled = encode(model, "<|endoftext|>The cat")
    assert str_tokens(model, spelled) == ["<|endoftext|>", "The", " cat"], "what the text spells is kept"


def test_long_texts_are_not_cut(tiny):
    assert len(encode(tiny, "cat " * 100)) > tiny.cfg.n_ctx


def test_bert_keeps_both_its_special_tokens(family_model):
    model = family_model("bert")
    assert str_tokens(model, encode(model, "The cat")) == ["[CLS]", " the", " cat", "[SEP]"]


def test_berts_own_tokenizer_class_keeps_them_too(family_directory, tmp_path):
    import shutil

    from transformers import BertTokenizer

    directory = shutil.copytree(family_directory("bert"), tmp_path / "model")
    for path in directory.glob("*token*"):
        path.unlink()
    vocab = families.word_piece_tokenizer().get_vocab()
    BertTokenizer(vocab=vocab).save_pretrained(directory)
    model = load_model(str(directory))
    assert str_tokens(model, encode(model, "The cat")) == ["[CLS]", " the", " cat", "[SEP]"]


def test_str_tokens_are_readable(family_model):
    model = family_model("llama")
    written = str_tokens(model, encode(model, "The cat – é\n"))
    assert written == ["<s>", "The", " cat", " ", r"\xe2", r"\x80", r"\x93", " ", r"\xc3", r"\xa9", "\n"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen2"])
def test_spans_cover_every_token_once_and_spell_the_words(name, text, family_model):
    model = family_model(name)
    text = text.replace("<s>", "(s)")
    spans = word_spans(model, encode(model, text))
    assert [start for _, start, _ in spans] == [0, *(stop for _, _, stop in spans[:-1])]
    assert spans[-1][2] == len(encode(model, text))
    words = [word for word, _, _ in spans[name in WITH_BOS :]]
    assert [word for word in words if word.strip()] == text.split()


def test_a_word_of_nine_bytes_is_one_span(family_model):
    model = family_model("llama")
    ids = encode(model, "the 你好吗 cat")
    spans = word_spans(model, ids)
    assert [word for word, _, _ in spans] == ["<s>", "the", "你好吗", "cat"]
    _, start, stop = spans[2]
    assert stop - start == 10, "nine bytes and the space before them"


def test_a_whitespace_character_split_into_bytes_still_parts_words(family_model):
    model = family_model("llama")
    spans = word_spans(model, encode(model, "你\u3000好"))  # the ideographic space is three bytes
    assert [word for word, _, _ in spans] == ["<s>", "你", "好"]


def test_a_special_token_is_a_span_of_its_own(family_model):
    model = family_model("llama")
    spans = word_spans(model, encode(model, "cat<s>cat"))
    assert [word for word, _, _ in spans] == ["<s>", "cat", "<s>", "cat"]


def test_trailing_whitespace_is_a_span(family_model):
    model = family_model("llama")
    assert word_spans(model, encode(model, "cat \n"))[-1][0].strip() == ""


def test_whitespace_at_the_end_of_a_token_ends_the_word():
    from interp.models.text import _word_starts

    assert _word_starts([b"a ", b"b", b"c", b" \t", b"d", None, b"e"]) == [0, 1, 3, 5, 6]


def test_pieces_of_a_bert_word_are_one_span(family_model):
    model = family_model("bert")
    ids = encode(model, "schlafthe cat")
    words = [word for word, _, _ in word_spans(model, ids)]
    assert words == ["[CLS]", "schlafthe", "cat", "[SEP]"]
    assert len(ids) > 4, "the made-up word must have several pieces, or this proves nothing"


def test_sentence_piece_bytes_are_read(family_directory, tmp_path):
    import shutil

    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"thecaonms", "▁cat"]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    raw = Tokenizer(models.BPE(vocab, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    raw.decoder = decoders.Sequence(steps)
    directory = shutil.copytree(family_directory("mistral"), tmp_path / "model")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    tokenizer.save_pretrained(directory)
    model = load_model(str(directory))
    ids = encode(model, "cat é")
    assert str_tokens(model, ids) == ["<s>", " ", "c", "a", "t", " ", r"\xc3", r"\xa9"]
    assert [word for word, _, _ in word_spans(model, ids)] == ["<s>", "cat", "é"]


@pytest.mark.parametrize("bad", [-1, 400])
def test_ids_outside_the_vocabulary_are_refused(tiny, bad):
    for read in (str_tokens, word_spans):
        with pytest.raises(PromptError, match=f"Token ids \\[{bad}\\] are outside"):
            read(tiny, np.array([0, bad]))


def test_a_row_without_a_token_is_still_written(family_model):
    assert str_tokens(family_model("bert"), np.array([399])) == ["[399]"]


def test_a_model_without_a_tokenizer_is_refused():
    from transformer_lens.model_bridge import TransformerBridge

    sizes = {"d_model": 16, "d_head": 4, "n_heads": 4, "n_layers": 1, "n_ctx": 32, "d_vocab": 20, "d_mlp": 32}
    model = TransformerBridge.boot_native({**sizes, "act_fn": "gelu_new", "normalization_type": "LN", "seed": 0})
    with pytest.raises(ModelError, match="has no tokenizer"):
        encode(model, "The cat")


def test_the_encoded_prompt_runs(family, family_model):
    model = family_model(family)
    ids = encode(model, "The cat sat")
    with torch.no_grad():
        assert model(torch.from_numpy(ids)[None]).shape == (1, len(ids), 400)
