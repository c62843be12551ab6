"""Speech as bytes of a sound file, while it is being made: of each piece at once what can be played of it."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

import av
import numpy as np
from av.audio.stream import AudioStream

from omni.types import Pcm

_FULL_SCALE = 2**15 - 1


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """A kind of sound file, by FFmpeg's names."""

    content_type: str
    container: str
    codec: str
    bit_rate: int | None = None
    """bits a second, for mono speech; None: without loss"""
    options: Mapping[str, str] = field(default_factory=dict)
    """of the container: those by which it keeps nothing back"""


FORMATS = {
    "mp3": SoundFormat("audio/mpeg", "mp3", "libmp3lame", 64_000, {"write_xing": "0", "id3v2_version": "0"}),
    "opus": SoundFormat("audio/ogg", "ogg", "libopus", 40_000, {"page_duration": "20000"}),
    "aac": SoundFormat("audio/aac", "adts", "aac", 64_000),
    "flac": SoundFormat("audio/flac", "flac", "flac"),
    "wav": SoundFormat("audio/wav", "wav", "pcm_s16le"),
    "pcm": SoundFormat("audio/pcm", "s16le", "pcm_s16le"),
}
"""by the names that OpenAI's API has for them"""
SUFFIXES = {
    ".mp3": "mp3",
    ".ogg": "opus",
    ".opus": "opus",
    ".aac": "aac",
    ".flac": "flac",
    ".wav": "wav",
    ".pcm": "pcm",
}
"""the same by how files are called"""


class Encoder:
    """Sound in, bytes of a file out. Takes milliseconds for a second of speech.

    Args:
        kind: one of FORMATS.
        rate: Hz, of the sound.
        file: to write into. One that can go back is given the length of the whole at the end; into a stream it is
            written as unknown.
    """

    def __init__(self, kind: str, rate: int, file: BinaryIO) -> None:
        how = FORMATS[kind]
        self._rate = rate
        options = {"flush_packets": "1", "fflags": "+bitexact", **how.options}
        self._container = av.open(file, "w", format=how.container, container_options=options)
        stream = self._container.add_stream(how.codec, rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)
        if how.bit_rate is not None:
            stream.bit_rate = how.bit_rate
        self._container.start_encoding()  # the head of a file is there without any sound
        self._stream = stream
        self._resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate)

    def add(self, pcm: Pcm) -> None:
        """More sound [S]."""
        if not len(pcm):
            return
        whole = np.round(np.clip(pcm, -1.0, 1.0) * _FULL_SCALE).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
        frame.sample_rate = self._rate
        for part in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(part))

    def finish(self) -> None:
        """The sound is complete."""
        self._container.mux(self._stream.encode(None))
        self._container.close()


class StreamEncoder:
    """The same for who sends the file on while it is being made."""

    def __init__(self, kind: str, rate: int) -> None:
        self._pipe = _Pipe()
        self._encoder = Encoder(kind, rate, self._pipe)

    def add(self, pcm: Pcm) -> bytes:
        """More sound [S]; the bytes that can be sent now."""
        self._encoder.add(pcm)
        return self._pipe.take()

    def finish(self) -> bytes:
        """The sound is complete; the last bytes of the file."""
        self._encoder.finish()
        return self._pipe.take()


class _Pipe(io.RawIOBase, BinaryIO):
    """A file that is only written to, from its beginning to its end."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def take(self) -> bytes:
        """What was written since this was last asked."""
        data, self._pieces = b"".join(self._pieces), []
        return data
