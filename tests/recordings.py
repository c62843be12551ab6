"""Something like speech to make voices from: syllables of a hum with pauses between them, and files of it."""

import io
from typing import Any

import av
import numpy as np
import soundfile

from omni.types import Pcm

RATE = 24_000


def hum(seconds: float, pitch_hz: float = 120.0, rate: int = RATE, level: float = 0.1, hush: float = 1e-4) -> Pcm:
    """Syllables of a fifth of a second: a tone with overtones, as loud as speech, over hardly any noise."""
    at = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * pitch_hz * k * at + k * k) / k for k in range(1, 20))
    loudness = np.clip(np.sin(2 * np.pi * 2.5 * at), 0, None) ** 0.5
    chance = np.random.default_rng(3)
    stress = chance.uniform(0.4, 1.0, len(at))[np.asarray(at * 2.5, np.intp)]
    noise = chance.standard_normal(len(at))
    return np.asarray(level * tone * loudness * stress + hush * noise, np.float32)


def wav(pcm: Pcm, rate: int = RATE, kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, pcm, rate, format=kind)
    return file.getvalue()


def encoded(pcm: Pcm, container: str, codec: str, rate: int = 48_000) -> bytes:
    """As a browser or a telephone records it: webm with libopus, mp4 with aac."""
    file = io.BytesIO()
    # what browsers record was sent while it was made, and does not say how long it is
    options = {"live": "1"} if container == "webm" else {}
    with av.open(file, "w", format=container, container_options=options) as output:
        stream: Any = output.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(pcm[None], format="flt", layout="mono")
        frame.sample_rate = rate
        for piece in (*av.AudioResampler("fltp" if codec == "aac" else "flt", "mono", rate, 960).resample(frame), None):
            for packet in stream.encode(piece):
                output.mux(packet)
    return file.getvalue()


def loudness(pcm: Pcm) -> list[float]:
    """Voice activity by level, of windows of 512 samples."""
    windows = pcm[: len(pcm) // 512 * 512].reshape(-1, 512)
    return [float(value > 0.03) for value in np.abs(windows).mean(axis=1)]
