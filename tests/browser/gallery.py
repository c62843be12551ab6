"""Takes the pictures of docs/gallery.md: the page in each of its states, on a desk and on a phone.

    .venv/bin/python -m tests.browser.gallery            # all of them; or only these parts:
    .venv/bin/python -m tests.browser.gallery talking acting

The states are staged: the page is the real one, what it is told comes from fake_server.py, so that each moment can be
held still. The characters and their faces are those that are included.
"""

import asyncio
import io
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import soundfile
from PIL import Image, ImageDraw, ImageFont
from playwright.async_api import Page, expect

from streaming.company.characters import Characters
from tests.browser.chromium import BROWSERS, page_at
from tests.browser.fake_library import FakeLibrary, character, voice
from tests.browser.fake_server import FakeServer, speechlike

OUT = Path(__file__).parents[2] / "docs" / "gallery"
PLACES = {"desktop": ((1280, 800), "light"), "phone": ((390, 844), "dark")}
QUESTION = "What do you see on the table?"
ANSWER = "I see a blue cup on a book. The light comes from the left, and it looks like morning."
GREETING = "Ahoy there! I'm Captain Marlow. Come aboard, and tell me where we are bound."
SCREEN = """
navigator.mediaDevices.getDisplayMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 800 });
  const pen = canvas.getContext("2d");
  const line = (colour, x, y, width, height) => ((pen.fillStyle = colour), pen.fillRect(x, y, width, height));
  const draw = () => {
    line("#f6f7f9", 0, 0, 1280, 800);
    line("#26364d", 0, 0, 1280, 90);
    [0.9, 0.7, 0.82, 0.4].forEach((share, i) => line("#c3ccd8", 90, 180 + 70 * i, 620 * share, 26));
    [220, 330, 150, 420].forEach((height, i) => line("#93a7c4", 800 + 105 * i, 690 - height, 72, height));
  };
  draw();
  setInterval(draw, 200);
  return canvas.captureStream(5);
};
"""
NEVER = "window.RTCPeerConnection = undefined; window.WebSocket = class { close() {} send() {} };"
REFUSING = """
navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
"""


class Stage:
    """A page and its server, and the camera that photographs them."""

    def __init__(self, page: Page, server: FakeServer, place: str) -> None:
        self.page = page
        self.server = server
        self._place = place

    async def take(self, name: str) -> None:
        """A picture of the page as it is now."""
        await self.page.wait_for_timeout(500)  # whatever arrives has arrived
        with Image.open(io.BytesIO(await self.page.screenshot())) as picture:
            small = picture.convert("RGB").resize(_shown(picture.size), Image.Resampling.LANCZOS)
        OUT.mkdir(parents=True, exist_ok=True)
        small.save(OUT / f"{name}-{self._place}.jpg", quality=80, optimize=True, progressive=True)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def call(self, answer: str = "") -> None:
        """A call; with an answer, in the middle of it."""
        await self.press("Start a call")
        await self.server.connected()
        await expect(self.page.locator("#mood")).to_have_text("Listening")
        if answer:
            await self.server.user_says("u1", QUESTION)
            await self.server.answer("a1", answer, 8.0, done=False)
            await expect(self.page.locator("#mood")).to_have_text("Speaking")
            await self.page.wait_for_timeout(3500)

    async def choose(self, character_id: str) -> None:
        await self.page.locator("#choose-character").click()
        await self.page.locator(f".card:has(#character-{character_id})").click()


def _shown(size: tuple[int, int]) -> tuple[int, int]:
    """A phone's picture has twice the pixels of its page."""
    width = 960 if size[0] > size[1] else 390
    return width, round(size[1] * width / size[0])


def _library() -> FakeLibrary:
    library = FakeLibrary()
    names = ("heart", "oak", "brook", "wren", "pip")
    mara = {"name": "Mara", "built_in": False, "mine": True, "consent": "self", "seconds": 9.8}
    library.voices = [voice(name) for name in names] + [voice("v0", **mara)]
    library.characters = []
    with tempfile.TemporaryDirectory() as nothing:
        for entry in Characters(Path(nothing)).everything():
            who = entry.character
            texts = {"greeting": who.greeting, "voice": who.voice, "style": who.style}
            image = f"/v1/characters/{who.id}/image" if entry.image else None
            library.characters.append(character(who.id, who.name, who.who, **texts, image=image))
            if entry.image:
                library.pictures[who.id] = (entry.image.read_bytes(), "image/svg+xml")
    return library


async def waiting(stage: Stage) -> None:
    await stage.take("start")
    await stage.choose("captain-marlow")
    await stage.take("characters")
    await stage.page.locator("#write-character").click()
    await stage.page.get_by_label("Name").fill("Old Tom")
    await stage.page.get_by_label("Who are they?").fill(
        "You are Old Tom, who keeps a lighthouse and loves bad weather."
    )
    await stage.page.get_by_label("What do they say first?").fill("Mind the step, friend.")
    await stage.take("character-editor")
    await stage.press("Back")
    await stage.page.get_by_role("tab", name="Voices").click()
    await stage.take("voices")


async def making(stage: Stage) -> None:
    await stage.page.locator("#choose-voice").click()
    await stage.page.locator("#make-voice").click()
    await stage.take("make-a-voice")
    await stage.press("Record")
    await stage.page.locator(".maker[data-enough]").wait_for()
    await stage.take("recording")
    await stage.press("Stop")
    await stage.page.get_by_label("Name", exact=True).fill("Joan")
    await stage.page.get_by_role("checkbox").check()
    await stage.take("consent")
    await stage.press("Make the voice")
    await stage.page.locator("#made").wait_for()
    await stage.take("voice-ready")


async def talking(stage: Stage) -> None:
    await stage.call()
    await stage.take("listening")
    await stage.press("Mute microphone")
    await stage.take("muted")
    await stage.press("Unmute microphone")
    await stage.press("Turn camera on")
    await stage.server.user_says("u1", QUESTION)
    await stage.server.answer("a1", ANSWER, 8.0, done=False)
    await stage.page.wait_for_timeout(3500)
    await stage.take("answering-camera")
    await stage.server.send({"type": "input_audio_buffer.speech_started", "item_id": "u2", "audio_start_ms": 1})
    await expect(stage.page.locator("#mood")).to_have_text("Listening to you")
    await stage.server.end("a1", "I see a blue cup on a book.", "cancelled", "turn_detected")
    await stage.take("interrupted")


async def sharing(stage: Stage) -> None:
    await stage.call(ANSWER)
    await stage.take("answering")
    await stage.press("Share screen")
    await stage.take("screen-share")
    await stage.press("Stop sharing")
    stage.server.refuse = (1012, "the server is restarting")
    await stage.server.close(1012)
    await stage.take("reconnecting")


async def acting(stage: Stage) -> None:
    await stage.choose("captain-marlow")
    await stage.press("Talk to Captain Marlow")
    await stage.server.connected()
    await stage.server.answer("a1", GREETING, 6.0, done=False)
    await stage.page.wait_for_timeout(3500)
    await stage.take("character-call")
    await stage.page.locator("#company").click()
    await stage.page.get_by_role("tab", name="Voices").click()
    await stage.take("voices-in-call")


async def connecting(stage: Stage) -> None:
    await stage.press("Start a call")
    await stage.take("connecting")


async def refused(stage: Stage) -> None:
    await stage.press("Start a call")
    await stage.take("device-refused")


PARTS: tuple[tuple[Callable[[Stage], Awaitable[None]], str], ...] = (
    (waiting, ""),
    (making, ""),
    (talking, ""),
    (sharing, SCREEN),
    (acting, ""),
    (connecting, NEVER),
    (refused, REFUSING),
)


def _devices(folder: Path) -> tuple[str, ...]:
    """Flags for a microphone that speaks without end, and a camera that looks at a still life."""
    soundfile.write(folder / "mic.wav", speechlike(4.0), 24_000, subtype="PCM_16")
    picture = Image.new("RGB", (640, 480), "#d9c7a8")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 330, 640, 480), "#7a5233")
    draw.rounded_rectangle((190, 300, 480, 350), 8, "#a23b3b")
    draw.rounded_rectangle((270, 170, 400, 300), 18, "#3f6fb0")
    draw.ellipse((385, 200, 445, 270), outline="#3f6fb0", width=16)
    draw.text((335, 326), "ATLAS", "#f0dcc0", ImageFont.load_default(30), anchor="mm")
    with (folder / "camera.mjpeg").open("wb") as file:
        for _ in range(5):
            picture.save(file, "JPEG")
    return (
        f"--use-file-for-fake-audio-capture={folder / 'mic.wav'}",
        f"--use-file-for-fake-video-capture={folder / 'camera.mjpeg'}",
    )


@asynccontextmanager
async def _staged(place: str, flags: tuple[str, ...], script: str) -> AsyncIterator[Stage]:
    size, scheme = PLACES[place]
    async with (
        FakeServer(_library()) as server,
        page_at(server.url, size=size, scheme=scheme, flags=flags, script=script) as page,
    ):
        await expect(page.locator("#choose-voice")).to_contain_text("Heart")
        yield Stage(page, server, place)


async def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        flags = _devices(Path(folder))
        for place in PLACES:
            for part, script in PARTS:
                if names and part.__name__ not in names:
                    continue
                async with _staged(place, flags, script) as stage:
                    await part(stage)
    await BROWSERS.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
