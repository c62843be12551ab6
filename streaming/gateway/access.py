"""Who may come in, and for how long: the keys, what each has used, and the short-lived secrets made with them.

What a key has used begins anew at midnight, local time; minutes.py remembers it over a restart.
"""

import hmac
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from streaming.events import Closed
from streaming.gateway.client_secrets import ClientSecrets, Secret, digest_of
from streaming.keys import HOST, SECRET_PREFIX, Key
from streaming.tdm.clock import Clock

RETRY_S = 5.0
"""when it is worth asking again for a place"""

Now = Callable[[], datetime]


class Visit:
    """One call of an account, while it lasts."""

    def __init__(self, account: "Account", secret: Secret | None, since_s: float) -> None:
        self.account = account
        self.secret = secret
        """with which it was begun, if not with the key itself"""
        self.since_s = since_s
        """from when on its time is still to be added to what the account has used"""

    def leave(self) -> None:
        """The call is over. Further calls of this do nothing."""
        self.account.left(self)


class Account:
    """What is done with one key: nothing of it counts for another.

    Args:
        key: None: everybody, on a server without keys.
    """

    def __init__(self, key: Key | None, clock: Clock, now: Now) -> None:
        self._key = key
        self._clock = clock
        self._now = now
        self._day = now().date()
        self._used_s = 0.0
        self._visits: set[Visit] = set()
        self.owner = key.owner if key else None
        """what is written on what is made with the key, the same after a restart; None: it is the host's"""
        self.secrets = ClientSecrets(clock)

    @property
    def name(self) -> str | None:
        """What logs call it; None on a server without keys."""
        return self._key.name if self._key else None

    @property
    def limited(self) -> bool:
        """It may only be used for some minutes a day."""
        return self._key is not None and self._key.minutes is not None

    @property
    def left_s(self) -> float:
        """Seconds of calls that are left today, shared by the calls under way; inf without a limit."""
        if self._key is None or self._key.minutes is None:
            return math.inf
        return self._key.minutes * 60 - self.used_s

    @property
    def used_s(self) -> float:
        """Seconds that were used today, of the calls under way too."""
        self._begin_day()
        now_s = self._clock.now_s()
        return self._used_s + sum(now_s - visit.since_s for visit in self._visits)

    @property
    def used_up(self) -> Closed:
        """What is said when no time is left."""
        now = self._now()
        midnight = datetime.combine(now.date() + timedelta(days=1), time.min)
        minutes = f"{self._key.minutes:g}" if self._key and self._key.minutes else "no"
        message = f"the {minutes} minutes that this key has a day are used up; call again after midnight"
        return Closed("quota", message, (midnight - now).total_seconds())

    @property
    def refusal(self) -> Closed | None:
        """Why a further call is not possible now."""
        if self._key is not None and self._key.sessions is not None and len(self._visits) >= self._key.sessions:
            most = self._key.sessions
            message = (
                f"this key may hold {most} call{'s' if most > 1 else ''} at the same time; end one, then call again"
            )
            return Closed("busy", message, RETRY_S)
        return self.used_up if self.left_s <= 0 else None

    def enter(self, secret: Secret | None = None) -> Visit:
        """Begin a call; its end must be told by Visit.leave()."""
        visit = Visit(self, secret, self._clock.now_s())
        self._visits.add(visit)
        return visit

    def use(self, seconds: float) -> None:
        """Time was used up outside of a call, or before the server started, or with another server."""
        self._begin_day()
        self._used_s += seconds

    def in_use(self, value: str) -> Secret | None:
        """What is known of a secret with which a call was begun that still lasts."""
        digest = digest_of(value)
        used = [visit.secret for visit in self._visits if visit.secret is not None]
        return next((secret for secret in used if hmac.compare_digest(secret.digest, digest)), None)

    def left(self, visit: Visit) -> None:
        """See Visit.leave()."""
        if visit in self._visits:
            self._begin_day()
            self._visits.remove(visit)
            self._used_s += self._clock.now_s() - visit.since_s

    def _begin_day(self) -> None:
        """Count anew if it is another day than the last time; of a call over midnight what is after it."""
        if (today := self._now().date()) != self._day:
            self._day, self._used_s = today, 0.0
            for visit in self._visits:
                visit.since_s = self._clock.now_s()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request."""

    account: Account
    secret: Secret | None = None
    """the short-lived secret that was shown instead of a key"""

    def enter(self) -> Visit:
        """Begin a call; its end must be told by Visit.leave()."""
        return self.account.enter(self.secret)

    def owns(self, visit: Visit) -> bool:
        """Whether a call is this caller's: a key has all that was begun with it and its secrets, a secret its own."""
        return self.account is visit.account and self.secret in (None, visit.secret)


class Access:
    """The keys of a server. Without keys it is open, and everybody is one account."""

    def __init__(self, keys: Sequence[Key], clock: Clock, now: Now = datetime.now) -> None:
        self._accounts = [(digest_of(key.value), Account(key, clock, now)) for key in keys]
        self._everybody = None if keys else Account(None, clock, now)

    @property
    def used_s(self) -> dict[str, float]:
        """Seconds that were used today of each key with a limit, by what stands for it after a restart too."""
        return {account.owner or HOST: account.used_s for _, account in self._accounts if account.limited}

    def take_up(self, used_s: Mapping[str, float]) -> None:
        """Count what was used today elsewhere, or before the server started, by the same names."""
        for _, account in self._accounts:
            account.use(used_s.get(account.owner or HOST, 0.0))

    def identify(self, offered: Iterable[str], *, late: bool = False) -> Caller | None:
        """Who shows these keys and secrets; None if nobody may.

        A secret that is no longer good opens nothing, on an open server neither: its session would be another
        than was agreed.

        Args:
            late: as long as a call lasts that was begun with it, a secret that has expired is known.
        """
        shown = tuple(offered)
        for value in shown:
            digest = digest_of(value)
            # every key is compared, in constant time, so that nothing can be learnt from how long it took
            matching = [account for known, account in self._accounts if hmac.compare_digest(digest, known)]
            if matching:
                return Caller(matching[0])
        accounts = [self._everybody] if self._everybody else [account for _, account in self._accounts]
        secrets = [value for value in shown if value.startswith(SECRET_PREFIX)]
        for value in secrets:
            for account in accounts:
                if secret := account.secrets.find(value) or (account.in_use(value) if late else None):
                    return Caller(account, secret)
        return Caller(self._everybody) if self._everybody and not secrets else None
