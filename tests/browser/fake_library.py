"""Voices and characters as the server would keep them: the page's counterpart over plain HTTP, in memory."""

import base64
import io
from typing import Any

import numpy as np
import soundfile
from aiohttp import web

PORTRAIT = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 64 64'><rect width='64' height='64' fill='#4f93b0'/>"
    "<circle cx='32' cy='26' r='13' fill='#f3d3b8'/><path d='M8 64c2-16 12-22 24-22s22 6 24 22z' fill='#1d2f4a'/></svg>"
)


def voice(id_: str, **fields: Any) -> dict[str, Any]:
    """A voice as the server lists it."""
    told = {"name": id_, "language": "en", "built_in": True, "mine": False, "shared": True, "created_at": None}
    return {
        "object": "audio.voice",
        "id": id_,
        **told,
        "seconds": None,
        "speaker": None,
        "consent": None,
        "error": None,
        **fields,
    }


def character(id_: str, name: str, who: str, **fields: Any) -> dict[str, Any]:
    """A character as the server lists it."""
    told = {
        "greeting": f"I am {name}.",
        "voice": "deep",
        "language": "en",
        "style": "",
        "built_in": True,
        "mine": False,
    }
    return {"object": "character", "id": id_, "name": name, "who": who, **told, "image": None, **fields}


class FakeLibrary:
    """What a test says it holds; what the page asked of it is in `made`, `said` and `keys`."""

    def __init__(self, makes: str | None = "shapes") -> None:
        self.makes = makes
        self.voices = [voice("heart"), voice("deep"), voice("light")]
        self.characters = [
            character("reed", "Captain Reed", "You are a retired sea captain.", image="/v1/characters/reed/image"),
            character("ada", "Ada", "You are a patient teacher of mathematics.", voice="light"),
        ]
        self.pictures = {"reed": (PORTRAIT.encode(), "image/svg+xml")}
        """files and their types, by character"""
        self.refusals: list[tuple[int, str]] = []
        """status and sentence of the next answers to a recording"""
        self.made: list[dict[str, Any]] = []
        self.said: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.key: str | None = None
        """without it nothing is told"""

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/v1/audio/voices", self._list_voices)
        app.router.add_post("/v1/audio/voices", self._make_voice)
        app.router.add_delete("/v1/audio/voices/{id}", self._remove_voice)
        app.router.add_post("/v1/audio/speech", self._say)
        app.router.add_get("/v1/characters", self._list_characters)
        app.router.add_post("/v1/characters", self._save_character)
        app.router.add_delete("/v1/characters/{id}", self._remove_character)
        app.router.add_get("/v1/characters/{id}/image", self._portrait)

    def _check(self, request: web.Request) -> None:
        offered = request.headers.get("Authorization")
        self.keys.add(offered)
        if self.key is not None and offered != f"Bearer {self.key}":
            raise web.HTTPUnauthorized(text=_error("a valid key is needed"), content_type="application/json")

    async def _list_voices(self, request: web.Request) -> web.Response:
        self._check(request)
        limits = {"shortest_s": 3.0, "longest_s": 30.0, "max_bytes": 20_000_000, "max_voices": 50}
        return web.json_response({"object": "list", "data": self.voices, "makes_voices": self.makes, "limits": limits})

    async def _make_voice(self, request: web.Request) -> web.Response:
        self._check(request)
        form = await request.post()
        sample = form["audio_sample"]
        assert isinstance(sample, web.FileField)
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        samples, rate = soundfile.read(io.BytesIO(sample.file.read()))
        self.made.append({**fields, "samples": samples, "rate": rate, "file": sample.filename})
        if self.refusals:
            status, message = self.refusals.pop(0)
            return web.Response(status=status, text=_error(message), content_type="application/json")
        whose = {"consent": fields["consent"], "speaker": fields.get("speaker"), "seconds": len(samples) / rate}
        self.voices.append(voice("v1", name=fields["name"], built_in=False, mine=True, shared=False, **whose))
        likeness = {"similarity": {"before": 0.71, "after": 0.84}} if self.makes == "shapes" else {}
        return web.json_response({**self.voices[-1], "checks": {}, **likeness}, status=201)

    async def _remove_voice(self, request: web.Request) -> web.Response:
        self._check(request)
        gone = request.match_info["id"]
        self.voices = [one for one in self.voices if one["id"] != gone]
        return web.json_response({"id": gone, "object": "audio.voice.deleted", "deleted": True})

    async def _say(self, request: web.Request) -> web.Response:
        self._check(request)
        self.said.append(await request.json())
        file = io.BytesIO()
        tone = 0.2 * np.sin(np.arange(48_000) / 24_000 * 440 * 2 * np.pi)
        soundfile.write(file, tone, 24_000, format="WAV", subtype="PCM_16")
        return web.Response(body=file.getvalue(), content_type="audio/wav")

    async def _list_characters(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.json_response({"object": "list", "data": self.characters})

    async def _save_character(self, request: web.Request) -> web.Response:
        self._check(request)
        fields = await request.json()
        picture = fields.pop("image", None)
        id_ = fields.pop("id", None) or "own-1"
        self.characters = [one for one in self.characters if one["id"] != id_]
        image = f"/v1/characters/{id_}/image" if picture else None
        if picture:
            self.pictures[id_] = (base64.b64decode(picture.partition(",")[2]), "image/jpeg")
        self.characters.append(character(id_, built_in=False, mine=True, **fields, image=image))
        self.made.append(fields)
        return web.json_response(self.characters[-1], status=201)

    async def _remove_character(self, request: web.Request) -> web.Response:
        self._check(request)
        gone = request.match_info["id"]
        self.characters = [one for one in self.characters if one["id"] != gone]
        return web.json_response({"id": gone, "object": "character.deleted", "deleted": True})

    async def _portrait(self, request: web.Request) -> web.Response:
        self._check(request)
        body, kind = self.pictures[request.match_info["id"]]
        return web.Response(body=body, content_type=kind)


def _error(message: str) -> str:
    return f'{{"error": {{"message": "{message}", "type": "invalid_request_error", "code": "refused", "param": null}}}}'
