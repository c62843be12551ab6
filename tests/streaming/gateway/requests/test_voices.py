"""Voices over HTTP: made, listed, spoken in, removed, and each account's own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from omni.types import Pcm, Voice
from streaming.company.voice_making import MAX_BYTES
from streaming.config import Config
from streaming.gateway import libraries
from streaming.gateway.listening import listening
from streaming.gateway.server import Gateway
from streaming.tdm.clock import SystemClock
from tests.fakes import ScriptedModel
from tests.recordings import encoded, hum, wav
from tests.streaming.gateway.place import Place, call, serving

FORM = {"name": "My voice", "consent": "self"}
RECORDING = wav(hum(8.0))
SPEAKS = {"type": "realtime", "output_modalities": ["audio"]}


class Cloner(ScriptedModel):
    """Makes voices; slowly if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, makes_voices="clones")
        self.hold: threading.Event | None = None
        self.preparing = threading.Event()

    def prepare_voice(self, name: str, reference: Pcm) -> Voice:
        self.preparing.set()
        if self.hold is not None:
            self.hold.wait(20)
        return Voice(name, state={"likeness": np.array([0.5, 0.75], np.float32)})


@pytest.fixture(autouse=True)
def one_speaker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hum is no person's, and which model tells is not what is tested here."""
    monkeypatch.setattr(libraries, "several_speakers", lambda pcm: False)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


class Client:
    """One account's requests."""

    def __init__(self, http: aiohttp.ClientSession, place: Place, key: str | None = None) -> None:
        self.http = http
        self.url = f"{place.address}/v1/audio/voices"
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def listed(self) -> dict[str, Any]:
        async with self.http.get(self.url, headers=self.headers) as reply:
            assert reply.status == 200
            body: dict[str, Any] = await reply.json()
            return body

    async def names(self) -> list[str]:
        return [voice["name"] for voice in (await self.listed())["data"]]

    async def make(
        self, sound: bytes | None = RECORDING, file: str = "me.wav", **fields: str
    ) -> tuple[int, dict[str, Any]]:
        form = aiohttp.FormData(default_to_multipart=True)
        if sound is not None:
            form.add_field("audio_sample", sound, filename=file)
        for name, value in {**FORM, **fields}.items():
            form.add_field(name, value)
        async with self.http.post(self.url, data=form, headers=self.headers) as reply:
            return reply.status, await reply.json()

    async def remove(self, id_: str) -> tuple[int, dict[str, Any]]:
        async with self.http.delete(f"{self.url}/{id_}", headers=self.headers) as reply:
            return reply.status, await reply.json()


async def test_a_voice_is_made_listed_used_and_removed(http: aiohttp.ClientSession) -> None:
    model = Cloner()
    async with serving(model=model) as place:
        client = Client(http, place)
        listed = await client.listed()
        assert listed["makes_voices"] == "clones"
        assert listed["limits"] == {"shortest_s": 3.0, "longest_s": 30.0, "max_bytes": MAX_BYTES, "max_voices": 50}
        assert [(voice["id"], voice["built_in"], voice["mine"]) for voice in listed["data"]] == [
            ("plain", True, False),
            ("other", True, False),
        ]
        status, made = await client.make(consent="given", speaker="Ann Lee", language="de")
        assert status == 201, made
        assert made["id"].startswith("voice_")
        assert 3 < made.pop("checks")["speech_s"] < 8
        assert made.pop("similarity") == {"before": 0.5, "after": 0.75}
        assert made["seconds"] == pytest.approx(7.9, abs=0.3)
        assert made["created_at"] > 1_700_000_000
        expected = {
            "object": "audio.voice",
            "name": "My voice",
            "language": "de",
            "built_in": False,
            "mine": True,
            "shared": False,
            "speaker": "Ann Lee",
            "consent": "given",
            "error": None,
        }
        assert {key: made[key] for key in expected} == expected
        assert (await client.listed())["data"][2] == made
        for named in ("My voice", {"id": made["id"]}):
            async with call(http, place) as peer:
                await peer.until("session.created")
                await peer.send("session.update", session={**SPEAKS, "audio": {"output": {"voice": named}}})
                await peer.until("session.updated")
                assert await peer.ask("Hello") == "You said Hello ."
            await place.empty()
        assert model.log.count("open My voice") == 2
        status, removed = await client.remove(made["id"])
        assert (status, removed) == (200, {"id": made["id"], "object": "audio.voice.deleted", "deleted": True})
        assert await client.names() == ["plain", "other"]
        assert (await client.remove(made["id"]))[0] == 404


async def test_a_call_goes_on_in_a_voice_that_is_removed(http: aiohttp.ClientSession) -> None:
    async with serving(model=Cloner()) as place:
        client = Client(http, place)
        _, made = await client.make()
        async with call(http, place) as peer:
            await peer.until("session.created")
            await peer.send("session.update", session={**SPEAKS, "audio": {"output": {"voice": "My voice"}}})
            await peer.until("session.updated")
            assert (await client.remove(made["id"]))[0] == 200
            assert await peer.ask("Hello") == "You said Hello ."
            await peer.send("session.update", session={**SPEAKS, "instructions": "Be brief."})
            await peer.until("session.updated")
            assert await peer.ask("again") == "You said again ."
        async with call(http, place) as peer:
            await peer.until("session.created")
            await peer.send("session.update", session={**SPEAKS, "audio": {"output": {"voice": "My voice"}}})
            assert (await peer.until("error"))["error"]["code"] == "voice_not_found"


@pytest.mark.parametrize(("container", "codec", "file"), [("webm", "libopus", "blob"), ("mp4", "aac", "me.m4a")])
async def test_what_a_browser_records_is_taken(
    http: aiohttp.ClientSession, container: str, codec: str, file: str
) -> None:
    async with serving(model=Cloner()) as place:
        status, made = await Client(http, place).make(encoded(hum(8.0, rate=48_000), container, codec), file)
        assert status == 201, made


async def test_nothing_of_one_key_is_another_s(http: aiohttp.ClientSession) -> None:
    config = Config(api_keys=("sekret-a:name=ann", "sekret-b"))
    async with serving(config, Cloner()) as place:
        ann, ben = Client(http, place, "sekret-a"), Client(http, place, "sekret-b")
        _, hers = await ann.make(name="Hers")
        _, his = await ben.make(name="His")
        _, both = await ann.make(name="Both", shared="true")
        assert sorted(await ann.names()) == ["Both", "Hers", "other", "plain"]
        assert sorted(await ben.names()) == ["Both", "His", "other", "plain"]
        for voice in (hers["id"], "Hers"):
            async with call(http, place, headers=ben.headers) as peer:
                await peer.until("session.created")
                await peer.send("session.update", session={**SPEAKS, "audio": {"output": {"voice": voice}}})
                refused = (await peer.until("error"))["error"]
                assert refused["code"] == "voice_not_found"
                assert "Hers" not in refused["message"].partition("Voices:")[2]
            assert (await ben.remove(voice))[0] == 404
        for voice, status in (("Hers", 400), (hers["id"], 400), ({"id": hers["id"]}, 400), ("Both", 200)):
            body = {"model": "scripted", "input": "Hello", "voice": voice, "response_format": "wav"}
            async with http.post(f"{place.address}/v1/audio/speech", json=body, headers=ben.headers) as reply:
                assert reply.status == status, await reply.text()
        assert (await ben.make(name="hers"))[0] == 201  # a name says nothing of others' voices
        assert (await ben.remove(both["id"]))[1]["error"]["code"] == "voice_not_yours"
        shared = {voice["name"]: voice for voice in (await ben.listed())["data"]}["Both"]
        assert (shared["mine"], shared["shared"]) == (False, True)
        async with http.get(ann.url) as reply:
            assert reply.status == 401
        assert (await ben.remove(his["id"]))[0] == 200
        assert (await ann.remove(both["id"]))[0] == 200


async def test_a_secret_chooses_among_voices_and_changes_none(http: aiohttp.ClientSession) -> None:
    async with serving(Config(api_keys=("sekret",)), Cloner()) as place:
        owner = Client(http, place, "sekret")
        _, made = await owner.make()
        async with http.post(f"{place.realtime}/client_secrets", json={}, headers=owner.headers) as reply:
            guest = Client(http, place, (await reply.json())["value"])
        assert "My voice" in await guest.names()
        for status, body in (await guest.make(name="Another"), await guest.remove(made["id"])):
            assert (status, body["error"]["code"]) == (403, "key_needed")


async def test_voices_outlive_the_server_and_what_whoever_runs_it_does_to_their_files(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    config = Config(data_dir=str(tmp_path))
    async with serving(config, Cloner()) as place:
        ids = {name: (await Client(http, place).make(name=name))[1]["id"] for name in ("One", "Two", "Three")}
    (tmp_path / "voices" / ids["Two"] / "voice.json").write_text("{")
    (tmp_path / "voices" / ids["Three"] / "scripted.safetensors").unlink()
    model = Cloner()
    async with serving(config, model) as place:
        client = Client(http, place)
        async with asyncio.timeout(10):
            # a client can only ask again
            while "Three" not in {v["name"] for v in (await client.listed())["data"] if v["error"] is None}:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        errors = {voice["id"]: voice["error"] for voice in (await client.listed())["data"]}
        assert errors[ids["One"]] is errors[ids["Three"]] is None
        assert "voice.json" in errors[ids["Two"]]
        assert (await client.remove(ids["Two"]))[0] == 200
    # keys come later: what was made without belongs to the key that is called host
    async with serving(replace(config, api_keys=("sekret:name=host", "other")), Cloner()) as place:
        assert set(await Client(http, place, "sekret").names()) == {"plain", "other", "One", "Three"}
        assert await Client(http, place, "other").names() == ["plain", "other"]


@pytest.mark.parametrize(
    ("fields", "sound", "status", "code"),
    [
        ({"name": ""}, RECORDING, 400, "name_missing"),
        ({"name": "plain"}, RECORDING, 400, "name_taken"),
        ({"consent": ""}, RECORDING, 400, "consent_missing"),
        ({"consent": "given"}, RECORDING, 400, "consent_missing"),
        ({"shared": "perhaps"}, RECORDING, 400, "invalid_form"),
        ({"mood": "glad"}, RECORDING, 400, "unknown_parameter"),
        ({"name": "x" * 2000}, RECORDING, 400, "invalid_form"),
        ({}, None, 400, "invalid_audio"),
        ({}, b"", 400, "invalid_audio"),
        ({}, b"no sound at all", 400, "invalid_audio"),
        ({}, wav(hum(2.0)), 400, "voice_too_short"),
        ({}, wav(hum(40.0)), 400, "voice_too_long"),
        ({}, wav(np.zeros(100_000, np.float32)), 400, "voice_silent"),
        ({}, bytes(MAX_BYTES + 1), 413, "audio_too_large"),
    ],
)
async def test_what_is_wrong_is_said(
    http: aiohttp.ClientSession, fields: Mapping[str, str], sound: bytes | None, status: int, code: str
) -> None:
    async with serving(model=Cloner()) as place:
        client = Client(http, place)
        found, body = await client.make(sound, **fields)
        assert (found, body["error"]["code"]) == (status, code)
        assert len(body["error"]["message"]) > 15
        assert await client.names() == ["plain", "other"]
        assert (await client.make())[0] == 201  # and costs nobody anything


async def test_a_field_that_is_unknown_is_named(http: aiohttp.ClientSession) -> None:
    async with serving(model=Cloner()) as place:
        _, body = await Client(http, place).make(RECORDING, mood="glad")
    assert body["error"]["message"].startswith("'mood' is none of the form's fields: name, speaker,")
    assert body["error"]["param"] == "mood"


async def test_what_is_no_form_is_refused(http: aiohttp.ClientSession) -> None:
    async with serving(model=Cloner()) as place:
        client = Client(http, place)
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        for body in (
            {"json": FORM},
            {"data": b"--y\r\n\r\n--y--", "headers": headers},
            {"data": b"", "headers": headers},
        ):
            async with http.post(client.url, **body) as reply:
                assert reply.status == 400
                assert (await reply.json())["error"]["code"] in {"invalid_form", "name_missing"}


async def test_who_goes_away_while_sending_is_no_trouble_of_the_server_s(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(model=Cloner()) as place:
        part = (
            b'--b\r\nContent-Disposition: form-data; name="audio_sample"; filename="a.wav"\r\n\r\n' + RECORDING[:9000]
        )
        head = "POST /v1/audio/voices HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999"
        head += "\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", int(place.address.rpartition(":")[2]))
        writer.write(head.encode() + part)
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.sleep(0.1)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_model_that_makes_none_says_so(http: aiohttp.ClientSession) -> None:
    model = ScriptedModel()
    model.capabilities = replace(model.capabilities, makes_voices=None)
    async with serving(model=model) as place:
        client = Client(http, place)
        assert (await client.listed())["makes_voices"] is None
        status, body = await client.make()
        assert (status, body["error"]["code"]) == (400, "voices_not_made")


async def test_one_voice_at_a_time_for_each_and_not_too_many_waiting(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "MOST_MAKING", 2)
    model = Cloner()
    model.hold = threading.Event()
    async with serving(Config(api_keys=("a", "b", "c")), model) as place:
        first, second, third = (Client(http, place, key) for key in "abc")
        made = [asyncio.create_task(first.make())]
        await asyncio.to_thread(model.preparing.wait, 10)
        status, body = await first.make(name="Another")
        assert (status, body["error"]["code"]) == (429, "voices_busy")
        made.append(asyncio.create_task(second.make()))
        while len(place.gateway._service.libraries._making) < 2:  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert (await third.make())[0] == 429
        # meanwhile calls are answered
        async with call(http, place, headers=third.headers) as peer:
            await peer.until("session.created")
            assert await peer.ask("Hello") == "You said Hello ."
        model.hold.set()
        assert [(await one)[0] for one in made] == [201, 201]
        assert (await third.make())[0] == 201


async def test_a_voice_that_takes_too_long_is_given_up_and_not_kept(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "MAKING_S", 0.2)
    model = Cloner()
    model.hold = threading.Event()
    async with serving(model=model) as place:
        client = Client(http, place)
        status, body = await client.make()
        assert (status, body["error"]["code"]) == (503, "voice_timed_out")
        monkeypatch.setattr(libraries, "MAKING_S", 10.0)
        model.hold.set()
        assert (await client.make())[0] == 201
        assert await client.names() == ["plain", "other", "My voice"]


async def test_a_folder_that_cannot_be_written_is_told(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    (tmp_path / "voices").write_text("no folder")
    async with serving(Config(data_dir=str(tmp_path)), Cloner()) as place:
        client = Client(http, place)
        status, body = await client.make()
        assert (status, body["error"]["code"]) == (500, "not_kept")
        assert await client.names() == ["plain", "other"]


async def test_pages_from_elsewhere_ask_first(http: aiohttp.ClientSession) -> None:
    async with serving(Config(allowed_origins=("https://friend.example",)), Cloner()) as place:
        url = Client(http, place).url
        asks = {"Origin": "https://friend.example", "Access-Control-Request-Method": "DELETE"}
        async with http.options(f"{url}/x", headers=asks) as reply:
            assert reply.status == 204
            assert "DELETE" in reply.headers["Access-Control-Allow-Methods"]
        async with http.get(url, headers={"Origin": "https://evil.example"}) as reply:
            assert reply.status == 403


async def test_before_the_models_are_warm_there_is_nothing_to_choose(http: aiohttp.ClientSession) -> None:
    gateway = Gateway(Config(), None, SystemClock())
    async with listening(gateway, "127.0.0.1", 0) as address, http.get(f"{address}/v1/audio/voices") as reply:
        assert reply.status == 503
