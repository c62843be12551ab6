"""Sound files while they are being made: what comes first can be played at once, and nothing is lost on the way."""

import io

import av
import numpy as np
import pytest

from omni.timing import Timing
from omni.types import Pcm
from streaming.sound_formats import FORMATS, SUFFIXES, Encoder, StreamEncoder

RATE = Timing().output_rate
WHOLE = ("flac", "wav", "pcm")


def tone(seconds: float) -> Pcm:
    phase = np.arange(int(seconds * RATE), dtype=np.float32) * np.float32(2 * np.pi * 440 / RATE)
    return np.asarray(0.4 * np.sin(phase), np.float32)


def decoded(data: bytes, kind: str) -> Pcm:
    """Sound of a file at RATE, by a reader that knows nothing of how it was made."""
    if kind == "pcm":
        return np.asarray(np.frombuffer(data, "<i2") / 2**15, np.float32)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(io.BytesIO(data), "r") as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def streamed(kind: str, pcm: Pcm, n: int) -> list[bytes]:
    encoder = StreamEncoder(kind, RATE)
    return [*(encoder.add(pcm[begin : begin + n]) for begin in range(0, len(pcm), n)), encoder.finish()]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_first_piece_of_a_file_can_be_played(kind: str) -> None:
    pcm = tone(0.5)
    first = StreamEncoder(kind, RATE).add(pcm)
    # codecs look a little ahead: 80 ms at most
    assert len(decoded(first, kind)) > 0.4 * RATE


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("n", [1_001, 12_000])
def test_a_streamed_file_holds_all_of_the_sound(kind: str, n: int) -> None:
    pcm = tone(1.3)
    back = decoded(b"".join(streamed(kind, pcm, n)), kind)
    if kind in WHOLE:
        assert np.abs(back - pcm).max() < 1e-4
    else:
        assert len(pcm) <= len(back) <= len(pcm) + 0.12 * RATE
        level = np.sqrt(np.mean(back**2)) / np.sqrt(np.mean(pcm**2))
        assert 0.85 < level < 1.15


@pytest.mark.parametrize("kind", ["flac", "wav", "pcm"])
def test_how_the_sound_was_cut_does_not_show(kind: str) -> None:
    pcm = tone(0.7)
    assert b"".join(streamed(kind, pcm, 777)) == b"".join(streamed(kind, pcm, 9_000))


@pytest.mark.parametrize("kind", ["flac", "wav"])
def test_a_file_that_can_go_back_knows_its_length(kind: str) -> None:
    file = io.BytesIO()
    encoder = Encoder(kind, RATE, file)
    encoder.add(tone(1.0))
    encoder.finish()
    with av.open(io.BytesIO(file.getvalue()), "r") as container:
        assert container.duration == 1_000_000
    if kind == "wav":
        assert int.from_bytes(file.getvalue()[4:8], "little") == len(file.getvalue()) - 8


@pytest.mark.parametrize("kind", FORMATS)
def test_no_sound_makes_a_file_all_the_same(kind: str) -> None:
    encoder = StreamEncoder(kind, RATE)
    data = encoder.add(np.zeros(0, np.float32)) + encoder.finish()
    assert kind in ("pcm", "mp3", "aac") or data


def test_what_is_too_loud_is_cut_off_not_turned_over() -> None:
    back = decoded(b"".join(streamed("wav", np.array([2.0, -2.0, 0.5], np.float32), 3)), "wav")
    assert np.allclose(back, [1.0, -1.0, 0.5], atol=1e-3)


def test_every_suffix_is_of_a_known_kind() -> None:
    assert set(SUFFIXES.values()) == set(FORMATS)
