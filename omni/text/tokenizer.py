"""Byte-level BPE as GPT-2 made it, from the vocabulary inside a GGUF file, and its way back to text by pieces."""

from collections.abc import Sequence
from typing import Protocol

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

_CONTROL = 3
"""GGUF's type for tokens that are no text"""


class BpeTokenizer:
    """Text to tokens and back. Control tokens are never read out of text: what a user writes stays text."""

    def __init__(self, tokens: Sequence[str], merges: Sequence[str], types: Sequence[int]) -> None:
        """Build from GGUF's lists.

        Args:
            tokens: every token's spelling; its place is its id.
            merges: pairs, "left right", most frequent first.
            types: a number for each token; 3 marks control tokens.
        """
        vocabulary = {token: index for index, token in enumerate(tokens)}
        pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
        self._bpe = Tokenizer(models.BPE(vocabulary, pairs))
        self._bpe.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        self._bpe.decoder = decoders.ByteLevel()
        self.control = {token: index for token, index in vocabulary.items() if types[index] == _CONTROL}
        self.n_tokens = len(tokens)

    def encode(self, text: str) -> list[int]:
        """Tokens of a text."""
        ids: list[int] = self._bpe.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of tokens. Bytes that are no UTF-8 become U+FFFD."""
        text: str = self._bpe.decode(list(ids), skip_special_tokens=False)
        return text


class Decoder(Protocol):
    """The way back from tokens whose bytes may divide a character."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids. Bytes that are no UTF-8 become U+FFFD."""
        ...


class TextStream:
    """Tokens in, text out as soon as it is whole: a character split over tokens waits for the rest."""

    def __init__(self, tokenizer: Decoder) -> None:
        self._tokenizer = tokenizer
        self._waiting: list[int] = []

    def push(self, token: int) -> str:
        """The text that this token completes; may be empty."""
        self._waiting.append(token)
        text = self._tokenizer.decode(self._waiting)
        # a token boundary inside a character shows as a replacement at the very end
        if text.endswith("\N{REPLACEMENT CHARACTER}") and len(self._waiting) < _LONGEST_CHARACTER:
            return ""
        self._waiting.clear()
        return text

    def copy(self) -> "TextStream":
        """An equal stream that goes its own way."""
        twin = TextStream(self._tokenizer)
        twin._waiting = list(self._waiting)
        return twin


_LONGEST_CHARACTER = 4
"""bytes, hence tokens, of one UTF-8 character; more than that is no character"""
