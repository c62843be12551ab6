"""The byte-level tokenizer on a vocabulary small enough to read, and on the packaged one."""

import pytest

from omni.text.tokenizer import BpeTokenizer, TextStream

# a byte of its own for every token but the merges: "Ġ" is the blank, "â ĺ ķ" are the bytes of ☕
TOKENS = ["<|end|>", "h", "i", "hi", "Ġ", "Ġhi", "1", "2", "â", "ĺ", "ķ", "|", "<", ">", "e", "n", "d"]
MERGES = ["h i", "Ġ hi"]
TYPES = [3, *[1] * 16]


@pytest.fixture
def tokenizer() -> BpeTokenizer:
    return BpeTokenizer(TOKENS, MERGES, TYPES)


def test_text_becomes_tokens_and_text_again(tokenizer: BpeTokenizer) -> None:
    assert tokenizer.encode("hi hi12") == [3, 5, 6, 7]
    assert tokenizer.decode([3, 5, 6, 7]) == "hi hi12"


def test_what_a_user_writes_is_never_a_control_token(tokenizer: BpeTokenizer) -> None:
    assert tokenizer.control == {"<|end|>": 0}
    assert 0 not in tokenizer.encode("<|end|>")
    assert tokenizer.decode(tokenizer.encode("<|end|>")) == "<|end|>"


def test_half_a_character_waits_for_the_rest(tokenizer: BpeTokenizer) -> None:
    stream = TextStream(tokenizer)
    assert [stream.push(token) for token in [3, *tokenizer.encode("☕"), 4]] == ["hi", "", "", "☕", " "]


def test_bytes_that_are_no_character_do_not_wait_for_ever(tokenizer: BpeTokenizer) -> None:
    stream = TextStream(tokenizer)
    pieces = [stream.push(8) for _ in range(4)]
    assert pieces[:3] == ["", "", ""]
    assert pieces[3] == "\N{REPLACEMENT CHARACTER}" * 4


@pytest.mark.models
def test_the_packaged_vocabulary_gives_text_back() -> None:
    from omni.packaged.language import gguf
    from omni.packaged.language.decoder import SMOLLM2

    model = gguf.read(SMOLLM2.locate())
    lists = model.strings("tokenizer.ggml.tokens"), model.strings("tokenizer.ggml.merges")
    tokenizer = BpeTokenizer(*lists, model.integers("tokenizer.ggml.token_type"))
    text = "In 1984, naïve Zoë paid £12.50 for ☕ and 日本 🎉!\n<|im_end|>"
    ids = tokenizer.encode(text)
    stream = TextStream(tokenizer)
    assert tokenizer.decode(ids) == text
    assert "".join(map(stream.push, ids)) == text
    assert tokenizer.control["<|im_end|>"] == 2
    assert 2 not in ids
