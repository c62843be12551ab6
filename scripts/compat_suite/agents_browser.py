"""@openai/agents in Chromium, with a short-lived secret as browsers have it.

python agents_browser.py ADDRESS SPEECH [--webrtc] [--tools]; MODULES is the folder of the installed packages.
"""

import argparse
import asyncio
import base64
import json
import os
import shutil
import sys
import tempfile
import urllib.request
import wave
from pathlib import Path
from typing import Any

from playwright.async_api import Route, async_playwright

RATE = 24_000
MODULES = "/compat/"
"""where the page finds the client, which no server need have"""
WAIT_S = 1.0
"""of silence before a microphone speaks: there must be a call by then"""
RUN = """
async ({address, apiKey, webrtc, tools, sound}) => {
  const library = await import("/compat/openai-realtime-agents.mjs");
  const scenarios = await import("/compat/agents_scenarios.mjs");
  const speech = Uint8Array.from(atob(sound), (c) => c.charCodeAt(0));
  const url = webrtc ? `${address}/realtime/calls`
                     : `${address.replace("http", "ws")}/realtime?model=gpt-realtime`;
  const how = {url, apiKey, tools, webrtc};
  await scenarios.run(library, how, speech, (scenario, result) => tell(JSON.stringify({scenario, result})));
}
"""


def secret(address: str) -> str:
    request = urllib.request.Request(f"{address}/realtime/client_secrets", b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return str(json.load(reply)["value"])


def microphone(speech: bytes, folder: str) -> Path:
    """What a microphone of Chromium plays, again and again."""
    path = Path(folder) / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(round(WAIT_S * RATE) * 2) + speech + bytes(RATE * 2 * 30))
    return path


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("speech", type=Path)
    parser.add_argument("--webrtc", action="store_true")
    parser.add_argument("--tools", action="store_true")
    options = parser.parse_args()
    bundle = Path(os.environ["MODULES"], "@openai", "agents-realtime", "dist", "bundle")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    speech = options.speech.read_bytes()

    async def serve(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        folder = Path(__file__).parent if name == "agents_scenarios.mjs" else bundle
        await route.fulfill(path=folder / name, content_type="text/javascript")

    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            "--no-sandbox",
            "--autoplay-policy=no-user-gesture-required",
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone(speech, folder)}%noloop",
        ]
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
            page = await browser.new_page()
            page.on("console", lambda message: print(message.text, file=sys.stderr))
            await page.route(f"**{MODULES}*", serve)
            await page.expose_function("tell", lambda line: print(line, flush=True))
            await page.goto(options.address.replace("/v1", "/health"))
            how: dict[str, Any] = {
                "address": options.address,
                "apiKey": secret(options.address),
                "webrtc": options.webrtc,
                "tools": options.tools,
                "sound": base64.b64encode(speech).decode(),
            }
            await page.evaluate(RUN, how)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
