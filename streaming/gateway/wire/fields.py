"""Reading a client's JSON field by field: what is missing, mistyped or out of range becomes a WireError."""

import binascii
import math
from collections.abc import Collection, Mapping
from typing import Any, Literal

import orjson

MAX_TEXT_BYTES = 256 * 1024
"""of one text, as JSON; it is echoed in frames that must stay under 1 MiB"""
MAX_MEDIA_BYTES = 15 * 1024 * 1024
"""of sound or picture in one message, decoded (OpenAI's own limit)"""


class WireError(Exception):
    """A client's message that cannot be obeyed. The session lives on; RealtimeCodec.encode_error says it on the wire.

    Attributes:
        code: for programs; OpenAI's own where there is one.
        message: for people: what is wrong and what to do.
        param: path of the offending field, if there is one.
        event_id: the client's id of the offending message, if it gave one.
    """

    def __init__(self, code: str, message: str, param: str | None = None, event_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.event_id = event_id


class Fields:
    """A JSON object and the path that led to it. Getters return None for a field that is absent or null."""

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __getitem__(self, name: str) -> Any:
        return self._values.get(name)

    def names(self) -> Collection[str]:
        """Every field's name."""
        return self._values.keys()

    def path(self, name: str) -> str:
        """The field's full name, as errors give it."""
        return f"{self._path}.{name}" if self._path else name

    def only(self, allowed: Collection[str]) -> None:
        """Refuse fields that nobody would look at: a typing error must not pass silently."""
        for name in self._values:
            if name not in allowed:
                known = ", ".join(sorted(allowed))
                raise WireError(
                    "unknown_parameter",
                    f"Unknown parameter: {_short(self.path(name))}. Known here: {known}.",
                    _short(self.path(name)),
                )

    def require(self, name: str) -> None:
        """Refuse the message if the field is absent or null."""
        if self._values.get(name) is None:
            raise WireError(
                "missing_required_parameter", f"Missing required parameter: {self.path(name)}.", self.path(name)
            )

    def object(self, name: str) -> "Fields | None":
        """A nested object."""
        value = self._of_type(name, dict, "an object")
        return None if value is None else Fields(value, self.path(name))

    def list(self, name: str) -> "list[Any] | None":
        """A list of anything."""
        value: list[Any] | None = self._of_type(name, list, "a list")
        return value

    def flag(self, name: str) -> bool | None:
        """True or false."""
        value: bool | None = self._of_type(name, bool, "true or false")
        return value

    def text(self, name: str) -> str | None:
        """A string that will be echoed, so it is at most MAX_TEXT_BYTES long."""
        value: str | None = self._of_type(name, str, "a string")
        # six bytes is what the worst character takes in JSON: most texts need no second look
        if value is not None and len(value) * 6 > MAX_TEXT_BYTES and len(orjson.dumps(value)) > MAX_TEXT_BYTES:
            raise WireError(
                "string_above_max_length",
                f"{self.path(name)} is longer than {MAX_TEXT_BYTES // 1024} KiB; shorten it.",
                self.path(name),
            )
        return value

    def long_text(self, name: str) -> str | None:
        """A string of any length, which is not echoed."""
        value: str | None = self._of_type(name, str, "a string")
        return value

    def identifier(self, name: str) -> str | None:
        """An id: 1 to 512 characters."""
        value: str | None = self._of_type(name, str, "a string")
        if value is not None and not 1 <= len(value) <= 512:
            raise WireError(
                "invalid_value", f"{self.path(name)} must have 1 to 512 characters, got {len(value)}.", self.path(name)
            )
        return value

    def choice(self, name: str, allowed: Collection[str]) -> str | None:
        """One of some strings."""
        value: str | None = self._of_type(name, str, "a string")
        if value is not None and value not in allowed:
            listed = ", ".join(f"'{one}'" for one in allowed)
            raise WireError(
                "invalid_value",
                f"Invalid value: '{_short(value)}'. {self.path(name)} may be: {listed}.",
                self.path(name),
            )
        return value

    def number(self, name: str, low: float, high: float = math.inf) -> float | None:
        """A number in [low, high]."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._mistyped(name, "a number")
        if not low <= value <= high:
            bounds = (
                f"{low:g}"
                if low == high
                else f"between {low:g} and {high:g}"
                if math.isfinite(high)
                else f"{low:g} or more"
            )
            raise WireError("invalid_value", f"{self.path(name)} must be {bounds}, got {value:g}.", self.path(name))
        return float(value)

    def whole(self, name: str, low: int, high: int) -> int | None:
        """An integer in [low, high]."""
        value = self._values.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self._mistyped(name, "an integer")
        return None if self.number(name, low, high) is None else value

    def max_tokens(self, name: str, most: int) -> int | Literal["inf"] | None:
        """A number of tokens, 1 to most, or "inf"."""
        if self._values.get(name) == "inf":
            return "inf"
        if isinstance(self._values.get(name), str):
            raise self._mistyped(name, f"an integer from 1 to {most}, or 'inf'")
        return self.whole(name, 1, most)

    def _of_type(self, name: str, kind: type, words: str) -> Any:
        value = self._values.get(name)
        if value is not None and not isinstance(value, kind):
            raise self._mistyped(name, words)
        return value

    def _mistyped(self, name: str, words: str) -> WireError:
        found = type(self._values[name]).__name__
        return WireError("invalid_type", f"{self.path(name)} must be {words}, got {found}.", self.path(name))


def fields_of(body: bytes | bytearray) -> Fields:
    """The JSON object that is the body of a request.

    Raises:
        WireError: it is none.
    """
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WireError("invalid_json", f"The body is no JSON: {error}. Send one JSON object.") from None
    if not isinstance(values, dict):
        raise WireError("invalid_json", "Send one JSON object as the body.")
    return Fields(values)


def encoded(value: Any, param: str) -> bytes:
    """A client's values as JSON again.

    Raises:
        WireError: they are nested deeper than can be written, though they could be read.
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise WireError("invalid_value", f"{param} is nested too deeply ({error}); make it flatter.", param) from error


def decode_base64(text: str, param: str) -> bytes:
    """Bytes of a base64 text with padding and without white space.

    Raises:
        WireError: it is no such text, or holds more than MAX_MEDIA_BYTES.
    """
    # refused by its length alone: nothing of it is decoded
    if len(text) // 4 * 3 > MAX_MEDIA_BYTES + 2:
        raise WireError(
            "media_too_large",
            f"{param} holds more than {MAX_MEDIA_BYTES // 2**20} MiB; send it in smaller pieces.",
            param,
        )
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        # binascii.Error is a ValueError, as is its refusal of characters beyond ASCII
        raise WireError("invalid_base64", f"{param} is no valid base64: {error}.", param) from error


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
