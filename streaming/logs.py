"""What the server tells the person who runs it: lines of text, or of JSON for a machine to read."""

import json
import logging
import sys
from typing import Any

from streaming.events import Closed, Event, Fault, Measured, Opened, ResponseEnded, UserTranscript

log = logging.getLogger(__name__)


def configure(level: str, *, as_json: bool) -> None:
    """Send the program's log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level.upper() == "INFO":
        logging.getLogger("aioice").setLevel(logging.WARNING)  # it tells of every address that every call tries


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class SessionLog:
    """Writes a session's milestones. What people say is shown at level debug alone."""

    def __init__(self, session_id: str, peer: str) -> None:
        self._session_id = session_id
        self._peer = peer

    def watch(self, event: Event) -> None:
        """Take note of one event of the session."""
        match event:
            case Opened(capabilities=can):
                log.info("%s opened for %s with %s", self._session_id, self._peer, can.name)
            case Closed(reason=reason, message=message):
                log.info("%s closed (%s): %s", self._session_id, reason, message)
            case Fault(kind="server_error", code=code, message=message):
                log.error("%s %s: %s", self._session_id, code, message)
            case Fault(code=code, message=message):
                log.info("%s refused a request (%s): %s", self._session_id, code, message)
            case Measured(turn_latency_s=turn_latency_s, first_audio_s=first_audio_s):
                log.info(
                    "%s answered after %.0f ms (%.0f ms of it computing)",
                    self._session_id,
                    turn_latency_s * 1_000,
                    first_audio_s * 1_000,
                )
            case UserTranscript(text=text, final=True):
                log.debug("%s user: %s", self._session_id, text)
            case ResponseEnded(status=status, full_text=full_text):
                log.debug("%s assistant (%s): %s", self._session_id, status, full_text)
            case _:
                pass
