"""GET, POST and DELETE /v1/audio/voices: what there is, make one of a recording, remove one."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from aiohttp import BodyPartReader, web

from streaming.company.voice_making import LIMITS, MAX_BYTES, checks_object, similarity_object
from streaming.company.voices import MOST, Entry, Shelf, VoiceError, Wish
from streaming.gateway import http
from streaming.gateway.access import Caller
from streaming.gateway.libraries import Libraries

_TEXTS = ("name", "speaker", "consent", "language", "shared")
_SOUND = "audio_sample"
_MAX_TEXT_BYTES = 1024
_UPLOAD_S = 120.0
"""for a slow telephone connection to send the largest recording"""
_RETRY_S = 10
_STATUSES = {
    "audio_too_large": 413,
    "key_needed": 403,
    "too_many_voices": 429,
    "upload_timed_out": 408,
    "voice_not_found": 404,
    "voice_not_yours": 403,
    "voice_timed_out": 503,
    "voices_busy": 429,
}
"""of errors that are not 400"""

log = logging.getLogger(__name__)


async def list_voices(request: web.Request, libraries: Libraries) -> web.Response:
    """What the caller may choose from, and what a voice can be made of."""
    await libraries.look()
    shelf = libraries.voices.of(_caller(request).account.owner)
    body = {
        "object": "list",
        "data": [voice_object(entry, shelf) for entry in shelf.list()],
        "makes_voices": libraries.voices.capabilities.makes_voices,
        "limits": {**LIMITS, "max_voices": MOST},
    }
    return web.json_response(body)


async def make_voice(request: web.Request, libraries: Libraries) -> web.Response:
    """Make a voice of a recording that comes as a form (multipart/form-data)."""
    try:
        owner = _owner(request)
        libraries.check_ability()
        with libraries.upload():
            texts, sound = await _form(request)
        shelf = libraries.voices.of(owner)
        await libraries.look()
        record = shelf.record_of(_wish(texts))
        if sound is None:
            raise VoiceError("invalid_audio", f"Send the recording as the file {_SOUND}.", _SOUND)
        with libraries.place(owner, record.name):
            entry, made = await libraries.make(record, sound)
    except VoiceError as error:
        return _refusal(error)
    except OSError as error:
        return _unkept(error)
    body = {**voice_object(entry, shelf), "checks": checks_object(made.checks)}
    if similarity := similarity_object(made.voice):
        body["similarity"] = similarity
    return web.json_response(body, status=201)


async def remove_voice(request: web.Request, libraries: Libraries) -> web.Response:
    """Remove a voice of the caller's own."""
    id_ = request.match_info["id"]
    try:
        await asyncio.to_thread(libraries.voices.of(_owner(request)).remove, id_)
    except VoiceError as error:
        return _refusal(error)
    except OSError as error:
        return _unkept(error)
    log.info("voice %s was removed", id_)
    return web.json_response({"id": id_, "object": "audio.voice.deleted", "deleted": True})


def voice_object(entry: Entry, shelf: Shelf) -> dict[str, Any]:
    """A voice as JSON, as one account sees it."""
    record = entry.record
    return {
        "object": "audio.voice",
        "id": entry.id,
        "name": entry.name,
        "language": entry.language,
        "built_in": entry.built_in,
        "mine": shelf.mine(entry),
        "shared": entry.built_in or (record is not None and record.shared),
        "created_at": record.created_at if record else None,
        "seconds": record.seconds if record else None,
        "speaker": record.speaker if record else None,
        "consent": record.consent if record else None,
        "error": entry.problem,
    }


def _caller(request: web.Request) -> Caller:
    return request[http.CALLER]


def _owner(request: web.Request) -> str | None:
    """Whose voices may be changed.

    Raises:
        VoiceError: nobody's: secrets are handed to strangers for a call, not for what a key owns.
    """
    caller = _caller(request)
    if caller.secret is not None:
        raise VoiceError("key_needed", "A secret chooses among voices, and changes none: show the key itself.")
    return caller.account.owner


async def _form(request: web.Request) -> tuple[Mapping[str, str], bytes | None]:
    """Texts and the recording of a form, read no further than it may be long."""
    if not request.content_type.startswith("multipart/"):
        raise VoiceError("invalid_form", f"Send a form (multipart/form-data) with {', '.join(_TEXTS)} and {_SOUND}.")
    if (request.content_length or 0) > MAX_BYTES + len(_TEXTS) * 2 * _MAX_TEXT_BYTES:
        raise _too_large()
    texts: dict[str, str] = {}
    sound: bytes | None = None
    try:
        async with asyncio.timeout(_UPLOAD_S):
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader) or part.name not in (*_TEXTS, _SOUND):
                    raise _unknown(part.name if isinstance(part, BodyPartReader) else None)
                if part.name == _SOUND:
                    sound = await _bytes(part, MAX_BYTES)
                else:
                    texts[part.name] = (await _bytes(part, _MAX_TEXT_BYTES)).decode()
    except TimeoutError:
        raise VoiceError("upload_timed_out", "The recording took too long to arrive. Try again.", _SOUND) from None
    except ConnectionError as error:  # an OSError, as is what goes wrong where voices are kept
        raise VoiceError("upload_broken_off", "The recording did not arrive whole. Send it again.", _SOUND) from error
    except (ValueError, AssertionError) as error:  # what aiohttp says of a form that is none
        if isinstance(error, VoiceError):
            raise
        raise VoiceError(
            "invalid_form", "The form cannot be read: send multipart/form-data, texts as UTF-8."
        ) from error
    return texts, sound


async def _bytes(part: BodyPartReader, most: int) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk():
        data += chunk
        if len(data) > most:
            raise (
                _too_large()
                if part.name == _SOUND
                else VoiceError("invalid_form", f"{part.name} is too long.", part.name)
            )
    return bytes(data)


def _unknown(name: str | None) -> VoiceError:
    named = f"{name[:40]!r} is none of the form's fields" if name else "A part of the form is none of its fields"
    return VoiceError("unknown_parameter", f"{named}: {', '.join((*_TEXTS, _SOUND))}.", name[:40] if name else None)


def _too_large() -> VoiceError:
    return VoiceError(
        "audio_too_large",
        f"The file is too large: {MAX_BYTES // 2**20} MB are the most. Send ten seconds, or an MP3.",
        _SOUND,
    )


def _wish(texts: Mapping[str, str]) -> Wish:
    shared = texts.get("shared", "false").lower()
    if shared not in {"true", "false"}:
        raise VoiceError("invalid_form", "shared is true or false.", "shared")
    return Wish(
        name=texts.get("name", ""),
        consent=texts.get("consent", ""),
        speaker=texts.get("speaker", ""),
        language=texts.get("language", "") or "en",
        shared=shared == "true",
    )


def _refusal(error: VoiceError) -> web.Response:
    response = http.error_response(_STATUSES.get(error.code, 400), error.code, str(error), error.param)
    if error.code == "voices_busy":
        response.headers["Retry-After"] = str(_RETRY_S)
    return response


def _unkept(error: OSError) -> web.Response:
    log.error("a voice could not be kept or removed: %s", error)
    reason = error.strerror or type(error).__name__
    return http.error_response(500, "not_kept", f"The server cannot write its voices: {reason}. Tell who runs it.")
