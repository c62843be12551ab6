"""omni say: a text read out into a sound file, without a server."""

import argparse
import asyncio
import io
import sys
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from omni.model import OmniModel
from omni.types import FASTEST, SLOWEST, Voice
from streaming.cli.flags import CommandError
from streaming.company.voice_making import VoiceMaker
from streaming.company.voices import Voices
from streaming.config import Config
from streaming.files import check_place, write_whole
from streaming.gateway.libraries import VOICES
from streaming.sound_formats import SUFFIXES, Encoder
from streaming.speech import Reading, Script
from streaming.tdm.clock import SystemClock
from streaming.tdm.jobs import Result
from streaming.tdm.pipeline import EngineError
from streaming.tdm.worker import Worker

STANDARD = "-"
"""in place of a file's name, or of the text: what a shell connects"""

Load = Callable[[Config], OmniModel[Any]]


@dataclass(frozen=True, slots=True)
class Spoken:
    """What came of it, in seconds."""

    length_s: float
    first_s: float
    """from the beginning, with the model loaded, to the first sound"""
    whole_s: float

    def as_text(self) -> str:
        """For people."""
        return f"{self.length_s:.1f} s of speech: the first after {self.first_s:.2f} s, all after {self.whole_s:.2f} s"


def run(config: Config, arguments: argparse.Namespace, load: Load) -> Spoken:
    """Do what the arguments say.

    Args:
        config: where the voices are kept, and which model speaks.
        arguments: of the command.
        load: gives that model, warm; takes its time.

    Raises:
        CommandError, FileError, OSError: it cannot be done; the message says why.
        RuntimeError: the model cannot be had, or fails.
    """
    given = arguments
    kind = _kind(given.out, given.format)
    text = (sys.stdin.read() if given.text == STANDARD else given.text).strip()
    if not text:
        raise CommandError("there is nothing to say: give a text, or - and a text by standard input")
    if not SLOWEST <= given.speed <= FASTEST:
        raise CommandError(f"--speed may be {SLOWEST} to {FASTEST}, not {given.speed:g}")
    model = load(config)
    if not model.capabilities.voices:
        raise CommandError(f"{model.capabilities.name} does not speak")
    script = Script(text, _voice(config, model, given.voice), given.instructions, given.speed)
    if given.out == STANDARD:
        return asyncio.run(_read(model, script, kind, sys.stdout.buffer))
    # the head of some files tells their length, so they are written when all is known
    file = io.BytesIO()
    spoken = asyncio.run(_read(model, script, kind, file))
    write_whole(Path(given.out), file.getvalue())
    return spoken


def _kind(out: str, named: str | None) -> str:
    """The format of a file, by what was asked for or by its name."""
    if out == STANDARD:
        return named or "wav"
    path = Path(out)
    check_place(path, (path.suffix.lower(),) if named else tuple(SUFFIXES))
    return named or SUFFIXES[path.suffix.lower()]


def _voice(config: Config, model: OmniModel[Any], name: str | None) -> Voice | None:
    """A voice that was made here, or one of the model's own; None: the default."""
    if name is None:
        return None
    library = Voices(config.data_folder / VOICES, model.capabilities)
    library.look()
    entry = library.of(None).find(name)
    if entry is not None and entry.voice is None:
        VoiceMaker(model).prepare(library, entry)
        entry = library.of(None).find(name)
    if entry is None:
        known = ", ".join(library.of(None).voices())
        raise CommandError(f"there is no voice {name!r}; there are: {known}")
    if entry.voice is None:
        raise CommandError(f"voice {name!r} cannot be used: {entry.problem}")
    return entry.voice


async def _read(model: OmniModel[Any], script: Script, kind: str, file: BinaryIO) -> Spoken:
    """Have the text read out into a file."""
    loop = asyncio.get_running_loop()
    clock = SystemClock()

    def deliver(result: Result) -> None:
        loop.call_soon_threadsafe(reading.deliver, result)

    worker = Worker(model, deliver)
    reading = Reading(worker, clock)
    worker.start()
    rate = model.timing.output_rate
    encoder = Encoder(kind, rate, file)
    began_s, first_s, n_samples = clock.now_s(), 0.0, 0
    try:
        async with aclosing(reading.speech(script)) as speech:
            async for delta in speech:
                first_s = first_s or clock.now_s() - began_s
                n_samples += len(delta.pcm)
                encoder.add(delta.pcm)
                file.flush()
    except EngineError as error:
        raise RuntimeError(f"the text could not be spoken: {error}") from error
    finally:
        await asyncio.to_thread(worker.stop)
    encoder.finish()
    if not n_samples:
        raise CommandError("nothing of this text can be spoken: give words")
    return Spoken(n_samples / rate, first_s, clock.now_s() - began_s)
