"""Opus packets to sound, and the sound of a gap."""

import numpy as np
import pytest
from aiortc.codecs.opus import SAMPLE_RATE as OPUS_RATE

from streaming.gateway.opus import FADE_UNTIL_S, OpusDecoder, opus_ticks
from streaming.tdm.jitter import Jitter
from tests.chunks import Samples
from tests.streaming.impairments import encode, voiced

RATE = 16_000
N_PACKET = RATE // 50


def level_db(pcm: Samples) -> float:
    return float(10 * np.log10(np.mean(np.square(pcm)) + 1e-12))


@pytest.mark.parametrize(
    ("packet", "ms"),
    [
        (b"", 0),
        (bytes([1 << 3]), 20),  # SILK
        (bytes([3 << 3 | 1]), 120),
        (bytes([3 << 3 | 3, 3]), 0),  # three times 60 ms: more than a packet may have
        (bytes([15 << 3]), 20),  # hybrid
        (bytes([14 << 3 | 2]), 20),
        (bytes([28 << 3]), 2.5),  # CELT
        (bytes([31 << 3 | 3, 5]), 100),
        (bytes([31 << 3 | 3]), 0),  # how many frames?
    ],
)
def test_a_packet_says_how_long_its_sound_is(packet: bytes, ms: float) -> None:
    assert opus_ticks(packet) == ms * OPUS_RATE / 1000


@pytest.mark.parametrize("packet_ms", [10, 20, 60])
def test_sound_comes_back(packet_ms: int) -> None:
    sound = voiced(1.0)
    packets = encode(sound, packet_ms=packet_ms)
    assert {opus_ticks(packet) for packet in packets} == {packet_ms * OPUS_RATE // 1000}
    decoder = OpusDecoder(RATE)
    heard = np.concatenate([decoder.decode(packet) for packet in packets])
    lag = int(np.argmax(np.correlate(heard, sound[: len(heard) - 400], "valid")))
    assert lag < 0.012 * RATE
    together = sound[: len(heard) - lag]
    assert np.corrcoef(heard[lag:], together)[0, 1] > 0.85


@pytest.mark.parametrize("bit_rate", [16_000, 32_000, 96_000])
@pytest.mark.parametrize("first_lost", [5, 12, 21, 30])
def test_a_gap_has_no_clicks_and_soon_fades(bit_rate: int, first_lost: int) -> None:
    packets = encode(voiced(1.0), bit_rate)
    whole, decoder = OpusDecoder(RATE), OpusDecoder(RATE)
    own_jump = np.abs(np.diff(np.concatenate([whole.decode(packet) for packet in packets]))).max()
    before = [decoder.decode(packet) for packet in packets[:first_lost]]
    gap = [decoder.conceal() for _ in range(10)]
    after = [decoder.decode(packet) for packet in packets[first_lost + 10 :]]
    assert [len(piece) for piece in gap[1:]] == [N_PACKET] * 9
    assert np.abs(np.diff(np.concatenate(before[-1:] + gap + after))).max() < 1.5 * own_jump
    loud_db = level_db(before[-1])
    assert level_db(gap[0]) > loud_db - 12  # it goes on first
    n_faded = round(FADE_UNTIL_S * RATE) + N_PACKET // 2  # a little late, by the resampler
    assert level_db(np.concatenate(gap)[n_faded:]) < -100


def test_what_cannot_be_read_counts_as_lost() -> None:
    packets = encode(voiced(0.4))
    decoder, other = OpusDecoder(RATE), OpusDecoder(RATE)
    for packet in packets[:10]:
        assert np.array_equal(decoder.decode(packet), other.decode(packet))
    for damaged in (b"", bytes([31 << 3 | 3]), bytes([15 << 3 | 2, 255, 255, 255])):
        assert np.array_equal(decoder.decode(damaged), other.conceal())
    assert level_db(decoder.decode(packets[11])) > -40


def test_no_bytes_from_a_network_stop_the_decoder() -> None:
    rng = np.random.default_rng(1)
    decoder, jitter = OpusDecoder(RATE), Jitter(OPUS_RATE, opus_ticks)
    for index in range(1000):
        jitter.push(index, index * 960, rng.bytes(int(rng.integers(60))), index / 50)
        while (got := jitter.pull(index / 50)) is not None:
            heard = decoder.decode(got) if isinstance(got, bytes) else decoder.conceal()
            assert np.isfinite(heard).all()
    assert level_db(np.concatenate([decoder.decode(packet) for packet in encode(voiced(0.4))])) > -40


def test_before_the_first_packet_there_is_silence() -> None:
    assert not OpusDecoder(RATE).conceal().any()
