"""Sound, pictures and video from files, and sound into one. Every error names the file and says what to do."""

import io
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import soundfile

from omni.audio.sound import decode_sound
from omni.timing import Timing
from omni.types import Pcm, Picture, Unit
from omni.vision.image import MAX_PIXELS, decode_image
from streaming.config import INSTALL_CHECKPOINTS
from streaming.whole_files import replace_file

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.frame import Frame
    from av.packet import Packet
    from av.video.frame import VideoFrame

_PADDING_S = Fraction(1, 10)
"""what a codec may add behind the last whole second; not worth a second of its own"""
_LONGEST_SIDE = 1920
"""pixels, of a frame of video"""


class FileError(ValueError):
    """A file that cannot be used. The message says why."""


def read_sound(path: Path, timing: Timing) -> Pcm:
    """Read a sound file of any rate and any number of channels: [S] at Timing.input_rate.

    What libsndfile does not know (M4A, WebM, the sound of a video) is left to PyAV, where that is installed.

    Raises:
        FileError: no such file, not a sound file, or no sound in it.
    """
    _expect(path)
    try:
        return decode_sound(path.read_bytes(), timing)
    except ValueError as error:
        unknown = isinstance(error.__cause__, soundfile.SoundFileError)
        if unknown and (pcm := _sound_alone(path, timing.input_rate)) is not None:
            return pcm
        pyav = "" if find_spec("av") else f" with PyAV ({INSTALL_CHECKPOINTS})"
        advice = f"; WAV, FLAC, Ogg and MP3 can be read, and M4A and WebM{pyav}" if unknown else ""
        raise FileError(f"{path}: {error}{advice}") from error


def write_sound(path: Path, pcm: Pcm, timing: Timing) -> None:
    """Write what the assistant said [S] as 16-bit WAV.

    Raises:
        FileError: it cannot be written there.
    """
    file = io.BytesIO()
    soundfile.write(file, pcm, timing.output_rate, subtype="PCM_16", format="WAV")
    write_whole(path, file.getvalue())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, or no part of it: half a sound file would look like a whole one, and one that was there stays.

    Raises:
        FileError: it cannot be written there.
    """
    try:
        if path.exists() and not path.is_file():  # such as a pipe, which a file must not replace
            path.write_bytes(data)
        else:
            replace_file(path.resolve(), data)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}; make room, or name another file") from error


def check_place(path: Path, endings: Sequence[str] = (".wav",)) -> None:
    """Refuse, before anything is computed for it, a path to which speech could not be written.

    Args:
        path: of the file that is to be.
        endings: that its name may have, in small letters; write_sound knows the one.

    Raises:
        FileError: it is a folder or in none, or something else by its name.
    """
    if path.is_dir():
        raise FileError(f"cannot write {path}: it is a folder; name a file in it, such as {path / 'answer.wav'}")
    if not path.absolute().parent.is_dir():
        raise FileError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if path.suffix.lower() not in endings:
        kind = "WAV" if endings == (".wav",) else "a sound file"
        raise FileError(
            f"cannot write {path}: speech is written as {kind}; name a file that ends in {', '.join(endings)}"
        )
    if not all(os.access(place, os.W_OK) for place in (path.resolve().parent, path) if place.exists()):
        raise FileError(f"cannot write {path}: you may not write there; name another file")


def read_picture(path: Path, longest_side: int = MAX_PIXELS) -> Picture:
    """Read a JPEG or PNG, at its full size if nothing else is said: a model that slices pictures needs every pixel.

    Raises:
        FileError: no such file, or not a picture.
    """
    _expect(path)
    try:
        return decode_image(path.read_bytes(), longest_side=longest_side)
    except ValueError as error:
        raise FileError(f"{path}: {error}") from error


def read_video(path: Path, timing: Timing, *, longest_s: int, most_pictures: int) -> list[Unit]:
    """Read a video as units of a second: its sound, and what is seen at its end.

    Args:
        path: of any container and codec that PyAV knows.
        timing: the rate of the sound.
        longest_s: refuse a video with sound that lasts longer.
        most_pictures: of a video without sound, which has so many evenly spread units at most.

    Raises:
        FileError: no such file, not a video, too long, or PyAV is not installed.
    """
    _expect(path)
    try:
        import av  # noqa: PLC0415  (only a video needs it)
    except ImportError as error:
        raise FileError(f"reading {path} needs PyAV; {INSTALL_CHECKPOINTS}") from error
    try:
        with av.open(path) as container:
            span = _measure(container)
        n_seconds = max(1, math.ceil(span.length_s - _PADDING_S))
        if span.has_sound and n_seconds > longest_s:
            raise FileError(f"{path} lasts {n_seconds} s, and {longest_s} s are the most; cut it")
        seconds = range(n_seconds) if span.has_sound else _spread(n_seconds, most_pictures)
        with av.open(path) as container:
            pictures = list(_pictures(container, span, seconds))
        if not span.has_sound:
            return [Unit(image=picture) for picture in pictures]
        with av.open(path) as container:
            sound = _sound(container, span, timing.input_rate)
    except av.FFmpegError as error:
        raise FileError(f"{path} is no video that can be read, or it is damaged: {error.strerror}") from error
    n = timing.input_rate
    cuts = [sound[second * n : (second + 1) * n] for second in seconds]
    return [Unit(pcm if len(pcm) else None, picture) for pcm, picture in zip(cuts, pictures, strict=True)]


@dataclass(frozen=True, slots=True)
class _Span:
    """When a video begins, in the time of its file, and how long it lasts."""

    start_s: Fraction
    length_s: Fraction
    has_sound: bool


def _expect(path: Path) -> None:
    if path.is_dir():
        raise FileError(f"{path} is a folder; name a file in it")
    if not path.is_file():
        raise FileError(f"there is no file {path}")


def _measure(container: "InputContainer") -> _Span:
    """How long a video really lasts, without decoding it: what a browser records does not say.

    Raises:
        FileError: it has no pictures.
    """
    streams = [*container.streams.video[:1], *container.streams.audio[:1]]
    spans = [
        (packet.stream.type, _time_s(packet), (packet.duration or 0) * packet.time_base)
        for packet in container.demux(streams)
        if packet.pts is not None
    ]
    kinds = {kind for kind, _, _ in spans}
    if "video" not in kinds:
        raise FileError(
            f"{container.name} has no pictures in it, or is damaged; give what is only to be heard by --audio"
        )
    # What lies before zero is a codec's run-up, not meant to be heard.
    begin_s = max(min(start_s for _, start_s, _ in spans), Fraction(0))
    end_s = max(start_s + length_s for _, start_s, length_s in spans)
    return _Span(begin_s, end_s - begin_s, "audio" in kinds)


def _spread(n: int, most: int) -> Sequence[int]:
    """Of n seconds so many as are wanted, from the middles of equal parts."""
    return range(n) if n <= most else [(2 * part + 1) * n // (2 * most) for part in range(most)]


def _pictures(container: "InputContainer", span: _Span, seconds: Sequence[int]) -> Iterator[Picture]:
    """What is seen at the end of each of these seconds; behind the last picture it stays."""
    shown: VideoFrame | None = None
    ends = iter([second + 1 for second in seconds])
    end = next(ends)
    for frame in container.decode(video=0):
        while shown is not None and _time_s(frame) - span.start_s > end:
            yield _upright(shown)
            if (following := next(ends, None)) is None:
                return
            end = following
        shown = frame
    if shown is not None:
        yield from [_upright(shown)] * (1 + len(list(ends)))


def _upright(frame: "VideoFrame") -> Picture:
    """A frame as it is to be looked at: phones film lying down, and say so."""
    # Seconds are seen at a quarter of this size; minutes of larger frames would fill the memory.
    scale = min(1.0, _LONGEST_SIDE / max(frame.width, frame.height))
    width, height = (max(1, round(length * scale)) for length in (frame.width, frame.height))
    picture = np.rot90(frame.to_ndarray(format="rgb24", width=width, height=height), round(frame.rotation / 90))
    return cast(Picture, np.ascontiguousarray(picture))


def _sound(container: "InputContainer", span: _Span, rate: int) -> Pcm:
    """All of the sound [S] at this rate, from the moment on at which the video begins."""
    import av  # noqa: PLC0415

    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    pieces: list[Pcm] = []
    n_early = 0
    for frame in container.decode(audio=0):
        if not pieces:
            late = round((_time_s(frame) - span.start_s) * rate)
            n_early = max(-late, 0)
            pieces.append(np.zeros(max(late, 0), np.float32))
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
    pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return np.concatenate([np.zeros(0, np.float32), *pieces])[n_early:]


def _sound_alone(path: Path, rate: int) -> Pcm | None:
    """The sound of a file [S] at this rate, as PyAV reads it; None: it cannot, or is not installed."""
    try:
        import av  # noqa: PLC0415
    except ImportError:
        return None
    try:
        with av.open(path) as container:
            if not container.streams.audio:
                return None
            stream = container.streams.audio[0]
            start_s = (stream.start_time or 0) * (stream.time_base or Fraction(0))
            sound = _sound(container, _Span(max(start_s, Fraction(0)), Fraction(0), has_sound=True), rate)
    except av.FFmpegError:
        return None
    # as decode_sound: what is louder than a file should be is cut off at full scale
    return np.clip(sound, -1.0, 1.0) if len(sound) and np.isfinite(sound).all() else None


def _time_s(moment: "Frame | Packet[Any]") -> Fraction:
    return (moment.pts or 0) * (moment.time_base or Fraction(0))
