import io

import numpy as np
import pytest
import soundfile

from omni.audio.sound import decode_sound
from omni.timing import Timing
from tests.chunks import Samples


def encoded(pcm: Samples, rate: int, kind: str = "WAV", subtype: str = "FLOAT") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, pcm, rate, format=kind, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_any_rate_becomes_the_encoders(rate: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(rate, dtype=np.float32) / rate)
    pcm = decode_sound(encoded(tone, rate), Timing())
    assert abs(len(pcm) - Timing().input_rate) <= 1
    spectrum = np.abs(np.fft.rfft(pcm[2_000:14_000] * np.hanning(12_000)))
    assert abs(spectrum.argmax() * Timing().input_rate / 12_000 - 440) < 2


def test_channels_are_mixed() -> None:
    both = np.stack([np.full(16_000, 0.5), np.full(16_000, -0.1)], axis=1).astype(np.float32)
    assert decode_sound(encoded(both, 16_000), Timing()) == pytest.approx(np.full(16_000, 0.2), abs=1e-6)


def test_sound_beyond_full_scale_is_cut_off() -> None:
    loud = np.array([1e30, -1e30, 0.5], np.float32)
    assert decode_sound(encoded(loud, 16_000), Timing()).tolist() == [1.0, -1.0, 0.5]


def test_flac_is_read() -> None:
    silence = np.zeros(16_000, np.float32)
    assert len(decode_sound(encoded(silence, 16_000, "FLAC", "PCM_16"), Timing())) == 16_000


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"no sound at all", "no sound file"),
        (encoded(np.zeros(0, np.float32), 16_000), "no sound in it"),
        (encoded(np.array([np.nan], np.float32), 16_000), "no numbers"),
    ],
    ids=["text", "empty", "not a number"],  # a sound file tells the time
)
def test_what_cannot_be_heard_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode_sound(data, Timing())
