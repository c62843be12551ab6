"""A user's packets of sound from a network that delays, reorders, repeats and loses them: in their order, or given up.

A machine listens, and it need not hear evenly: a packet is handed on as soon as all before it were. So the delay that
adapts here is only the patience with one that is missing, and trouble leaves none behind: what is late comes in a
burst, what is too late was given up, and the newest sound waits for nothing.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

FLOOR_S = 0.04
"""patience on a network without jitter: two packets of 20 ms may change places"""
CEILING_S = 0.4
"""patience at most: who says nothing for so long has paused"""
START_S = 0.1
"""patience at least while little is known of the network"""
MARGIN_S = 0.01
"""for packets a little slower than those that were seen"""
MEMORY = 200
"""packets, 4 s of speech, by which the network is judged"""
N_OUTLIERS = 2
"""of these, so many may be slower than the patience allows: not every hiccup is a trend"""
EARLY_S, LATE_S = 1.0, 10.0
"""a packet that differs by more from the fastest was timed by another clock: the sender began anew"""
RESYNC_S = 1.0
"""after so long with packets, all too late, the network has become slower for good"""
STEADY_S, STEADY_JITTER_S = 0.2, 0.15
"""… and after so long, if they come no less evenly than this: a burst that was held up somewhere does not. Or the
sender's clock has stood still, as that of a microphone does which something interrupts"""
CAPACITY = 128
"""packets that may wait here; the oldest then gives way"""


class Gap(Enum):
    """In place of a payload."""

    LOST = auto()
    """one packet, as long as the one before it, does not come: it is lost, or was never sent (silence)"""


@dataclass(frozen=True, slots=True)
class _Packet:
    sequence: int
    payload: bytes
    ticks: int


class Jitter:
    """The packets of one RTP stream. Sequence numbers (16 bits) and timestamps (32) may wrap around.

    Args:
        ticks_per_s: what timestamps count, in Hz.
        ticks_in: length of a payload's sound in ticks; 0 if it has none, and the packet is to be ignored.
    """

    def __init__(self, ticks_per_s: int, ticks_in: Callable[[bytes], int]) -> None:
        self._ticks_per_s = ticks_per_s
        self._ticks_in = ticks_in
        self._waiting: dict[int, _Packet] = {}
        """by timestamp, unwrapped"""
        self._transits: dict[int, float] = {}
        """arrival less timestamp of the newest packets, in the order in which they came"""
        self._ranked: list[float] = []
        """the same, the fastest first"""
        self._next = 0
        """timestamp of what is to be handed on next"""
        self._sequence = 0
        """of the newest packet that was handed on"""
        self._ticks = 0
        """length of that packet"""
        self._fastest_s = 0.0
        self._behind: dict[int, tuple[float, _Packet]] = {}
        """packets that were too late since the last that was not, and when they came; by timestamp"""
        self.patience_s = START_S
        """how long after the fastest would have come a missing packet is given up"""
        self.n_received = 0
        """packets with sound that came"""
        self.n_lost = 0
        """gaps that were handed on"""
        self.n_late = 0
        """packets that came when they had been given up, or for which there was no room"""
        self.n_repeated = 0
        """packets that had come before"""
        self.n_restarts = 0
        """times that the stream was taken up anew, the first included"""

    @property
    def due_s(self) -> float:
        """When pull() will have something even if no packet comes; infinite before the first."""
        if not self._transits:
            return float("inf")
        return self._fastest_s + self._next / self._ticks_per_s + self.patience_s

    @property
    def n_waiting(self) -> int:
        """Packets that wait here for one before them."""
        return len(self._waiting)

    def push(self, sequence: int, timestamp: int, payload: bytes, arrival_s: float) -> None:
        """Take a packet that arrived at a moment of the clock by which pull() is asked."""
        ticks = self._ticks_in(payload)
        if not ticks:
            return
        self.n_received += 1
        at = self._next + (timestamp - self._next + 2**31) % 2**32 - 2**31
        transit_s = arrival_s - at / self._ticks_per_s
        if at in self._transits:
            self.n_repeated += 1
            return
        late = at - self._next < -(self._ticks // 2)
        if self._timed_anew(transit_s):
            self._restart(at, ticks)
            late = False
        self._learn(at, transit_s)
        packet = _Packet(sequence, payload, ticks)
        if late:
            self._fall_behind(at, packet, arrival_s)
            return
        self._behind.clear()
        self._waiting[at] = packet
        if len(self._waiting) > CAPACITY:
            del self._waiting[min(self._waiting)]
            self.n_late += 1

    def pull(self, now_s: float) -> bytes | Gap | None:
        """What comes next: a payload, a gap to be filled, or None while nothing is due. Ask until None."""
        first = min(self._waiting, default=None)
        if first is not None and first - self._next <= self._ticks // 2:
            packet = self._waiting.pop(first)
            self._sequence, self._ticks, self._next = packet.sequence, packet.ticks, first + packet.ticks
            return packet.payload
        # Where the sequence has no hole, none is on its way: the sender was silent, and its clock went on.
        silent = first is not None and self._waiting[first].sequence == (self._sequence + 1) % 2**16
        if not silent and now_s < self.due_s:
            return None
        self._next += self._ticks
        self.n_lost += 1
        return Gap.LOST

    def _timed_anew(self, transit_s: float) -> bool:
        return not self._transits or not -EARLY_S < transit_s - self._fastest_s < LATE_S

    def _fall_behind(self, at: int, packet: _Packet, arrival_s: float) -> None:
        """Drop a packet that is too late, unless all are: then the stream is taken up anew with the first of them."""
        self.n_late += 1
        self._behind[at] = (arrival_s, packet)
        behind_s = arrival_s - next(iter(self._behind.values()))[0]
        transits = {then: came_s - then / self._ticks_per_s for then, (came_s, _) in self._behind.items()}
        steady = max(transits.values()) - min(transits.values()) <= STEADY_JITTER_S
        if behind_s > RESYNC_S or (steady and behind_s >= STEADY_S):
            behind, first = self._behind, min(self._behind)
            self._restart(first, behind[first][1].ticks)
            self._waiting = {then: late for then, (_, late) in behind.items()}
            for then, transit_s in transits.items():
                self._learn(then, transit_s)
        elif len(self._behind) > CAPACITY:
            del self._behind[min(self._behind)]

    def _restart(self, at: int, ticks: int) -> None:
        self._waiting.clear()
        self._transits.clear()
        self._ranked.clear()
        self._behind = {}
        self._next, self._ticks = at, ticks
        self.n_restarts += 1

    def _learn(self, at: int, transit_s: float) -> None:
        """Judge the network anew. The fastest packet is soon forgotten too: clocks drift, and ways change."""
        self._transits[at] = transit_s
        insort(self._ranked, transit_s)
        if len(self._transits) > MEMORY:
            oldest_s = self._transits.pop(next(iter(self._transits)))
            del self._ranked[bisect_left(self._ranked, oldest_s)]
        n = len(self._ranked)
        self._fastest_s = self._ranked[0]
        slow_s = self._ranked[max(0, n - 1 - N_OUTLIERS)] - self._fastest_s + MARGIN_S
        self.patience_s = min(max(slow_s, FLOOR_S if n == MEMORY else START_S), CEILING_S)
