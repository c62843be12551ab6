"""GET, POST and DELETE /v1/characters: who the assistant can be, those that the caller made included."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from aiohttp import hdrs, web

from streaming.company import character_form as form
from streaming.company.character_form import CharacterError
from streaming.company.characters import IMAGE_TYPES, Characters, Entry, Shelf
from streaming.gateway import http
from streaming.gateway.access import Caller
from streaming.gateway.wire.fields import Fields, WireError, decode_base64, fields_of

_PATH = "/v1/characters"
_MAX_BODY = form.MAX_IMAGE_BYTES * 4 // 3 + form.MAX_FILE_BYTES
"""bytes: a picture in base64, and the texts"""
_MOST_SAVING = 8
"""characters that are being received or saved at the same time: all of each is held in memory"""
_UPLOAD_S = 60.0
"""for a slow telephone connection to send the largest picture"""
_RETRY_S = 5
_STATUS = {
    "characters_busy": 429,
    "character_not_found": 404,
    "character_not_yours": 403,
    "key_needed": 403,
    "image_too_large": 413,
    "too_many_characters": 429,
    "upload_timed_out": 408,
}
"""of what is not simply wrong (400)"""
_IMAGE_HEADERS = {
    # A drawing (SVG) is a document that could hold programs: opened by itself it may do nothing and load nothing.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
    # its address changes with it
    "Cache-Control": "private, max-age=86400",
}


class CharacterRequests:
    """The characters over HTTP. Files are read and written on a thread beside the event loop."""

    def __init__(self, characters: Characters) -> None:
        self._characters = characters
        self._n_saving = 0
        self._drawing = asyncio.Lock()
        """one at a time: a picture of some KB may take 250 MB while it is decoded, and a thread for a second"""

    def add_routes(self, app: web.Application) -> None:
        """Serve them."""
        app.router.add_get(_PATH, self._answered(self._list))
        app.router.add_post(_PATH, self._answered(self._save))
        app.router.add_delete(_PATH + "/{id}", self._answered(self._remove))
        app.router.add_get(_PATH + "/{id}/image", self._image)

    def _shelf(self, request: web.Request) -> Shelf:
        caller: Caller = request[http.CALLER]
        return self._characters.of(caller.account.owner)

    async def _list(self, request: web.Request) -> web.Response:
        shelf = self._shelf(request)
        data = await asyncio.to_thread(lambda: [_rendered(entry, shelf) for entry in shelf.list()])
        return web.json_response({"object": "list", "data": data})

    async def _save(self, request: web.Request) -> web.Response:
        shelf = self._writable(request)
        with self._place():
            return await self._saved(request, shelf)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._n_saving >= _MOST_SAVING:
            raise CharacterError("characters_busy", "others are saving characters just now; try again in a moment")
        self._n_saving += 1
        try:
            yield
        finally:
            self._n_saving -= 1

    async def _saved(self, request: web.Request, shelf: Shelf) -> web.Response:
        fields = await _fields_of(request)
        id_ = fields.identifier("id") or ""
        fields.only({"id", "image", *form.LONGEST})
        texts = {name: fields[name] for name in form.LONGEST if name in fields}
        picture, keeps = _picture_of(fields, id_)
        if id_:
            save = partial(shelf.change, id_, texts, picture, keeps_image=keeps)
        else:
            save = partial(shelf.save, form.from_values(texts, ""), picture)
        async with self._drawing:
            entry = await asyncio.to_thread(save)
        return web.json_response(await asyncio.to_thread(_rendered, entry, shelf), status=200 if id_ else 201)

    async def _remove(self, request: web.Request) -> web.Response:
        id_ = request.match_info["id"]
        await asyncio.to_thread(self._writable(request).remove, id_)
        return web.json_response({"id": id_, "object": "character.deleted", "deleted": True})

    async def _image(self, request: web.Request) -> web.StreamResponse:
        entry = await asyncio.to_thread(self._shelf(request).entry, request.match_info["id"])
        if entry is None or entry.image is None:
            return http.error_response(404, "image_not_found", "There is no such character, or it has no picture.")
        kind = IMAGE_TYPES[entry.image.suffix]
        return web.FileResponse(entry.image, headers={**_IMAGE_HEADERS, hdrs.CONTENT_TYPE: kind})

    def _writable(self, request: web.Request) -> Shelf:
        caller: Caller = request[http.CALLER]
        if caller.secret is not None:
            # secrets go to where a key may not; what is made with them would outlive them
            raise CharacterError("key_needed", "a secret cannot change characters: show the key itself")
        return self._shelf(request)

    def _answered(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        """A handler whose errors are told to the client."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                response: web.StreamResponse = await handler(request)
            except WireError as error:
                return http.error_response(400, error.code, error.message, error.param)
            except CharacterError as error:
                refusal = http.error_response(_STATUS.get(error.code, 400), error.code, _sentence(error), error.param)
                if error.code == "characters_busy":
                    refusal.headers[hdrs.RETRY_AFTER] = str(_RETRY_S)
                return refusal
            except OSError as error:
                message = f"The server cannot read or keep it ({error.strerror}); whoever runs it can mend that."
                return http.error_response(500, "not_kept", message)
            return response

        return handle


def _sentence(error: CharacterError) -> str:
    """What is wrong, as all errors over HTTP say it; the command line says it within a line of its own."""
    text = str(error)
    begins_with_its_field = error.param is not None and text.startswith(error.param)
    return f"{text if begins_with_its_field else text[:1].upper() + text[1:]}."


def _rendered(entry: Entry, shelf: Shelf) -> dict[str, Any]:
    """The character as clients read it."""
    character = entry.character
    image = None
    if entry.image is not None:
        with suppress(OSError):  # it was removed just now
            image = f"{_PATH}/{character.id}/image?v={entry.image.stat().st_mtime_ns:x}"
    texts = {name: getattr(character, name) for name in ("id", *form.LONGEST)}
    return {"object": "character", **texts, "built_in": entry.built_in, "mine": shelf.mine(entry), "image": image}


async def _fields_of(request: web.Request) -> Fields:
    """The request's JSON object."""
    body = bytearray()
    try:
        async with asyncio.timeout(_UPLOAD_S):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > _MAX_BODY:
                    most = form.MAX_IMAGE_BYTES // 2**20
                    raise CharacterError("image_too_large", f"a picture may have {most} MiB; scale it down", "image")
    except TimeoutError:
        raise CharacterError("upload_timed_out", "the character took too long to arrive; try again") from None
    return fields_of(body)


def _picture_of(fields: Fields, id_: str) -> tuple[bytes | None, bool]:
    """The picture that is given; and whether instead the character keeps the one that it has."""
    url = fields.long_text("image")
    # who sends a character back as it was read means its picture, too
    if id_ and ("image" not in fields or (url or "").startswith(f"{_PATH}/{id_}/image")):
        return None, True
    if url is None:
        return None, False
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
        raise WireError("invalid_value", "image must be a data URL: data:image/jpeg;base64,…", "image")
    return decode_base64(data, "image"), False
