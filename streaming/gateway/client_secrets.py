"""Short-lived secrets that stand for a key where the key itself may not go, each with a session baked in."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from streaming.keys import SECRET_PREFIX
from streaming.tdm.clock import Clock

SHORTEST_S, DEFAULT_S, LONGEST_S = 10, 600, 7200
"""how long a secret may be good (OpenAI's own limits)"""
MOST = 1_000
"""secrets of one account that are good at the same time"""
MOST_BYTES = 4 * 1024 * 1024
"""of the sessions baked into them, as JSON"""


class TooManySecretsError(Exception):
    """An account has as many secrets as it may; some must expire first."""


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """What is remembered of a secret: not the secret itself."""

    digest: bytes = field(repr=False)
    session: Mapping[str, Any]
    """the session object that a call with it begins with, checked"""
    n_bytes: int
    expires_s: float
    """on the server's clock"""


class ClientSecrets:
    """The secrets of one account. Kept as hashes, so that what leaks out of memory opens nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[bytes, Secret] = {}

    def make(self, session: Mapping[str, Any], lasts_s: float) -> str:
        """A new secret.

        Raises:
            TooManySecretsError: there are too many already.
        """
        now_s = self._clock.now_s()
        self._known = {digest: secret for digest, secret in self._known.items() if secret.expires_s > now_s}
        n_bytes = len(orjson.dumps(session))
        total = n_bytes + sum(secret.n_bytes for secret in self._known.values())
        if len(self._known) >= MOST or total > MOST_BYTES:
            raise TooManySecretsError
        value = SECRET_PREFIX + secrets.token_urlsafe(24)
        digest = digest_of(value)
        self._known[digest] = Secret(digest, session, n_bytes, now_s + lasts_s)
        return value

    def find(self, value: str) -> Secret | None:
        """What is known of a secret; None if it is none of these, or no longer good."""
        # found by its hash: how long that takes tells nothing of the secrets that there are
        secret = self._known.get(digest_of(value))
        return secret if secret is not None and secret.expires_s > self._clock.now_s() else None


def digest_of(value: str) -> bytes:
    """What is kept in place of a key or a secret."""
    return sha256(value.encode(errors="surrogateescape")).digest()
