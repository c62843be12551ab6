"""The two vocabularies of a released checkpoint, from its tokenizer files alone: none of its code is run."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from omni.checkpoint import CheckpointError

_QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""how Qwen2 divides text before it joins bytes; tokenizer.json says so itself, the older files leave it to the class"""

_UNKNOWN = "[UNK]"
_START = "[Stts]"
_NAMED = ("bos_token", "eos_token", "unk_token", "pad_token")
"""where the files name single special tokens; "additional_special_tokens" is a list of more"""


class LlmTokenizer:
    """Qwen2's byte-level BPE, with the tokens that MiniCPM-o added to it.

    Special tokens are recognised wherever they stand in a text, and none is added: text from outside goes through
    `omni.text.template.as_text` first.
    """

    def __init__(self, bpe: Tokenizer, special_ids: frozenset[int]) -> None:
        self._bpe = bpe
        self.special_ids = special_ids
        """of the tokens that are no text"""

    @classmethod
    def read(cls, files: Mapping[str, str]) -> Self:
        """Build from the texts of tokenizer files by name: tokenizer.json, or vocab.json and merges.txt.

        Tokens that only tokenizer_config.json or added_tokens.json know are added.

        Raises:
            CheckpointError: a file is missing or damaged, or a token does not get the id that the files promise.
        """
        bpe = _whole(files) if "tokenizer.json" in files else _qwen(files)
        bpe.no_padding()
        bpe.no_truncation()
        for index, token in sorted(_declared(files).items()):
            bpe.add_special_tokens([token]) if token.special else bpe.add_tokens([token])
            if (found := bpe.token_to_id(token.content)) != index:
                raise CheckpointError(
                    f"the tokenizer files contradict each other: {token.content} should be {index}, and is {found}; "
                    "download them again, all from one revision"
                )
        special = (index for index, token in bpe.get_added_tokens_decoder().items() if token.special)
        return cls(bpe, frozenset(special))

    @property
    def largest_id(self) -> int:
        """Of all tokens."""
        return _largest(self._bpe)

    def encode(self, text: str) -> list[int]:
        """Ids of a text; special tokens in it are recognised, and none is added."""
        ids: list[int] = self._bpe.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, without the special tokens among them. Bytes that are no UTF-8 become U+FFFD.

        The network's head has a few rows more than there are tokens; their ids stand for nothing.
        """
        text: str = self._bpe.decode([index for index in ids if index not in self.special_ids])
        return text

    def token_id(self, token: str) -> int:
        """The id of one token, spelled as in the vocabulary.

        Raises:
            ValueError: there is none.
        """
        index: int | None = self._bpe.token_to_id(token)
        if index is None:
            raise ValueError(
                f"the checkpoint's tokenizer has no token {token}; check that its files are those of MiniCPM-o 2.6, "
                "tokenizer_config.json and added_tokens.json among them"
            )
        return index


class TalkerVocabulary:
    """BERT's WordPiece, as the talker reads it.

    What the language model writes, and a user may have dictated, is spoken as it stands: a marker like [Etts] in it
    is read as brackets and letters. Whoever needs a marker uses its id.
    """

    def __init__(self, pieces: Tokenizer, start_id: int) -> None:
        self._pieces = pieces
        self.start_id = start_id
        """of [Stts]"""

    @classmethod
    def read(cls, files: Mapping[str, str]) -> Self:
        """Build from the texts of assets/chattts_tokenizer by name: tokenizer.json, or vocab.txt.

        Raises:
            CheckpointError: a file is missing or damaged, or there is no [Stts].
        """
        whole = _bert_json(files)
        settings = _object(files, "tokenizer_config.json")
        if settings or whole["normalizer"] is None:
            # The released class lets these overrule tokenizer.json, and falls back on BERT's defaults.
            whole["normalizer"] = {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": settings.get("tokenize_chinese_chars", True),
                "strip_accents": settings.get("strip_accents"),
                "lowercase": settings.get("do_lower_case", True),
            }
        ids = {**whole["model"]["vocab"], **{token["content"]: token["id"] for token in whole["added_tokens"]}}
        ids |= {token.content: index for index, token in _declared(files).items()}
        if _START not in ids or _UNKNOWN not in ids:
            raise CheckpointError(
                f"assets/chattts_tokenizer has no {_START} or no {_UNKNOWN}: it is not the talker's; download it again"
            )
        # Without its list of added tokens, WordPiece cannot put a marker together: it divides at every bracket. [UNK]
        # stays, so that what an unknown character has become is still that when the talker's text is carried over.
        whole["added_tokens"] = [token for token in whole["added_tokens"] if token["content"] == _UNKNOWN]
        pieces = _tokenizer(json.dumps(whole))
        pieces.add_special_tokens([_UNKNOWN])
        pieces.decoder = decoders.WordPiece()
        pieces.no_padding()
        pieces.no_truncation()
        return cls(pieces, ids[_START])

    @property
    def largest_id(self) -> int:
        """Of all tokens, the markers among them."""
        return max(_largest(self._pieces), self.start_id)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without any marker added or recognised."""
        ids: list[int] = self._pieces.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids: pieces of words joined, no space before punctuation. Markers stand for nothing."""
        text: str = self._pieces.decode(list(ids), skip_special_tokens=False)
        # The released class joins these as well; the library's decoder sees one token at a time.
        return text.replace(" ' ", "'").replace(" n't", "n't")


def _largest(tokenizer: Tokenizer) -> int:
    ids: dict[str, int] = tokenizer.get_vocab()
    return max(ids.values())


def qwen_bpe(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> Tokenizer:
    """Qwen2's tokenizer over a vocabulary, without any added token."""
    bpe = Tokenizer(models.BPE(dict(vocabulary), list(merges)))
    bpe.normalizer = normalizers.NFC()
    words = pre_tokenizers.Split(Regex(_QWEN_WORDS), behavior="isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    return bpe


def _whole(files: Mapping[str, str]) -> Tokenizer:
    _object(files, "tokenizer.json")  # complains by name
    return _tokenizer(files["tokenizer.json"])


def _tokenizer(source: str) -> Tokenizer:
    try:
        return Tokenizer.from_str(source)
    except Exception as error:  # the library raises no narrower kind
        raise CheckpointError(f"tokenizer.json cannot be used: {error}; download it again") from error


def _qwen(files: Mapping[str, str]) -> Tokenizer:
    """From the older pair of files, which hold the vocabulary alone."""
    vocabulary = _object(files, "vocab.json")
    if not vocabulary or "merges.txt" not in files:
        raise CheckpointError(
            "the checkpoint has neither tokenizer.json nor both vocab.json and merges.txt; download them"
        )
    lines = [line for line in files["merges.txt"].splitlines() if line and not line.startswith("#version")]
    try:
        return qwen_bpe(vocabulary, [(left, right) for left, right in map(str.split, lines)])
    except Exception as error:  # a line that is no pair, or a pair of unknown tokens
        raise CheckpointError(f"vocab.json and merges.txt do not belong together: {error}; download them") from error


def _bert_json(files: Mapping[str, str]) -> dict[str, Any]:
    """The content of tokenizer.json, or what it would be beside this vocab.txt."""
    if "tokenizer.json" in files:
        whole = json.loads(_whole(files).to_str())
        if whole["model"]["type"] != "WordPiece":
            raise CheckpointError(
                f"assets/chattts_tokenizer/tokenizer.json is a {whole['model']['type']}, and the talker reads WordPiece"
            )
    elif "vocab.txt" in files:
        # Every line is a token, and its number its id: str.splitlines would find more line ends than the file has.
        lines = files["vocab.txt"].removesuffix("\n").split("\n")
        pieces = Tokenizer(models.WordPiece({line.rstrip("\r"): index for index, line in enumerate(lines)}))
        pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        whole = json.loads(pieces.to_str())
    else:
        raise CheckpointError("assets/chattts_tokenizer has neither tokenizer.json nor vocab.txt; download it")
    source: dict[str, Any] = whole
    return source


def _declared(files: Mapping[str, str]) -> dict[int, AddedToken]:
    """Tokens by their ids, as tokenizer_config.json and added_tokens.json have them beyond the vocabulary."""
    settings, names = _object(files, "tokenizer_config.json"), _object(files, "added_tokens.json")
    try:
        listed = {**settings, **_object(files, "special_tokens_map.json")}
        special = set(_special_names(listed))
        found = {index: AddedToken(name, special=name in special, normalized=False) for name, index in names.items()}
        for index, entry in settings.get("added_tokens_decoder", {}).items():
            flags = {name: entry.get(name, False) for name in ("single_word", "lstrip", "rstrip", "normalized")}
            is_special = entry.get("special", False) or entry["content"] in special
            found[int(index)] = AddedToken(entry["content"], special=is_special, **flags)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"tokenizer_config.json or added_tokens.json is not as expected ({error!r}); download them again"
        ) from error
    return found


def _special_names(listed: Mapping[str, Any]) -> Iterator[str]:
    entries = [listed.get(key) for key in _NAMED] + list(listed.get("additional_special_tokens") or [])
    for entry in entries:
        name = entry.get("content") if isinstance(entry, dict) else entry
        if isinstance(name, str):
            yield name


def _object(files: Mapping[str, str], name: str) -> dict[str, Any]:
    """A JSON file's content; empty where there is none."""
    try:
        source = json.loads(files.get(name, "{}"))
    except ValueError as error:
        raise CheckpointError(f"{name} is damaged: {error}; download it again") from error
    if not isinstance(source, dict):
        raise CheckpointError(f"{name} holds no JSON object; download it again")
    return source
