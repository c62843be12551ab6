"""Who may come in: a page of a stranger must not, whatever name it gives this machine."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from openai import AsyncOpenAI, NotFoundError

from streaming.config import Config
from tests.streaming.gateway.place import call, serving

OPEN = Config(host="omni.home", allowed_origins=("https://friend.example",))


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost:8000", True),
        ("127.0.0.1", True),
        ("[::1]:8000", True),
        ("192.168.1.7:8000", True),
        ("omni.home:8000", True),
        ("OMNI.home", True),
        ("friend.example", True),
        ("rebound.example:8000", False),
        ("localhost.rebound.example", False),
        ("friend.example.rebound.example", False),
        ("[::1", False),
        ("", False),
    ],
)
async def test_without_a_key_only_known_hosts_are_served(host: str, known: bool) -> None:
    async with (
        serving(OPEN) as place,
        aiohttp.ClientSession(headers={"Host": host}) as http,
        http.get(f"{place.address}/v1/models") as reply,
    ):
        assert reply.status == (200 if known else 403)
        if not known:
            error = (await reply.json())["error"]
            assert error["code"] == "host_not_allowed"
            assert "--allowed-origins" in error["message"]


async def test_a_page_at_a_name_that_points_here_cannot_call_though_it_is_its_own_origin() -> None:
    async with serving() as place, aiohttp.ClientSession(headers={"Host": "rebound.example"}) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with call(http, place, origin="http://rebound.example"):
                pass
        assert refused.value.status == 403


async def test_a_key_opens_under_any_name() -> None:
    headers = {"Host": "omni.example", "Authorization": "Bearer sekret"}
    async with serving(Config(api_keys=("sekret",))) as place, aiohttp.ClientSession(headers=headers) as http:
        async with http.get(f"{place.address}/v1/models") as reply:
            assert reply.status == 200
        async with call(http, place, origin="http://omni.example") as peer:
            assert await peer.until("session.created")


async def test_an_origin_that_is_no_address_is_refused_in_words() -> None:
    async with serving() as place, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with call(http, place, origin="http://[::1"):
                pass
        assert refused.value.status == 403


@pytest.mark.parametrize("origin", ["https://friend.example", "http://localhost:5173"])
async def test_a_welcome_page_from_elsewhere_may_ask_and_read(origin: str) -> None:
    config = Config(api_keys=("sekret",), allowed_origins=("https://friend.example",))
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with serving(config) as place, aiohttp.ClientSession() as http:
        async with http.options(f"{place.realtime}/calls", headers=asked) as reply:
            assert reply.status == 204
            assert reply.headers["Access-Control-Allow-Origin"] == origin
            assert reply.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
            assert "POST" in reply.headers["Access-Control-Allow-Methods"]
        for key, status in (({}, 401), ({"Authorization": "Bearer sekret"}, 200)):
            async with http.get(f"{place.address}/v1/models", headers={"Origin": origin, **key}) as reply:
                assert reply.status == status
                assert reply.headers["Access-Control-Allow-Origin"] == origin


async def test_a_stranger_s_page_may_neither_ask_nor_read() -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    async with (
        serving() as place,
        aiohttp.ClientSession() as http,
        http.options(f"{place.realtime}/calls", headers=asked) as reply,
    ):
        assert reply.status == 403
        assert "Access-Control-Allow-Origin" not in reply.headers


async def _endless() -> AsyncIterator[bytes]:
    for _ in range(32):
        yield bytes(65_536)


async def test_what_the_framework_refuses_is_told_as_what_it_is() -> None:
    async with serving() as place, aiohttp.ClientSession() as http:
        for method, path, body, status, code in (
            ("GET", "/v1/nothing", None, 404, "not_found"),
            ("GET", "/v1/audio/speech", None, 405, "method_not_allowed"),
            ("POST", "/v1/audio/speech", _endless(), 413, "request_entity_too_large"),
        ):
            async with http.request(method, place.address + path, data=body) as reply:
                assert (reply.status, (await reply.json())["error"]["code"]) == (status, code)


async def test_a_client_may_ask_for_one_model_by_its_name() -> None:
    async with serving() as place, AsyncOpenAI(api_key="none", base_url=f"{place.address}/v1") as client:
        assert [model.id async for model in client.models.list()] == ["scripted"]
        assert (await client.models.retrieve("scripted")).id == "scripted"
        with pytest.raises(NotFoundError, match=r"there is no model 'gpt/4' here; there is scripted") as caught:
            await client.models.retrieve("gpt/4")
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
