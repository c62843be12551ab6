"""Coming back to a call over another connection: the secret that shows whose call it is."""

import asyncio
import hmac
import secrets
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from streaming.gateway.link import Link
from streaming.gateway.wire.connection import Resume, read_resume
from streaming.gateway.wire.fields import WireError

PATIENCE_S = 5.0
"""with a connection that is to carry a lost call and does not say which"""
MOST_ARRIVING = 32
"""of one account (on a server without keys, of all): a network that was gone for many calls gives them back at once"""


class Passes:
    """The tokens with which one call may be taken up: each is good once.

    A token that was used gives way to the next one only when the client has shown that it got the next: else a
    connection that is lost again at once would leave it with none.
    """

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._good: list[bytes] = []

    def issue(self) -> str:
        """A new token, good from now on."""
        token = f"{self._session_id}.{secrets.token_urlsafe(32)}"
        self._good = [*self._good[-1:], token.encode()]
        return token

    def received(self) -> None:
        """The client has the newest token: those before it are void."""
        self._good = self._good[-1:]

    def admits(self, token: str) -> bool:
        """Whether the token is good."""
        # all are compared, each in constant time, so that nothing can be learnt from how long it took
        matches = [hmac.compare_digest(token.encode(), good) for good in self._good]
        return any(matches)


class Arrivals:
    """Connections that come back and have not said yet to which call: they take no place of a call, but some memory."""

    def __init__(self) -> None:
        self._counts: Counter[Hashable] = Counter()

    @contextmanager
    def of(self, account: Hashable) -> Iterator[None]:
        """Let one more of an account's wait.

        Raises:
            WireError: too many of them do.
        """
        if self._counts[account] >= MOST_ARRIVING:
            message = "Too many connections come back at the same time: close those that are given up, and try again."
            raise WireError("rate_limit_exceeded", message)
        self._counts[account] += 1
        try:
            yield
        finally:
            self._counts[account] -= 1
            self._counts += Counter()  # forgets those that are back at nothing


async def asked_for(link: Link) -> Resume:
    """Which call a connection goes on with, in its first message.

    Raises:
        WireError: it says something else.
        TimeoutError: it says nothing.
        LinkEndedError: it has gone.
    """
    async with asyncio.timeout(PATIENCE_S):
        # a peer's sound may come before what it says
        while not isinstance(message := await link.receive(), bytes):
            if isinstance(message, WireError):
                raise message
    return read_resume(message)


def session_of(token: str) -> str:
    """Id of the session that a token names; whether it may be taken up is for its Passes to say."""
    return token.partition(".")[0]


def unknown_token() -> WireError:
    """What is said of a token that is good for nothing (any more); not why, so that nothing can be learnt of others."""
    return WireError(
        "resume_token_unknown",
        "No call waits for this resume_token: it was used, or the call is over. Begin a new session without ?resume=1.",
        "resume_token",
    )
