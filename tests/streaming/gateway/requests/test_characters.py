"""Characters over HTTP: what the page and other clients see, keep and remove."""

import asyncio
import base64
import io
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from streaming.company import character_form as form
from streaming.company import characters
from streaming.config import Config
from tests.streaming.gateway.place import Place, call, serving

ADA = {
    "name": "Ada Byron",
    "who": "You are Ada.\nUser: Hello!\nYou: Hi.",
    "greeting": "Good morning.",
    "voice": "wren",
    "language": "en",
    "style": "slowly",
}


def data_url(kind: str = "PNG") -> str:
    file = io.BytesIO()
    Image.new("RGB", (64, 32), "red").save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


class Client:
    """Asks with a key."""

    def __init__(self, http: aiohttp.ClientSession, place: Place, key: str | None = None) -> None:
        self.http = http
        self._address = place.address
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def ask(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        url = self._address + (path if path.startswith("/v1/") else f"/v1/characters{path}")
        async with self.http.request(method, url, json=body, headers=self.headers) as reply:
            return reply.status, await reply.json()

    async def refused(self, method: str, path: str = "", body: Any = None) -> tuple[int, str, str | None]:
        status, answer = await self.ask(method, path, body)
        return status, answer["error"]["code"], answer["error"]["param"]

    async def ids(self, *, built_in: bool = False) -> list[str]:
        _, answer = await self.ask("GET")
        return [one["id"] for one in answer["data"] if one["built_in"] == built_in]

    async def image(self, url: str) -> tuple[int, bytes, aiohttp.ClientResponse]:
        async with self.http.get(self._address + url, headers=self.headers) as reply:
            return reply.status, await reply.read(), reply


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture
async def client(http: aiohttp.ClientSession, tmp_path: Path) -> AsyncIterator[Client]:
    async with serving(Config(data_dir=str(tmp_path))) as place:
        yield Client(http, place)


async def test_the_included_ones_are_listed_with_their_portraits(client: Client) -> None:
    status, answer = await client.ask("GET")
    assert (status, answer["object"]) == (200, "list")
    captain = next(one for one in answer["data"] if one["id"] == "captain-marlow")
    fields = {"object", "id", "name", "who", "greeting", "voice", "language", "style", "built_in", "mine", "image"}
    assert set(captain) == fields
    assert (captain["object"], captain["built_in"], captain["mine"]) == ("character", True, False)
    status, body, reply = await client.image(captain["image"])
    assert (status, reply.content_type, body[:4]) == (200, "image/svg+xml", b"<svg")
    assert "sandbox" in reply.headers["Content-Security-Policy"]
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_one_is_made_seen_changed_and_removed(client: Client) -> None:
    status, made = await client.ask("POST", body={**ADA, "image": data_url()})
    assert status == 201
    assert made.items() >= {**ADA, "id": "ada-byron", "built_in": False, "mine": True}.items()
    _, body, reply = await client.image(made["image"])
    assert (reply.content_type, body[:2]) == ("image/jpeg", b"\xff\xd8")

    status, changed = await client.ask("POST", body={**ADA, "id": "ada-byron", "greeting": "Hello.", "voice": None})
    assert (status, changed["greeting"], changed["voice"]) == (200, "Hello.", None)
    assert changed["image"], "a picture that is not spoken of stays"
    echo = {name: changed[name] for name in ("id", "image", *form.LONGEST)}
    _, same = await client.ask("POST", body=echo)
    assert same == changed
    _, plain = await client.ask("POST", body={**echo, "image": None})
    assert plain["image"] is None
    assert (await client.image(made["image"]))[0] == 404

    assert await client.ids() == ["ada-byron"]
    removed = {"id": "ada-byron", "object": "character.deleted", "deleted": True}
    assert await client.ask("DELETE", "/ada-byron") == (200, removed)
    assert await client.ids() == []
    assert await client.refused("DELETE", "/ada-byron") == (404, "character_not_found", "id")


async def test_what_is_left_out_of_a_change_stays_and_null_clears(client: Client) -> None:
    _, made = await client.ask("POST", body=ADA)
    status, changed = await client.ask("POST", body={"id": made["id"], "style": "loudly"})
    assert (status, changed) == (200, {**made, "style": "loudly"})
    _, cleared = await client.ask("POST", body={"id": made["id"], "greeting": "", "voice": None, "style": None})
    assert cleared == {**made, "greeting": "", "voice": None, "style": ""}
    assert await client.refused("POST", body={"id": made["id"], "name": None}) == (400, "name_missing", "name")
    assert await client.refused("POST", body={"id": made["id"], "who": ""}) == (400, "who_missing", "who")


async def test_a_picture_that_changes_has_another_address(client: Client) -> None:
    _, first = await client.ask("POST", body={**ADA, "image": data_url()})
    _, second = await client.ask("POST", body={**ADA, "id": first["id"], "image": data_url("JPEG")})
    assert first["image"].split("?")[0] == second["image"].split("?")[0]
    assert first["image"] != second["image"]


async def test_what_is_kept_survives_the_server(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    config = Config(data_dir=str(tmp_path))
    async with serving(config) as place:
        _, made = await Client(http, place).ask("POST", body=ADA)
    async with serving(config) as place:
        _, answer = await Client(http, place).ask("GET")
    assert made in answer["data"]


async def test_keys_do_not_see_each_others(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with serving(Config(data_dir=str(tmp_path), api_keys=("one", "two"))) as place:
        ann, ben, nobody = Client(http, place, "one"), Client(http, place, "two"), Client(http, place)
        _, made = await ann.ask("POST", body={**ADA, "image": data_url()})
        assert await ann.ids() == ["ada-byron"]
        assert await ben.ids() == []
        assert (await ben.image(made["image"]))[0] == 404
        assert (await ben.refused("DELETE", "/ada-byron"))[:2] == (404, "character_not_found")
        assert (await ben.refused("POST", body={**ADA, "id": "ada-byron"}))[:2] == (404, "character_not_found")
        assert (await ann.refused("DELETE", "/captain-marlow"))[:2] == (403, "character_not_yours")
        assert (await nobody.refused("GET"))[:2] == (401, "invalid_api_key")
        _, secret = await ann.ask("POST", "/v1/realtime/client_secrets", {})
        guest = Client(http, place, secret["value"])
        assert await guest.ids() == ["ada-byron"]
        assert (await guest.refused("DELETE", "/ada-byron"))[:2] == (403, "key_needed")


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({**ADA, "name": " "}, 400, "name_missing", "name"),
        ({**ADA, "who": None}, 400, "who_missing", "who"),
        ({**ADA, "who": "x" * 4_001}, 400, "too_long", "who"),
        ({**ADA, "name": 3}, 400, "invalid_type", "name"),
        ({**ADA, "colour": "red"}, 400, "unknown_parameter", "colour"),
        ({**ADA, "id": "captain-marlow"}, 403, "character_not_yours", "id"),
        ({**ADA, "id": "../x"}, 404, "character_not_found", "id"),
        ({**ADA, "image": "http://elsewhere/a.png"}, 400, "invalid_value", "image"),
        ({**ADA, "image": "data:image/png;base64,!!"}, 400, "invalid_base64", "image"),
        ({**ADA, "image": "data:image/svg+xml;base64,PHN2Zy8+"}, 400, "invalid_image", "image"),
        ({**ADA, "image": "data:image/png;base64," + "A" * 8_000_000}, 413, "image_too_large", "image"),
        ({**ADA, "image": data_url()[:80] + "=="}, 400, None, "image"),
        ([], 400, "invalid_json", None),
    ],
)
async def test_what_cannot_be_kept_is_refused_and_leaves_nothing(
    client: Client, body: Any, status: int, code: str | None, param: str | None
) -> None:
    found = await client.refused("POST", body=body)
    assert found == (status, code or found[1], param)
    assert await client.ids() == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({**ADA, "who": ""}, "A character needs a text that tells who they are: give it as who."),
        ({**ADA, "who": "x" * 4_001}, "who has 4001 characters, and 4000 are the most; shorten it."),
        ({**ADA, "id": "nobody"}, "There is no character 'nobody'; look at the list."),
    ],
)
async def test_errors_are_sentences_that_keep_the_names_of_fields(client: Client, body: Any, message: str) -> None:
    _, answer = await client.ask("POST", body=body)
    assert answer["error"]["message"] == message


async def test_pictures_are_decoded_one_at_a_time_and_few_wait(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    may = threading.Event()
    drawing, most = [0], [0]

    def portrait(data: bytes) -> bytes:
        drawing[0] += 1
        most[0] = max(most[0], drawing[0])
        may.wait(20)
        drawing[0] -= 1
        return data

    monkeypatch.setattr(form, "portrait", portrait)
    bodies = [{**ADA, "name": f"Ada {n}", "image": data_url()} for n in range(9)]
    asked = [asyncio.ensure_future(client.ask("POST", body=body)) for body in bodies]
    (refused,), waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    status, answer = refused.result()
    assert (status, answer["error"]["code"]) == (429, "characters_busy")
    may.set()
    assert [status for status, _ in await asyncio.gather(*waiting)] == [201] * 8
    assert most == [1]


async def test_a_picture_that_goes_while_it_is_listed_is_none(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await client.ask("POST", body={**ADA, "image": data_url()})
    find = characters._images
    monkeypatch.setattr(characters, "_images", lambda folder: [path.with_name("gone.jpg") for path in find(folder)])
    status, answer = await client.ask("GET")
    assert status == 200
    assert [one["image"] for one in answer["data"] if one["id"] == "ada-byron"] == [None]


async def test_a_folder_that_cannot_be_written_is_the_hosts_matter(client: Client, tmp_path: Path) -> None:
    (tmp_path / "characters").write_text("in the way")
    status, code, _ = await client.refused("POST", body=ADA)
    assert (status, code) == (500, "not_kept")
    assert len(await client.ids(built_in=True)) >= 6


async def test_a_session_begins_with_one_that_was_made_just_now(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with serving(Config(data_dir=str(tmp_path))) as place, call(http, place) as peer:
        await peer.until("session.created")
        _, made = await Client(http, place).ask("POST", body={**ADA, "voice": "other"})
        for id_, words in (("captain-marlow", "Ahoy there!"), (made["id"], "Good morning.")):
            async with call(http, place) as other:
                await other.until("session.created")
                await other.send("session.update", session={"type": "realtime", "prompt": {"id": id_}})
                updated = await other.until("session.updated")
                assert updated["session"]["prompt"]["id"] == id_
                said = await other.until("response.output_audio_transcript.done")
                assert said["transcript"].strip().startswith(words)
        assert "open other" in place.model.log
