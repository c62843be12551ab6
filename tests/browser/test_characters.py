"""Characters in a real browser: picked, heard, talked to, written, by pointer and by keyboard."""

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Page, expect

from tests.browser.chromium import DESK, PHONE, needs_chromium, page_at, screenshot
from tests.browser.fake_library import FakeLibrary, character
from tests.browser.fake_server import FakeServer

pytestmark = [pytest.mark.browser, needs_chromium]

KEEPER = "You are a lighthouse keeper."
NAMELESS = "(buttons) => buttons.filter((b) => !(b.ariaLabel || b.innerText.trim())).length"


async def test_a_picked_character_greets_by_its_name_in_its_voice_with_its_face() -> None:
    async with FakeServer() as server, page_at(server.url, size=PHONE, scheme="dark") as page:
        await page.locator("#choose-character").click()
        await page.get_by_text("Captain Reed", exact=True).click()
        await expect(page.locator("#panel-foot")).to_contain_text("Captain Reed speaks in Deep")
        await page.get_by_role("button", name="Hear Captain Reed").click()
        await expect(page.get_by_role("button", name="Stop")).to_be_visible()
        assert server.library.said[0]["input"] == "I am Captain Reed."
        assert await page.locator("button").evaluate_all(NAMELESS) == 0
        await screenshot(page, "page-characters-phone")
        await page.get_by_role("button", name="Talk to Captain Reed").click()
        await server.connected()
        update = await server.message("session.update")
        assert update["session"] == {"type": "realtime", "prompt": {"id": "reed"}}
        await server.answer("a1", "I am Captain Reed.", 1.0)
        await expect(page.locator("#captions .assistant .who")).to_have_text("Captain Reed")
        chip = page.get_by_role("button", name="Captain Reed")
        await expect(chip).to_contain_text("Deep")
        assert await chip.locator("img").evaluate("(img) => img.decode().then(() => img.naturalWidth)") > 0
        await screenshot(page, "page-character-call-phone")
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


async def test_another_one_in_the_middle_of_the_call_and_the_way_back() -> None:
    async with FakeServer() as server, page_at(server.url) as page:
        await call(page, server)
        await server.answer("a1", "Hello.", 0.3)
        await page.locator("#company").click()
        await page.get_by_text("Ada", exact=True).click()
        assert (await server.message("session.update"))["session"] == {"type": "realtime", "prompt": {"id": "ada"}}
        await server.answer("a2", "Good morning.", 0.3)
        await expect(page.locator("#captions .who")).to_have_text(["Omni", "Ada"])
        n_before = len(server.received)
        await page.get_by_text("Omni", exact=True).locator("visible=true").last.click()
        back = (await server.message("session.update", n_before))["session"]
        assert back["prompt"] is None
        assert back["audio"]["output"]["voice"] == {"id": "heart"}


async def call(page: Page, server: FakeServer) -> None:
    await page.get_by_role("button", name="Start a call").click()
    await server.connected()
    await expect(page.locator("#mood")).to_have_text("Listening")


async def test_a_voice_that_the_person_chose_stays_and_can_be_given_back() -> None:
    async with FakeServer() as server, page_at(server.url) as page:
        await page.locator("#choose-voice").click()
        await page.get_by_text("Light", exact=True).click()
        await page.get_by_role("tab", name="Characters").click()
        await page.get_by_text("Captain Reed", exact=True).click()
        await expect(page.locator("#panel-foot")).to_contain_text("speaks in Light, which you chose")
        await page.get_by_role("button", name="Use Deep").click()
        await expect(page.locator("#panel-foot")).to_contain_text("Captain Reed speaks in Deep")
        await page.get_by_role("button", name="Close").click()
        await call(page, server)
        assert (await server.message("session.update"))["session"] == {"type": "realtime", "prompt": {"id": "reed"}}


async def test_a_character_is_written_with_a_small_picture_changed_and_deleted(tmp_path: Path) -> None:
    photograph = tmp_path / "large.png"
    Image.effect_noise((1600, 1200), 60).save(photograph)
    async with FakeServer() as server, page_at(server.url, size=DESK) as page:
        await page.locator("#choose-character").click()
        await page.get_by_role("button", name="Write your own").click()
        await page.get_by_role("button", name="Save").click()
        assert not server.library.made, "a name and who they are must be given"
        await page.get_by_label("Name").fill("Old Tom")
        await page.get_by_label("Who are they?").fill("You are a lighthouse keeper.")
        await page.get_by_role("button", name="Add an example").click()
        await page.keyboard.type("Hello!")  # over the first gap
        await expect(page.get_by_label("Who are they?")).to_have_value(f"{KEEPER}\nUser: Hello!\nYou: …")
        await page.get_by_label("Who are they?").fill(f"{KEEPER}\nUser: Hello!\nYou: Evening.")
        await page.get_by_role("button", name="Add an example").click()  # and not filled in
        await screenshot(page, "page-character-example")
        await page.get_by_label("What do they say first?").fill("Mind the step.")
        await page.get_by_label("How do they speak?").fill("slowly")
        await page.get_by_label("Voice", exact=True).select_option("deep")
        await page.locator("#character-picture").set_input_files(photograph)
        await expect(page.locator(".face img")).to_be_visible()
        await screenshot(page, "page-character-editor")
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator("#panel-foot")).to_contain_text("Old Tom speaks in Deep")
        [made] = server.library.made
        with Image.open(io.BytesIO(server.library.pictures["own-1"][0])) as picture:
            assert (picture.format, picture.size) == ("JPEG", (512, 512))
        texts = {"name": "Old Tom", "who": f"{KEEPER}\nUser: Hello!\nYou: Evening.", "greeting": "Mind the step."}
        assert made == {**texts, "style": "slowly", "voice": "deep", "language": "en"}
        await page.get_by_role("button", name="Edit Old Tom").click()
        await expect(page.get_by_label("What do they say first?")).to_have_value("Mind the step.")
        await page.get_by_label("Name").fill("Young Tom")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("radio", name="Young Tom")).to_be_checked()
        assert [one["id"] for one in server.library.characters] == ["reed", "ada", "own-1"]
        await page.get_by_role("button", name="Delete Young Tom").click()
        await page.get_by_role("button", name="Delete?").click()
        await expect(page.locator("#panel-foot")).to_contain_text("Omni speaks in Heart")
        assert len(server.library.characters) == 2


async def test_what_is_no_picture_is_told_and_costs_nothing_that_was_written(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Tom")
    async with FakeServer() as server, page_at(server.url) as page:
        await page.locator("#choose-character").click()
        await page.get_by_role("button", name="Write your own").click()
        await page.get_by_label("Name").fill("Old Tom")
        await page.locator("#character-picture").set_input_files(tmp_path / "letter.txt")
        await expect(page.locator("#panel-words")).to_contain_text("no picture that this browser can read")
        await page.keyboard.press("Escape")
        await page.locator("#choose-character").click()
        await page.get_by_role("button", name="Write your own").click()
        await expect(page.get_by_label("Name")).to_have_value("Old Tom")


async def test_the_keyboard_alone_is_enough() -> None:
    async with FakeServer() as server, page_at(server.url) as page:
        await page.locator("#choose-character").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("tab", name="Characters")).to_be_focused()
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_role("tab", name="Voices")).to_be_focused()
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("radio", name="Omni")).to_be_focused()
        await page.keyboard.press("ArrowDown")
        await expect(page.get_by_role("radio", name="Captain Reed")).to_be_focused()
        await expect(page.locator("#panel-foot")).to_contain_text("Captain Reed")
        await page.keyboard.press("Escape")
        await expect(page.locator("#panel")).to_be_hidden()
        await expect(page.locator("#choose-character")).to_be_focused()
        await page.locator("#choose-character").press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Close")).to_be_focused()


async def test_beside_the_panel_a_call_can_be_muted_on_a_desk_and_a_tap_outside_closes_the_sheet_on_a_phone() -> None:
    async with FakeServer() as server, page_at(server.url, size=DESK) as page:
        await call(page, server)
        await page.locator("#company").click()
        await page.get_by_role("button", name="Mute microphone").click()
        await expect(page.locator("#mood")).to_have_text("You are muted")
        await expect(page.locator("#panel")).to_be_visible()
        await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        await page.mouse.click(20, 20)
        await expect(page.locator("#panel")).to_be_hidden()
        await page.get_by_role("button", name="Unmute microphone").click()


async def test_a_character_that_has_gone_falls_back_with_a_word_also_when_the_call_finds_out() -> None:
    library = FakeLibrary()
    library.characters.append(character("tom", "Old Tom", "You are a lighthouse keeper."))
    async with FakeServer(library) as server, page_at(server.url) as page:
        await page.locator("#choose-character").click()
        await page.get_by_text("Old Tom", exact=True).click()
        library.characters.pop()
        await page.get_by_role("button", name="Talk to Old Tom").click()
        await server.message("session.update")
        error = {"code": "prompt_not_found", "message": "There is no such character.", "param": "session.prompt.id"}
        await server.send({"type": "error", "error": error})
        await expect(page.get_by_role("alert")).to_contain_text("character you chose is not there any more")
        await expect(page.locator("#company")).to_contain_text("Omni")
