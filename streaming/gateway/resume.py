"""Coming back to a call over another connection: the secret that shows whose call it is."""

import hmac
import secrets

from streaming.gateway.wire.fields import WireError


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
