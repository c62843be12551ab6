"""What keys allow, seen from the client: refusals with advice, announced ends, and nothing of a key in the log."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator

import aiohttp
import pytest

from streaming.config import Config
from streaming.gateway import term
from streaming.tdm.clock import ManualClock
from tests.fakes import ScriptedModel
from tests.grammar import check
from tests.streaming.gateway.phone import Phone
from tests.streaming.gateway.place import RATE, Peer, Place, call, serving

A, B = {"Authorization": "Bearer sekret-a"}, {"Authorization": "Bearer sekret-b"}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


def errors(peer: Peer) -> list[str]:
    return [event["error"]["code"] for event in peer.events if event["type"] == "error"]


async def test_one_keys_calls_leave_the_others_their_own(http: aiohttp.ClientSession) -> None:
    async with serving(Config(api_keys=("sekret-a:sessions=1", "sekret-b"))) as place:
        async with call(http, place, headers=A) as first:
            await first.until("session.created")
            async with call(http, place, headers=A) as second:
                code, reason = await second.closed()
            assert (code, errors(second)) == (1013, ["session_limit_reached"])
            assert second.events[-1]["retry_after_s"] > 0
            assert "1 call" in reason
            async with call(http, place, headers=B) as third:
                await third.until("session.created")
        await place.empty()
        async with call(http, place, headers=A) as fourth:
            await fourth.until("session.created")


async def test_minutes_end_a_call_with_warning_and_refuse_the_next(http: aiohttp.ClientSession) -> None:
    clock = ManualClock()
    async with serving(Config(api_keys=("sekret-a:minutes=2", "sekret-b")), clock=clock) as place:
        async with call(http, place, headers=A) as peer:
            await peer.until("session.created")
            await clock.advance(60.5)
            first = await peer.until("session.go_away")
            await clock.advance(50)
            second = await peer.until("session.go_away")
            assert (first["seconds_left"], second["seconds_left"]) == (60, 10)
            await clock.advance(10)
            code, reason = await peer.closed()
            assert (code, errors(peer)) == (1008, ["insufficient_quota"])
            assert "after midnight" in reason
            check(peer.events)
            assert 0 < peer.events[-1]["retry_after_s"] <= 24 * 3600
        await place.empty()
        async with call(http, place, headers=A) as late:
            assert (await late.closed())[0] == 1008
            assert errors(late) == ["insufficient_quota"]
        async with call(http, place, headers=B) as other:
            await other.until("session.created")


async def test_an_answer_under_way_is_heard_to_its_end(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    # this clock does not wait for the engine, which has a thread of its own and may be slow
    monkeypatch.setattr(term, "GRACE_S", 1e6)
    clock = ManualClock()
    model = ScriptedModel(answer=lambda state, text: "one two three four five six seven eight nine ten .")
    async with serving(Config(max_session_s=20), model, clock) as place, call(http, place) as peer:
        await peer.until("session.created")
        await clock.advance(19)
        content = [{"type": "input_text", "text": "Count"}]
        await peer.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await peer.send("response.create")
        closing = asyncio.create_task(peer.closed())
        while not closing.done():
            await clock.advance(0.1)
            await asyncio.sleep(0.005)
        assert closing.result()[0] == 1001
    check(peer.events)
    kinds = [event["type"] for event in peer.events]
    done = next(event for event in peer.events if event["type"] == "response.done")
    assert done["response"]["status"] == "completed"
    assert kinds.index("response.done") < kinds.index("session.closed")
    sound = [
        base64.b64decode(event["delta"]) for event in peer.events if event["type"] == "response.output_audio.delta"
    ]
    assert len(b"".join(sound)) / 2 / RATE > 2.4


async def test_of_several_offers_for_one_place_one_gets_it(http: aiohttp.ClientSession) -> None:
    async with serving(Config(api_keys=("sekret-a:sessions=1",), resume_within_s=0)) as place:
        phones = [Phone(http) for _ in range(3)]
        calls = (phone.dial(f"{place.realtime}/calls", headers=A) for phone in phones)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        refused = [str(answer) for answer in answers if answer is not None]
        assert len(refused) == 2
        assert all("session_limit_reached" in answer for answer in refused)
        assert place.gateway.n_calls == 1
        await phones[answers.index(None)].until("session.created")
        for phone in phones:
            await phone.hang_up()
        await place.empty()


async def test_a_call_is_hung_up_by_its_own_key_or_secret_and_by_nobody_else(http: aiohttp.ClientSession) -> None:
    async with serving(Config(api_keys=("sekret-a", "sekret-b"))) as place:
        mine, another = [await secret(http, place, A, {"instructions": "Be brief."}) for _ in range(2)]
        theirs = await secret(http, place, B, {})
        for right in (A, mine):
            phone = Phone(http)
            await phone.dial(f"{place.realtime}/calls", headers=mine)
            created = await phone.until("session.created")
            assert created["session"]["instructions"] == "Be brief."
            for wrong in (B, another, theirs):
                async with http.post(f"{place.address}{phone.location}/hangup", headers=wrong) as response:
                    assert response.status == 404
            async with http.post(f"{place.address}{phone.location}/hangup", headers=right) as response:
                assert response.status == 200
            await phone.until("session.closed")
            await phone.hang_up()


async def secret(
    http: aiohttp.ClientSession, place: Place, key: dict[str, str], session: dict[str, str]
) -> dict[str, str]:
    async with http.post(f"{place.realtime}/client_secrets", json={"session": session}, headers=key) as response:
        return {"Authorization": f"Bearer {(await response.json())['value']}"}


async def test_the_log_names_the_key_and_never_shows_it(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(Config(api_keys=("sekret-a:name=ann:sessions=1", "sekret-b"))) as place:
        async with call(http, place, headers=A) as peer:
            await peer.until("session.created")
            async with call(http, place, headers=A) as refused:
                await refused.closed()
            async with call(http, place, protocols=("realtime", "openai-insecure-api-key.sekret-b")) as other:
                await other.until("session.created")
            async with call(http, place, headers={"Authorization": "Bearer sekret-wrong"}) as stranger:
                await stranger.closed()
        await place.empty()
    assert "as ann" in caplog.text
    assert "as key2" in caplog.text
    assert "sekret" not in caplog.text
    assert "sekret" not in str([one.events for one in (peer, refused, other, stranger)])
