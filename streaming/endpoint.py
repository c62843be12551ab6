"""A language model behind any OpenAI-compatible address (Ollama, llama.cpp, vLLM, a hosted one) as a Chat."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from queue import Empty, Full, Queue
from urllib.parse import urlsplit

from omni.text.chat import Message
from omni.types import Tool, ToolCall
from streaming.endpoint_tools import CallCollector, Fragment, fragment_of, offered, spelled

_SPOKEN = (
    "You are talking with someone on a call; what you write is read aloud. Answer in one to three short sentences "
    "of plain speech, without markdown, lists or emoji. Their words come from a speech recogniser. A line "
    "(The camera shows: ...) says what you see."
)
_MAX_TOKENS = 300
_QUEUE = 256
"""pieces of text that may wait; when it is full, reading from the network waits, which slows the server down"""
_READ_WAIT_S = 0.01
_LONGEST_LINE = 1 << 20

Piece = str | Fragment
"""of an answer: text, or a part of a call"""


class EndpointChat:
    """Answers come from POST <url>/chat/completions, streamed as server-sent events."""

    def __init__(self, url: str, model: str, api_key: str | None = None, timeout_s: float = 30.0) -> None:
        """Nothing is contacted yet.

        Args:
            url: base address, such as http://localhost:11434/v1.
            model: what the server calls the model.
            api_key: sent as a bearer token.
            timeout_s: longest silence of the server, before the first word or between two.

        Raises:
            ValueError: the address is none.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a language model; write it like http://localhost:11434/v1")
        self.name = model
        self.calls_tools = True
        self.url = url
        self.timeout_s = timeout_s
        self.path = parts.path.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
        if parts.query:
            self.path += "?" + parts.query
        self.headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if api_key:
            self.headers["Authorization"] = f"Bearer {api_key}"
        self._connection = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port = parts.hostname, parts.port

    def open(self) -> "EndpointContext":
        """A context with a connection of its own, kept between answers."""
        return EndpointContext(self)

    def connect(self) -> HTTPConnection:
        """A connection that is not made yet."""
        return self._connection(self._host, self._port, timeout=self.timeout_s)


class EndpointContext:
    """One session's conversation with the endpoint. See ChatContext for what the methods promise."""

    def __init__(self, chat: EndpointChat) -> None:
        self._chat = chat
        self._connection: HTTPConnection | None = None
        self._answer: _Answer | None = None
        self._n_pieces = 0
        self._calls = CallCollector()

    def warm(self, messages: Sequence[Message]) -> float | None:
        """Nothing: a server that is paid for or shared is asked only when the user has finished."""
        return None

    def begin(
        self,
        messages: Sequence[Message],
        max_tokens: int | None,
        tools: Sequence[Tool] = (),
        tool_choice: str = "auto",
    ) -> None:
        """Send the conversation off; the answer is collected on a thread of its own."""
        self.stop()
        told = [message for message in messages if message.text.strip() or message.tool]
        instructions = [_SPOKEN, *(told.pop(0).text for _ in range(1) if told and told[0].role == "system")]
        body = {
            "model": self._chat.name,
            "messages": [
                {"role": "system", "content": "\n\n".join(instructions)},
                *spelled(told),
            ],
            "max_tokens": max_tokens or _MAX_TOKENS,
            "stream": True,
            **offered(tools, tool_choice),
        }
        self._calls = CallCollector()
        self._n_pieces = 0
        self._answer = _Answer(self._chat, self._connection, json.dumps(body).encode())
        self._connection = None

    def read(self) -> tuple[str, bool]:
        """What has arrived; waits some milliseconds for it, so that a caller that asks again does not spin."""
        if self._answer is None:
            return "", True
        text, wait = "", _READ_WAIT_S
        while True:
            try:
                piece = self._answer.pieces.get(timeout=wait) if wait else self._answer.pieces.get_nowait()
            except Empty:
                return text, False
            wait = 0.0
            if isinstance(piece, RuntimeError):
                self.stop()
                raise piece
            if piece is None:
                # the answer was read to its end, so the connection can carry the next one
                self._connection, self._answer = self._answer.connection, None
                return text, True
            if isinstance(piece, str):
                text += piece
            else:
                self._calls.push(piece)
            self._n_pieces += 1

    def calls(self) -> tuple[ToolCall, ...]:
        """The tools that the answer asks for."""
        return self._calls.finished()

    def n_tokens(self) -> int:
        """Pieces received so far: servers send a token in each, or nearly."""
        return self._n_pieces

    def stop(self) -> None:
        """Break the connection, at which the server stops generating."""
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None


class _Answer:
    """One request and the thread that reads its answer into a queue: text, then None or what went wrong."""

    def __init__(self, chat: EndpointChat, kept: HTTPConnection | None, body: bytes) -> None:
        self.pieces: Queue[Piece | RuntimeError | None] = Queue(_QUEUE)
        self.connection = kept or chat.connect()
        self._fresh = kept is None
        self._chat, self._body = chat, body
        self._lock = threading.Lock()
        self._cancelled = False
        self._socket: socket.socket | None = None
        threading.Thread(target=self._collect, name="endpoint", daemon=True).start()

    def cancel(self) -> None:
        """Give up now. Never waits."""
        with self._lock:
            self._cancelled = True
            if self._socket is not None:
                _break(self._socket)

    def _collect(self) -> None:
        try:
            for piece in _pieces(self._respond()):
                self._put(piece)
            self._put(None)
        except Exception as error:
            # whatever happens, the reader must hear of it; and a broken connection is not used again
            self.connection.close()
            self._put(error if type(error) is RuntimeError else self._explain(error))

    def _respond(self) -> HTTPResponse:
        try:
            response = self._send()
        except (ConnectionError, HTTPException):
            if self._fresh or self._cancelled:
                raise
            # a kept connection may have been closed by the server meanwhile
            self.connection = self._chat.connect()
            response = self._send()
        if response.status != 200:
            raise RuntimeError(self._refusal(response))
        return response

    def _send(self) -> HTTPResponse:
        if self.connection.sock is None:
            self.connection.connect()
        with self._lock:
            self._socket = self.connection.sock
            if self._cancelled:
                raise ConnectionAbortedError
        self.connection.request("POST", self._chat.path, self._body, self._chat.headers)
        return self.connection.getresponse()

    def _put(self, piece: Piece | RuntimeError | None) -> None:
        while not self._cancelled:
            try:
                self.pieces.put(piece, timeout=0.1)
            except Full:
                continue
            break

    def _refusal(self, response: HTTPResponse) -> str:
        said = response.read(400).decode("utf-8", "replace").strip()
        advice = {401: "check the API key", 403: "check the API key", 404: "check the address and the model's name"}
        todo = advice.get(response.status, "see what the server says")
        return f"The language model at {self._chat.url} refused with {response.status}; {todo}: {said}"

    def _explain(self, error: Exception) -> RuntimeError:
        url = self._chat.url
        if isinstance(error, TimeoutError):
            text = f"The language model at {url} sent nothing for {self._chat.timeout_s:g} s; is it overloaded?"
        elif isinstance(error, ConnectionRefusedError | socket.gaierror):
            text = f"No language model answers at {url} ({error}); start it, or correct the address"
        else:
            text = f"The connection to the language model at {url} broke ({error or type(error).__name__}); ask again"
        explained = RuntimeError(text)
        explained.__cause__ = error
        return explained


def _break(connected: socket.socket) -> None:
    try:
        connected.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already


def _pieces(response: HTTPResponse) -> Iterator[Piece]:
    """Text, and parts of calls, in an event stream's data lines, up to [DONE] or a finish reason.

    Raises:
        RuntimeError: what came is no such stream, or it broke off.
    """
    ended = False
    while line := response.readline(_LONGEST_LINE):
        field, _, value = line.partition(b":")
        if field.strip() != b"data":
            continue  # comments, event names and blank lines carry no text
        if value.strip() == b"[DONE]":
            ended = True
            break
        text, fragments, last = _delta(value)
        ended = ended or last
        if text:
            yield text
        yield from fragments
    if not ended:
        raise RuntimeError("The language model broke off in the middle of its answer; ask again")
    if response.chunked:
        response.read()  # the closing chunk: only behind it can the next answer follow


def _delta(value: bytes) -> tuple[str, list[Fragment], bool]:
    try:
        event = json.loads(value)
        if "error" in event:
            raise RuntimeError(f"The language model failed: {event['error']}; see the server's log")
        choices = event["choices"]
        if not choices:
            return "", [], False  # usage comes in an event without choices
        delta = choices[0]["delta"]
        ended = choices[0].get("finish_reason") is not None
        return delta.get("content") or "", [fragment_of(one) for one in delta.get("tool_calls") or ()], ended
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        shown = value[:80].decode("utf-8", "replace").strip()
        raise RuntimeError(f"The language model sent what is no chat completion: {shown}; check its address") from error
