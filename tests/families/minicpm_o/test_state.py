"""A session's memory by numbers alone: what an answer keeps, where a mark leads, what a step that failed leaves."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from omni.families.minicpm_o.state import Answer, Offer, State, later
from omni.nn.cache import KvCache
from omni.nn.sampling import TextSampling
from omni.speech.captions import Captions
from omni.text.decoding import Decoding
from omni.text.template import Standing
from omni.text.tokenizer import TextStream
from omni.text.window import Ledger
from omni.types import Reply, Tool, ToolOutput, Unit, Word

PROMPT = 4
SHADE = np.full((2, 2, 3), 7, np.uint8)
TOOL = Tool("lamp", "Switches it.", "{}")


class Letters:
    """A tokenizer whose ids are bytes."""

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode(errors="replace")


def filled(n: int) -> KvCache:
    cache = KvCache(1, 1, 2, 64)
    cache.write(0, 0, torch.zeros(1, n, 2), torch.zeros(1, n, 2))
    return cache


def fed(state: State, n: int) -> None:
    state.cache.write(0, state.cache.length, torch.zeros(1, n, 2), torch.zeros(1, n, 2))


def opened() -> State:
    return State(filled(PROMPT), Ledger(PROMPT), draw=lambda scores: scores)


def answer(reply: Reply | None = None) -> Answer:
    """ "Hi there, é" in six ids, one of them half a letter; its opening is at 10, its ids from 13 on, all but the last
    are in the cache. Of its 2 s of sound each word takes a second."""
    said = Answer(reply or Reply(), TextStream(Letters()), begun_at=10, before="user")
    said.first_id_at, said.n_fed, said.ends = 13, 5, [2, 5, 8, 9, 9, 11]
    said.words, said.captions = (Word("Hi", 0.0), Word(" there, é", 1.0)), Captions(sound_s=2.0)
    said.completed = True
    return said


@pytest.mark.parametrize(
    ("heard_s", "n_kept", "span"),
    [
        (0.0, 0, (10, 18)),  # not a word: it is as if nothing had been asked
        (0.6, 1, (14, 18)),
        (1.4, 1, (14, 18)),  # half of a word is none
        (1.6, 6, (18, 18)),  # all of it, also what has not been fed yet
    ],
)
def test_a_cut_keeps_the_words_that_were_heard(heard_s: float, n_kept: int, span: tuple[int, int]) -> None:
    said = answer()
    assert said.n_kept(heard_s) == n_kept
    assert said.cut(heard_s) == span
    assert (len(said.ends), said.n_fed) == (min(n_kept, 5), min(n_kept, 5))
    assert said.standing == {0: "user", 6: "completed"}.get(n_kept, "interrupted")
    assert said.closed


def test_the_words_of_an_answer_need_not_end_where_an_id_does() -> None:
    said = answer()
    said.words = (Word("Hi the", 0.0), Word("re, é", 1.0))
    # the id that ends after the word that was heard is let go, with the little of it that was heard
    assert said.n_kept(0.6) == 2
    # the second id holds half of a letter that was not heard
    said.ends = [2, 2, 11]
    said.words = (Word("Hi", 0.0), Word(" there, é", 1.0))
    assert said.n_kept(0.6) == 1


def test_an_answer_that_is_over_and_heard_to_its_end_is_kept_whole() -> None:
    said = answer()
    # captions are estimates: the last words may be laid beyond the sound
    said.words = (Word("Hi", 0.0), Word(" there, é", 3.0))
    assert said.n_kept(2.0) == 1
    said.close()
    assert (said.n_kept(1.6), said.n_kept(2.0)) == (1, 6)
    going_on = answer()
    going_on.words = said.words
    assert going_on.cut(2.0) == (14, 18)


def test_a_written_answer_is_cut_nowhere() -> None:
    said = answer(Reply(speaks=False))
    assert said.cut(0.0) == (18, 18)
    assert said.standing == "completed"
    empty = answer(Reply(speaks=False))
    empty.ends, empty.n_fed = [], 0
    # its opening stays: somebody was sent that it had begun
    assert empty.cut(0.0) == (13, 13)


def test_an_answer_of_which_nothing_was_fed_leaves_nothing() -> None:
    said = Answer(Reply(), TextStream(Letters()), begun_at=10, before="user")
    assert said.cut(0.0) == (10, 10)
    assert said.standing == "user"
    assert said.closed


def test_an_answer_that_has_to_be_a_call_has_nothing_to_say() -> None:
    stream = TextStream(Letters())
    for choice, speaks in (("auto", True), ("required", False), ("lamp", False), ("door", True), ("none", True)):
        assert Answer(Reply(tools=(TOOL,), tool_choice=choice), stream, 0, "user").speaks is speaks
    assert not Answer(Reply(speaks=False), stream, 0, "user").speaks


def test_a_copy_of_an_answer_goes_its_own_way() -> None:
    said = answer()
    said.decoding = Decoding(filled(1), [1], TextSampling(), lambda scores: scores, frozenset(), 9)
    twin = said.copy()
    assert twin.decoding
    twin.ends.append(12)
    twin.decoding.ids.append(5)
    half, rest = "é".encode()
    assert twin.stream.push(half) == ""
    assert (said.ends[-1], said.decoding.ids, said.stream.push(ord("a"))) == (11, [], "a")
    assert twin.stream.push(rest) == "é"


def told(standing: Standing) -> State:
    state = opened()
    state.standing, state.glimpse = standing, SHADE
    return state


def test_what_the_camera_showed_before_a_turn_is_seen_when_the_user_opens_it() -> None:
    unit, other = Unit(text="What is that?"), np.zeros((2, 2, 3), np.uint8)
    for standing in ("nothing", "completed", "interrupted"):
        assert told(standing).noted(unit).image is SHADE
    assert told("user").noted(unit).image is None
    assert told("nothing").noted(replace(unit, image=other)).image is other
    assert told("nothing").noted(replace(unit, role="assistant")).image is None
    assert told("nothing").noted(Unit(tool=ToolOutput("1", "{}"))).image is None


@pytest.mark.parametrize(
    ("unit", "standing", "texted", "waits"),
    [
        (Unit(text="Hello"), "user", True, False),
        (Unit(audio=np.zeros(4, np.float32)), "user", False, False),
        (Unit(tool=ToolOutput("1", "{}")), "user", False, True),
        (Unit(text="Hello", role="assistant"), "completed", False, True),
        (Unit(text="Be brief.", role="system"), "nothing", False, True),
    ],
)
def test_what_stands_open_after_a_unit(unit: Unit, standing: Standing, texted: bool, waits: bool) -> None:
    state = told("interrupted")
    state.audio.cache = filled(3)
    state.took(unit)
    assert (state.standing, state.texted, state.glimpse is SHADE) == (standing, texted, waits)
    # the encoder goes on within a turn of the user, and begins anew after another's words
    assert state.audio.length == (3 if unit.role == "user" else 0)


def test_a_mark_leads_back_as_often_as_it_is_used() -> None:
    state = opened()
    state.ledger.open_turn(state.cache.length)
    fed(state, 6)
    state.took(Unit(text="Hello"))
    state.answer, state.offer, state.glimpse = answer(), Offer((TOOL,), 5, 7), SHADE
    state.audio.cache = filled(3)
    mark = state.mark()
    for _ in range(2):
        fed(state, 5)
        assert state.end == 15
        state.ledger.forget(11, 13)
        state.cache.forget(11, 13)
        state.audio.clear()
        assert state.answer
        state.answer.ends.append(12)
        state.answer.cut(0.0)
        state.standing, state.texted, state.offer, state.glimpse = "completed", False, None, None
        state.rewind(mark)
        assert (state.cache.length, state.end, state.standing, state.texted) == (10, 10, "user", True)
        assert (state.audio.length, state.offer is not None, state.glimpse is SHADE) == (3, True, True)
        assert state.answer
        assert (state.answer.ends, state.answer.closed) == ([2, 5, 8, 9, 9, 11], False)


def test_a_mark_into_what_was_forgotten_meanwhile_leads_behind_the_prompt() -> None:
    state = opened()
    fed(state, 6)
    state.standing, state.answer = "user", answer()
    mark = state.mark()
    fed(state, 5)
    state.ledger.forget(PROMPT, 15)
    state.cache.forget(PROMPT, 15)
    state.rewind(mark)
    assert (state.cache.length, state.standing) == (PROMPT, "nothing")
    assert state.answer is None


def test_a_mark_behind_a_bare_prompt_keeps_what_stood_there() -> None:
    state = opened()
    state.standing = "interrupted"
    mark = state.mark()
    fed(state, 5)
    state.rewind(mark)
    assert state.standing == "interrupted"


def test_a_step_that_failed_leaves_nothing() -> None:
    state = opened()
    state.standing, state.answer = "user", answer()
    kept = state.kept()
    fed(state, 3)
    state.answer.ends.append(12)
    state.answer.close()
    state.standing = "completed"
    state.undo(kept)
    assert (state.cache.length, state.standing) == (PROMPT, "user")
    assert (state.answer.ends[-1], state.answer.closed) == (11, False)


def test_functions_are_offered_again_once_they_were_forgotten_or_are_others() -> None:
    state = opened()
    fed(state, 8)
    assert not state.offered(())
    state.offer = Offer((TOOL,), 5, 7)
    assert state.offered((TOOL,))
    assert not state.offered(())
    assert not state.offered((TOOL, TOOL))
    state.ledger.forget(4, 8)
    assert not state.offered((TOOL,))


def test_words_of_a_piece_are_counted_from_the_beginning_of_the_answer() -> None:
    assert later((Word("a", 0.0), Word("b", 0.5)), 2.0) == (Word("a", 2.0), Word("b", 2.5))
