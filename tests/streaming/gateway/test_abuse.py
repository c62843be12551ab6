"""A server process under clients that misbehave: each gets a clear answer, nobody else notices, memory returns."""

import asyncio
import base64
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import numpy as np
import orjson
import pytest

from omni.timing import Timing
from scripts.bench_suite.client import encode_pcm
from scripts.bench_suite.server import Server, running

RATE = Timing().wire_rate
SPARE_MB = 40.0
"""what allocators may keep of memory that was given back"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    arguments = ["--max-sessions", "250", "--patience-s", "1", "--loudness"]
    with running("scripts.bench_suite.scripted_server", arguments) as server:
        yield server


class Client:
    """A Realtime client that checks nothing and remembers everything."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []

    async def send(self, type_: str, **fields: Any) -> None:
        await self.socket.send_str(orjson.dumps({"type": type_, **fields}).decode())

    async def until(self, type_: str) -> dict[str, Any]:
        """The next event of a type; what comes before it is remembered."""
        async with asyncio.timeout(300):
            async for message in self.socket:
                event: dict[str, Any] = orjson.loads(message.data)
                self.events.append(event)
                if event["type"] == type_:
                    return event
        raise AssertionError(f"closed with {self.socket.close_code} before {type_}")

    async def set_detection(self, detection: dict[str, str] | None) -> None:
        session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        await self.send("session.update", session=session)
        await self.until("session.updated")

    async def answer(self) -> str:
        """Type a question, and take the whole answer: the proof that the session is well."""
        content = [{"type": "input_text", "text": "Hello?"}]
        await self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await self.send("response.create", response={"output_modalities": ["text"]})
        done = await self.until("response.done")
        assert done["response"]["status"] == "completed", done
        return "".join(part["text"] for part in done["response"]["output"][0]["content"])


def transport_of(socket: aiohttp.ClientWebSocketResponse) -> asyncio.Transport:
    """What is under a WebSocket, to do what no well-behaved client can."""
    transport = socket._conn.transport if socket._conn else None
    assert isinstance(transport, asyncio.Transport)
    return transport


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http, http.ws_connect(server.realtime_url, max_msg_size=0) as socket:
        client = Client(socket)
        await client.until("session.created")
        await client.set_detection(None)
        yield client


@pytest.fixture
async def bystander(server: Server) -> AsyncIterator[None]:
    """Somebody who talks to the same server while the test runs, and must notice nothing of it."""
    async with connected(server) as client:
        expected = await client.answer()
        ended = asyncio.Event()

        async def converse() -> int:
            count = 0
            while not ended.is_set():
                assert await client.answer() == expected
                count += 1
                await asyncio.sleep(0.05)
            return count

        conversation = asyncio.create_task(converse())
        yield
        ended.set()
        assert await conversation >= 1
        assert not [event for event in client.events if event["type"] == "error"]


async def idle(server: Server) -> None:
    """Wait until the server holds no session but the bystander's."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(20):
        while True:
            async with http.get(f"http://127.0.0.1:{server.port}/ready") as reply:
                if (await reply.json())["sessions"] <= 1:
                    return
            await asyncio.sleep(0.1)


BAD_MESSAGES: list[tuple[str, str]] = [
    ("no JSON", "{"),
    ("no object", "[1, 2]"),
    ("no type", "{}"),
    ("unknown event", '{"type": "make.coffee"}'),
    ("type is no text", '{"type": 7}'),
    ("audio is missing", '{"type": "input_audio_buffer.append"}'),
    ("audio is no text", '{"type": "input_audio_buffer.append", "audio": [1, 2]}'),
    ("audio is no base64", '{"type": "input_audio_buffer.append", "audio": "§§§§"}'),
    ("half a sample", '{"type": "input_audio_buffer.append", "audio": "AAAA"}'),
    ("nesting without end", "[" * 100_000),
    ("a number that is none", '{"type": "session.update", "session": {"max_output_tokens": 1e999}}'),
    ("lone surrogate", '{"type": "\\ud800"}'),
]


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize(("message"), [bad for _, bad in BAD_MESSAGES], ids=[name for name, _ in BAD_MESSAGES])
async def test_a_message_that_means_nothing_is_answered_and_the_session_lives(server: Server, message: str) -> None:
    async with connected(server) as client:
        await client.socket.send_str(message)
        error = (await client.until("error"))["error"]
        assert error["type"] == "invalid_request_error"
        assert len(error["message"]) > 10
        assert "Traceback" not in error["message"]
        await client.answer()


@pytest.mark.usefixtures("bystander")
async def test_an_error_names_the_event_that_caused_it(server: Server) -> None:
    async with connected(server) as client:
        await client.send("make.coffee", event_id="mine")
        assert (await client.until("error"))["error"]["event_id"] == "mine"


@pytest.mark.usefixtures("bystander")
async def test_binary_frames_are_refused_in_words(server: Server) -> None:
    async with connected(server) as client:
        await client.socket.send_bytes(b"RIFF")
        assert "JSON" in (await client.until("error"))["error"]["message"]
        await client.answer()


@pytest.mark.usefixtures("bystander")
async def test_an_oversized_message_ends_the_call_with_a_code_that_says_so(server: Server) -> None:
    async with connected(server) as client:
        with suppress(ConnectionError):  # the server may close before it has all
            await client.socket.send_str("x" * (17 * 2**20))
        with suppress(AssertionError):
            await client.until("never")
        assert client.socket.close_code == 1009


async def monologue(server: Server) -> None:
    """Ten minutes without a breath, sent as fast as the server takes them."""
    second = encode_pcm((np.sin(np.arange(RATE) * 0.1) * 0.2).astype(np.float32))
    async with connected(server) as client:
        await client.set_detection({"type": "server_vad"})
        for _ in range(600):
            await client.send("input_audio_buffer.append", audio=second)
        await client.send("input_audio_buffer.append", audio=encode_pcm(np.zeros(3 * RATE, np.float32)))
        await client.until("input_audio_buffer.committed")
        assert (await client.until("response.done"))["response"]["status"] == "completed"
    await idle(server)


@pytest.mark.usefixtures("bystander")
async def test_a_monologue_of_ten_minutes_is_taken_and_its_memory_returns(server: Server) -> None:
    # ten minutes are 37 MB as samples and 37 MB on their way; kept twice, that would be far more than once
    before_mb = server.rss_mb()
    await monologue(server)
    await monologue(server)
    assert server.rss_mb() - before_mb < 75 + SPARE_MB / 2


@pytest.mark.usefixtures("bystander")
async def test_two_hundred_connections_opened_and_dropped_leave_nothing(server: Server) -> None:
    async def visit(number: int, http: aiohttp.ClientSession) -> None:
        socket = await http.ws_connect(server.realtime_url)
        await socket.receive()
        if number % 2:
            await socket.close()
        else:  # gone without a word
            transport_of(socket).abort()

    async def crowd() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            await asyncio.gather(*(visit(number, http) for number in range(200)))
        await idle(server)

    await crowd()  # the first crowd may grow pools and caches
    before_mb, threads = server.rss_mb(), server.process.num_threads()
    await crowd()
    assert server.rss_mb() - before_mb < SPARE_MB
    assert server.process.num_threads() <= threads


def bomb(side: int) -> bytes:
    """A PNG of side × side pixels in a few hundred kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 50_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


BAD_PICTURES: dict[str, Callable[[], bytes]] = {
    "a bomb": lambda: bomb(30_000),
    "no picture": lambda: b"GIF but not really",
    "nothing": lambda: b"",
    "a picture cut off": lambda: bomb(64)[:60],
}


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("picture", BAD_PICTURES.values(), ids=BAD_PICTURES.keys())
async def test_a_picture_that_is_none_is_refused_and_the_session_lives(
    server: Server, picture: Callable[[], bytes]
) -> None:
    before_mb = server.rss_mb()
    url = "data:image/png;base64," + base64.b64encode(picture()).decode()
    content = [{"type": "input_image", "image_url": url}]
    async with connected(server) as client:
        await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        assert (await client.until("error"))["error"]["type"] == "invalid_request_error"
        await client.send("input_audio_buffer.append", video_frames=[base64.b64encode(picture()).decode()])
        assert (await client.until("error"))["error"]["type"] == "invalid_request_error"
        await client.answer()
    assert server.rss_mb() - before_mb < SPARE_MB


async def ignore(server: Server) -> None:
    """Ask and ask, and read no answer, until the server has had enough."""
    async with connected(server) as client:
        transport = transport_of(client.socket)
        transport.pause_reading()
        # every refusal has to be sent: answers pile up at the server as long as it listens
        with suppress(ConnectionError):
            async with asyncio.timeout(60):
                for _ in range(200_000):
                    await client.send("conversation.item.retrieve", item_id="x" * 1_000)
        await idle(server)
        transport.resume_reading()
        with suppress(AssertionError):
            await client.until("never")
        # a close frame cannot reach who does not read: the connection is cut
        assert client.socket.close_code in {1008, 1006}


@pytest.mark.usefixtures("bystander")
async def test_a_client_that_does_not_read_is_let_go_and_holds_no_memory(server: Server) -> None:
    await ignore(server)  # the first may grow what the allocator keeps
    before_mb = server.rss_mb()
    await ignore(server)
    assert server.rss_mb() - before_mb < SPARE_MB
