"""The life of one answer, before a scripted model that works when it is let."""

import asyncio
from typing import TypeVar

import pytest

from omni.types import Reply
from streaming.company.catalogue import BuiltIn
from streaming.events import Event, Measured, ReplyOptions, ResponseEnded, ResponseSpeech, ResponseStarted, ResponseText
from streaming.tdm.clock import ManualClock, settle
from streaming.tdm.conversation import Conversation, opening_settings
from streaming.tdm.jobs import Close, Job, MarkState, Result, Rewind, Truncate
from streaming.tdm.speaker import GUESS, Speaker
from streaming.tdm.worker import Worker
from tests.fakes import WORD_S, ScriptedModel, ScriptedState

E = TypeVar("E", bound=Event)
LEAD_S = 0.3
WORDS = "one two three four five six seven eight"


class Mouth:
    """A Speaker, the engine's jobs for it, and what it tells."""

    def __init__(self, *, transcribes: bool = True) -> None:
        model = ScriptedModel(lambda state, text: WORDS, transcribes=transcribes)
        self.timing, self.capabilities = model.timing, model.capabilities
        self.model = model
        self.worker: Worker[ScriptedState] = Worker(model, self._deliver)
        self.clock = ManualClock()
        self.jobs: list[Job] = []
        self.events: list[Event] = []
        self.over: list[str | None] = []
        self.free = asyncio.Event()
        self.free.set()
        settings = opening_settings(self.capabilities)
        self.talk = Conversation("s", self, self.clock, self, settings, BuiltIn(self.capabilities))
        self.talk.rebuild()
        self.speaker = Speaker(self.talk, self.clock, LEAD_S, self.over.append)

    def _deliver(self, result: Result) -> None:
        self.talk.pipeline.deliver(result)

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        if not isinstance(job.work, Close):
            self.worker.submit(job)

    def cancel(self, session_id: str, before_turn: int) -> None:
        self.worker.cancel(session_id, before_turn)

    def send(self, event: Event) -> None:
        self.events.append(event)

    async def drain(self) -> None:
        await self.free.wait()

    async def run(self, seconds: float = 0.0, max_steps: int = 1_000) -> None:
        await settle()
        while max_steps and self.worker.step():
            max_steps -= 1
            await settle()
        await self.clock.advance(seconds)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def back(self) -> list[object]:
        """How the model was told to go back."""
        return [job.work for job in self.jobs if isinstance(job.work, Rewind | Truncate)]


def prepared(*, speaks: bool = True, transcribes: bool = True) -> Mouth:
    mouth = Mouth(transcribes=transcribes)
    mouth.speaker.prepare(Reply(speaks=speaks), ReplyOptions())
    return mouth


async def test_an_answer_that_is_not_wanted_was_never_there() -> None:
    mouth = prepared()
    await mouth.run(1.0)
    assert (mouth.speaker.guessing, mouth.speaker.active, mouth.speaker.response_id) == (True, False, None)
    turn = mouth.talk.pipeline.turn
    mouth.speaker.discard()
    await mouth.run(1.0)
    assert not mouth.speaker.guessing
    assert (mouth.events, mouth.over, [*mouth.talk.dialogue]) == ([], [], [])
    assert mouth.back() == [Rewind(GUESS)]
    assert mouth.talk.pipeline.turn == turn + 1
    assert MarkState(GUESS) in [job.work for job in mouth.jobs]


async def test_an_answer_that_was_released_cannot_be_discarded() -> None:
    mouth = prepared()
    mouth.speaker.release(None)
    await mouth.run()
    mouth.speaker.discard()
    assert mouth.speaker.active
    assert mouth.back() == []


async def test_no_more_is_sent_than_the_lead_and_what_is_measured_is_the_first_sound() -> None:
    mouth = prepared()
    await mouth.run(2.0)
    mouth.speaker.release(1.5)
    mouth.free.clear()
    await mouth.run(0.25)
    mouth.free.set()
    await mouth.run()
    assert isinstance(mouth.events[0], ResponseStarted)
    sent_s = sum(len(event.pcm) for event in mouth.of(ResponseSpeech)) / mouth.timing.output_rate
    assert LEAD_S <= sent_s <= LEAD_S + 0.1 + 1e-6
    (measured,) = mouth.of(Measured)
    assert [round(measured.turn_latency_s, 6), round(measured.first_audio_s, 6)] == [0.75, 0.25]


async def test_only_who_was_spoken_to_is_measured() -> None:
    mouth = prepared()
    mouth.speaker.release(None)
    await mouth.run(1.0)
    assert mouth.of(ResponseSpeech)
    assert not mouth.of(Measured)


async def test_an_answer_ends_once_when_it_was_heard_to_its_end() -> None:
    mouth = prepared()
    mouth.speaker.release(None)
    total_s = WORD_S * len(WORDS.split())
    for _ in range(round(total_s / 0.1) - 1):
        await mouth.run(0.1)
    assert (mouth.over, mouth.speaker.active) == ([], True)
    await mouth.run(0.3)
    (end,) = mouth.of(ResponseEnded)
    assert (end.status, end.full_text.strip(), end.item.status, mouth.over) == ("completed", WORDS, "completed", [None])
    assert (mouth.speaker.active, mouth.speaker.item_id, mouth.back()) == (False, None, [])


async def test_an_abandoned_answer_is_cut_where_it_was_heard_and_what_follows_is_of_a_later_turn() -> None:
    mouth = prepared()
    mouth.speaker.release(None)
    for _ in range(5):
        await mouth.run(0.1)
    turn, heard_s = mouth.talk.pipeline.turn, mouth.speaker.heard_s
    assert mouth.speaker.heard_text.split() == WORDS.split()[:2]
    mouth.speaker.abandon("turn_detected")
    n_events = len(mouth.events)
    await mouth.run(3.0)
    assert len(mouth.events) == n_events
    (end,) = mouth.of(ResponseEnded)
    assert (end.status, end.reason, end.turn, end.item.status) == ("cancelled", "turn_detected", turn + 1, "incomplete")
    assert mouth.back() == [Truncate(heard_s)]
    assert mouth.model.states[-1].history[-1] == ("assistant", "one two")


async def test_an_answer_that_had_not_begun_is_taken_back_and_none_before_it_is_cut() -> None:
    for transcribes in (True, False):
        mouth = prepared(transcribes=transcribes)
        mouth.speaker.release(None)
        await settle()
        mouth.speaker.abandon("client_cancelled")
        await mouth.run()
        assert mouth.back() == ([] if transcribes else [Rewind(GUESS)])
        # the one that can be told all in words is told anew; of the other one what it heard must not be lost
        assert sum("open" in entry for entry in mouth.model.log) == (2 if transcribes else 1)


async def test_a_held_answer_goes_on_where_it_was_and_nothing_is_decoded_meanwhile() -> None:
    mouth = prepared()
    mouth.speaker.release(None)
    await mouth.run(0.1, max_steps=4)
    mouth.speaker.hold()
    assert mouth.speaker.holding
    await mouth.run(0.1, max_steps=1)
    n_jobs, n_events, heard_s = len(mouth.jobs), len(mouth.events), mouth.speaker.heard_s
    await mouth.run(5.0)
    assert (len(mouth.jobs), len(mouth.events), mouth.speaker.heard_s) == (n_jobs, n_events, heard_s)
    at_s = mouth.speaker.resume()
    assert at_s == heard_s
    assert not mouth.speaker.holding
    for _ in range(30):
        await mouth.run(0.1)
    assert [end.status for end in mouth.of(ResponseEnded)] == ["completed"]


async def test_a_report_of_another_answer_moves_nothing() -> None:
    mouth = prepared()
    mouth.speaker.release(None)
    await mouth.run(0.2)
    item_id = mouth.speaker.item_id
    assert item_id is not None
    before_s = mouth.speaker.heard_s
    assert not mouth.speaker.report("another", 0.05)
    assert mouth.speaker.heard_s == before_s
    assert mouth.speaker.report(item_id, 0.05)
    assert mouth.speaker.heard_s == pytest.approx(0.05)


async def test_a_written_answer_that_is_cut_says_what_was_sent_and_the_model_is_told_that() -> None:
    mouth = prepared(speaks=False)
    await mouth.run()
    mouth.free.clear()
    mouth.speaker.release(None)
    await mouth.run()
    mouth.speaker.abandon("client_cancelled")
    (end,) = mouth.of(ResponseEnded)
    sent = "".join(event.text for event in mouth.of(ResponseText))
    assert end.full_text == sent != WORDS
    assert mouth.talk.stale


async def test_an_answer_that_fails_ends_with_the_reason() -> None:
    mouth = prepared()
    mouth.model.fail = RuntimeError("out of memory")
    mouth.speaker.release(None)
    await mouth.run(1.0)
    (end,) = mouth.of(ResponseEnded)
    assert (end.status, len(mouth.over), mouth.speaker.active) == ("failed", 1, False)
    assert "out of memory" in str(mouth.over[0])


async def test_an_answer_that_is_given_up_leaves_nothing_running() -> None:
    for give_up in (Speaker.discard, Speaker.close, lambda speaker: speaker.abandon("client_cancelled")):
        mouth = prepared()
        if give_up is not Speaker.discard:
            mouth.speaker.release(None)
        await mouth.run(0.3, max_steps=4)
        assert len(asyncio.all_tasks()) > 1
        give_up(mouth.speaker)
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await mouth.run()
