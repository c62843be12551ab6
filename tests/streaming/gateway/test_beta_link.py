"""A client of the dialect from before GA against the server on a real port."""

from dataclasses import replace
from typing import Any

import aiohttp
import numpy as np
import pytest

from omni.types import Delta, Unit
from tests.fakes import ScriptedModel, ScriptedState, say, silence
from tests.old_grammar import check_old
from tests.streaming.gateway.place import RATE, call, encoded, serving

BY_HEADER = {"headers": {"OpenAI-Beta": "realtime=v1"}}
BY_SUBPROTOCOL = {"protocols": ("realtime", "openai-insecure-api-key.none", "openai-beta.realtime-v1")}


class Hearing(ScriptedModel):
    """Reads spelled sound that was resampled on its way."""

    def _listen(self, unit: Unit, state: ScriptedState) -> list[Delta]:
        return super()._listen(unit if unit.audio is None else replace(unit, audio=unit.audio.round(3)), state)


@pytest.mark.parametrize("how", [BY_HEADER, BY_SUBPROTOCOL], ids=["header", "subprotocol"])
async def test_a_spoken_turn_in_the_old_dialect(how: dict[str, Any]) -> None:
    async with serving(model=Hearing()) as place, aiohttp.ClientSession() as http, call(http, place, **how) as peer:
        created = await peer.until("session.created")
        assert created["session"]["modalities"] == ["audio", "text"]
        await peer.send("session.update", session={"instructions": "Be brief.", "input_audio_format": "pcm16"})
        updated = await peer.until("session.updated")
        assert updated["session"]["instructions"] == "Be brief."
        sound = np.concatenate([silence(0.3, RATE), say("hello", RATE), silence(1.0, RATE)])
        await peer.send("input_audio_buffer.append", audio=encoded(sound))
        done = await peer.until("response.done")
        assert done["response"]["output"][0]["content"][0]["type"] == "audio"
        heard = {event["type"] for event in peer.events}
        assert heard >= {"conversation.item.created", "response.audio.delta", "response.audio_transcript.done"}
        check_old(peer.events)


async def test_what_the_dialect_does_not_know_is_refused_and_the_call_goes_on() -> None:
    async with serving() as place, aiohttp.ClientSession() as http, call(http, place, **BY_HEADER) as peer:
        await peer.until("session.created")
        await peer.send("session.update", session={"output_modalities": ["text"]}, event_id="e1")
        refused = await peer.until("error")
        assert (refused["error"]["code"], refused["error"]["event_id"]) == ("unknown_parameter", "e1")
        await peer.send("session.update", session={"modalities": ["text"]})
        assert (await peer.until("session.updated"))["session"]["modalities"] == ["text"]
        content = [{"type": "input_text", "text": "hello"}]
        await peer.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        await peer.send("response.create")
        await peer.until("response.done")
        check_old(peer.events)


async def test_others_speak_as_today() -> None:
    async with serving() as place, aiohttp.ClientSession() as http, call(http, place, protocols=("realtime",)) as peer:
        assert (await peer.until("session.created"))["session"]["type"] == "realtime"
