"""Sound on the wire and sound inside: pcm16 and G.711 in both directions, resampled, streaming."""

import base64
from typing import Literal

import numpy as np
import numpy.typing as npt

from omni.audio.resample import Resampler
from omni.timing import Timing
from omni.types import Pcm
from streaming.gateway.wire.fields import WireError

AudioFormat = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]

G711_RATE = 8_000
"""Hz, part of ITU-T G.711"""
_FULL_SCALE = 32_768
_PIECE = 4_096
"""samples that are resampled at a time: minutes in one piece would take gigabytes for a moment"""


def wire_rate(audio_format: AudioFormat, timing: Timing) -> int:
    """Samples per second on the wire, in Hz."""
    return timing.wire_rate if audio_format == "audio/pcm" else G711_RATE


class AudioReader:
    """The client's sound: bytes of a wire format to samples at Timing.input_rate. One per connection, stateful."""

    def __init__(self, audio_format: AudioFormat, timing: Timing) -> None:
        self._format = audio_format
        self._resampler = _resampler(wire_rate(audio_format, timing), timing.input_rate)

    def push(self, data: bytes, param: str) -> Pcm:
        """Samples [S] for these bytes; a few may be kept back for the resampler.

        Raises:
            WireError: half a sample.
        """
        pcm = samples_of(data, self._format, param)
        resampler = self._resampler
        if resampler is None:
            return pcm
        if len(pcm) <= _PIECE:
            return resampler.push(pcm)
        return np.concatenate([resampler.push(pcm[start : start + _PIECE]) for start in range(0, len(pcm), _PIECE)])

    def flush(self) -> Pcm:
        """What was kept back [S]. Nothing may be pushed afterwards."""
        return np.zeros(0, np.float32) if self._resampler is None else self._resampler.flush()

    def whole(self, data: bytes, param: str) -> Pcm:
        """Samples [S] of a sound that is complete in these bytes.

        Raises:
            WireError: half a sample.
        """
        return np.concatenate([self.push(data, param), self.flush()])


class AudioWriter:
    """The answer's sound: samples at Timing.output_rate to base64 of a wire format. One per response, stateful."""

    def __init__(self, audio_format: AudioFormat, timing: Timing) -> None:
        self._format = audio_format
        self._resampler = _resampler(timing.output_rate, wire_rate(audio_format, timing))

    def push(self, pcm: Pcm) -> str:
        """Base64 for samples [S]."""
        return self._encode(pcm if self._resampler is None else self._resampler.push(pcm))

    def flush(self) -> str:
        """Base64 of what was kept back, "" if there is nothing."""
        return "" if self._resampler is None else self._encode(self._resampler.flush())

    def _encode(self, pcm: Pcm) -> str:
        scaled = pcm * _FULL_SCALE
        np.rint(scaled, out=scaled)
        np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1, out=scaled)
        pcm16 = scaled.astype("<i2")
        if self._format == "audio/pcm":
            return base64.b64encode(pcm16.tobytes()).decode("ascii")
        table = _TO_ULAW if self._format == "audio/pcmu" else _TO_ALAW
        return base64.b64encode(table[pcm16.view(np.uint16)].tobytes()).decode("ascii")


def samples_of(data: bytes, audio_format: AudioFormat, param: str) -> Pcm:
    """Bytes of a wire format as samples [S], at the rate of the wire.

    Raises:
        WireError: an odd number of bytes, where a sample takes two.
    """
    if audio_format == "audio/pcmu":
        return _FROM_ULAW[np.frombuffer(data, np.uint8)]
    if audio_format == "audio/pcma":
        return _FROM_ALAW[np.frombuffer(data, np.uint8)]
    if len(data) % 2:
        raise WireError(
            "invalid_audio",
            f"{param} has {len(data)} bytes, but a sample of 16-bit PCM has two: cut the sound at whole samples.",
            param,
        )
    return np.frombuffer(data, "<i2") * np.float32(1 / _FULL_SCALE)


def _resampler(from_rate: int, to_rate: int) -> Resampler | None:
    return None if from_rate == to_rate else Resampler(from_rate, to_rate)


def _ulaw_levels() -> npt.NDArray[np.int32]:
    """The value [256] of every mu-law byte, 16-bit scale (ITU-T G.711, table 2: 14 bits, shifted up)."""
    code = ~np.arange(256, dtype=np.uint8)
    segment = (code >> 4 & 7).astype(np.int32)
    step = (code & 15).astype(np.int32)
    magnitude = ((step * 2 + 33) << segment) - 33
    return np.where(code & 0x80, -magnitude, magnitude) * 4


def _alaw_levels() -> npt.NDArray[np.int32]:
    """The value [256] of every A-law byte, 16-bit scale (ITU-T G.711, table 1: 13 bits, shifted up)."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    segment = (code >> 4 & 7).astype(np.int32)
    step = (code & 15).astype(np.int32)
    magnitude = np.where(segment == 0, step * 2 + 1, (step * 2 + 33) << np.maximum(segment - 1, 0))
    # bit 7 set is positive here, the other way round than in mu-law
    return np.where(code & 0x80, magnitude, -magnitude) * 8


def _nearest(levels: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """For each 16-bit value, read as unsigned, the byte [65536] whose level is nearest."""
    order = np.argsort(levels, kind="stable")
    middles = (levels[order][1:] + levels[order][:-1]) / 2
    values = np.arange(65_536, dtype=np.uint16).view(np.int16)
    return order[np.searchsorted(middles, values)].astype(np.uint8)


_FROM_ULAW: Pcm = (_ulaw_levels() / _FULL_SCALE).astype(np.float32)
_FROM_ALAW: Pcm = (_alaw_levels() / _FULL_SCALE).astype(np.float32)
_TO_ULAW = _nearest(_ulaw_levels())
_TO_ALAW = _nearest(_alaw_levels())
