"""How long a call may last, announced before it is over."""

from streaming.events import Closed, GoAway
from streaming.gateway.access import Visit
from streaming.tdm.clock import Clock

WARNINGS_S = (60.0, 10.0)
"""seconds before the end at which it is announced"""
GRACE_S = 10.0
"""an answer or a turn that is under way when the time is over may take so much longer"""


class Term:
    """The time of one call: the server's limit, and what is left of the caller's minutes."""

    def __init__(self, clock: Clock, most_s: float, visit: Visit) -> None:
        self._clock = clock
        self._most_s = most_s
        self._visit = visit
        self._ends_s = clock.now_s() + most_s
        self._warned_s = float("inf")

    @property
    def left_s(self) -> float:
        """Seconds until the time is over, below zero in the grace after it."""
        return min(self._ends_s - self._clock.now_s(), self._visit.account.left_s)

    def warning(self) -> GoAway | None:
        """What is to be announced now: each of WARNINGS_S once, also if little time is left from the start."""
        left_s = self.left_s
        due = [warn_s for warn_s in WARNINGS_S if left_s <= warn_s]
        if left_s <= 0 or not due or min(due) >= self._warned_s:
            return None
        self._warned_s = min(due)
        return GoAway(left_s, f"this call ends in {max(1, round(left_s))} seconds{self._why()}")

    def over(self, *, quiet: bool) -> Closed | None:
        """Why the call ends now, if it does.

        Args:
            quiet: nobody is in the middle of a sentence, so that nobody is cut off.
        """
        if self.left_s > 0 or not (quiet or self.left_s <= -GRACE_S):
            return None
        if self._visit.account.left_s <= 0:
            return self._visit.account.used_up
        return Closed("expired", f"a call lasts at most {self._most_s:.0f} s; call again to go on")

    def _why(self) -> str:
        by_key = self._visit.account.left_s < self._ends_s - self._clock.now_s()
        return ": the minutes that this key has a day are nearly used up" if by_key else ""
