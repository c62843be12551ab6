"""How a session of MiniCPM-o opens: system prompts, in a mode and a language, with the voice that is to be imitated."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar, cast, get_args

import torch

from omni.families.minicpm_o.network import Network, Prompt, Vocabulary
from omni.nn.cache import KvCache
from omni.text.template import Language, Mode, message, system_prompt
from omni.types import Voice

NameT = TypeVar("NameT", bound=str)

_KEPT = 4
"""system prompts whose caches are kept: sessions that begin alike begin at once"""

MODES: tuple[Mode, ...] = get_args(Mode)
LANGUAGES: tuple[Language, ...] = get_args(Language)


class Openings:
    """What was read of system prompts lately."""

    def __init__(self, network: Network, tokenizer: Vocabulary, as_text: Callable[[str], str]) -> None:
        """Over a network; as_text makes text of what comes from outside, or refuses it."""
        self._network = network
        self._tokenizer = tokenizer
        self._as_text = as_text
        self._kept: OrderedDict[tuple[str, Voice, Mode, Language], KvCache] = OrderedDict()

    def read(self, instructions: str, voice: Voice, mode: str, language: str) -> KvCache:
        """The cache of a system prompt, not to be changed.

        Raises:
            ValueError: there is no such mode or language, the voice is of another model or the mode needs one, or the
                instructions are too long.
        """
        key = (instructions, voice, _one_of(MODES, "mode", mode), _one_of(LANGUAGES, "language", language))
        cache = self._kept.pop(key, None) or self._read(*key)
        self._kept[key] = cache
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return cache

    def _read(self, instructions: str, voice: Voice, mode: Mode, language: Language) -> KvCache:
        features = voice.state.get("features")
        if voice.state and (features is None or features.shape[1:] != (self._network.config.llm.hidden_size,)):
            raise ValueError(f"voice {voice.name!r} was made for another model: make it again from its recording")
        if mode == "default":  # which imitates nobody
            features = None
        reference = None if features is None else self._network.features_text(len(features))
        parts = system_prompt(mode, language, reference)
        if instructions:
            parts.append("\n" + self._as_text(instructions))
        ids = self._tokenizer.encode(message("user", "".join(parts)))
        cache = self._network.llm.model.new_cache(len(ids))
        audio = () if features is None else (torch.from_numpy(features),)
        self._network.read([Prompt(ids, audio=audio)], [cache])
        return cache


def first_of(first: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names, with one of them in front."""
    return (first, *(name for name in names if name != first))


def _one_of(known: Sequence[NameT], what: str, name: str) -> NameT:
    if name not in known:
        raise ValueError(f"there is no {what} {name!r}; choose one of: {', '.join(known)}")
    return cast(NameT, name)
