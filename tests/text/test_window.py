"""What is forgotten, against a slow twin that keeps every token as an object in a list."""

from copy import deepcopy
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from omni.text.window import Ledger, Window

PROMPT, CLOSING, HEADER = 5, 2, 3


@dataclass(frozen=True)
class Token:
    place: int
    kind: Literal["prompt", "header", "unit", "answer"]
    turn: int = -1
    unit: int = -1


@dataclass
class Twin:
    """The conversation as a list, and the policy in the words of its docstring."""

    tokens: list[Token] = field(default_factory=lambda: [Token(place, "prompt") for place in range(PROMPT)])
    next_place: int = PROMPT

    def feed(self, n: int, kind: Literal["header", "unit", "answer"], turn: int, unit: int = -1) -> None:
        self.tokens += [Token(self.next_place + i, kind, turn, unit) for i in range(n)]
        self.next_place += n

    def rewind(self, place: int) -> None:
        self.tokens = [token for token in self.tokens if token.place < place]
        self.next_place = place

    def turns(self) -> list[int]:
        return [turn for turn, _ in groupby(token.turn for token in self.tokens if token.kind != "prompt")]

    def units(self, turn: int) -> list[int]:
        return [unit for unit, _ in groupby(t.unit for t in self.tokens if t.turn == turn and t.kind == "unit")]

    def shrink(self, window: Window) -> None:
        if len(self.tokens) <= window.limit:
            return
        while len(self.tokens) > window.target and len(self.turns()) > 2:
            self._drop_turn()
        while len(self.tokens) > window.limit and len(self.turns()) > 1:
            self._drop_turn()
        if len(self.tokens) > window.limit and self.turns():
            (turn,) = self.turns()
            while len(self.tokens) > window.target and len(self.units(turn)) > 1:
                oldest = self.units(turn)[0]
                self.tokens = [token for token in self.tokens if (token.turn, token.unit) != (turn, oldest)]

    def _drop_turn(self) -> None:
        oldest = self.turns()[0]
        self.tokens = [token for token in self.tokens if token.turn != oldest]


class Calls(RuleBasedStateMachine):
    """A family that listens, answers, marks every place, rewinds and forgets; its cache is a list of places."""

    def __init__(self) -> None:
        super().__init__()
        self.twin = Twin()
        self.ledger = Ledger(PROMPT)
        self.cache = list(range(PROMPT))
        self.marks = [PROMPT]
        self.n_begun = 0

    def fed(self) -> None:
        self.marks.append(self.ledger.place(len(self.cache)))
        self.cache += range(self.ledger.place(len(self.cache)), self.twin.next_place)

    @rule()
    def open_turn(self) -> None:
        turns = self.twin.turns()
        if turns:
            self.twin.feed(CLOSING, "answer", turns[-1])
            self.fed()
        self.ledger.open_turn(len(self.cache))
        self.n_begun += 1
        self.twin.feed(HEADER, "header", self.n_begun)
        self.fed()

    @precondition(lambda self: self.cache and self.twin.tokens[-1].kind in ("header", "unit"))
    @rule(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4))
    def listen(self, sizes: list[int]) -> None:
        for size in sizes:
            self.ledger.open_unit(len(self.cache))
            self.n_begun += 1
            self.twin.feed(size, "unit", self.twin.turns()[-1], self.n_begun)
            self.fed()

    @precondition(lambda self: self.twin.turns())
    @rule(n=st.integers(1, 20))
    def answer(self, n: int) -> None:
        self.twin.feed(n, "answer", self.twin.turns()[-1])
        self.fed()

    @rule(back=st.integers(1, 6))
    def rewind(self, back: int) -> None:
        place = self.marks[-back:][0]
        self.twin.rewind(place)
        del self.cache[self.ledger.rewind(place) :]
        self.marks = [mark for mark in self.marks if mark <= place]

    @precondition(lambda self: any(token.kind == "answer" for token in self.twin.tokens))
    @rule(back=st.integers(1, 40), n=st.integers(0, 20))
    def leave_unheard(self, back: int, n: int) -> None:
        """A stretch of an answer goes; units, or another turn, may stand behind it."""
        start = end = [slot for slot, token in enumerate(self.twin.tokens) if token.kind == "answer"][-back:][0]
        while end < min(start + n, len(self.cache)) and self.twin.tokens[end].kind == "answer":
            end += 1
        self.ledger.forget(start, end)
        del self.cache[start:end], self.twin.tokens[start:end]

    @rule(over=st.integers(1, 30), more=st.integers(0, 30))
    def shrink(self, over: int, more: int) -> None:
        limit = max(1, len(self.cache) - over)
        window = Window(limit, max(1, limit - more))
        self.twin.shrink(window)
        for start, end in self.ledger.shrink(len(self.cache), window):
            assert PROMPT <= start < end
            del self.cache[start:end]
        before = deepcopy(self.ledger)
        assert not self.ledger.shrink(len(self.cache), window), "what may go went the first time"
        assert self.ledger == before

    @invariant()
    def what_is_held_is_what_the_twin_holds(self) -> None:
        assert self.cache == [token.place for token in self.twin.tokens]
        assert self.cache[:PROMPT] == list(range(PROMPT))

    @invariant()
    def places_and_slots_go_over_into_each_other(self) -> None:
        assert [self.ledger.place(slot) for slot in range(len(self.cache) + 1)] == [*self.cache, self.twin.next_place]
        kept = [sum(held < place for held in self.cache) for place in range(self.twin.next_place + 1)]
        assert [self.ledger.slot(place) for place in range(self.twin.next_place + 1)] == kept
        assert [place for place in range(self.twin.next_place) if self.ledger.holds(place)] == self.cache


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)


def call(*turns: list[int]) -> tuple[Ledger, int]:
    """A ledger of turns, given as the sizes of their units; each ends with an answer of 10. And the cache's length."""
    ledger, length = Ledger(PROMPT), PROMPT
    for sizes in turns:
        ledger.open_turn(length)
        length += HEADER
        for size in sizes:
            ledger.open_unit(length)
            length += size
        length += 10
    return ledger, length


def test_within_the_limit_nothing_goes() -> None:
    ledger, length = call([90], [90], [90])
    assert ledger.shrink(length, Window(length, 10)) == []


def test_whole_turns_go_oldest_first_until_the_target_is_met() -> None:
    ledger, length = call([87], [87], [87], [87])
    assert length == 405
    assert ledger.shrink(length, Window(400, 305)) == [(5, 105)]
    assert ledger.shrink(305, Window(304, 304)) == [(5, 105)]


def test_the_turn_before_the_current_one_goes_only_beyond_the_limit() -> None:
    """A mark from before the user spoke leads back into it."""
    ledger, length = call([87], [87], [40, 47])
    before_the_last = 205
    assert deepcopy(ledger).shrink(length, Window(300, 50)) == [(5, 105)]
    assert ledger.shrink(length, Window(150, 50)) == [(5, 205)], "nothing of a current turn within the limit goes"
    assert ledger.rewind(before_the_last) == 5


def test_a_long_turn_loses_its_oldest_units_but_not_its_header() -> None:
    ledger, length = call([20], [30, 40, 50, 60])
    assert ledger.shrink(length, Window(190, 140)) == [(41, 111), (5, 38)]
    length -= 70 + 33
    assert (ledger.place(5), ledger.place(8)) == (38, 111)
    inside_a_lost_unit = 80
    assert deepcopy(ledger).rewind(inside_a_lost_unit) == 5 + HEADER
    assert ledger.shrink(length, Window(100, 1)) == [(8, 58)], "the latest unit stays"
    assert ledger.shrink(length - 50, Window(1, 1)) == []


def test_a_mark_behind_what_nobody_heard_stays_right() -> None:
    """It was made when the user began to speak; then the answer before was cut to what was heard."""
    ledger, length = call([20])
    onset = ledger.place(length)
    ledger.open_turn(length)
    ledger.forget(length - 6, length)
    assert ledger.rewind(onset) == length - 6
    assert ledger.place(length - 6) == onset


def test_a_copy_goes_its_own_way() -> None:
    ledger, length = call([50], [50], [50])
    twin = deepcopy(ledger)
    assert twin == ledger
    twin.shrink(length, Window(60, 60))
    twin.open_turn(300)
    twin.open_unit(303)
    assert ledger == call([50], [50], [50])[0]


def test_the_prompt_cannot_be_taken_back() -> None:
    with pytest.raises(ValueError, match="inside the prompt, which ends at 5"):
        Ledger(PROMPT).rewind(4)


@pytest.mark.parametrize(("limit", "target"), [(10, 11), (10, 0), (0, 0)])
def test_a_window_has_its_target_within(limit: int, target: int) -> None:
    with pytest.raises(ValueError, match="target within"):
        Window(limit, target)
