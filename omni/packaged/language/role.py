"""How a character speaks: what its own words say of that, as scores added to those of the model's next token.

A model this small slips out of a role within a sentence: it apologises, assists, takes another name, talks of wine.
Nothing here knows a character; all is read out of its file.
"""

import re

import numpy as np
import numpy.typing as npt

from omni.packaged.language.prompt import Persona
from omni.text.tokenizer import BpeTokenizer

_LEANING = 2.5
"""added to the logit of each of a character's own words, until it has said it"""
_NAME_LEANING = 4.0
"""the same for the rest of its name, once it has begun to say it"""
_COMMON_TOKENS = 2000
"""tokens were merged from the most frequent on: words among the first of them are everybody's"""
_COMMON_BEGINNINGS = 2500
"""the same of tokens that names begin with: who forbade that of "Ivo" would forbid "I", and "The" with "Theo"."""
_SHORTEST = 4
"""letters of such a word"""
_CONTRACTIONS = ("'m", "'re", "'s", "'ve", "'ll", "'d")
_INTRODUCES = re.compile(r"\b(?:am|m|name is|name's|call(?:s|ed)? me|called|this is|old|the)$", re.IGNORECASE)
"""after these somebody names themselves; elsewhere a name calls somebody else"""


class Role:
    """What a character would say rather than something else. Made once for a session's instructions."""

    def __init__(self, persona: Persona, tokenizer: BpeTokenizer) -> None:
        """Read the character's examples.

        Args:
            persona: with examples.
        """
        told = " ".join(answer for _, answer in persona.examples)
        words = [word for word in re.findall(r"[A-Za-z]+", f"{persona.who} {told}") if len(word) >= _SHORTEST]
        self.leaning = np.zeros(tokenizer.n_tokens, np.float32)
        """[V], of an answer that has not begun"""
        self._name = _own_name(persona)
        for word in {*words, *map(str.lower, words)}.difference(self._name, map(str.lower, self._name)):
            ids = tokenizer.encode(f" {word}")
            if len(ids) == 1 and ids[0] >= _COMMON_TOKENS:
                self.leaning[ids[0]] = _LEANING
        apart = [form for form in _CONTRACTIONS if form not in told.replace("’", "'")]
        # "I'm sorry", "I'm not sure": who says "I am" is seldom led there
        for form in apart:
            self.leaning[tokenizer.encode(f"I{form}")[1]] = -np.inf
        self._names = [tokenizer.encode(f" {name}")[0] for name in self._name]
        self._own = [token for token in self._names if token >= _COMMON_BEGINNINGS]

    def bend(self, logits: npt.NDArray[np.float32], leaning: npt.NDArray[np.float32], text: str) -> None:
        """Add to the logits [V] of what follows the text of an answer, in place.

        Args:
            leaning: this role's, with what was said already taken out of it.
        """
        logits += leaning
        said = text.rstrip()
        if begun := [place for place, name in enumerate(self._name) if said.endswith(name)]:
            follows = self._names[begun[0] + 1 : begun[0] + 2]
            logits[[token for token in follows if token in self._own]] += _NAME_LEANING
        elif not _INTRODUCES.search(said):
            logits[self._own] = -np.inf


def _own_name(persona: Persona) -> list[str]:
    """The capitalised words of "You are Captain Flint, ..."."""
    match = re.match(r"You are ((?:[A-Z][\w'’]*\s?)+)", persona.reminder)
    return match[1].split() if match else []
