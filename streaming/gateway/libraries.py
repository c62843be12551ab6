"""What callers choose from, each by their account: voices and characters, and the thread in which voices are made."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from omni.model import OmniModel
from omni.types import Voice
from streaming.company import characters, voices
from streaming.company.catalogue import Character, same_name
from streaming.company.voice_files import Record
from streaming.company.voice_making import Made, VoiceMaker, check_recording, several_speakers
from streaming.company.voices import VoiceError
from streaming.gateway.media import ActivityModel, probabilities_of

VOICES = "voices"
CHARACTERS = "characters"
"""folders in the data folder"""
MAKING_S = 120.0
"""a voice that takes longer to make is given up, those before it included"""
MOST_MAKING = 4
"""voices in the making, of different accounts; they wait for each other, because one alone computes"""
MOST_UPLOADS = 8
"""recordings that are being received at the same time: all of each is held in memory"""

_NICE = 10

log = logging.getLogger(__name__)


def _give_way() -> None:
    """Let this thread have only the time that calls leave over: who makes a voice expects to wait."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


class Choices:
    """Catalogue of one account.

    Args:
        making: the name of the voice that it is having made, if it is.
    """

    def __init__(
        self, of_voices: voices.Shelf, of_characters: characters.Shelf, making: Callable[[], str | None]
    ) -> None:
        self._voices = of_voices
        self._characters = of_characters
        self._making = making

    def voices(self) -> tuple[str, ...]:
        """See Catalogue."""
        return self._voices.voices()

    def voice(self, name: str) -> Voice | None:
        """See Catalogue."""
        return self._voices.voice(name)

    def unready(self, name: str) -> str | None:
        """See Catalogue."""
        made = self._making()
        if self._voices.find(name) is None and made is not None and same_name(made, name):
            return "it is being made; try again in half a minute"
        return self._voices.unready(name)

    def character(self, name: str) -> Character | None:
        """See Catalogue."""
        return self._characters.get(name)


class Libraries:
    """The voices and characters of a server. Nothing is read before the first look().

    Args:
        folder: the data folder; it need not exist.
        of_characters: what is in it beside voices.
        model: that voices are made for.
        activity: hears where somebody speaks.
    """

    def __init__(
        self,
        folder: Path,
        of_characters: characters.Characters,
        model: OmniModel[Any],
        activity: ActivityModel[Any],
    ) -> None:
        self.voices = voices.Voices(folder / VOICES, model.capabilities)
        self._characters = of_characters
        self._hear = partial(probabilities_of, activity, timing=model.timing)
        self._maker = VoiceMaker(model)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="voices", initializer=_give_way)
        self._making: dict[str | None, str] = {}
        """by account, the name of the voice that is being made for it"""
        self._n_uploads = 0
        self._preparing: asyncio.Task[None] | None = None

    def of(self, owner: str | None) -> Choices:
        """What an account may choose from; see Account.owner."""
        return Choices(self.voices.of(owner), self._characters.of(owner), partial(self._making.get, owner))

    def tidy(self) -> None:
        """Remove what a program left half done when it was ended. Blocks."""
        self.voices.tidy()
        self._characters.tidy()

    async def look(self) -> None:
        """See which voices came and went meanwhile; those made for another model are prepared for this one."""
        await asyncio.to_thread(self.voices.look)
        idle = self._preparing is None or self._preparing.done()
        if idle and self.voices.unprepared():
            self._preparing = asyncio.create_task(self._prepare())

    async def _prepare(self) -> None:
        """One after another, so that who makes a voice meanwhile waits for one at most."""
        loop = asyncio.get_running_loop()
        while missing := self.voices.unprepared():
            await loop.run_in_executor(self._pool, self._maker.prepare, self.voices, missing[0])

    def check_ability(self) -> None:
        """Whether voices can be made at all.

        Raises:
            VoiceError: the model cannot.
        """
        self._maker.check_ability()

    @contextmanager
    def upload(self) -> Iterator[None]:
        """A place among those who send a recording.

        Raises:
            VoiceError: all are taken.
        """
        if self._n_uploads >= MOST_UPLOADS:
            raise VoiceError("voices_busy", "Others are sending recordings just now. Try again in a minute.")
        self._n_uploads += 1
        try:
            yield
        finally:
            self._n_uploads -= 1

    @contextmanager
    def place(self, owner: str | None, name: str) -> Iterator[None]:
        """A place among those who make a voice, one for each account.

        Args:
            owner: the account.
            name: of the voice.

        Raises:
            VoiceError: all are taken.
        """
        if owner in self._making:
            raise VoiceError(
                "voices_busy", "A voice of yours is being made. Wait until it is there, then make another."
            )
        if len(self._making) >= MOST_MAKING:
            raise VoiceError("voices_busy", "Others are making voices just now. Try again in a minute.")
        self._making[owner] = name
        try:
            yield
        finally:
            del self._making[owner]

    async def make(self, record: Record, data: bytes) -> tuple[voices.Entry, Made]:
        """Make a voice of a sound file, and keep it.

        Raises:
            VoiceError: the recording is not fit, or it took too long.
            OSError: it cannot be kept.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(MAKING_S):
                # a thread cannot be stopped: what it still makes after that is kept by nobody
                made = await loop.run_in_executor(self._pool, self._make, record, data)
        except TimeoutError:
            raise VoiceError(
                "voice_timed_out", f"The voice was not ready in {MAKING_S:.0f} s. Try again later."
            ) from None
        entry = await asyncio.to_thread(self.voices.add, made.record, made.reference, made.voice)
        log.info("voice %s was made", entry.id)
        return entry, made

    def _make(self, record: Record, data: bytes) -> Made:
        return self._maker.make(record, check_recording(data, self._hear, several_speakers))

    def stop(self) -> None:
        """Begin nothing more."""
        if self._preparing is not None:
            self._preparing.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
