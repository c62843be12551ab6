"""A character as a file that people write: TOML, long texts over several lines. What such a file may hold.

name = "Ada"
who = '''
You are Ada, a patient teacher.
User: Hello!
You: Good morning. What would you like to learn today?
'''
greeting = "Good morning."
voice = "wren"
language = "en"
style = "slowly, in a low voice"
"""

import io
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from PIL import Image

from omni.vision.image import decode_image
from streaming.company.catalogue import LANGUAGE, Character

LONGEST = {"name": 60, "who": 4_000, "greeting": 500, "voice": 80, "language": 20, "style": 300}
"""characters of each text"""
MAX_FILE_BYTES = 64 * 1024
"""of a character's TOML; what is larger is none"""
MAX_IMAGE_BYTES = 4 * 1024 * 1024
"""of a picture as it is given"""
_PICTURE_SIDE = 512
"""pixels of a kept picture"""

_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_ONE_LINE = frozenset({"name", "voice", "language", "style"})


class CharacterError(ValueError):
    """A character that cannot be used, found or kept. The message says what to do.

    Attributes:
        code: for programs, such as name_missing.
        param: the field that is at fault, if one is.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def checked(character: Character) -> Character:
    """The character as it is kept: white space around its texts gone, lines ended as here, no empty voice.

    Raises:
        CharacterError: a text is missing, too long, or no text.
    """
    texts = {name: _tidy(name, getattr(character, name) or "") for name in LONGEST}
    for name, what in (("name", "a name"), ("who", "a text that tells who they are")):
        if not texts[name]:
            raise CharacterError(f"{name}_missing", f"a character needs {what}: give it as {name}", name)
    language = texts["language"] or "en"
    if not LANGUAGE.fullmatch(language):
        raise CharacterError(
            "invalid_value", f"{language!r} is no language; write its code, such as en or pt-BR", "language"
        )
    voice = texts.pop("voice") or None
    return replace(character, **{**texts, "language": language}, voice=voice)


def parse(text: str) -> dict[str, Any]:
    """What a TOML file says.

    Raises:
        CharacterError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CharacterError("invalid_toml", f"it is no TOML: {error}") from error


def from_values(values: Mapping[str, Any], id_: str) -> Character:
    """The character that these fields tell of, by their names in a file; null is as good as absent.

    Raises:
        CharacterError: a field is unknown, or its value cannot be used.
    """
    known = [field.name for field in fields(Character) if field.name != "id"]
    for name, value in values.items():
        if name not in known:
            raise CharacterError("unknown_parameter", f"{name} is unknown here; known are: {', '.join(known)}", name)
        if value is not None and not isinstance(value, str):
            raise CharacterError("invalid_type", f"{name} must be a text, in quotes", name)
    texts = {name: value for name, value in values.items() if value is not None}
    return checked(Character(id_, **{"name": "", "who": "", **texts}))


def changed(character: Character, values: Mapping[str, Any]) -> Character:
    """The character with these fields in place of its own; null or "" clears one, what they do not name stays.

    Raises:
        CharacterError: as from_values().
    """
    return from_values({**{name: getattr(character, name) for name in LONGEST}, **values}, character.id)


def write(character: Character) -> str:
    """The character as a TOML file, from which parse() and from_values() make it again, if it is checked()."""
    values = {field.name: getattr(character, field.name) for field in fields(Character) if field.name != "id"}
    return "".join(line(name, value) for name, value in values.items() if value is not None)


def line(name: str, text: str) -> str:
    """A key and its text as TOML: over several lines if it has them, else on one."""
    escaped = text.replace("\\", "\\\\").replace("\t", "\\t")
    if "\n" not in text:
        return f'{name} = "' + escaped.replace('"', '\\"') + '"\n'
    # the line breaks next to the quotes are not the text's: checked() takes them away again
    return f'{name} = """\n' + escaped.replace('"""', '""\\"') + '\n"""\n'


def portrait(data: bytes) -> bytes:
    """A picture as it is kept: JPEG, small, upright, and nothing of where and when it was taken.

    Raises:
        CharacterError: it is no picture that can be used.
    """
    if len(data) > MAX_IMAGE_BYTES:
        most = MAX_IMAGE_BYTES // 2**20
        raise CharacterError("image_too_large", f"the picture has more than {most} MiB; scale it down", "image")
    try:
        picture = decode_image(data, longest_side=_PICTURE_SIDE)
    except ValueError as error:
        raise CharacterError("invalid_image", str(error), "image") from error
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=88)
    return file.getvalue()


def _tidy(name: str, text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if name in _ONE_LINE:
        text = " ".join(text.split())
    if found := _FORBIDDEN.search(text):
        raise CharacterError("invalid_value", f"{name} holds {found[0]!r}, which is no text; take it out", name)
    if len(text) > LONGEST[name]:
        message = f"{name} has {len(text)} characters, and {LONGEST[name]} are the most; shorten it"
        raise CharacterError("too_long", message, name)
    return text
