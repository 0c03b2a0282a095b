import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from interp.models.zoo.corpus import read_novels
from interp.models.zoo.tokenizer import BOS, EOS, PAD, SPECIAL_TOKENS, as_pretrained, train_tokenizer

D_VOCAB = 296


@pytest.fixture(scope="module")
def bpe(corpus):
    return train_tokenizer(read_novels(corpus)["fr"].train, d_vocab=D_VOCAB)


@pytest.fixture(scope="module")
def pretrained(bpe, tmp_path_factory):
    from transformers import AutoTokenizer

    directory = tmp_path_factory.mktemp("tokenizer")
    as_pretrained(bpe, n_ctx=64).save_pretrained(directory)
    return AutoTokenizer.from_pretrained(directory)


@settings(max_examples=300, deadline=None)
# Text that spells a special token is read as that token, so it is no round trip.
@given(st.text().filter(lambda text: not any(token in text for token in SPECIAL_TOKENS)))
@example("")
@example(" leading and trailing ")
@example("two  spaces\n\n\tand a tab\r\n")
@example("👩‍👩‍👧 🦜 naïve Ünïcode")
@example("كان في المنزل ساعة قديمة")
@example("0\u0000\ufeff\u200d")
def test_any_text_comes_back(bpe, text):
    ids = bpe.encode(text).ids
    assert ids[0] == BOS
    assert BOS not in ids[1:]
    assert all(len(SPECIAL_TOKENS) <= token < D_VOCAB for token in ids[1:])
    assert bpe.decode(ids, skip_special_tokens=True) == text


@pytest.mark.parametrize("text", ["", "la maison", "\n", "🦜", "<s", "s>"])
def test_the_saved_tokenizer_says_the_same(bpe, pretrained, text):
    assert pretrained(text)["input_ids"] == bpe.encode(text).ids
    assert pretrained(text, add_special_tokens=False)["input_ids"] == bpe.encode(text, add_special_tokens=False).ids


def test_special_tokens_have_the_first_ids(bpe, pretrained):
    assert [bpe.token_to_id(token) for token in SPECIAL_TOKENS] == [BOS, EOS, PAD] == [0, 1, 2]
    assert (pretrained.bos_token_id, pretrained.eos_token_id, pretrained.pad_token_id) == (BOS, EOS, PAD)
    assert pretrained.unk_token_id is None
    assert pretrained.padding_side == "right"


def test_frequent_words_of_the_text_become_tokens(bpe):
    assert bpe.get_vocab_size() == D_VOCAB
    assert len(bpe.encode(" était", add_special_tokens=False).ids) == 1
    assert len(bpe.encode(" xqzjv", add_special_tokens=False).ids) == 6


def test_every_byte_has_a_token(bpe):
    ordinary = D_VOCAB - len(SPECIAL_TOKENS)
    assert ordinary >= 256
    assert sum(len(token) == 1 for token in bpe.get_vocab()) == 256
