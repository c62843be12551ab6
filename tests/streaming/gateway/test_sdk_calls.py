"""The official client's realtime.calls and client_secrets, with aiortc as the peer that it leaves to others."""

from typing import Any

import aiohttp
import pytest
from aiortc import RTCSessionDescription
from openai import AsyncOpenAI

from streaming.config import Config
from tests.grammar import check
from tests.streaming.gateway.phone import Phone
from tests.streaming.gateway.place import serving

SESSION: Any = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."}


@pytest.mark.parametrize("session", [SESSION, None], ids=["multipart", "raw"])
async def test_a_call_with_a_short_lived_secret(session: Any) -> None:
    config = Config(api_keys=("sekret",))
    async with serving(config) as place, aiohttp.ClientSession() as http:
        owner = AsyncOpenAI(api_key="sekret", base_url=f"{place.address}/v1")
        secret = await owner.realtime.client_secrets.create(session={"type": "realtime"})
        client = AsyncOpenAI(api_key=secret.value, base_url=f"{place.address}/v1")
        phone = Phone(http)
        await phone.connection.setLocalDescription(await phone.connection.createOffer())
        sdp = phone.connection.localDescription.sdp
        answer = await (
            client.realtime.calls.create(sdp=sdp, session=session) if session else client.realtime.calls.create(sdp=sdp)
        )
        assert answer.response.status_code == 201
        call_id = answer.response.headers["Location"].rpartition("/")[2]
        await phone.connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        created = await phone.until("session.created")
        assert created["session"]["instructions"] == ("Be brief." if session else "")
        content = [{"type": "input_text", "text": "hello"}]
        phone.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        phone.send("response.create", response={"output_modalities": ["text"]})
        done = await phone.until("response.done")
        assert done["response"]["output"][0]["content"][0]["text"].strip() == "You said hello ."
        check(phone.events)
        await client.realtime.calls.hangup(call_id)
        await place.empty()
        await phone.hang_up()
