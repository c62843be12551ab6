"""Counts and latencies for Prometheus, made by watching events (law 17)."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from streaming.events import Closed, Event, Fault, Measured, Opened, OverlapEnded, ResponseEnded, ResponseSpeech
from streaming.tdm.jitter import Jitter

_BOUNDS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 4.0)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """A Prometheus histogram of seconds."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._counts = [0] * (len(_BOUNDS_S) + 1)
        self._sum_s = 0.0

    def add(self, value_s: float) -> None:
        """Count one value."""
        self._counts[bisect_left(_BOUNDS_S, value_s)] += 1
        self._sum_s += value_s

    def lines(self) -> Iterator[str]:
        """In Prometheus' text format."""
        yield from _head(self._name, "histogram", self._text)
        total = 0
        for bound, count in zip((*_BOUNDS_S, "+Inf"), self._counts, strict=True):
            total += count
            yield f'{self._name}_bucket{{le="{bound}"}} {total}'
        yield f"{self._name}_sum {self._sum_s:.6f}"
        yield f"{self._name}_count {total}"


class Received:
    """The packets of all microphones that are heard over RTP, looked at when somebody asks."""

    def __init__(self) -> None:
        self._now: set[Jitter] = set()
        self._before: Counter[str] = Counter()
        """what those counted that are over"""

    @contextmanager
    def of(self, jitter: Jitter) -> Iterator[None]:
        """Count one microphone's while it is heard, and keep the sums."""
        self._now.add(jitter)
        try:
            yield
        finally:
            self._now.discard(jitter)
            self._before.update(_counts(jitter))

    def lines(self) -> Iterator[str]:
        """In Prometheus' text format."""
        total = Counter(self._before)
        for jitter in self._now:
            total.update(_counts(jitter))
        text = "Sound from clients over WebRTC; filled: concealed, or silence that was not sent."
        yield from _labelled("omni_microphone_packets_total", text, "what", total)
        n_waiting = sum(jitter.n_waiting for jitter in self._now)
        yield from _single("omni_microphone_waiting_packets", "gauge", "Packets that wait for one before.", n_waiting)
        patience_s = max((jitter.patience_s for jitter in self._now), default=0.0)
        text = "How long a packet is waited for, in the call in which that is longest."
        yield from _single("omni_microphone_patience_seconds", "gauge", text, round(patience_s, 3))


class Metrics:
    """What all sessions of this server have done since it started."""

    def __init__(self, output_rate: int) -> None:
        self._output_rate = output_rate
        self._opened = 0
        self._closed: Counter[str] = Counter()
        self._responses: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._resumed = 0
        self._speech_s = 0.0
        self._turn_latency = Histogram(
            "omni_turn_latency_seconds", "End of the user's speech to the first audible sample leaving."
        )
        self._first_audio = Histogram("omni_first_audio_seconds", "End of turn decided to the first sample out.")

    def watch(self, event: Event) -> None:
        """Take note of one event of any session."""
        match event:
            case Opened():
                self._opened += 1
            case Closed(reason=reason):
                self._closed[reason] += 1
            case ResponseSpeech(pcm=pcm):
                self._speech_s += len(pcm) / self._output_rate
            case ResponseEnded(status=status):
                self._responses[status] += 1
            case OverlapEnded():
                self._resumed += 1
            case Measured(turn_latency_s=turn_latency_s, first_audio_s=first_audio_s):
                self._turn_latency.add(turn_latency_s)
                self._first_audio.add(first_audio_s)
            case Fault(code=code):
                self._faults[code] += 1
            case _:
                pass

    def text(self, n_active: int, received: Received) -> str:
        """Everything in Prometheus' text format."""
        return "\n".join((*self._lines(n_active), *received.lines(), ""))

    def _lines(self, n_active: int) -> Iterator[str]:
        yield from _single("omni_sessions_active", "gauge", "Conversations now.", n_active)
        yield from _single("omni_sessions_opened_total", "counter", "Conversations begun.", self._opened)
        yield from _labelled("omni_sessions_closed_total", "Conversations over.", "reason", self._closed)
        yield from _labelled("omni_responses_total", "Answers that ended.", "status", self._responses)
        yield from _labelled("omni_faults_total", "Errors told to clients.", "code", self._faults)
        yield from _single("omni_overlaps_resumed_total", "counter", "Interruptions that were none.", self._resumed)
        yield from _single("omni_speech_seconds_total", "counter", "Speech sent to clients.", round(self._speech_s, 3))
        yield from self._turn_latency.lines()
        yield from self._first_audio.lines()


def _counts(jitter: Jitter) -> dict[str, int]:
    return {
        "received": jitter.n_received,
        "filled": jitter.n_lost,
        "late": jitter.n_late,
        "repeated": jitter.n_repeated,
    }


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _single(name: str, kind: str, text: str, value: float) -> Iterator[str]:
    yield from _head(name, kind, text)
    yield f"{name} {value}"


def _labelled(name: str, text: str, label: str, counts: Counter[str]) -> Iterator[str]:
    yield from _head(name, "counter", text)
    for value, count in sorted(counts.items()):
        yield f'{name}{{{label}="{value}"}} {count}'
