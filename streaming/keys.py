"""Access keys as the configuration writes them: a key, a name for it, and what it may be used for.

    sekret                                        no limits
    sekret:name=kitchen:sessions=2:minutes=60     two calls at the same time, sixty minutes of calls a day
    sekret:name=host                              whose holder has what was made while the server had no keys

No message made here shows a key, because messages end up in logs.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

SECRET_PREFIX = "ek_"
"""of the short-lived secrets that the server itself hands out"""

HOST = "host"
"""name of a key for whoever runs the server: what was made without keys belongs to it"""

_NAME = re.compile(r"[\w.-]{1,40}")


@dataclass(frozen=True, slots=True)
class Key:
    """A key and its limits, None meaning unlimited."""

    value: str = field(repr=False)
    name: str
    """what logs call it"""
    sessions: int | None = None
    """calls at the same time"""
    minutes: float | None = None
    """of calls in a day"""
    is_named: bool = field(default=False, compare=False)
    """the name was given, not counted"""

    @property
    def owner(self) -> str | None:
        """What is written on what this key's holder makes; None: it is the host's.

        It stays the same while the key keeps its name, or without one its value, which cannot be found by it: to try
        one value takes a hundredth of a second.
        """
        if self.is_named:
            return None if self.name == HOST else self.name
        digest = hashlib.scrypt(self.value.encode(), salt=b"omni-live owner", n=4096, r=8, p=1, dklen=12)
        return f"#{digest.hex()}"  # no name begins like this


def read_keys(texts: Sequence[str]) -> tuple[Key, ...]:
    """The keys in their order; those without a name are called key1, key2 and so on.

    Raises:
        ValueError: one is not written as above, or is there twice.
    """
    keys = tuple(_read_key(text, number) for number, text in enumerate(texts, 1))
    for what in ("value", "name"):
        if len({getattr(key, what) for key in keys}) < len(keys):
            raise ValueError(f"two keys have the same {what}")
    return keys


def _read_key(text: str, number: int) -> Key:
    value, *parts = text.split(":")
    where = f"key {number}"
    if not value:
        raise ValueError(f"{where} is empty before its first ':'")
    if value.startswith(SECRET_PREFIX):
        raise ValueError(f"{where} begins with {SECRET_PREFIX}, as only secrets do that the server hands out itself")
    options: dict[str, str] = {}
    for part in parts:
        option, equals, setting = part.partition("=")
        if not equals or option not in {"name", "sessions", "minutes"} or option in options:
            # what was written is not repeated: it may be the rest of a key that holds a colon
            raise ValueError(
                f"{where} is followed by something other than :name=…, :sessions=… or :minutes=…, once each"
            )
        options[option] = setting
    name = options.get("name", f"key{number}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"the name of {where} may have 1 to 40 letters, digits, dots, dashes and underscores")
    sessions, minutes = _sessions(options.get("sessions"), where), _minutes(options.get("minutes"), where)
    return Key(value, name, sessions, minutes, is_named="name" in options)


def _sessions(text: str | None, where: str) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"sessions of {where} must be a whole number, 1 or more")
    return int(text)


def _minutes(text: str | None, where: str) -> float | None:
    if text is None:
        return None
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= 24 * 60:
        raise ValueError(f"minutes of {where} must be a number above 0, and at most the {24 * 60} of a day")
    return minutes
