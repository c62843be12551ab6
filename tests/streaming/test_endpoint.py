"""EndpointChat against a real local server that behaves, dawdles, refuses, and breaks."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from omni.text.chat import Message
from streaming.endpoint import EndpointChat, EndpointContext

HELLO = [Message("system", "Be kind."), Message("user", "Hello?")]


def event(text: str | None, finish: str | None = None) -> bytes:
    return (
        b"data: " + json.dumps({"choices": [{"delta": {"content": text}, "finish_reason": finish}]}).encode() + b"\n\n"
    )


class Server(ThreadingHTTPServer):
    """Plays one script per request and remembers what it was asked."""

    def __init__(self) -> None:
        self.script: Callable[[Handler], None] = lambda handler: handler.events(event("Hi"), event(None, "stop"))
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.peers: list[int] = []
        self.gone = threading.Event()
        self.go = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.paths.append(self.path)
        self.server.keys.append(self.headers["Authorization"])
        self.server.peers.append(self.client_address[1])
        self.server.script(self)

    def start(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def events(self, *events: bytes) -> None:
        self.start()
        for data in events:
            self.chunk(data)
        self.chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def until_gone(self) -> None:
        """Generate for as long as anybody listens, as model servers do."""
        self.start()
        try:
            while True:
                self.chunk(event("word "))
        except OSError:
            self.server.gone.set()
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.go.set()
        server.shutdown()
        thread.join()


def whole(context: EndpointContext) -> str:
    text = ""
    while True:
        piece, over = context.read()
        text += piece
        if over:
            return text


def ask(server: Server) -> str:
    context = EndpointChat(server.url, "tiny", timeout_s=5).open()
    context.begin(HELLO, None)
    return whole(context)


def test_text_arrives_in_order_and_ends(server: Server) -> None:
    server.script = lambda h: h.events(b": ping\n\n", event("Hel"), event(None), event("lo ☕"), event(None, "stop"))
    context = EndpointChat(server.url, "tiny", api_key="secret").open()
    context.begin(HELLO, 12)
    assert whole(context) == "Hello ☕"
    assert context.n_tokens() == 2
    assert context.read() == ("", True)
    (asked,) = server.asked
    assert (asked["model"], asked["stream"], asked["max_tokens"]) == ("tiny", True, 12)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["messages"][0]["content"].endswith("Be kind.")
    assert server.paths == ["/v1/chat/completions"]
    assert server.keys == ["Bearer secret"]


def test_the_connection_carries_the_next_answer(server: Server) -> None:
    context = EndpointChat(server.url, "tiny").open()
    for _ in range(3):
        context.begin(HELLO, None)
        assert whole(context) == "Hi"
    assert len(set(server.peers)) == 1


def test_a_kept_connection_that_the_server_closed_is_made_anew(server: Server) -> None:
    def and_close(handler: Handler) -> None:
        handler.events(event("Hi"), event(None, "stop"))
        handler.close_connection = True

    server.script = and_close
    context = EndpointChat(server.url, "tiny").open()
    for _ in range(2):
        context.begin(HELLO, None)
        assert whole(context) == "Hi"


def test_stop_is_seen_by_the_server(server: Server) -> None:
    server.script = Handler.until_gone
    context = EndpointChat(server.url, "tiny").open()
    context.begin(HELLO, None)
    while not context.read()[0]:
        pass
    context.stop()
    assert server.gone.wait(5)
    assert context.read() == ("", True)


def test_beginning_again_stops_what_was_before(server: Server) -> None:
    server.script = Handler.until_gone
    context = EndpointChat(server.url, "tiny").open()
    context.begin(HELLO, None)
    while not context.read()[0]:
        pass
    server.script = lambda handler: handler.events(event("Second"), event(None, "stop"))
    context.begin(HELLO, None)
    assert whole(context) == "Second"
    assert server.gone.wait(5)


def test_a_slow_server_does_not_hold_the_reader_up(server: Server) -> None:
    def slow(handler: Handler) -> None:
        handler.server.go.wait(5)
        handler.events(event("late"), event(None, "stop"))

    server.script = slow
    context = EndpointChat(server.url, "tiny").open()
    context.begin(HELLO, None)
    assert context.read() == ("", False)
    server.go.set()
    assert whole(context) == "late"


def test_a_reader_that_waits_holds_the_server_back(server: Server) -> None:
    n_events = 2_000
    server.script = lambda handler: handler.events(*[event("x")] * n_events, event(None, "stop"))
    context = EndpointChat(server.url, "tiny").open()
    context.begin(HELLO, None)
    assert whole(context) == "x" * n_events


@pytest.mark.parametrize(("status", "advice"), [(401, "API key"), (404, "model's name"), (500, "out of memory")])
def test_a_refusal_says_what_to_do(server: Server, status: int, advice: str) -> None:
    def refuse(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", "13")
        handler.end_headers()
        handler.wfile.write(b"out of memory")

    server.script = refuse
    with pytest.raises(RuntimeError, match=f"{status}.*{advice}"):
        ask(server)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"data: {not json\n\n", "no chat completion"),
        (b'data: {"choices": 3}\n\n', "no chat completion"),
        (b"data: []\n\n", "no chat completion"),
        (b'data: {"error": {"message": "context too long"}}\n\n', "context too long"),
    ],
)
def test_what_is_no_completion_is_an_error(server: Server, data: bytes, words: str) -> None:
    server.script = lambda handler: handler.events(data)
    with pytest.raises(RuntimeError, match=words):
        ask(server)


def test_an_answer_that_breaks_off_is_an_error(server: Server) -> None:
    def break_off(handler: Handler) -> None:
        handler.start()
        handler.chunk(event("Hel"))
        handler.close_connection = True

    server.script = break_off
    with pytest.raises(RuntimeError, match="ask again"):
        ask(server)


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        context = EndpointChat(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "tiny").open()
        context.begin(HELLO, None)
        with pytest.raises(RuntimeError, match="start it, or correct the address"):
            whole(context)
    assert context.read() == ("", True)


def test_a_silent_server_times_out(server: Server) -> None:
    def say_nothing(handler: Handler) -> None:
        handler.server.go.wait(5)
        handler.close_connection = True

    server.script = say_nothing
    context = EndpointChat(server.url, "tiny", timeout_s=0.05).open()
    context.begin(HELLO, None)
    with pytest.raises(RuntimeError, match="sent nothing"):
        whole(context)


def test_a_key_that_no_header_can_carry_is_an_error_and_no_silence(server: Server) -> None:
    context = EndpointChat(server.url, "tiny", api_key="line\nbreak").open()
    context.begin(HELLO, None)
    with pytest.raises(RuntimeError, match="ask again"):
        whole(context)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="http://"):
        EndpointChat("localhost:11434", "tiny")
