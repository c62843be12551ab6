"""Secrets asked for over HTTP and shown where a key is."""

import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI

from streaming.config import Config
from streaming.events import Closed
from streaming.gateway.listening import listening
from streaming.gateway.server import Gateway
from streaming.tdm.clock import ManualClock, SystemClock
from tests.streaming.gateway.breaks import back, drop, refused
from tests.streaming.gateway.place import Place, call, serving

KEY = {"Authorization": "Bearer sekret"}
SESSION = {
    "type": "realtime",
    "model": "gpt-realtime",
    "instructions": "Speak like a pirate.",
    "output_modalities": ["text"],
    "audio": {"input": {"turn_detection": None}, "output": {"voice": "other"}},
}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


async def ask(http: aiohttp.ClientSession, place: Place, body: Any, **how: Any) -> tuple[int, Any]:
    path = how.pop("path", "client_secrets")
    async with http.post(f"{place.realtime}/{path}", json=body, headers=how.pop("headers", KEY), **how) as reply:
        return reply.status, await reply.json()


async def test_the_official_client_bakes_a_session_into_a_secret_and_calls_with_it() -> None:
    async with serving(Config(api_keys=("sekret",))) as place:
        owner = AsyncOpenAI(api_key="sekret", base_url=f"{place.address}/v1")
        made = await owner.realtime.client_secrets.create(session=SESSION, expires_after={"seconds": 60})  # type: ignore[arg-type]
        assert made.value.startswith("ek_")
        assert 50 < made.expires_at - time.time() <= 60
        assert made.session.to_dict()["instructions"] == "Speak like a pirate."
        browser = AsyncOpenAI(api_key=made.value, base_url=f"{place.address}/v1")
        async with browser.realtime.connect(model="gpt-realtime") as connection:
            created = (await connection.recv()).to_dict()["session"]
        assert isinstance(created, dict)
        assert created["instructions"] == "Speak like a pirate."
        assert created["output_modalities"] == ["text"]
        assert created["audio"]["input"]["turn_detection"] is None
        assert created["audio"]["output"]["voice"] == "other"
        await place.empty()
        assert "open other" in place.model.log


async def test_what_was_baked_in_holds_for_the_model_and_can_be_changed(http: aiohttp.ClientSession) -> None:
    async with serving() as place:  # a server that is open hands out secrets too
        _, made = await ask(http, place, {"session": SESSION}, headers={})
        async with call(http, place, protocols=("realtime", f"openai-insecure-api-key.{made['value']}")) as peer:
            await peer.until("session.created")
            assert await peer.ask("Hello") == "You said Hello ."
            assert place.model.states[0].instructions == "Speak like a pirate."
            await peer.send("session.update", session={"instructions": "Speak plainly."})
            updated = (await peer.until("session.updated"))["session"]
            assert (updated["instructions"], updated["output_modalities"]) == ("Speak plainly.", ["text"])


async def test_who_calls_with_a_characters_secret_is_greeted_by_it(http: aiohttp.ClientSession) -> None:
    async with serving() as place:
        status, refused = await ask(http, place, {"session": {"prompt": {"id": "nobody"}}}, headers={})
        assert (status, refused["error"]["code"]) == (400, "prompt_not_found")
        _, made = await ask(http, place, {"session": {"prompt": {"id": "captain-marlow"}}}, headers={})
        assert made["session"]["prompt"]["id"] == "captain-marlow"
        async with call(http, place, protocols=("realtime", f"openai-insecure-api-key.{made['value']}")) as peer:
            said = (await peer.until("response.output_audio_transcript.delta"))["delta"].split()
            assert place.model.replies[0].says
            assert said == place.model.replies[0].says.split()[: len(said)]
            assert "Captain Marlow" in place.model.states[0].instructions


async def test_who_calls_with_the_secret_of_a_character_that_is_gone_is_told_so(http: aiohttp.ClientSession) -> None:
    async with serving() as place:
        await http.post(f"{place.address}/v1/characters", json={"name": "Ada", "who": "You are Ada."})
        _, made = await ask(http, place, {"session": {"prompt": {"id": "ada"}}}, headers={})
        await http.delete(f"{place.address}/v1/characters/ada")
        async with call(http, place, headers={"Authorization": f"Bearer {made['value']}"}) as peer:
            code, reason = await peer.closed()
        assert [event["error"]["code"] for event in peer.events] == ["prompt_not_found"]
        assert code == 1008  # a client does not try again by itself
        assert "no character 'ada'" in reason
        await place.empty()


async def test_a_secret_expires_on_the_clock(http: aiohttp.ClientSession) -> None:
    clock = ManualClock()
    async with serving(Config(api_keys=("sekret",)), clock=clock) as place:
        _, made = await ask(http, place, {"expires_after": {"anchor": "created_at", "seconds": 10}})
        secret = {"Authorization": f"Bearer {made['value']}"}
        async with call(http, place, headers=secret) as peer:
            await peer.until("session.created")
            await clock.advance(11)
            async with call(http, place, headers=secret) as late:
                assert (await late.closed())[0] == 1008
            await peer.send("response.cancel")  # a call that has begun goes on
            assert await peer.until("error")


async def test_a_lost_call_is_gone_on_with_though_its_secret_has_expired(http: aiohttp.ClientSession) -> None:
    clock = ManualClock()
    async with serving(Config(api_keys=("sekret",)), clock=clock) as place:
        _, made = await ask(http, place, {"expires_after": {"seconds": 10}})
        secret = {"Authorization": f"Bearer {made['value']}"}
        async with call(http, place, headers=secret) as peer:
            await peer.until("session.created")
            drop(peer)
        await clock.advance(11)
        async with back(http, place, peer, headers=secret) as again:
            await again.until("session.resumed")
            assert await again.ask("Hello") == "You said Hello ."
            async with call(http, place, headers=secret) as other:
                assert (await other.closed())[0] == 1008  # it begins nothing new
            await ask(http, place, {})  # what has expired is forgotten now, but not by the call
            drop(again)
        async with back(http, place, again, headers=secret) as third:
            await third.until("session.resumed")
            place.gateway._calls[third.events[-1]["session"]["id"]].end(Closed("client", "over"))
            await third.closed()
        await place.empty()
        async with back(http, place, third, headers=secret) as late:
            assert await refused(late) == "invalid_api_key"


async def test_a_secret_has_the_limits_of_its_key(http: aiohttp.ClientSession) -> None:
    async with serving(Config(api_keys=("sekret:sessions=1", "other"))) as place:
        _, made = await ask(http, place, {})
        async with call(http, place, headers=KEY) as peer:
            await peer.until("session.created")
            async with call(http, place, headers={"Authorization": f"Bearer {made['value']}"}) as second:
                assert (await second.closed())[0] == 1013
            assert second.events[-1]["retry_after_s"] > 0
            async with call(http, place, headers={"Authorization": "Bearer other"}) as third:
                await third.until("session.created")


async def test_a_secret_makes_no_other(http: aiohttp.ClientSession) -> None:
    async with serving() as place:
        _, made = await ask(http, place, {})
        status, reply = await ask(http, place, {}, headers={"Authorization": f"Bearer {made['value']}"})
        assert (status, reply["error"]["code"]) == (403, "key_needed")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "now"}}, "expires_after.anchor"),
        ({"session": []}, "session"),
        ({"session": {"type": "transcription"}}, "session.type"),
        ({"session": {"audio": {"output": {"voice": "nobody"}}}}, "session.audio.output.voice"),
        ({"sesion": {}}, "sesion"),
        ([], None),
    ],
)
async def test_what_is_wrong_is_said_when_the_secret_is_made(
    http: aiohttp.ClientSession, body: Any, param: str | None
) -> None:
    async with serving() as place:
        status, reply = await ask(http, place, body)
        assert status == 400
        assert reply["error"]["param"] == param


async def test_without_a_key_or_from_a_strangers_page_there_is_none(http: aiohttp.ClientSession) -> None:
    async with serving(Config(api_keys=("sekret",))) as place:
        assert (await ask(http, place, {}, headers={}))[0] == 401
        assert (await ask(http, place, {}, headers={**KEY, "Origin": "https://evil.example"}))[0] == 403


async def test_before_the_models_are_warm_the_answer_is_to_wait(http: aiohttp.ClientSession) -> None:
    gateway = Gateway(Config(), None, SystemClock())
    async with (
        listening(gateway, "127.0.0.1", 0) as address,
        http.post(f"{address}/v1/realtime/client_secrets") as reply,
    ):
        assert reply.status == 503


async def test_older_clients_ask_in_their_own_way(http: aiohttp.ClientSession) -> None:
    async with serving() as place:
        flat = {"model": "gpt-4o-realtime-preview", "voice": "other", "instructions": "Be brief."}
        status, made = await ask(http, place, flat, path="sessions", headers={})
        assert (status, made["voice"], made["instructions"]) == (200, "other", "Be brief.")
        assert made["client_secret"]["expires_at"] > time.time()
        headers = {"Authorization": f"Bearer {made['client_secret']['value']}"}
        async with call(http, place, headers=headers) as peer:
            assert (await peer.until("session.created"))["session"]["instructions"] == "Be brief."
        assert (await ask(http, place, {"voise": "other"}, path="sessions"))[0] == 400
