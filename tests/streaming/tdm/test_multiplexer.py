"""Cutting media time into units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.timing import Timing
from streaming.tdm import multiplexer
from streaming.tdm.multiplexer import Multiplexer

TIMING = Timing()
RATE = TIMING.input_rate


def ramp(begin: int, end: int) -> np.ndarray:
    return np.arange(begin, end, dtype=np.float32)


def picture(value: int) -> np.ndarray:
    return np.full((2, 2, 3), value, np.uint8)


def test_nothing_is_cut_between_turns_and_the_preroll_is_bounded() -> None:
    mux = Multiplexer(TIMING, 0.5)
    mux.hear(ramp(0, 3 * RATE))
    assert mux.take() is None
    assert mux.flush() is None
    mux.open_turn(0.0)
    unit = mux.flush()
    assert unit is not None
    assert unit.audio is not None
    assert unit.audio[0] == 3 * RATE - RATE // 2


@given(st.lists(st.integers(1, 9_000), min_size=1, max_size=30))
def test_how_the_input_was_cut_does_not_show(sizes: list[int]) -> None:
    whole, pieces = Multiplexer(TIMING, 1.0), Multiplexer(TIMING, 1.0)
    for mux in (whole, pieces):
        mux.open_turn(0.0)
    whole.hear(ramp(0, sum(sizes)))
    begin = 0
    for size in sizes:
        pieces.hear(ramp(begin, begin + size))
        begin += size
    for mux_call in ("take",) * (sum(sizes) // TIMING.unit_samples) + ("flush",):
        a, b = getattr(whole, mux_call)(), getattr(pieces, mux_call)()
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a.audio, b.audio)


def test_units_of_a_turn_are_contiguous_across_a_flush() -> None:
    mux = Multiplexer(TIMING, 1.0)
    mux.hear(ramp(0, RATE))
    mux.open_turn(0.75)
    mux.hear(ramp(RATE, RATE + 100))
    units = [mux.flush()]
    mux.hear(ramp(RATE + 100, 3 * RATE))
    units += [mux.take(), mux.flush()]
    audio = np.concatenate([unit.audio for unit in units if unit is not None and unit.audio is not None])
    np.testing.assert_array_equal(audio, ramp(RATE * 3 // 4, 3 * RATE))


def test_the_newest_picture_rides_along_once() -> None:
    mux = Multiplexer(TIMING, 1.0)
    mux.open_turn(0.0)
    mux.see(picture(1))
    mux.see(picture(2))
    mux.hear(ramp(0, 2 * RATE))
    first, second = mux.take(), mux.take()
    assert first is not None
    assert first.image is not None
    assert first.image[0, 0, 0] == 2
    assert second is not None
    assert second.image is None


def test_between_turns_one_picture_a_unit_is_looked_at() -> None:
    mux = Multiplexer(TIMING, 1.0)
    seen = 0
    for index in range(100):
        mux.hear(ramp(0, RATE // 10))
        mux.see(picture(index))
        seen += mux.glance() is not None
    assert seen == pytest.approx(10, abs=1)


def test_an_engine_that_is_too_slow_costs_the_oldest_sound_and_it_is_counted() -> None:
    mux = Multiplexer(TIMING, 1.0)
    mux.open_turn(0.0)
    for _ in range(round(multiplexer.MAX_WAITING_S) + 5):
        mux.hear(ramp(0, RATE))
    kept = []
    while (unit := mux.flush()) is not None:
        kept.append(unit)
    assert len(kept) == multiplexer.MAX_WAITING_S
    assert mux.close_turn() == 5.0
    mux.open_turn(mux.heard_s)
    assert mux.close_turn() == 0.0
