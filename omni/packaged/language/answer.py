"""What may be said and when it is enough: a small model does not know, so the rules are here."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from omni.packaged.language.openings import Opening
from omni.packaged.language.role import Role
from omni.text.tokenizer import BpeTokenizer, TextStream

_ENOUGH_TOKENS = 14
"""a sentence that ends beyond this is the last"""
_MOST_SENTENCES = 2
ANSWER_TOKENS = 70
"""and where it has to end"""
_LATE_TOKENS = 20
"""so few before that, a comma is made the full stop: better short than cut off; of a low limit, in its last third"""
_REPEAT = 3
"""tokens in a row that may not come twice in an answer"""
_REPEAT_EARLIER = 5
"""tokens in a row that may not come again from an earlier answer"""
_SAME_START = 3.0
"""taken from the logit of a second token that would begin a role's answer as an earlier one: "A fine ..." each time"""
_LONG_WORD = re.compile(r"[a-z]{4,}")
_TOO_OFTEN = 4
"""times that such a word is said before the next comma is made the full stop"""
_SPEAKABLE = re.compile(r"[A-Za-z0-9À-ÿ ,.;!?'\"’‘“”–—°%$€£&+=/-]+")
"""no markdown, no list, no emoji, no bracket"""
_SENTENCE_END = re.compile(r"[.!?][\"'”’]?$")
_NO_SENTENCE_END = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|vs|[A-Z])|^\d+)\.$")
"""abbreviations, and the number of a list's first line"""


class Speakable:
    """The tokens that an answer may consist of, and those that end it."""

    def __init__(self, tokenizer: BpeTokenizer) -> None:
        texts = [tokenizer.decode([token]) for token in range(tokenizer.n_tokens)]
        control = set(tokenizer.control.values())
        spoken = [bool(_SPEAKABLE.fullmatch(text)) and token not in control for token, text in enumerate(texts)]
        self.text_penalty = np.where(spoken, 0, -np.inf).astype(np.float32)
        """[V], added to logits where the answer may not end"""
        self.ends = frozenset([token for token, text in enumerate(texts) if text.startswith("\n")] + list(control))
        self.penalty = self.text_penalty.copy()
        """[V], added to logits elsewhere"""
        self.penalty[list(self.ends)] = 0
        self.continues = frozenset(token for token, text in enumerate(texts) if not text.startswith((" ", "\n")))
        """tokens that go on with the word before them"""
        self.commas = frozenset(tokenizer.encode(",") + tokenizer.encode(";"))
        (self.full_stop,) = tokenizer.encode(".")
        self.within_words = frozenset(token for token in self.continues if texts[token][:1].isalpha())
        """those of letters"""


class Answer:
    """One answer as it is decoded, greedily. Ends at the first good place."""

    def __init__(
        self,
        tokenizer: BpeTokenizer,
        speakable: Speakable,
        opening: Opening,
        limit: int,
        earlier: Sequence[list[int]] = (),
        *,
        role: Role | None = None,
    ) -> None:
        """Start an answer.

        Args:
            limit: tokens.
            earlier: tokens of answers that it may not repeat.
            role: who gives it.
        """
        self._stream = TextStream(tokenizer)
        self._speakable = speakable
        self._opening = opening
        self._limit = limit
        self._earlier = earlier
        self._role = role
        self._leaning = None if role is None else role.leaning.copy()
        if self._leaning is not None:
            # a word that was said once has shown who speaks; leant towards again it becomes a habit
            said = [token for tokens in earlier for token in tokens]
            self._leaning[said] = np.minimum(self._leaning[said], 0)
        self._tokens: list[int] = []
        self._text = ""
        self._n_sentences = 0
        self._closed = False
        self.over = False

    def take_opening(self) -> str:
        """The given first words, once. They cost nothing."""
        text, self._opening = self._opening.text, Opening(complete=self._opening.complete)
        self._text += text
        self.over = self.over or self._opening.complete
        return text

    def choose(self, logits: npt.NDArray[np.float32]) -> int | None:
        """The next token, or None: the answer ends here.

        Args:
            logits: [V], changed in place.
        """
        logits += self._speakable.penalty if self._text else self._speakable.text_penalty
        if self._role is not None and self._leaning is not None:
            self._role.bend(logits, self._leaning, self._text)
        for tokens, n_repeated in ((self._tokens, _REPEAT), *((told, _REPEAT_EARLIER) for told in self._earlier)):
            recent = self._tokens[1 - n_repeated :]
            for start in range(len(tokens) - n_repeated + 1):
                repeated = tokens[start + n_repeated - 1]
                # a word that has begun is finished: forbidding its end would make another of it, as of a name
                if tokens[start : start + n_repeated - 1] == recent and repeated not in self._speakable.within_words:
                    logits[repeated] = -np.inf
        if self._role is not None and len(self._tokens) == 1:
            logits[[told[1] for told in self._earlier if told[:1] == self._tokens and len(told) > 1]] -= _SAME_START
        token = int(logits.argmax())
        # a full stop may be the point of "3.5": only what follows it tells
        enough = self._at_sentence_end() and token not in self._speakable.continues
        if enough:
            self._n_sentences += 1
        many = len(self._tokens) >= _ENOUGH_TOKENS or self._n_sentences >= _MOST_SENTENCES
        enough = self._closed or (enough and many)
        # "1,000" has a comma, too
        if token in self._speakable.commas and not self._text[-1:].isdigit() and (self._is_late or self._goes_round):
            token, self._closed = self._speakable.full_stop, True
        if enough or token in self._speakable.ends or len(self._tokens) >= self._limit:
            self.over = True
            return None
        return token

    def push(self, token: int) -> str:
        """The text that a chosen token adds; may be empty."""
        self._tokens.append(token)
        if self._leaning is not None:
            self._leaning[token] = min(self._leaning[token], 0)
        text = self._stream.push(token)
        if not self._text:
            text = text.lstrip()
        self._text += text
        return text

    @property
    def n_tokens(self) -> int:
        """Tokens decoded so far."""
        return len(self._tokens)

    @property
    def _is_late(self) -> bool:
        limit = min(self._limit, ANSWER_TOKENS)
        return len(self._tokens) >= limit - min(_LATE_TOKENS, limit // 3)

    @property
    def _goes_round(self) -> bool:
        """It has lost its way: "old marriage, old night, old evening"."""
        words = _LONG_WORD.findall(self._text.lower())
        return any(words.count(word) >= _TOO_OFTEN for word in words)

    def _at_sentence_end(self) -> bool:
        return bool(_SENTENCE_END.search(self._text)) and not _NO_SENTENCE_END.search(self._text)
