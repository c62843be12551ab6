"""What the terminal shows so that a phone can call: the address, with the key in it, as a code to be scanned."""

import io
from collections.abc import Sequence
from urllib.parse import quote

import segno

_WHITE_ON_BLACK, _PLAIN = "\x1b[97;40m", "\x1b[0m"


def with_key(address: str, key: str | None) -> str:
    """An address that brings its key: in the fragment, which browsers send to nobody, so that no log has it."""
    return f"{address}/#key={quote(key, safe='')}" if key else f"{address}/"


def invitation(addresses: Sequence[str], key: str | None, fingerprint: str | None) -> str:
    """Lines for people in front of a terminal.

    Args:
        addresses: at which other devices find the server, such as https://192.168.1.7:8000; the likeliest first.
        key: what opens it, if it is to be handed on.
        fingerprint: of a certificate that no browser knows; None: they know it.
    """
    if not addresses:
        return "No other device can call: this machine is in no network, or --host keeps the server to it."
    first, *others = [with_key(address, key) for address in addresses]
    lines = [f"Call from another device in this network: {first}", *(f"    or {other}" for other in others)]
    lines += ["", code(first), ""]
    if key:
        lines.append("Whoever has this code can call. It stays the same when the server starts again.")
    if fingerprint:
        lines.append(
            "The browser warns once, because this server made its certificate itself: choose to go on. "
            f"SHA-256: {fingerprint}"
        )
    return "\n".join(lines)


def code(text: str) -> str:
    """A QR code of half blocks, light on dark whatever the terminal's colours are."""
    out = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out, border=2, compact=True)
    return "\n".join(f"{_WHITE_ON_BLACK}{line}{_PLAIN}" for line in out.getvalue().splitlines())
