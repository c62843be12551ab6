"""Voices in a real browser: heard, chosen, recorded with a fake microphone, used in the middle of a call."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.async_api import Page, expect

from tests.browser.chromium import DESK, PHONE, needs_chromium, page_at, screenshot
from tests.browser.fake_library import FakeLibrary, voice
from tests.browser.fake_server import FakeServer, speechlike

pytestmark = [pytest.mark.browser, needs_chromium]

RATE = 24_000


def speaking(path: Path) -> tuple[str, ...]:
    """Flags for a microphone into which somebody speaks without end."""
    soundfile.write(path, speechlike(4.0), RATE, subtype="PCM_16")
    return (f"--use-file-for-fake-audio-capture={path}",)


async def call(page: Page, server: FakeServer) -> None:
    await page.get_by_role("button", name="Start a call").click()
    await server.connected()
    await expect(page.locator("#mood")).to_have_text("Listening")


async def open_voices(page: Page) -> None:
    await page.locator("#choose-voice, #company").locator("visible=true").click()
    await page.get_by_role("tab", name="Voices").click()


async def upload(page: Page, sound: Path) -> None:
    await page.get_by_role("button", name="Make a voice").click()
    await page.locator("#upload").set_input_files(sound)


async def agree(page: Page, name: str) -> None:
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_role("checkbox").check()


async def clear_of(page: Page, one: str, other: str) -> bool:
    """Whether the two lie one above the other."""
    places = [await page.locator(name).bounding_box() for name in (one, other)]
    assert places[0] and places[1]
    first, second = sorted((place for place in places if place), key=lambda place: place["y"])
    return first["y"] + first["height"] <= second["y"]


def silent(packets: list[dict[str, Any]]) -> bool:
    sound = [one for one in packets if one["type"] == "input_audio_buffer.append"]
    assert sound
    return not any(np.frombuffer(base64.b64decode(one["audio"]), np.int16).any() for one in sound)


async def test_a_voice_is_recorded_in_the_middle_of_a_call_and_speaks_from_then_on(tmp_path: Path) -> None:
    flags = speaking(tmp_path / "mic.wav")
    async with FakeServer() as server, page_at(server.url, size=PHONE, scheme="dark", flags=flags) as page:
        await call(page, server)
        await server.answer("a1", "Once upon a time there was a captain.", 8.0, done=False)
        await expect(page.locator("#mood")).to_have_text("Speaking")
        await open_voices(page)
        await page.get_by_role("button", name="Make a voice").click()
        await expect(page.locator(".maker")).to_contain_text("nano, shapes")
        await page.get_by_role("button", name="Record", exact=True).click()
        await expect(page.locator("#record .count")).to_have_text("3")
        await server.message("response.cancel")
        await expect(page.locator(".take-hint")).to_contain_text("s left", timeout=8000)
        n_before = len(server.received)
        await page.wait_for_timeout(400)
        assert silent(server.received[n_before:]), "what is read aloud is not for the call"
        await screenshot(page, "page-recording-phone")
        await expect(page.locator(".maker")).to_have_attribute("data-enough", "", timeout=10_000)
        await page.get_by_role("button", name="Stop").click()
        await page.get_by_role("button", name="Make the voice").click()
        assert not server.library.made, "nothing is sent without a name and consent"
        await agree(page, "Mara")
        await expect(page.locator(".maker")).to_contain_text("kept on this server only, as “Mara”")
        await screenshot(page, "page-consent-phone")
        await page.get_by_role("button", name="Make the voice").click()
        await expect(page.locator(".maker")).to_contain_text("“Mara” is ready, and chosen")
        await expect(page.locator(".maker")).to_contain_text("measured: 0.84")
        await expect(page.get_by_role("button", name="Done")).to_be_focused()
        update = await server.message("session.update")
        assert update["session"] == {"type": "realtime", "audio": {"output": {"voice": {"id": "v1"}}}}
        n_before = len(server.received)
        await page.wait_for_timeout(300)
        assert not silent(server.received[n_before:]), "the call listens again"
        await page.get_by_role("button", name="Done").click()
        await expect(page.get_by_role("radio", name="Mara")).to_be_checked()
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    [made] = server.library.made
    assert (made["name"], made["consent"], made["rate"]) == ("Mara", "self", 48_000)
    seconds = len(made["samples"]) / made["rate"]
    assert 5 <= seconds < 8
    assert np.sqrt((made["samples"] ** 2).mean()) > 0.02


async def test_what_cannot_become_a_voice_is_refused_when_the_recording_ends(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE, np.int16), RATE, subtype="PCM_16")
    flags = (f"--use-file-for-fake-audio-capture={tmp_path / 'silence.wav'}",)
    async with FakeServer() as server, page_at(server.url, flags=flags) as page:
        await open_voices(page)
        await page.get_by_role("button", name="Make a voice").click()
        await page.get_by_role("button", name="Record", exact=True).click()
        await expect(page.locator(".take-hint")).to_contain_text("Read the sentence aloud", timeout=8000)
        await page.get_by_role("button", name="Stop").click()
        words = page.locator("#panel-words")
        await expect(words).to_contain_text("s of speech. Read the whole sentence")
        await screenshot(page, "page-recording-short")
        await page.get_by_role("button", name="Record", exact=True).click()
        await expect(words).to_be_hidden()
        await expect(page.locator(".take-hint")).to_contain_text("Too quiet", timeout=8000)
        await expect(page.locator(".maker")).to_have_attribute("data-enough", "", timeout=10_000)
        await page.get_by_role("button", name="Stop").click()
        await expect(words).to_contain_text("Nothing was loud enough")
        await expect(page.get_by_role("button", name="Record", exact=True)).to_be_focused()
        await screenshot(page, "page-recording-silent")


async def test_a_file_is_taken_too_whose_it_is_is_asked_and_a_refusal_is_told_in_the_servers_words(
    tmp_path: Path,
) -> None:
    sound = tmp_path / "friend.wav"
    soundfile.write(sound, speechlike(6.0), RATE, subtype="PCM_16")
    library = FakeLibrary(makes="clones")
    library.refusals = [(400, "There is too much noise behind the voice: record in a quieter room.")]
    async with FakeServer(library) as server, page_at(server.url, size=DESK) as page:
        await open_voices(page)
        await upload(page, sound)
        await page.get_by_text("Someone else’s").click()
        await page.get_by_label("Who speaks?").fill("Joan Reed")
        await agree(page, "Joan")
        await page.get_by_role("button", name="Make the voice").click()
        words = page.locator("#panel-words")
        await expect(words).to_contain_text("quieter room")
        await screenshot(page, "page-voice-refused")
        await expect(page.get_by_role("button", name="Record again")).to_be_visible()
        await expect(page.get_by_label("Name", exact=True)).to_have_value("Joan")
        await page.get_by_text("Mine", exact=True).click()
        await expect(page.get_by_role("checkbox")).not_to_be_checked()  # it was said of somebody else
        await page.get_by_text("Someone else’s").click()
        await agree(page, "Joan")
        await page.get_by_role("button", name="Make the voice").click()
        await expect(page.locator(".maker")).to_contain_text("“Joan” is ready")
        await page.get_by_role("button", name="Done").click()
        await expect(page.locator("#panel-body")).to_contain_text("MiniCPM-o, clones")
        await expect(page.locator(".row", has_text="Joan")).to_contain_text("of Joan Reed, from 6 s")
    assert [made["speaker"] for made in library.made] == ["Joan Reed", "Joan Reed"]


async def test_what_made_a_voice_of_nobody_need_not_be_told(tmp_path: Path) -> None:
    sound = tmp_path / "robot.wav"
    soundfile.write(sound, speechlike(6.0), RATE, subtype="PCM_16")
    async with FakeServer() as server, page_at(server.url, size=DESK) as page:
        await open_voices(page)
        await upload(page, sound)
        await page.get_by_text("Not a real person’s").click()
        await expect(page.get_by_label("What made it? (optional)")).to_have_value("")
        await agree(page, "Robot")
        await screenshot(page, "page-consent-synthetic")
        await page.get_by_role("button", name="Make the voice").click()
        await expect(page.locator(".maker")).to_contain_text("“Robot” is ready")
        await screenshot(page, "page-voice-ready")
    assert "speaker" not in server.library.made[0]


async def test_a_voice_is_heard_before_it_is_chosen_and_kept_for_the_next_visit() -> None:
    async with FakeServer() as server, page_at(server.url) as page:
        await open_voices(page)
        await page.get_by_role("button", name="Hear Deep").click()
        await expect(page.get_by_role("button", name="Stop")).to_be_visible()
        await expect(page.get_by_role("button", name="Hear Deep")).to_be_visible(timeout=8000)  # heard to its end
        said = server.library.said[0]
        assert (said["voice"], said["speed"]) == ({"id": "deep"}, 1)
        await page.get_by_text("Deep", exact=True).click()
        await page.reload()
        await expect(page.locator("#choose-voice")).to_contain_text("Deep")
        await call(page, server)
        update = await server.message("session.update")
        assert update["session"] == {"type": "realtime", "audio": {"output": {"voice": {"id": "deep"}}}}


async def test_while_a_sample_is_heard_the_call_does_not_listen(tmp_path: Path) -> None:
    async with FakeServer() as server, page_at(server.url, flags=speaking(tmp_path / "mic.wav")) as page:
        await call(page, server)
        await open_voices(page)
        await page.get_by_role("button", name="Hear Light").click()
        await expect(page.get_by_role("button", name="Stop")).to_be_visible()
        await expect(page.locator("#mood")).to_have_text("You are muted")
        await page.wait_for_timeout(300)
        n_before = len(server.received)
        await page.wait_for_timeout(300)
        assert silent(server.received[n_before:])
        await page.get_by_role("button", name="Stop").click()
        await expect(page.locator("#mood")).to_have_text("Listening")


async def test_pace_and_voice_change_in_the_call_and_what_cannot_is_told_in_plain_words() -> None:
    async with FakeServer() as server, page_at(server.url) as page:
        server.modes = ["audio_assistant", "audio_roleplay"]
        await call(page, server)
        await open_voices(page)
        await page.get_by_label("Pace").fill("0.8")
        faster = await server.message("session.update")
        assert faster["session"] == {"type": "realtime", "audio": {"output": {"speed": 0.8}}}
        n_before = len(server.received)
        await page.get_by_text("Light", exact=True).click()
        assert (await server.message("session.update", n_before))["session"]["audio"]["output"]["voice"] == {
            "id": "light"
        }
        error = {"type": "invalid_request_error", "code": "cannot_update_voice", "message": "The voice stays."}
        n_before = len(server.received)
        await server.send({"type": "error", "error": {**error, "param": "session.audio.output.voice"}})
        await expect(page.get_by_role("alert")).to_contain_text("That voice begins with your next call")
        await expect(page.locator("#company")).to_contain_text("Heart (next: Light)")
        assert await clear_of(page, "#notice", ".tabs"), "it covers the panel"
        await screenshot(page, "page-voice-next-call")
        await page.set_viewport_size({"width": 390, "height": 844})
        assert await clear_of(page, "#notice", ".tabs"), "it covers the panel on a phone"
        await screenshot(page, "page-voice-next-call-phone")
        await page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        again = await server.message("session.update", n_before)
        assert again["session"]["audio"]["output"] == {"voice": "heart", "speed": 0.8}
        await page.get_by_label("How it is addressed").select_option(label="Role play: stays in character")
        await page.get_by_role("button", name="Hang up").click()
        n_before = len(server.received)
        await page.get_by_role("button", name="Start a call").click()
        await server.connected()
        opened = (await server.message("session.update", n_before))["session"]
        assert opened["audio"]["output"] == {"voice": {"id": "light"}, "speed": 0.8}
        assert opened["mode"] == "audio_roleplay"


async def test_a_voice_that_was_deleted_elsewhere_falls_back_with_a_word() -> None:
    library = FakeLibrary()
    library.voices.append(voice("v1", name="Mara", built_in=False, mine=True, consent="self"))
    async with FakeServer(library) as server, page_at(server.url) as page:
        await open_voices(page)
        await page.get_by_text("Mara", exact=True).click()
        library.voices.pop()
        await page.reload()
        await expect(page.get_by_role("alert")).to_contain_text("voice you chose is not there any more")
        await call(page, server)
        await page.wait_for_timeout(300)
        assert not [one for one in server.received if one["type"] == "session.update"]


async def test_ones_own_voice_is_deleted_on_the_second_press_and_damaged_ones_say_so() -> None:
    library = FakeLibrary(makes=None)
    own = {"built_in": False, "mine": True, "consent": "self", "seconds": 9.6}
    library.voices += [
        voice("v1", name="Mara", **own),
        voice("v2", name="Torn", **own, error="its sound cannot be read"),
    ]
    async with FakeServer(library) as server, page_at(server.url) as page:
        await open_voices(page)
        await expect(page.locator("#panel-body")).to_contain_text("makes no voices")
        await expect(page.get_by_role("button", name="Make a voice")).to_have_count(0)
        await expect(page.get_by_role("radio", name="Torn")).to_be_disabled()
        await expect(page.locator(".row", has_text="Torn")).to_contain_text("its sound cannot be read")
        hear, delete = page.get_by_role("button", name="Hear Mara"), page.get_by_role("button", name="Delete Mara")
        tops = [await button.locator("svg").bounding_box() for button in (hear, delete)]
        assert tops[0] and tops[1] and abs(tops[0]["y"] - tops[1]["y"]) < 1, "symbols in a row stand in a line"
        await screenshot(page, "page-voices-own")
        await delete.click()
        assert len(library.voices) == 5
        await page.get_by_role("button", name="Delete?").click()
        await expect(page.locator("#panel-words")).to_contain_text("Mara is deleted")
        await expect(page.get_by_role("radio", name="Mara")).to_have_count(0)
        assert [one["id"] for one in library.voices] == ["heart", "deep", "light", "v2"]


async def test_the_access_key_opens_the_library_and_its_lack_is_told_where_it_is_missed() -> None:
    library = FakeLibrary()
    library.key = "sekret"
    async with FakeServer(library) as server, page_at(server.url) as page:
        server.keyless = "a valid key is needed: Authorization: Bearer <key>"
        await page.get_by_role("button", name="Start a call").click()
        notice = page.get_by_role("alert")
        await expect(notice).to_contain_text("This server needs a valid access key")
        await expect(notice).not_to_contain_text("Bearer")
        await screenshot(page, "page-key-needed")
        await open_voices(page)
        await expect(page.locator("#panel-body")).to_contain_text("needs a valid access key")
        assert await clear_of(page, "#notice", ".tabs")
        await screenshot(page, "page-key-needed-panel")
        await page.locator("#panel-body").get_by_role("button", name="Enter the key").click()
        await expect(page.get_by_label("Access key")).to_be_focused()
        await page.get_by_label("Access key").fill("sekret")
        await page.get_by_role("button", name="Done").click()
        await expect(page.get_by_role("radio")).to_have_count(4)
        await expect(notice).to_be_hidden()
        await page.get_by_role("tab", name="Characters").click()
        portrait = page.locator(".card:has(#character-reed) img")
        assert await portrait.evaluate("(img) => img.decode().then(() => img.naturalWidth)") > 0


async def test_without_a_microphone_recording_says_so_and_a_file_will_do() -> None:
    async with FakeServer() as server, page_at(server.url, allows=False) as page:
        await open_voices(page)
        await page.get_by_role("button", name="Make a voice").click()
        await page.get_by_role("button", name="Record", exact=True).click()
        await expect(page.locator("#panel-words")).to_contain_text("may not use the microphone")
        await expect(page.get_by_text("Upload a recording")).to_be_visible()
