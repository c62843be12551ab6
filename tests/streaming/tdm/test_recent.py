"""What is kept of the user's speech, and what is let go."""

import numpy as np

from omni.timing import Timing
from omni.types import Unit
from streaming.tdm.dialogue import MAX_PICTURES
from streaming.tdm.recent import MAX_SOUND_S, Recent

TIMING = Timing()
PICTURE = np.zeros((2, 2, 3), np.uint8)


def second(number: int, *, sees: bool = False) -> Unit:
    """A unit that is told by its level."""
    return Unit(audio=np.full(TIMING.unit_samples, number, np.float32), image=PICTURE if sees else None)


def levels(recent: Recent, item_id: str) -> list[int]:
    return [int(unit.audio[0]) for unit in recent.of(item_id) if unit.audio is not None]


def test_turns_are_kept_in_order_until_they_are_forgotten() -> None:
    recent = Recent(TIMING)
    for number in range(3):
        recent.add("a", second(number))
    recent.add("b", second(9))
    assert (levels(recent, "a"), levels(recent, "b"), levels(recent, "c")) == ([0, 1, 2], [9], [])
    recent.forget("a")
    recent.forget("never kept")
    assert (levels(recent, "a"), levels(recent, "b")) == ([], [9])


def test_the_oldest_sound_is_let_go_from_its_beginning_on() -> None:
    recent = Recent(TIMING)
    n_kept = round(MAX_SOUND_S)
    for number in range(20):
        recent.add("a", second(number))
    for number in range(n_kept - 15):
        recent.add("b", second(number))
    assert levels(recent, "a") == list(range(5, 20))
    for number in range(n_kept):
        recent.add("c", second(number))
    assert (levels(recent, "a"), levels(recent, "b")) == ([], [])
    assert levels(recent, "c") == list(range(n_kept))


def test_what_was_forgotten_makes_room() -> None:
    recent = Recent(TIMING)
    for number in range(round(MAX_SOUND_S)):
        recent.add("a", second(number))
    recent.forget("a")
    recent.add("b", second(1))
    recent.add("c", second(2))
    assert (levels(recent, "b"), levels(recent, "c")) == ([1], [2])


def test_the_last_picture_of_a_turn_is_kept_and_the_newest_of_all() -> None:
    recent = Recent(TIMING)
    for number in range(3):
        recent.add("a", second(number, sees=True))
    recent.add("a", second(3))
    assert [unit.image is not None for unit in recent.of("a")] == [False, False, True, False]
    for index in range(MAX_PICTURES):
        recent.add(f"later {index}", second(index, sees=True))
    assert [unit.image is not None for unit in recent.of("a")] == [False] * 4
    assert all(recent.of(f"later {index}")[0].image is not None for index in range(MAX_PICTURES))
