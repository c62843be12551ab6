"""A server that says on the wire what a test tells it to: the page's counterpart where the real one is not wanted.

Serves web/ and /v1/realtime. The test holds the strings: it sends events, closes with a code, reads what came.
"""

import asyncio
import base64
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import WSCloseCode, WSMsgType, web

from omni.timing import Timing
from tests.browser.fake_library import FakeLibrary

WEB = Path(__file__).parents[2] / "web"
CHUNK_S = 0.2
_TIMING = Timing()


def speechlike(seconds: float) -> np.ndarray[Any, np.dtype[np.int16]]:
    """A tone that swells about four times a second, as syllables do."""
    t = np.arange(round(seconds * _TIMING.wire_rate)) / _TIMING.wire_rate
    swell = 0.15 + 0.85 * np.abs(np.sin(2 * math.pi * 2.1 * t))
    tone = np.sin(2 * math.pi * 190 * t) + 0.5 * np.sin(2 * math.pi * 380 * t)
    return (tone * swell * 0.3 * 32767 / 1.5).astype(np.int16)


class FakeServer:
    """One page's server. `refuse` = (code, reason) closes every new connection with it."""

    def __init__(self, library: FakeLibrary | None = None) -> None:
        self.library = library or FakeLibrary()
        self.modes: list[str] = []
        self.refuse: tuple[int, str] | None = None
        self.keyless: str | None = None
        """the sentence with which every new connection is told that it has no valid key"""
        self.received: list[dict[str, Any]] = []
        self.connections = 0
        self.protocols: str | None = None
        self.transcribes = True
        self.url = ""
        self._socket: web.WebSocketResponse | None = None
        self._runner: web.AppRunner | None = None
        self._arrived = asyncio.Event()
        self._connected = asyncio.Event()

    async def __aenter__(self) -> "FakeServer":
        app = web.Application()
        app.router.add_get("/", self._index)
        app.router.add_get("/v1/realtime", self._realtime)
        app.router.add_static("/web/", WEB)
        self.library.add_routes(app)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://localhost:{port}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close(WSCloseCode.GOING_AWAY)
        if self._runner:
            await self._runner.cleanup()

    async def _index(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB / "index.html")

    async def _realtime(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("realtime",))
        await socket.prepare(request)
        self.connections += 1
        self.protocols = request.headers.get("Sec-WebSocket-Protocol")
        if self.keyless:
            await socket.send_json({"type": "error", "error": {"code": "invalid_api_key", "message": self.keyless}})
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=self.keyless.encode())
            return socket
        if self.refuse:
            await socket.close(code=self.refuse[0], message=self.refuse[1].encode())
            return socket
        self._socket = socket
        await self.send(self._created())
        self._connected.set()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.received.append(message.json())
                self._arrived.set()
        return socket

    def _created(self) -> dict[str, Any]:
        timing = {"wire_rate": _TIMING.wire_rate, "packet_ms": _TIMING.packet_ms}
        transcription = {"model": "fake"} if self.transcribes else None
        audio = {"input": {"transcription": transcription}, "output": {"voice": "heart"}}
        session = {"id": "sess_fake", "model": "fake", "audio": audio}
        return {
            "type": "session.created",
            "session": session,
            "omni": {
                "timing": timing,
                "voices": ["heart", "deep", "light"],
                "capabilities": {"modes": self.modes},
            },
        }

    async def send(self, *events: dict[str, Any]) -> None:
        """Say these to the page, in this order."""
        assert self._socket is not None
        for event in events:
            await self._socket.send_json(event)

    async def close(self, code: int, reason: str = "") -> None:
        """Hang up on the page."""
        self._connected.clear()
        if self._socket:
            await self._socket.close(code=code, message=reason.encode())

    async def connected(self) -> None:
        """Wait until a page is connected."""
        await asyncio.wait_for(self._connected.wait(), 15)

    async def message(self, kind: str, after: int = 0) -> dict[str, Any]:
        """The first message of a type that came after so many others; waits for it."""
        return await self._first(lambda message: message["type"] == kind, after)

    def latest(self, kind: str) -> dict[str, Any]:
        """The last message of a type so far."""
        return next(message for message in reversed(self.received) if message["type"] == kind)

    async def message_with(self, field: str) -> dict[str, Any]:
        """The first message that has a field; waits for it."""
        return await self._first(lambda message: field in message, 0)

    async def _first(self, fits: Callable[[dict[str, Any]], bool], after: int) -> dict[str, Any]:
        async with asyncio.timeout(15):
            while True:
                for message in self.received[after:]:
                    if fits(message):
                        return message
                self._arrived.clear()
                await self._arrived.wait()

    async def user_says(self, item: str, text: str) -> None:
        """A turn of the user, as the server would have heard it."""
        transcription = "conversation.item.input_audio_transcription.completed"
        await self.user_speaks(item, 900)
        await self.send({"type": transcription, "item_id": item, "content_index": 0, "transcript": text})

    async def user_speaks(self, item: str, ms: int) -> None:
        """A turn of the user of which the server does not say the words."""
        content = [{"type": "input_audio", "transcript": None}]
        added = {"id": item, "type": "message", "role": "user", "content": content}
        await self.send(
            {"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": 0},
            {"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": ms},
            {"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": None},
            {"type": "conversation.item.added", "previous_item_id": None, "item": added},
        )

    async def answer(self, item: str, text: str, seconds: float, *, done: bool = True) -> None:
        """An answer in sound and words, all sent at once."""
        response = f"resp_{item}"
        place = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        await self.send(
            {"type": "response.created", "response": {"id": response, "status": "in_progress", "output": []}},
            {"type": "response.output_item.added", "response_id": response, "item": {"id": item, "role": "assistant"}},
        )
        words = text.split(" ")
        chunks = self._chunks(place, 0.0, seconds)
        for i, chunk in enumerate(chunks):
            lot = words[i * len(words) // len(chunks) : (i + 1) * len(words) // len(chunks)]
            if lot:
                delta = " ".join(lot) if i == 0 else " " + " ".join(lot)
                await self.send({"type": "response.output_audio_transcript.delta", **place, "delta": delta})
            await self.send(chunk)
        if done:
            await self.end(item, text, "completed")

    async def resume(self, item: str, overlap: str, from_ms: float, seconds: float) -> None:
        """What sounded over an answer of so many seconds was a cough: the rest of it again, without its words."""
        response = f"resp_{item}"
        decided = {"item_id": overlap, "response_id": response, "resumes_at_ms": from_ms}
        await self.send({"type": "overlap.decision", "decision": "resume", **decided})
        await self.send(*self._chunks({"response_id": response, "item_id": item}, from_ms / 1000, seconds))

    @staticmethod
    def _chunks(place: dict[str, Any], from_s: float, to_s: float) -> list[dict[str, Any]]:
        sound = speechlike(to_s)
        size = round(CHUNK_S * _TIMING.wire_rate)
        return [
            {
                "type": "response.output_audio.delta",
                **place,
                "start_ms": round(start / _TIMING.wire_rate * 1000),
                "delta": base64.b64encode(sound[start : start + size].tobytes()).decode(),
            }
            for start in range(round(from_s * _TIMING.wire_rate), len(sound), size)
        ]

    async def end(self, item: str, kept: str, status: str, reason: str | None = None) -> None:
        """The answer is over, and this much of it stays in the conversation."""
        content = [{"type": "output_audio", "transcript": kept}]
        output = [{"id": item, "type": "message", "role": "assistant", "content": content}]
        details = {"type": status, "reason": reason}
        await self.send(
            {
                "type": "response.done",
                "response": {"id": f"resp_{item}", "status": status, "status_details": details, "output": output},
            }
        )
