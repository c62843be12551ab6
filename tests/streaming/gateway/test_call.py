"""A call over links that a test holds in its hand, on a manual clock: who speaks first, and to whom."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from streaming.commands import Heard
from streaming.company.catalogue import Character
from streaming.events import Closed, Event
from streaming.gateway.access import Access
from streaming.gateway.call import Call, Shared
from streaming.gateway.link import LinkEndedError
from streaming.gateway.term import Term
from streaming.gateway.wire.connection import Resume
from streaming.gateway.wire.fields import WireError
from streaming.gateway.wire.realtime import WEBSOCKET, Carriage
from streaming.tdm.clock import ManualClock, settle
from streaming.tdm.jobs import Result
from streaming.tdm.worker import Worker
from tests.cast import Cast
from tests.fakes import LevelActivity, ScriptedModel, ScriptedState
from tests.grammar import check
from tests.streaming.gateway.phone import ringing
from tests.streaming.gateway.place import serving

GREETING = "one two three four five six"


class Wire:
    """A link whose other end is here."""

    def __init__(self, carriage: Carriage = WEBSOCKET) -> None:
        self.carriage = carriage
        self.events: list[dict[str, Any]] = []
        self.stopped: Heard | None = None
        """where its listener did"""
        self._inbox: asyncio.Queue[bytes | Heard | LinkEndedError] = asyncio.Queue()

    def says(self, type_: str, **fields: Any) -> None:
        self._inbox.put_nowait(orjson.dumps({"type": type_, **fields}))

    def breaks(self) -> None:
        self._inbox.put_nowait(LinkEndedError(Closed("lost", "it broke"), lost=True))

    def watch(self, event: Event) -> None:
        """The client plays the sound itself."""

    def reports(self, heard: Heard) -> None:
        self._inbox.put_nowait(heard)

    async def receive(self) -> bytes | Heard:
        message = await self._inbox.get()
        if isinstance(message, LinkEndedError):
            raise message
        return message

    async def send(self, frame: bytes) -> None:
        self.events.append(orjson.loads(frame))

    async def close(self, closed: Closed, code: int | None = None) -> None:
        """Nothing is kept open."""

    def let_go(self) -> Heard | None:
        return self.stopped

    def abort(self) -> None:
        """Nothing is kept."""

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["type"] == type_]

    def spoken(self) -> str:
        return "".join(one["delta"] for one in self.of("response.output_audio_transcript.delta")).strip()


class Exchange:
    """An engine, a clock and one call, with somebody to choose."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.model = ScriptedModel()
        self.worker: Worker[ScriptedState] = Worker(self.model, self._deliver)
        self.cast = Cast(self.model.capabilities)
        self.cast.characters["sid"] = Character("sid", "Sid", "You are Sid .", GREETING, "other")
        self.pool = ThreadPoolExecutor(1)
        self.calls: list[Call] = []
        self._tasks: list[asyncio.Task[None]] = []

    def _deliver(self, result: Result) -> None:
        for call in self.calls:
            call.session.deliver(result)

    def call(self, chosen: Mapping[str, Any]) -> Call:
        shared = Shared(self.worker, self.clock, self.pool, LevelActivity, 60.0, 10.0, 30.0)
        caller = Access((), self.clock).identify(())
        assert caller is not None
        term = Term(self.clock, 3_600.0, caller.account.enter())
        call = Call("sess_1", shared, term, model_alias=None, chosen=chosen, watchers=(), catalogue=self.cast)
        self.calls.append(call)
        return call

    async def opened(self, chosen: Mapping[str, Any]) -> Call:
        call = self.call(chosen)
        await call.open()
        self._tasks.append(asyncio.create_task(call.live()))
        return call

    def carry(self, call: Call, link: Wire) -> None:
        self._tasks.append(asyncio.create_task(call.carry(link)))

    def resume(self, call: Call, link: Wire, resume: Resume) -> None:
        self._tasks.append(asyncio.create_task(call.resume(link, resume)))

    async def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            await settle()
            while self.worker.step():
                await settle()
            await self.clock.advance(0.02)

    async def leave(self) -> None:
        for call in self.calls:
            call.end(Closed("client", "over"))
        await asyncio.gather(*self._tasks)
        self.pool.shutdown()


@asynccontextmanager
async def scene() -> AsyncIterator[Exchange]:
    place = Exchange()
    yield place
    await place.leave()


async def test_a_character_chosen_with_the_call_speaks_first_once_a_link_carries_it() -> None:
    async with scene() as place:
        call, link = await place.opened({"prompt": {"id": "sid"}}), Wire()
        await place.wait(2.0)
        assert not place.model.replies, "nobody would hear it"
        place.carry(call, link)
        await place.wait(3.0)
        assert link.events[0]["session"]["prompt"]["id"] == "sid"
        assert link.spoken() == GREETING
    check(link.events)


async def test_a_greeting_that_a_break_divides_is_heard_whole_and_only_once() -> None:
    async with scene() as place:
        call, first, second = await place.opened({"prompt": {"id": "sid"}}), Wire(), Wire()
        place.carry(call, first)
        await place.wait(0.5)
        first.breaks()
        await place.wait(1.0)
        latest = first.events[-1]["server_event_seq"]
        place.resume(call, second, Resume(first.events[0]["omni"]["resume_token"], latest))
        await place.wait(4.0)
    check([*first.events, *second.events])
    assert f"{first.spoken()} {second.spoken()}".split() == GREETING.split()
    assert len(place.model.replies) == 1


async def test_an_answer_that_was_sent_to_its_end_is_not_over_while_its_listener_stands_before_it() -> None:
    async with scene() as place:
        call = await place.opened({"prompt": {"id": "sid"}})
        first, second = Wire(Carriage(sound_apart=True, max_frame_bytes=2**18)), Wire()
        place.carry(call, first)
        await place.wait(0.7)
        first.reports(Heard(item_of(first), 0.6, 0.6))
        await place.wait(10.0)
        assert not first.of("response.done")
        first.stopped = Heard(item_of(first), 0.4, 0.4)  # it has not even heard so much
        latest = first.events[-1]["server_event_seq"]
        place.resume(call, second, Resume(first.events[0]["omni"]["resume_token"], latest))
        await place.wait(4.0)
    check([*first.events, *second.events])
    assert second.of("response.output_audio.delta")[0]["start_ms"] == 400
    assert [one["response"]["status"] for one in second.of("response.done")] == ["completed"]
    assert f"{first.spoken()} {second.spoken()}".split() == GREETING.split()


def item_of(link: Wire) -> str:
    """The answer's."""
    item_id: str = link.of("response.output_item.added")[0]["item"]["id"]
    return item_id


async def test_what_is_not_there_is_refused_before_there_is_a_call() -> None:
    async with scene() as place:
        for chosen in ({"prompt": {"id": "nobody"}}, {"audio": {"output": {"voice": "nobody"}}}):
            with pytest.raises(WireError):
                place.call(chosen)


async def test_over_webrtc_nothing_of_a_greeting_is_said_before_there_is_a_connection() -> None:
    async with serving() as place, aiohttp.ClientSession() as http:
        async with ringing(http, place, session={"prompt": {"id": "captain-marlow"}}) as phone:
            await phone.until("output_audio_buffer.stopped")
        await place.empty()
    assert phone.events[0]["session"]["prompt"]["id"] == "captain-marlow"
    (done,) = phone.of("response.done")
    said = done["response"]["output"][0]["content"][0]["transcript"].split()
    (reply,) = place.model.replies
    assert reply.says
    assert said == reply.says.split()
    assert phone.types().count("output_audio_buffer.started") == 1
