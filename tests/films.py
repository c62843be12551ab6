"""Videos for tests, encoded as they are needed."""

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from omni.timing import Timing
from omni.types import Pcm

_RATE = Timing().input_rate


def tone(seconds: float, frequency: float, rate: int = _RATE) -> Pcm:
    """A sine [S], loud enough to be no silence."""
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def film(
    path: Path,
    seconds: float,
    *,
    sound: Pcm | None = None,
    sound_at_s: float = 0.0,
    codec: str = "pcm_s16le",
    fps: int = 5,
    rotation: int = 0,
) -> Path:
    """A video whose right half is as many tens of grey as seconds have begun; the sound [S] is at 16 kHz."""
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.bit_rate = 64, 32, 4_000_000
        if rotation:
            stream.set_display_rotation(rotation)
        heard = None if sound is None else cast(av.AudioStream, container.add_stream(codec, rate=_RATE, layout="mono"))
        for index in range(round(seconds * fps)):
            picture = np.zeros((32, 64, 3), np.uint8)
            picture[:, 32:] = 10 * (index // fps + 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
        if heard is not None and sound is not None:
            pcm = (sound * 32_767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            frame.rate, frame.time_base, frame.pts = _RATE, Fraction(1, _RATE), round(sound_at_s * _RATE)
            container.mux(heard.encode(frame))
            container.mux(heard.encode())
    return path
