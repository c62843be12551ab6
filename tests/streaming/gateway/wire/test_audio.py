import base64
import itertools

import numpy as np
import pytest

from omni.timing import Timing
from omni.types import Pcm
from streaming.gateway.wire.audio import G711_RATE, AudioFormat, AudioReader, AudioWriter, samples_of
from streaming.gateway.wire.fields import WireError

_TIMING = Timing()
_SECOND_S = 1.0


def _tone(rate: int, hz: float = 440.0, level: float = 0.5) -> Pcm:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(rate * _SECOND_S)) / rate)).astype(np.float32)


def _level_at(pcm: Pcm, rate: int, hz: float) -> float:
    """Amplitude of one frequency in the middle of the sound."""
    middle = pcm[len(pcm) // 4 : -len(pcm) // 4]
    wave = np.exp(-2j * np.pi * hz * np.arange(len(middle)) / rate)
    return float(2 * abs(np.mean(middle * wave)))


def test_g711_bytes_have_the_values_of_the_standard() -> None:
    # full scale, the smallest step, and silence, from ITU-T G.711 tables 1 and 2 scaled to 16 bits
    ulaw = samples_of(bytes([0x80, 0x00, 0xFF, 0x7F, 0xFE]), "audio/pcmu", "audio") * 32_768
    assert ulaw.tolist() == [32124, -32124, 0, 0, 8]
    alaw = samples_of(bytes([0xAA, 0x2A, 0xD5, 0x55]), "audio/pcma", "audio") * 32_768
    assert alaw.tolist() == [32256, -32256, 8, -8]


@pytest.mark.parametrize("audio_format", ["audio/pcmu", "audio/pcma"])
def test_every_g711_byte_survives_there_and_back(audio_format: AudioFormat) -> None:
    timing = Timing(input_rate=G711_RATE, output_rate=G711_RATE)
    every = bytes(range(256))
    pcm = AudioReader(audio_format, timing).push(every, "audio")
    back = base64.b64decode(AudioWriter(audio_format, timing).push(pcm))
    # mu-law has two zeros; every other value has one byte
    assert np.array_equal(samples_of(back, audio_format, "audio"), pcm)


def test_pcm16_survives_there_and_back_and_loud_sound_is_clipped() -> None:
    timing = Timing(input_rate=24, output_rate=24, wire_rate=24)
    every = np.arange(-32_768, 32_768).astype("<i2").tobytes()
    pcm = AudioReader("audio/pcm", timing).push(every, "audio")
    assert pcm.dtype == np.float32
    assert pcm.min() == -1.0
    writer = AudioWriter("audio/pcm", timing)
    assert base64.b64decode(writer.push(pcm)) == every
    clipped = np.frombuffer(base64.b64decode(writer.push(np.array([2.0, -2.0], np.float32))), "<i2")
    assert clipped.tolist() == [32_767, -32_768]


@pytest.mark.parametrize("audio_format", ["audio/pcm", "audio/pcmu", "audio/pcma"])
def test_a_tone_comes_in_at_the_encoders_rate(audio_format: AudioFormat) -> None:
    rate = _TIMING.wire_rate if audio_format == "audio/pcm" else G711_RATE
    wire_timing = Timing(output_rate=rate)
    data = base64.b64decode(AudioWriter(audio_format, wire_timing).push(_tone(rate)))
    n_packet = len(data) // 50
    reader = AudioReader(audio_format, _TIMING)
    packets = [reader.push(data[start : start + n_packet], "audio") for start in range(0, len(data), n_packet)]
    pcm = np.concatenate([*packets, reader.flush()])
    assert abs(len(pcm) - _TIMING.input_rate * _SECOND_S) <= 2
    assert _level_at(pcm, _TIMING.input_rate, 440.0) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("audio_format", ["audio/pcmu", "audio/pcma"])
def test_a_tone_goes_out_at_the_rate_of_a_telephone(audio_format: AudioFormat) -> None:
    writer = AudioWriter(audio_format, _TIMING)
    tone = _tone(_TIMING.output_rate)
    texts = [writer.push(tone[start : start + 2_400]) for start in range(0, len(tone), 2_400)]
    data = b"".join(base64.b64decode(text) for text in [*texts, writer.flush()])
    assert abs(len(data) - G711_RATE * _SECOND_S) <= 2
    assert _level_at(samples_of(data, audio_format, "audio"), G711_RATE, 440.0) == pytest.approx(0.5, abs=0.02)


def test_how_the_sound_was_cut_does_not_show() -> None:
    data = np.random.default_rng(0).integers(-32_768, 32_767, 30_000).astype("<i2").tobytes()
    whole = AudioReader("audio/pcm", _TIMING).whole(data, "audio")
    reader = AudioReader("audio/pcm", _TIMING)
    cuts = [0, 2, 962, 1_000, 40_000, len(data)]
    parts = [reader.push(data[begin:end], "audio") for begin, end in itertools.pairwise(cuts)]
    assert np.array_equal(np.concatenate([*parts, reader.flush()]), whole)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(WireError, match="whole samples"):
        AudioReader("audio/pcm", _TIMING).push(b"abc", "audio")
