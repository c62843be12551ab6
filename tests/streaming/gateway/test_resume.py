"""Connections that break in the middle of a call, and others that take their place."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import numpy as np
import pytest

from streaming.config import Config
from streaming.gateway import resume
from streaming.gateway.resume import Passes, session_of
from streaming.tdm.clock import ManualClock
from tests.fakes import say, silence
from tests.grammar import check
from tests.streaming.gateway.breaks import (
    ANSWER,
    Listening,
    back,
    drop,
    refused,
    seq,
    sound,
    spoken,
    talking,
    token,
    until_spoken,
)
from tests.streaming.gateway.place import RATE, Peer, call, encoded, serving

LONG = " ".join(f"word{n}" for n in range(20))
PACKET = RATE // 50


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


# ---------------------------------------------------------------- the call goes on


async def test_an_answer_goes_on_where_the_connection_broke(http: aiohttp.ClientSession) -> None:
    async with serving(model=talking()) as place:
        async with call(http, place) as first:
            await first.send("response.create")
            await until_spoken(first, 2)
            drop(first)
        assert place.gateway.n_calls == 1
        async with back(http, place, first) as second:
            resumed = await second.until("session.resumed")
            done = await second.until("response.done")
            assert await second.ask("still there") == ANSWER
        trace = [*first.events, *second.events]
        check(trace)
        assert spoken(trace) == ANSWER
        assert done["response"]["status"] == "completed"
        assert resumed["session"]["id"] == first.events[0]["session"]["id"]
        assert resumed["omni"]["received_client_events"] == 1
        await place.empty()


async def test_the_answer_waits_for_its_listener(http: aiohttp.ClientSession) -> None:
    async with serving(model=talking(LONG)) as place:
        async with call(http, place) as first:
            await first.send("response.create")
            await until_spoken(first, 1)
            drop(first)
        await asyncio.sleep(1.2)
        async with back(http, place, first) as second:
            await second.until("session.resumed")
            missed = spoken(second.events).split()
            # what had been sent when it broke, and one piece of sound more: no second of sound went into the void
            pieces = [event for event in second.events if event["type"] == "response.output_audio.delta"]
            assert len(pieces) < 10, missed


async def test_an_answer_is_over_when_it_was_heard_and_not_while_nobody_is_there(http: aiohttp.ClientSession) -> None:
    async with serving(model=talking()) as place:
        async with call(http, place) as first:
            await first.send("response.create")
            while len(sound(first.events)) < len(say(ANSWER, RATE)):
                await first.until("response.output_audio.delta")
            drop(first)  # all of it was sent, and half a second of it is still to be heard
        await asyncio.sleep(0.8)
        async with back(http, place, first) as second:
            await second.until("response.done")
        types = [event["type"] for event in second.events]
        assert types.index("session.resumed") < types.index("response.done")


async def test_what_was_lost_on_its_way_to_the_client_is_sent_again(http: aiohttp.ClientSession) -> None:
    async with serving(model=talking()) as place:
        async with call(http, place) as first:
            await first.send("response.create")
            await first.until("response.created")
            had = len(first.events)
            await until_spoken(first, 3)
            drop(first)
        lost = first.events[had:]
        del first.events[had:]
        async with back(http, place, first) as second:
            await second.until("response.done")
        assert second.events[: len(lost)] == lost
        check([*first.events, *second.events])
        assert spoken([*first.events, *second.events]) == ANSWER


async def test_a_question_that_the_break_divides_is_heard_whole(http: aiohttp.ClientSession) -> None:
    model = Listening()
    question = np.concatenate([say("what time is it in the city of rome", RATE), silence(2.0, RATE)])
    packets = [question[begin : begin + PACKET] for begin in range(0, len(question), PACKET)]
    async with serving(model=model) as place:
        async with call(http, place) as first:
            await first.until("session.created")
            for packet in packets[:50]:
                await first.send("input_audio_buffer.append", audio=encoded(packet))
            await first.until("input_audio_buffer.speech_started")
            drop(first)
        async with back(http, place, first) as second:
            resumed = await second.until("session.resumed")
            for packet in packets[resumed["omni"]["received_client_events"] :]:
                await second.send("input_audio_buffer.append", audio=encoded(packet))
            heard = await second.until("conversation.item.input_audio_transcription.completed")
            await second.until("response.done")
        assert heard["transcript"] == "what time is it in the city of rome"
        trace = [*first.events, *second.events]
        check(trace)
        assert sum(event["type"] == "input_audio_buffer.speech_started" for event in trace) == 1


async def test_a_connection_that_only_looks_alive_gives_way(http: aiohttp.ClientSession) -> None:
    async with serving(model=talking()) as place, call(http, place) as first:
        await first.send("response.create")
        await until_spoken(first, 2)
        await asyncio.sleep(0.3)  # the server talks on, to nobody
        async with back(http, place, first) as second:
            await second.until("response.done")
            assert spoken([*first.events, *second.events]) == ANSWER
            known = len(first.events)
            code, reason = await first.closed()
            assert (code, reason) == (1000, "the call goes on over another connection")
            # what still went to the first went to the second too
            assert first.events[known:] == second.events[: len(first.events) - known]
            assert place.gateway.n_calls == 1


async def test_a_call_survives_one_break_after_another(http: aiohttp.ClientSession) -> None:
    async with serving(model=talking(f"{LONG[:41]} {ANSWER}")) as place:
        async with call(http, place) as peer:
            await peer.send("response.create")
            await until_spoken(peer, 1)
            drop(peer)
        trace = peer.events
        for _ in range(4):
            async with back(http, place, peer) as peer:
                await peer.until("session.resumed")
                await peer.until("response.output_audio.delta")
                drop(peer)
            trace = [*trace, *peer.events]
        async with back(http, place, peer) as peer:
            await peer.until("response.done")
        check([*trace, *peer.events])
        assert spoken([*trace, *peer.events]) == f"{LONG[:41]} {ANSWER}"


async def test_heartbeats_are_answered_and_acknowledged_events_are_let_go(http: aiohttp.ClientSession) -> None:
    async with serving() as place:
        async with call(http, place) as first:
            await first.send("session.heartbeat")
            await first.until("session.heartbeat_ack")
            await first.send("event_ack", server_event_seq=seq(first))
            await first.send("session.heartbeat")
            await first.until("session.heartbeat_ack")
            await first.send("event_ack")
            assert (await first.until("error"))["error"]["code"] == "missing_required_parameter"
            drop(first)
        wanted = {"resume_token": token(first), "last_event_seq": 1}
        async with back(http, place, first, say=wanted) as second:
            assert await refused(second) == "resume_events_gone"
        await place.empty()


# ---------------------------------------------------------------- whose call it is


async def test_a_token_is_good_once(http: aiohttp.ClientSession) -> None:
    async with serving() as place:
        async with call(http, place) as first:
            await first.until("session.created")
            drop(first)
        async with back(http, place, first) as second:
            await second.until("session.resumed")
            await second.ask("hello")
            drop(second)
        async with back(http, place, first) as thief:
            assert await refused(thief) == "resume_token_unknown"
        async with back(http, place, second) as third:
            await third.until("session.resumed")


async def test_a_token_stays_good_until_the_next_one_has_arrived(http: aiohttp.ClientSession) -> None:
    async with serving() as place:
        async with call(http, place) as first:
            await first.until("session.created")
            drop(first)
        async with back(http, place, first) as second:
            drop(second)
        async with back(http, place, first) as third:
            await third.until("session.resumed")
            assert await third.ask("hello") == "You said hello ."


async def test_a_token_reaches_no_other_call(http: aiohttp.ClientSession) -> None:
    keys = {"Authorization": "Bearer first"}, {"Authorization": "Bearer second"}
    async with (
        serving(Config(api_keys=("first", "second"))) as place,
        call(http, place, headers=keys[0]) as mine,
        call(http, place, headers=keys[1]) as theirs,
    ):
        await mine.until("session.created")
        await theirs.until("session.created")
        mixed = f"{session_of(token(theirs))}.{token(mine).partition('.')[2]}"
        for bad in (mixed, token(mine), "sess_1.x", "x", "é"):
            wanted = {"resume_token": bad, "last_event_seq": 1}
            async with back(http, place, mine, say=wanted, headers=keys[1]) as thief:
                assert await refused(thief) == "resume_token_unknown"
        async with back(http, place, mine) as nobody:
            assert await refused(nobody) == "invalid_api_key"
        assert await mine.ask("hello") == "You said hello ."
        assert await theirs.ask("hello") == "You said hello ."


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "response.create"}, "session_not_open"),
        ({"type": "session.resume", "last_event_seq": 1}, "missing_required_parameter"),
        ({"type": "session.resume", "resume_token": "x"}, "missing_required_parameter"),
        ({"type": "session.resume", "resume_token": "x", "last_event_seq": "1"}, "invalid_type"),
        ({"type": "session.resume", "resume_token": "x", "last_event_seq": -1}, "invalid_value"),
    ],
)
async def test_what_does_not_say_which_call_is_refused(
    http: aiohttp.ClientSession, message: dict[str, Any], code: str
) -> None:
    async with serving() as place, http.ws_connect(f"{place.realtime}?resume=1") as connection:
        await connection.send_json(message)
        assert await refused(Peer(connection)) == code


async def test_a_connection_that_says_nothing_does_not_stay(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "PATIENCE_S", 0.05)
    async with serving() as place, http.ws_connect(f"{place.realtime}?resume=1") as connection:
        code, reason = await Peer(connection).closed()
        assert (code, "which call" in reason) == (1000, True)


async def test_connections_that_say_nothing_yet_are_bounded_and_those_that_leave_make_room(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "MOST_ARRIVING", 1)
    async with serving() as place, call(http, place) as first:
        await first.until("session.created")
        drop(first)
        url = f"{place.realtime}?resume=1"
        async with http.ws_connect(url), http.ws_connect(url) as connection:
            assert await refused(Peer(connection)) == "rate_limit_exceeded"
        async with back(http, place, first) as second:
            await second.until("session.resumed")


async def test_to_come_back_is_no_message_for_a_call_under_way(http: aiohttp.ClientSession) -> None:
    async with serving() as place, call(http, place) as peer:
        await peer.until("session.created")
        await peer.send("session.resume", resume_token=token(peer), last_event_seq=1)
        assert (await peer.until("error"))["error"]["code"] == "invalid_event_for_transport"


async def test_no_token_is_ever_logged(http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as place:
        async with call(http, place) as first:
            await first.until("session.created")
            drop(first)
        async with back(http, place, first) as second:
            await second.until("session.resumed")
        async with back(http, place, first) as third:
            await refused(third)
        await place.empty()
    assert "another connection" in caplog.text
    for peer in (first, second):
        assert token(peer).partition(".")[2] not in caplog.text


# ---------------------------------------------------------------- the end


async def test_a_call_that_nobody_comes_back_to_ends_and_gives_its_place_away(http: aiohttp.ClientSession) -> None:
    clock = ManualClock()
    async with serving(Config(max_sessions=1, resume_within_s=20), clock=clock) as place:
        async with call(http, place) as first:
            created = await first.until("session.created")
            assert created["omni"]["resume_within_s"] == 20
            drop(first)
        async with call(http, place) as second:
            assert (await second.closed())[0] == 1013
        async with asyncio.timeout(20):
            while place.gateway.n_calls:  # until the loss was noticed, there is nothing to wait for
                await clock.advance(1.0)
                await asyncio.sleep(0.005)
        await place.empty()
        async with back(http, place, first) as late:
            assert await refused(late) == "resume_token_unknown"
        async with call(http, place) as third:
            assert await third.ask("hello") == "You said hello ."
        async with http.get(f"{place.address}/metrics") as reply:
            assert 'omni_sessions_closed_total{reason="lost"} 1' in await reply.text()


@pytest.mark.parametrize("leave", [lambda socket: socket.close(), lambda socket: socket.close(code=1001)])
async def test_a_goodbye_ends_the_call_at_once(http: aiohttp.ClientSession, leave: Callable[[Any], Any]) -> None:
    async with serving(Config(resume_within_s=3600), talking()) as place:
        async with call(http, place) as first:
            await first.send("response.create")
            await until_spoken(first, 1)
            await leave(first.socket)
        await place.empty()
        async with back(http, place, first) as second:
            assert await refused(second) == "resume_token_unknown"


async def test_a_connection_that_was_given_up_is_no_goodbye(http: aiohttp.ClientSession) -> None:
    async with serving() as place:
        async with call(http, place) as first:
            await first.until("session.created")
            await first.socket.close(code=4000)
        async with back(http, place, first) as second:
            await second.until("session.resumed")


async def test_a_server_that_stops_waits_for_nobody(http: aiohttp.ClientSession) -> None:
    async with serving(Config(resume_within_s=3600), talking()) as place:
        async with call(http, place) as first:
            await first.send("response.create")
            await until_spoken(first, 1)
            drop(first)
        async with asyncio.timeout(20):
            await place.gateway.stop()
        assert not place.gateway.n_calls
        assert not place.model.states
    async with serving() as place, back(http, place, first) as second:
        assert await refused(second) == "resume_token_unknown"


def test_passes_hold_two_at_most() -> None:
    passes = Passes("sess_1")
    tokens = [passes.issue() for _ in range(3)]
    assert [passes.admits(one) for one in tokens] == [False, True, True]
    passes.received()
    assert [passes.admits(one) for one in tokens] == [False, False, True]
    assert session_of(tokens[0]) == "sess_1"
