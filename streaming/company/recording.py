"""A recording that somebody sent: bytes of any usual format to samples at their own rate, never more than is wanted."""

import io
from collections.abc import Iterator

import av
import numpy as np
import soundfile
from av.container import InputContainer

from omni.audio.reference import resampled
from omni.timing import Timing
from omni.types import Pcm

HIGHEST_RATE = 2 * Timing().output_rate
"""Hz; what has more is brought down to this"""
_RATES = range(8_000, 4 * HIGHEST_RATE + 1)
_MOST_CHANNELS = 8
"""as microphones for a room have; some formats hold hundreds, which are silent and small until they are decoded"""
_DEMUXERS = "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,ogg,mp3,aac,flac,wav,aiff,caf,amr,asf"
"""what may be looked into: some others open further files, or addresses, that the first one names"""


class RecordingError(ValueError):
    """No recording that can be read. The message says what to do."""


class TooLongError(ValueError):
    """It lasts longer than is wanted."""

    def __init__(self, length_s: float) -> None:
        super().__init__(f"the recording lasts {length_s:.0f} s or longer")
        self.length_s = length_s


def read_recording(data: bytes, longest_s: float) -> tuple[Pcm, int]:
    """Decode a recording: what libsndfile knows, and else what PyAV does (what browsers and phones record).

    Args:
        data: a whole file.
        longest_s: not more than this is decoded.

    Returns:
        [S], its channels mixed, and its rate in Hz, at most HIGHEST_RATE.

    Raises:
        RecordingError: it is no sound, or damaged.
        TooLongError: it lasts longer than longest_s.
    """
    try:
        pieces, rate = _by_libsndfile(data, longest_s)
    except soundfile.SoundFileError:
        pieces, rate = _by_pyav(data, longest_s)
    sound = np.concatenate([np.zeros(0, np.float32), *pieces])
    if not len(sound):
        raise RecordingError("There is no sound in the file. Record again, or choose another file.")
    if not np.isfinite(sound).all():
        raise RecordingError("The file holds samples that are no numbers. Choose another file.")
    # a float file may hold anything, and sound of 1e30 would make everything after it not a number
    sound = np.clip(sound, -1.0, 1.0)
    return (resampled(sound, rate, HIGHEST_RATE), HIGHEST_RATE) if rate > HIGHEST_RATE else (sound, rate)


def _by_libsndfile(data: bytes, longest_s: float) -> tuple[list[Pcm], int]:
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        rate = _checked_rate(file.samplerate, file.channels)
        pieces: list[Pcm] = []
        n_samples = 0
        # a second at a time: all channels of all of it may take ten times the memory of what is wanted
        while len(sound := file.read(rate, dtype="float32", always_2d=True)):
            pieces.append(sound.mean(axis=1, dtype=np.float32))
            n_samples += len(sound)
            # what a file says of its length may be wrong
            if n_samples > longest_s * rate:
                raise TooLongError(max(file.frames / rate, longest_s))
        return pieces, rate


def _by_pyav(data: bytes, longest_s: float) -> tuple[list[Pcm], int]:
    try:
        with av.open(io.BytesIO(data), "r", container_options={"format_whitelist": _DEMUXERS}) as container:
            if not container.streams.audio:
                raise RecordingError("There is no sound in the file. Record again, or choose another file.")
            stream = container.streams.audio[0]
            rate = _checked_rate(stream.rate, stream.channels)
            pieces: list[Pcm] = []
            n_samples = 0
            for piece in _mono(container, rate):
                pieces.append(piece)
                n_samples += len(piece)
                if n_samples > longest_s * rate:
                    # what browsers record does not say how long it is
                    raise TooLongError((container.duration or 0) / av.time_base or longest_s)
            return pieces, rate
    except av.FFmpegError as error:
        raise RecordingError(
            "The file cannot be read as sound. Record again, or choose a WAV, MP3, M4A, FLAC, Ogg or WebM file."
        ) from error


def _mono(container: InputContainer, rate: int) -> Iterator[Pcm]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    for frame in container.decode(audio=0):
        for piece in resampler.resample(frame):
            yield piece.to_ndarray()[0]
    for piece in resampler.resample(None):
        yield piece.to_ndarray()[0]


def _checked_rate(rate: int, n_channels: int) -> int:
    if n_channels > _MOST_CHANNELS:
        raise RecordingError(
            f"The file has {n_channels} channels, and {_MOST_CHANNELS} can be used. Choose another file."
        )
    if rate not in _RATES:
        raise RecordingError(
            f"The file has {rate} samples a second, and {_RATES[0]} to {_RATES[-1]} can be used. Choose another file."
        )
    return rate
