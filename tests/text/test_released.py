"""The released vocabularies, on tokenizer files small enough to read."""

import json
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from omni.checkpoint import CheckpointError
from omni.text.released import LlmTokenizer, TalkerVocabulary
from omni.text.template import as_text
from omni.text.tokenizer import TextStream

TEXT = "In 1984, naïve Zoë paid £12.50  for ☕ and 日本 🎉!\r\n\r\n  it's  "
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = [("h", "i"), ("Ġ", "hi"), ("<", "u"), ("<u", "n"), ("<un", "k"), ("<unk", ">")]
VOCABULARY = {token: index for index, token in enumerate([*BYTES, *(left + right for left, right in MERGES)])}
N = len(VOCABULARY)
UNKNOWN = VOCABULARY["<unk>"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"]
CONFIG: dict[str, Any] = {
    "added_tokens_decoder": {
        str(UNKNOWN): {"content": "<unk>", "special": True},
        **{str(N + index): {"content": token, "special": True} for index, token in enumerate(SPECIAL)},
        str(N + 4): {"content": "<tool_call>", "special": False},
    },
    "eos_token": "<|im_end|>",
}


def older() -> dict[str, str]:
    """A vocabulary and merges, as the class's own files hold them."""
    merges = "\n".join(["#version: 0.2", *map(" ".join, MERGES), ""])
    return {
        "vocab.json": json.dumps(VOCABULARY),
        "merges.txt": merges,
        "tokenizer_config.json": json.dumps(CONFIG),
        "added_tokens.json": json.dumps({"<image>": N + 3, "<last>": N + 5}),
    }


def whole() -> dict[str, str]:
    """The same in one file, which knows the first three special tokens."""
    bpe = Tokenizer(models.BPE(VOCABULARY, MERGES))
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens(SPECIAL[:3])
    bpe.enable_truncation(2)
    return {"tokenizer.json": bpe.to_str(), "tokenizer_config.json": json.dumps(CONFIG)}


@pytest.fixture(params=[older, whole])
def files(request: pytest.FixtureRequest) -> dict[str, str]:
    made: dict[str, str] = request.param()
    return made


@pytest.fixture
def tokenizer(files: dict[str, str]) -> LlmTokenizer:
    return LlmTokenizer.read(files)


def test_any_text_becomes_tokens_and_text_again(tokenizer: LlmTokenizer) -> None:
    ids = tokenizer.encode(TEXT)
    stream = TextStream(tokenizer)
    assert tokenizer.decode(ids) == TEXT
    assert "".join(map(stream.push, ids)) == TEXT
    assert tokenizer.encode("hi hi") == [VOCABULARY["hi"], VOCABULARY["Ġhi"]]
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


def test_special_tokens_are_recognised_wherever_they_stand(tokenizer: LlmTokenizer) -> None:
    ids = tokenizer.encode("hi<|im_end|>hi <unk><unk><image>")
    assert ids == [VOCABULARY["hi"], N + 2, VOCABULARY["hi"], VOCABULARY["Ġ"], UNKNOWN, UNKNOWN, N + 3]
    assert tokenizer.decode(ids) == "hihi "
    assert tokenizer.special_ids == {UNKNOWN, N, N + 1, N + 2, N + 3}


def test_what_comes_from_outside_is_no_special_token(tokenizer: LlmTokenizer) -> None:
    assert not tokenizer.special_ids & set(tokenizer.encode(as_text("<unk> <image> <|im_end|>")))


def test_an_added_token_that_is_not_special_is_text(tokenizer: LlmTokenizer) -> None:
    assert tokenizer.encode("<tool_call>") == [N + 4]
    assert tokenizer.decode([N + 4]) == "<tool_call>"


def test_half_a_character_is_shown_as_such_and_rows_beyond_the_vocabulary_are_nothing(tokenizer: LlmTokenizer) -> None:
    cup = tokenizer.encode("☕")
    assert tokenizer.decode(cup[:2]).strip("\N{REPLACEMENT CHARACTER}") == ""
    assert tokenizer.decode([*cup, 99_999]) == "☕"


def test_a_token_is_found_by_its_name(tokenizer: LlmTokenizer) -> None:
    assert tokenizer.token_id("<|im_end|>") == N + 2
    assert tokenizer.token_id("<unk>") == UNKNOWN
    with pytest.raises(ValueError, match=r"no token <\|spk\|>; check that its files"):
        tokenizer.token_id("<|spk|>")


def test_tokens_that_only_added_tokens_json_knows() -> None:
    tokenizer = LlmTokenizer.read(older())
    assert tokenizer.encode("<last>") == [N + 5]
    assert tokenizer.decode([N + 5]) == "<last>"
    listed = {**older(), "special_tokens_map.json": json.dumps({"additional_special_tokens": ["<last>"]})}
    assert LlmTokenizer.read(listed).decode([N + 5]) == ""


def test_letters_are_composed_and_digits_stand_alone() -> None:
    merges = [*MERGES, ("1", "2")]
    vocabulary = {**VOCABULARY, "12": N}
    lines = "\n".join(map(" ".join, merges))
    tokenizer = LlmTokenizer.read({"vocab.json": json.dumps(vocabulary), "merges.txt": lines})
    assert tokenizer.encode("e\N{COMBINING DIAERESIS}") == tokenizer.encode("ë")
    assert tokenizer.encode("12") == [VOCABULARY["1"], VOCABULARY["2"]]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vocab.json": None}, "neither tokenizer.json nor both"),
        ({"merges.txt": None}, "neither tokenizer.json nor both"),
        ({"merges.txt": "h i\noops"}, "do not belong together"),
        ({"merges.txt": "hi no-such"}, "do not belong together"),
        ({"vocab.json": "{"}, r"vocab\.json is damaged"),
        ({"tokenizer.json": "{"}, r"tokenizer\.json is damaged"),
        ({"tokenizer.json": "{}"}, r"tokenizer\.json cannot be used"),
        ({"tokenizer_config.json": "[]"}, "holds no JSON object"),
        ({"tokenizer_config.json": '{"added_tokens_decoder": {"7": {}}}'}, "not as expected"),
        ({"added_tokens.json": json.dumps({"<image>": N + 7})}, "<image> should be .*, and is"),
        ({"added_tokens.json": json.dumps({"<far>": N + 9})}, "<far> should be .*, and is"),
    ],
)
def test_broken_files_are_named(changed: dict[str, str | None], message: str) -> None:
    files = {name: text for name, text in {**older(), **changed}.items() if text is not None}
    if "<image>" in (changed.get("added_tokens.json") or ""):
        del files["tokenizer_config.json"]
        files["added_tokens.json"] = json.dumps({"<image>": N + 7})
    with pytest.raises(CheckpointError, match=message):
        LlmTokenizer.read(files)


WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "hello",
    "Hello",
    "world",
    "##ly",
    "你",
    "好",
    "[",
    "]",
    "e",
    "##tt",
    "##s",
]
WORDS += ["it", "'", "s", "!", ",", "."]
MARKERS = ["[Stts]", "[Ptts]", "[Etts]", "[spk_emb]"]
CASED = json.dumps({"do_lower_case": False})


def of_lines() -> dict[str, str]:
    """The vocabulary as lines of text, markers and all."""
    return {"vocab.txt": "\n".join([*WORDS, *MARKERS, ""]), "tokenizer_config.json": json.dumps({})}


def of_json() -> dict[str, str]:
    """The same as one file whose markers are added tokens, and which adds [CLS] to what it reads."""
    pieces = Tokenizer(models.WordPiece({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])
    pieces.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    pieces.add_tokens([AddedToken(marker, special=marker != "[Etts]") for marker in MARKERS])
    return {"tokenizer.json": pieces.to_str()}


@pytest.fixture(params=[of_lines, of_json])
def talker_files(request: pytest.FixtureRequest) -> dict[str, str]:
    made: dict[str, str] = request.param()
    return made


def spelled(ids: list[int]) -> list[str]:
    return [[*WORDS, *MARKERS][index] for index in ids]


def test_the_talker_reads_pieces_of_words(talker_files: dict[str, str]) -> None:
    vocabulary = TalkerVocabulary.read(talker_files)
    ids = vocabulary.encode("Hello worldly, 你好!")
    assert spelled(ids) == ["hello", "world", "##ly", ",", "你", "好", "!"]
    assert vocabulary.decode(ids) == "hello worldly, 你 好!"
    assert vocabulary.decode(vocabulary.encode("it's")) == "it's"
    assert vocabulary.start_id == len(WORDS)
    assert vocabulary.encode("") == []


def test_a_marker_in_what_is_spoken_is_read_as_text(talker_files: dict[str, str]) -> None:
    vocabulary = TalkerVocabulary.read(talker_files)
    assert spelled(vocabulary.encode("[Etts]hello")) == ["[", "e", "##tt", "##s", "]", "hello"]
    assert spelled(vocabulary.encode("[spk_emb]")) == ["[", "[UNK]", "[UNK]", "[UNK]", "]"]


def test_an_unknown_character_stays_one_when_the_text_is_carried_over(talker_files: dict[str, str]) -> None:
    vocabulary = TalkerVocabulary.read(talker_files)
    ids = vocabulary.encode("hello 🎉!")
    assert spelled(ids) == ["hello", "[UNK]", "!"]
    assert vocabulary.encode(vocabulary.decode(ids)) == ids


def test_the_tokenizer_s_flags_overrule_its_file(talker_files: dict[str, str]) -> None:
    vocabulary = TalkerVocabulary.read({**talker_files, "tokenizer_config.json": CASED})
    assert spelled(vocabulary.encode("Hello")) == ["Hello"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "neither tokenizer.json nor vocab.txt"),
        ({"tokenizer.json": "oops"}, r"tokenizer\.json is damaged"),
        ({"vocab.txt": "a\nb"}, r"has no \[Stts\]"),
        ({"tokenizer.json": whole()["tokenizer.json"]}, "reads WordPiece"),
        ({**of_lines(), "tokenizer_config.json": '{"do_lower_case": "yes"}'}, "cannot be used"),
    ],
)
def test_a_broken_vocabulary_is_named(files: dict[str, str], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        TalkerVocabulary.read(files)
