"""A language model's address that says little, but calls the functions it is offered: for clients that offer some.

python -m scripts.compat_suite.endpoint --port P
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = "The short blue waves of the light are scattered most. That is all that I say to anything."


class Handler(BaseHTTPRequestHandler):
    """POST /v1/chat/completions, streamed; GET says that it is there."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        latest = asked["messages"][-1]
        if latest["role"] == "tool":
            self._text(f"I was told this: {latest['content']}")
        elif asked.get("tools"):
            self._call(asked["tools"][0]["function"]["name"], '{"city": "Paris"}')
        else:
            self._text(ANSWER)
        self.close_connection = True

    def _text(self, text: str) -> None:
        for word in text.split(" "):
            self._event({"content": f"{word} "})
        self._event({}, "stop")

    def _call(self, name: str, arguments: str) -> None:
        """In pieces, as models write it."""
        function: dict[str, Any] = {"name": name, "arguments": ""}
        self._event({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]})
        for character in arguments:
            self._event({"tool_calls": [{"index": 0, "function": {"arguments": character}}]})
        self._event({}, "tool_calls")

    def _event(self, delta: dict[str, Any], finish: str | None = None) -> None:
        event = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    def log_message(self, *_: object) -> None:
        return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Handler).serve_forever()


if __name__ == "__main__":
    main()
