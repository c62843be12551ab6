"""ICE servers as the configuration writes them: the JSON list that RTCPeerConnection takes in a browser.

    [{"urls": "stun:stun.example.org"}, {"urls": ["turn:turn.example.org"], "username": "u", "credential": "secret"}]

No message made here shows a credential, because messages end up in logs.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

_URL = re.compile(r"(stuns?:[^\s?/]+|turns?:[^\s?/]+(\?transport=(udp|tcp))?)")


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN server, which tells an address as others see it, or a TURN server, which relays."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """What RTCPeerConnection takes."""
        login = {"username": self.username, "credential": self.credential} if self.username else {}
        return {"urls": list(self.urls), **login}


def read_ice_servers(text: str) -> tuple[IceServer, ...]:
    """The servers in their order; none for an empty text.

    Raises:
        ValueError: the text is not written as above.
    """
    try:
        entries = json.loads(text or "[]")
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON, at character {error.pos}: it takes a list of objects with urls") from None
    if not isinstance(entries, list):
        raise ValueError("it takes a list of objects with urls")
    return tuple(_read(entry, f"server {number}") for number, entry in enumerate(entries, 1))


def _read(entry: Any, where: str) -> IceServer:
    if not isinstance(entry, dict) or not entry.keys() <= {"urls", "username", "credential"}:
        raise ValueError(f"{where} must be an object with urls, and for TURN username and credential")
    urls = [entry["urls"]] if isinstance(entry.get("urls"), str) else entry.get("urls")
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) and _URL.fullmatch(url) for url in urls):
        raise ValueError(f"{where} needs urls such as stun:HOST:PORT or turn:HOST:PORT?transport=udp")
    login = [entry.get("username"), entry.get("credential")]
    if not all(isinstance(text, str) and text for text in login):
        if any(login) or any(url.startswith("turn") for url in urls):
            raise ValueError(f"{where} needs username and credential, both as texts: TURN servers ask for them")
        login = [None, None]
    return IceServer(tuple(urls), *login)
