"""The user's packets put in order, on a clock of the test's own."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from streaming.tdm.jitter import CAPACITY, CEILING_S, FLOOR_S, MEMORY, START_S, Gap, Jitter

RATE = 48_000
TICKS = 960
PACKET_S = 0.02


def name(index: int) -> bytes:
    return b"%d" % index


@dataclass
class Listener:
    """Takes packets at their moments, and in between whatever falls due."""

    jitter: Jitter = field(default_factory=lambda: Jitter(RATE, lambda payload: TICKS if payload else 0))
    first_sequence: int = 0
    first_timestamp: int = 0
    heard: list[tuple[float, bytes | None]] = field(default_factory=list)
    """when and what, None for a gap"""
    now_s: float = 0.0

    def wait(self, until_s: float) -> None:
        while self.jitter.due_s <= until_s:
            self.now_s = max(self.now_s, self.jitter.due_s)
            self._drain()
        self.now_s = max(self.now_s, until_s)

    def take(self, index: int, arrival_s: float, sequence: int | None = None) -> None:
        """Packet `index` of a sender that sends one in PACKET_S from 0 s on."""
        self.wait(arrival_s)
        number = self.first_sequence + (index if sequence is None else sequence)
        timestamp = (self.first_timestamp + index * TICKS) % 2**32
        self.jitter.push(number % 2**16, timestamp, name(index), self.now_s)
        self._drain()

    def take_all(self, arrivals: dict[int, float]) -> None:
        for index, arrival_s in sorted(arrivals.items(), key=lambda item: item[1]):
            self.take(index, arrival_s)

    def _drain(self) -> None:
        while (got := self.jitter.pull(self.now_s)) is not None:
            self.heard.append((self.now_s, None if got is Gap.LOST else got))

    @property
    def indices(self) -> list[int | None]:
        return [None if payload is None else int(payload) for _, payload in self.heard]

    def delays(self, arrivals: dict[int, float]) -> dict[int, float]:
        """From arrival until handed on, by packet."""
        return {int(payload): at_s - arrivals[int(payload)] for at_s, payload in self.heard if payload is not None}


def evenly(first: int, last: int, transit_s: float = 0.0) -> dict[int, float]:
    return {index: index * PACKET_S + transit_s for index in range(first, last)}


def shaken(first: int, last: int, jitter_s: float, seed: int = 0) -> dict[int, float]:
    rng = np.random.default_rng(seed)
    return {index: index * PACKET_S + jitter_s * float(rng.random()) for index in range(first, last)}


def test_what_comes_in_order_is_handed_on_at_once() -> None:
    listener, arrivals = Listener(), evenly(0, 500)
    listener.take_all(arrivals)
    assert listener.indices == list(range(500))
    assert max(listener.delays(arrivals).values()) == 0


def test_nothing_is_due_before_the_first_packet() -> None:
    jitter = Listener().jitter
    assert jitter.pull(1e6) is None
    assert jitter.due_s == float("inf")


def test_packets_that_changed_places_are_put_in_order() -> None:
    listener = Listener()
    listener.take_all(evenly(0, 10) | {4: 0.105})
    assert listener.indices == list(range(10))


def test_a_lost_packet_is_given_up_when_patience_ends() -> None:
    listener, arrivals = Listener(), evenly(0, 400)
    del arrivals[300]
    listener.take_all(arrivals)
    assert listener.indices == [*range(300), None, *range(301, 400)]
    assert listener.heard[300][0] == pytest.approx(300 * PACKET_S + FLOOR_S)
    assert listener.delays(arrivals)[303] == 0  # nothing is left of the wait
    assert listener.jitter.n_lost == 1


def test_in_the_beginning_there_is_more_patience() -> None:
    listener, arrivals = Listener(), evenly(0, 20)
    del arrivals[5]
    listener.take_all(arrivals)
    assert listener.indices[5] is None
    assert listener.heard[5][0] == pytest.approx(5 * PACKET_S + START_S)


def test_repeated_packets_are_dropped_whether_waiting_or_gone() -> None:
    listener = Listener()
    listener.take_all(evenly(0, 4))
    listener.take(3, 0.07)  # handed on already
    listener.take(5, 0.1)
    listener.take(5, 0.1)  # waits for the fourth
    listener.take(4, 0.11)
    assert listener.indices == list(range(6))
    assert (listener.jitter.n_repeated, listener.jitter.n_late) == (2, 0)


def test_a_packet_that_was_given_up_is_dropped_and_counted() -> None:
    listener = Listener()
    listener.take_all(evenly(0, 400) | {300: 300 * PACKET_S + 0.3})
    assert listener.indices == [*range(300), None, *range(301, 400)]
    assert listener.jitter.n_late == 1


@pytest.mark.parametrize(("sequence", "timestamp"), [(2**16 - 7, 2**32 - 7 * TICKS), (0, 2**32 - 150), (2**16 - 3, 5)])
def test_numbers_wrap_around(sequence: int, timestamp: int) -> None:
    listener = Listener(first_sequence=sequence, first_timestamp=timestamp)
    arrivals = evenly(0, 300) | {6: 0.145, 8: 0.185}
    del arrivals[12]
    listener.take_all(arrivals)
    assert listener.indices == [*range(12), None, *range(13, 300)]
    assert (listener.jitter.n_restarts, listener.jitter.n_lost) == (1, 1)


def test_patience_follows_the_jitter_up_and_down_again() -> None:
    listener = Listener()
    listener.take_all(evenly(0, 300))
    assert listener.jitter.patience_s == FLOOR_S
    listener.take_all(shaken(300, 600, 0.1))
    assert 0.09 < listener.jitter.patience_s < 0.13
    heard_before = listener.jitter.n_lost
    listener.take_all(shaken(600, 1600, 0.1, seed=1))
    assert listener.jitter.n_lost - heard_before < 0.02 * 1000
    listener.take_all(evenly(1600, 1600 + MEMORY + 5))
    assert listener.jitter.patience_s == FLOOR_S


def test_patience_has_a_ceiling() -> None:
    listener = Listener()
    listener.take_all(shaken(0, 500, 2.0))
    assert listener.jitter.patience_s == CEILING_S


def test_one_hiccup_is_no_trend() -> None:
    listener = Listener()
    listener.take_all(evenly(0, 400) | {300: 6.3})
    assert listener.jitter.patience_s == FLOOR_S


@pytest.mark.parametrize("slower_s", [0.15, 0.35, 0.7, 3.0])
def test_a_network_slower_for_good_costs_a_moment_and_no_delay(slower_s: float) -> None:
    listener, arrivals = Listener(), evenly(0, 300) | evenly(300, 1200, slower_s)
    listener.take_all(arrivals)
    assert listener.indices[-600:] == list(range(600, 1200))
    assert max(listener.delays(arrivals)[index] for index in range(600, 1200)) == 0
    assert listener.jitter.patience_s == FLOOR_S
    assert listener.jitter.n_late <= 0.02 * 3000


def test_after_an_outage_the_newest_sound_waits_for_nothing() -> None:
    # What was said meanwhile comes at once when it ends, as from a full buffer somewhere on the way.
    listener, arrivals = Listener(), evenly(0, 1000)
    arrivals |= {index: 11.0 + index * 1e-5 for index in range(300, 550)}
    listener.take_all(arrivals)
    assert listener.indices[:300] == list(range(300))
    assert max(listener.delays(arrivals)[index] for index in range(600, 1000)) == 0
    assert len(listener.heard) == 1000  # media time went on meanwhile, and was not lived through twice
    assert listener.jitter.n_restarts == 1


def test_an_outage_that_loses_everything_is_filled() -> None:
    listener = Listener()
    listener.take_all({index: at_s for index, at_s in evenly(0, 1000).items() if not 300 <= index < 550})
    assert listener.indices == [*range(300), *[None] * 250, *range(550, 1000)]


@pytest.mark.parametrize("first_sequence", [0, 2**16 - 303])
def test_silence_that_is_not_sent_is_filled_without_waiting(first_sequence: int) -> None:
    """Discontinuous transmission: sequence numbers go on, timestamps jump, a packet comes every 400 ms."""
    listener, sequence = Listener(first_sequence=first_sequence), 300
    listener.take_all(evenly(0, 300))
    for index in range(319, 500, 20):
        listener.take(index, index * PACKET_S, sequence)
        assert listener.indices[-1] == index
        sequence += 1
    assert len(listener.heard) == 500
    assert listener.jitter.n_restarts == 1


@pytest.mark.parametrize(
    ("sequence", "timestamp"),
    [
        (7, 2**30),
        (300, 2**31 + 40),
        (40_000, 2**32 - RATE * 60),
        (7, 123),  # by chance within seconds of the old time: like packets that are late
    ],
)
def test_a_sender_that_begins_anew_is_followed(sequence: int, timestamp: int) -> None:
    listener = Listener()
    listener.take_all(evenly(0, 300))
    again = Listener(listener.jitter, sequence, timestamp, now_s=7.0)
    again.take_all({index: 7 + index * PACKET_S for index in range(300)})
    assert [index for index in again.indices if index is not None] == list(range(300))
    assert listener.jitter.n_restarts == 2


@pytest.mark.parametrize("still_s", [0.5, 0.7, 3.0, 12.0])
def test_a_sender_whose_clock_stood_still_loses_nothing(still_s: float) -> None:
    """An interrupted microphone: numbers and timestamps go on as if no time had passed."""
    listener, arrivals = Listener(), evenly(0, 300) | evenly(300, 900, still_s)
    listener.take_all(arrivals)
    assert [index for index in listener.indices if index is not None] == list(range(900))
    assert max(listener.delays(arrivals)[index] for index in range(320, 900)) == 0
    assert listener.indices.count(None) == pytest.approx(still_s / PACKET_S, abs=3)  # silence, while it lasted


def test_what_waits_when_a_sender_begins_anew_is_forgotten() -> None:
    listener = Listener()
    listener.take_all({index: at_s for index, at_s in evenly(0, 302).items() if index != 300})
    assert listener.indices[-1] == 299
    listener.jitter.push(9, 2**31, name(9999), 6.03)
    assert listener.jitter.pull(6.03) == name(9999)
    assert listener.jitter.pull(6.04) is None


def test_a_network_slower_for_good_is_taken_for_that_once() -> None:
    listener = Listener()
    listener.take_all(
        evenly(0, 300) | shaken(300, 700, 0.08) | {i: at_s + 0.7 for i, at_s in shaken(300, 900, 0.08).items()}
    )
    assert listener.jitter.n_restarts == 2
    assert listener.indices[-400:].count(None) < 4


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
def test_clocks_that_drift_apart_do_not_add_up(drift: float) -> None:
    listener, n = Listener(), 3600 * 50 // 4
    arrivals = {index: index * PACKET_S * (1 + drift) for index in range(n)}
    listener.take_all(arrivals)
    assert listener.indices == list(range(n))
    assert listener.jitter.patience_s == FLOOR_S
    assert listener.jitter.due_s - listener.now_s < FLOOR_S + 2 * PACKET_S


def test_what_is_kept_has_a_bound() -> None:
    jitter = Listener().jitter
    for index in range(5000):
        jitter.push(index % 2**16, index * 7, name(index), index * 7 / RATE)
    kept = 0
    while isinstance(jitter.pull(0.0), bytes):
        kept += 1
    assert kept <= CAPACITY
    assert jitter.n_late >= 5000 - CAPACITY


def test_a_packet_without_sound_is_ignored() -> None:
    jitter = Listener().jitter
    jitter.push(0, 0, b"", 0.0)
    assert jitter.due_s == float("inf")


def test_packets_may_change_their_length() -> None:
    jitter, now_s, timestamp, n_heard = Jitter(RATE, len), 0.0, 0, 0
    for sequence, length in enumerate([960, 960, 480, 480, 2880, 2880, 120, 960, 5760, 960] * 20):
        now_s += length / RATE  # sent when it is full
        jitter.push(sequence, timestamp, bytes(length), now_s)
        timestamp += length
        while (got := jitter.pull(now_s)) is not None:
            assert got is not Gap.LOST
            n_heard += len(got)
    assert n_heard == timestamp


def test_a_gap_is_as_long_as_the_packet_before_it() -> None:
    jitter, heard = Jitter(RATE, len), []
    jitter.push(0, 2880 - 960, bytes(960), 0.06)
    for sequence in (1, 2, 5, 6):  # of 60 ms each
        now_s = (sequence + 1) * 0.06
        jitter.push(sequence, sequence * 2880, bytes(2880), now_s)
        while (got := jitter.pull(now_s)) is not None:
            heard.append(got)
    assert [got is Gap.LOST for got in heard] == [False, False, False, True, True, False, False]


@pytest.mark.parametrize("shift", [-400, 400])
def test_a_clock_that_slips_by_less_than_half_a_packet_costs_nothing(shift: int) -> None:
    jitter = Jitter(RATE, lambda _: TICKS)
    for index in range(100):
        jitter.push(index, 10_000 + index * TICKS + (shift if index >= 50 else 0), name(index), index * PACKET_S)
        assert jitter.pull(index * PACKET_S) == name(index)
