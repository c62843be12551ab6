"""Speech alone on the scripted model: all of the words, in order, in passages, and an engine that stops when asked."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.types import SpeechDelta, Voice
from streaming.speech import DUE_S, Reading, Script, passages
from streaming.tdm.clock import ManualClock, settle
from streaming.tdm.jobs import Close, Job, Open, Result, Step
from streaming.tdm.pipeline import SILENCE_S, EngineError
from streaming.tdm.worker import Worker
from tests.fakes import TIMING, ScriptedModel, ScriptedState, say


class Room:
    """An engine with one text to read; it works only when work() is called."""

    def __init__(self) -> None:
        self.model = ScriptedModel()
        self.clock = ManualClock()
        self.worker: Worker[ScriptedState] = Worker(self.model, self._deliver)
        self.reading = Reading(self.worker, self.clock)
        self.results: list[Result] = []

    def _deliver(self, result: Result) -> None:
        self.results.append(result)
        self.reading.deliver(result)

    async def work(self) -> None:
        await settle()
        while self.worker.step():
            await settle()

    async def read(self, script: Script) -> list[SpeechDelta]:
        found: list[SpeechDelta] = []

        async def listen() -> None:
            found.extend([delta async for delta in self.reading.speech(script)])

        await self.until(listen)
        return found

    async def until(self, what: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.ensure_future(what())
        while not task.done():
            await self.work()
        task.result()


async def test_a_text_is_spoken_word_for_word() -> None:
    room = Room()
    speech = await room.read(Script("Good morning to all of you"))
    text = "".join(word.text for delta in speech for word in delta.words)
    assert text.strip() == "Good morning to all of you"
    sound = np.concatenate([delta.pcm for delta in speech])
    assert np.array_equal(sound, say("Good morning to all of you", TIMING.output_rate))
    assert room.reading.n_tokens == 6
    await room.work()
    assert room.model.states == []


async def test_voice_instructions_and_pace_reach_the_model() -> None:
    room = Room()
    script = Script("Hello my friends", Voice("other", language="xx"), "whisper", 0.5)
    listener = room.reading.speech(script)
    first = asyncio.ensure_future(anext(listener))
    while not first.done():
        await room.work()
    state = room.model.states[0]
    assert "open other" in room.model.log
    assert state.instructions == "whisper"
    assert state.reply is not None
    assert (state.reply.says, state.reply.speed) == ("Hello my friends", 0.5)
    await listener.aclose()
    await room.work()
    assert room.model.states == []


async def test_a_long_text_is_said_in_passages_of_one_session() -> None:
    room = Room()
    text = " ".join(f"This is sentence number {number}." for number in range(60))
    speech = await room.read(Script(text))
    assert "".join(word.text for delta in speech for word in delta.words).split() == text.split()
    assert room.model.log.count("begin") == len(list(passages(text))) > 3
    assert room.model.log.count("open default") == 1


async def test_nothing_is_made_before_it_is_asked_for() -> None:
    room = Room()
    listener = room.reading.speech(Script("one two three four five six"))
    first = asyncio.ensure_future(anext(listener))
    while not first.done():
        await room.work()
    n = len(room.results)
    await room.work()
    assert len(room.results) == n
    await listener.aclose()


async def test_who_stops_listening_stops_the_engine() -> None:
    room = Room()

    async def listen() -> None:
        await anext(room.reading.speech(Script("one two three four five six")))

    task = asyncio.ensure_future(listen())
    await settle()
    room.worker.step()  # opens
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await room.work()
    assert room.model.states == []
    assert not any(isinstance(result.job.work, Step) for result in room.results)


async def test_calls_go_first() -> None:
    room = Room()
    jobs: list[Job] = []
    submit = room.worker.submit

    def noted(job: Job) -> None:
        jobs.append(job)
        submit(job)

    room.worker.submit = noted  # type: ignore[method-assign]
    await room.read(Script("one two three"))
    urgent = [job for job in jobs if not isinstance(job.work, Close)]
    assert all(job.background for job in urgent)
    assert {job.due_s for job in urgent} == {room.clock.now_s() + DUE_S}
    # a job of a call that came later is taken first
    room.worker.submit(Job("speech", 1, 0, Open("", None), DUE_S))
    room.worker.submit(Job("call", 1, 0, Open("", None), 6.0))
    room.results.clear()
    await room.work()
    assert [result.job.session_id for result in room.results] == ["call", "speech"]


async def test_a_model_that_fails_is_told_of_and_freed() -> None:
    room = Room()
    room.model.fail = RuntimeError("out of memory")
    with pytest.raises(EngineError, match="out of memory"):
        await room.read(Script("one two"))
    await room.work()
    assert room.model.states == []


async def test_a_model_that_gives_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room()
    monkeypatch.setattr(room.model, "step", lambda phase, states: [[] for _ in states])

    async def listen() -> None:
        async for _ in room.reading.speech(Script("one")):
            pass

    task = asyncio.ensure_future(listen())
    while not task.done():
        await room.work()
        await room.clock.advance(SILENCE_S / 20)
    with pytest.raises(EngineError, match="gave nothing"):
        task.result()


@given(st.text(st.sampled_from('ab .!?\n"…。'), max_size=2_000))
def test_passages_hold_every_word_in_order_and_are_not_too_long(text: str) -> None:
    found = list(passages(text))
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(0 < len(passage) <= 900 for passage in found)


def test_passages_end_where_sentences_do() -> None:
    text = "He said: “Stop.” Then he left!\n\nA new paragraph " + "with many words " * 30 + "ends here. The end."
    assert list(passages("Short. Text.")) == ["Short. Text."]
    first, *others = passages(text)
    assert first == "He said: “Stop.” Then he left!"
    assert others[-1].endswith("The end.")
