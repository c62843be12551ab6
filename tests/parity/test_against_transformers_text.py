"""The two released tokenizers against transformers' classes for them, which read the same files from a folder."""

import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from omni.text.released import LlmTokenizer, TalkerVocabulary

NASTY = [
    "",
    " ",
    "In 1984, 1,024 of 12.50 £ — ½ ² ٣٤ Ⅷ ①②",
    "it's IT'S we'LL they'd’ve don't 'tis rock'n'roll",
    "I do n't , it 's , we 've ; 'm ''s ' n't 're ' . ' ? do not ! ' '",
    "a  b   c    d \t e\u00a0f\u3000g  ",
    "one\ntwo\n\nthree\r\n\r\n  four \n \n",
    "你好，世界！我有3个苹果。日本語のテスト 한국어",
    "🎉👩‍👩‍👧‍👦🏳️‍🌈 flags 🇫🇷🇯🇵 ok👍🏽",
    "e\u0301 a\u0308 o\u0302\u0301 \u0301x — é ä naïve Zoë Å ﬁ ǆ İ ı ß ẞ",
    "zero\u200bwidth\u200djoin\ufeffmark soft\u00adhyphen \u202eright-to-left",
    "שלום עולם مرحبا नमस्ते ไทย",
    "def f(x): return x**2  # <a href='?q=1&r=2'>~/.bashrc</a> {{}} [[]] \\n",
    "control \x00\x01\x7f\x85 end",
    "x" * 130,
]

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "</image>", "<unk>"]
MARKED = "hello<|im_end|>hello <|im_start|>user\n<image><unk><unk></image> <|im_end|"


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text, newline="")


def learn(pieces: Tokenizer, trainer: Any) -> Tokenizer:
    # From half of each text, so that the rest is spelled in smaller pieces.
    pieces.train_from_iterator([text[: len(text) // 2] for text in NASTY], trainer)
    return pieces


def llm_files() -> dict[str, str]:
    """The older pair of files, and the tokens that only tokenizer_config.json knows."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learn(bpe, trainers.BpeTrainer(vocab_size=401, initial_alphabet=alphabet, show_progress=False))
    model, flags = json.loads(bpe.to_str())["model"], dict.fromkeys(("lstrip", "rstrip", "normalized"), False)
    added = {
        str(len(model["vocab"]) + index): {"content": token, "special": True, **flags}
        for index, token in enumerate(SPECIAL)
    }
    settings = {"added_tokens_decoder": added, "unk_token": "<unk>", "additional_special_tokens": SPECIAL}
    return {
        "vocab.json": json.dumps(model["vocab"]),
        "merges.txt": "\n".join(["#version: 0.2", *map(" ".join, model["merges"]), ""]),
        "tokenizer_config.json": json.dumps(settings),
    }


@pytest.fixture(scope="module", params=["vocab.json and merges.txt", "tokenizer.json"])
def llm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[LlmTokenizer, Any]:
    """Ours and theirs from one folder; tokenizer.json is as theirs saves it."""
    from transformers import Qwen2Tokenizer

    folder = tmp_path_factory.mktemp("llm")
    write(folder, llm_files())
    theirs: Any = Qwen2Tokenizer.from_pretrained(folder)
    if request.param == "tokenizer.json":
        folder = tmp_path_factory.mktemp("saved")
        theirs.save_pretrained(folder)
        assert not (folder / "vocab.json").exists()
    return LlmTokenizer.read({path.name: path.read_text() for path in folder.iterdir()}), theirs


@pytest.mark.parametrize("text", [*NASTY, MARKED])
def test_the_language_model_s_tokens(llm: tuple[LlmTokenizer, Any], text: str) -> None:
    ours, theirs = llm
    ids = ours.encode(text)
    assert ids == theirs(text, add_special_tokens=False)["input_ids"]
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)
    if text != MARKED:
        assert ours.decode(ids) == unicodedata.normalize("NFC", text)


def test_the_language_model_s_special_tokens(llm: tuple[LlmTokenizer, Any]) -> None:
    ours, theirs = llm
    assert ours.special_ids == set(theirs.all_special_ids)
    assert [ours.token_id(token) for token in SPECIAL] == theirs.convert_tokens_to_ids(SPECIAL)


def talker_words() -> list[str]:
    """A vocabulary with ideographs, accents and both cases, so that every flag shows."""
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    learn(pieces, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False))
    found = pieces.get_vocab()
    words = [*sorted(found, key=found.__getitem__), *"abcdefghijklmnopqrstuvwxyz我有你好", "[Stts]"]
    return list(dict.fromkeys([*words, *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]))


@pytest.mark.parametrize("chinese", [True, False])
@pytest.mark.parametrize("accents", [None, True, False])
@pytest.mark.parametrize("lower", [True, False])
def test_the_talker_s_tokens(lower: bool, accents: bool | None, chinese: bool, tmp_path: Path) -> None:
    """Theirs twice: the class that was released with the model, and an older one, written in Python alone.

    The older one composes accents first, which the other leaves as they are.
    """
    from transformers import BertTokenizer
    from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

    flags = {"do_lower_case": lower, "strip_accents": accents, "tokenize_chinese_chars": chinese}
    files = {"vocab.txt": "\n".join([*talker_words(), ""]), "tokenizer_config.json": json.dumps(flags)}
    write(tmp_path, files)
    ours = TalkerVocabulary.read(files)
    released = BertTokenizer.from_pretrained(tmp_path)
    older = BertTokenizerLegacy(tmp_path / "vocab.txt", **flags)
    for text in NASTY:
        ids = ours.encode(text)
        assert ids == released(text, add_special_tokens=False)["input_ids"]
        for carried in (ids, ids[-10:], ids[3:-2]):
            assert ours.decode(carried) == released.decode(carried, clean_up_tokenization_spaces=True)
        composed = unicodedata.normalize("NFC", text)
        assert ours.encode(composed) == older.convert_tokens_to_ids(older.tokenize(composed))
