"""What callers choose from, and voices in the making."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from omni.types import Pcm, Voice
from streaming.company.catalogue import Character
from streaming.company.characters import Characters
from streaming.company.voices import VoiceError, Wish
from streaming.gateway import libraries
from streaming.gateway.libraries import Libraries
from tests.fakes import ScriptedModel
from tests.recordings import hum, wav
from tests.streaming.gateway.place import Loudness


class Cloner(ScriptedModel):
    """Notes on which threads it works."""

    def __init__(self, name: str = "scripted") -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, name=name, makes_voices="clones")
        self.threads: list[str] = []
        self.niceness = 0

    def prepare_voice(self, name: str, reference: Pcm) -> Voice:
        self.threads.append(threading.current_thread().name)
        self.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return Voice(name, state={"length": np.array([len(reference)], np.float32)})


def opened(folder: Path, model: Cloner) -> Libraries:
    return Libraries(folder, Characters(folder / libraries.CHARACTERS), model, Loudness())


@pytest.fixture
async def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Libraries]:
    monkeypatch.setattr(libraries, "several_speakers", lambda pcm: False)
    library = opened(tmp_path, Cloner())
    yield library
    library.stop()


async def make(library: Libraries, name: str, owner: str | None = None, *, shared: bool = False) -> str:
    record = library.voices.of(owner).record_of(Wish(name, "self", shared=shared))
    return (await library.make(record, wav(hum(8.0))))[0].id


async def test_an_account_chooses_among_its_own_and_what_is_shared(library: Libraries, tmp_path: Path) -> None:
    hers, both = await make(library, "Hers", "ann"), await make(library, "Both", "ann", shared=True)
    characters = Characters(tmp_path / libraries.CHARACTERS)
    made = characters.of("ann").save(Character("", "Ada", "You are Ada.")).character
    ann, ben = library.of("ann"), library.of("ben")
    assert {"Hers", "Both"} < set(ann.voices())
    assert "Hers" not in ben.voices()
    assert (ann.voice(hers) is None, ben.voice(hers) is None, ben.voice(both) is None) == (False, True, False)
    assert (ann.character(made.id), ben.character(made.id)) == (made, None)


async def test_a_voice_is_made_away_from_the_event_loop_and_the_engine(tmp_path: Path, library: Libraries) -> None:
    model = Cloner("another")
    await make(library, "Mine")
    other = opened(tmp_path, model)
    await make(other, "Second")
    await other.look()
    async with asyncio.timeout(10):
        while other.voices.unprepared():  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)
    assert {thread.partition("_")[0] for thread in model.threads} == {"voices"}
    assert model.niceness > os.getpriority(os.PRIO_PROCESS, 0)  # calls come first
    assert set(other.of(None).voices()) == {"plain", "other", "Mine", "Second"}
    other.stop()


async def test_a_place_is_free_again_whatever_came_of_it(library: Libraries) -> None:
    with pytest.raises(VoiceError) as refused, library.place("ann", "Mine"):
        await library.make(library.voices.of("ann").record_of(Wish("Mine", "self")), b"no sound")
    assert refused.value.code == "invalid_audio"
    with (
        library.place("ann", "Mine"),
        library.place("ben", "His"),
        pytest.raises(VoiceError) as refused,
        library.place("ann", "Mine"),
    ):
        pass
    assert refused.value.code == "voices_busy"
    with library.place("ann", "Mine"):
        pass


async def test_a_voice_that_is_being_made_or_prepared_is_said_to_be(library: Libraries, tmp_path: Path) -> None:
    with library.place("ann", "Mine"):
        assert "being made" in (library.of("ann").unready("mine") or "")
        assert library.of("ben").unready("mine") is None
    made = await make(library, "Mine", "ann")
    assert library.of("ann").unready("Mine") is None
    other = opened(tmp_path, Cloner("another"))
    other.voices.look()
    for named in ("Mine", made):
        assert other.of("ann").voice(named) is None
        assert "being prepared" in (other.of("ann").unready(named) or "")
        assert other.of("ben").unready(named) is None
    other.stop()


async def test_no_more_recordings_are_received_than_memory_is_meant_for(
    library: Libraries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "MOST_UPLOADS", 1)
    with library.upload(), pytest.raises(VoiceError) as refused, library.upload():
        pass
    assert refused.value.code == "voices_busy"
    with library.upload():
        pass


async def test_what_takes_too_long_is_given_up(library: Libraries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "MAKING_S", 0.0)
    with pytest.raises(VoiceError) as refused:
        await make(library, "Slow")
    assert refused.value.code == "voice_timed_out"
    assert library.voices.kept() == []


async def test_a_start_clears_what_an_earlier_one_left_half_done_and_finds_the_rest(
    library: Libraries, tmp_path: Path
) -> None:
    folder = tmp_path / libraries.VOICES
    made = await make(library, "Mine")
    characters = tmp_path / libraries.CHARACTERS
    for left in (folder / ".new-1", characters / ".new-1"):
        left.mkdir(parents=True)
        os.utime(left, (0, 0))
    again = opened(tmp_path, Cloner())
    assert not again.voices.read, "a start does not wait for the disk"
    again.tidy()
    await again.look()
    assert [path.name for path in folder.iterdir()] == [made]
    assert list(characters.iterdir()) == []
    assert "Mine" in again.of(None).voices()
    again.stop()
