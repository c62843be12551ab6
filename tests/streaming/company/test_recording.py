"""Recordings of every usual kind, never more of them than is wanted."""

import io
import struct
import tracemalloc
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from streaming.company.recording import HIGHEST_RATE, RecordingError, TooLongError, read_recording
from tests.recordings import RATE, encoded, hum, wav


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_what_libsndfile_knows(kind: str) -> None:
    sound, rate = read_recording(wav(hum(2.0), RATE, kind), 10)
    assert rate == RATE
    assert len(sound) / rate == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("container", "codec"), [("webm", "libopus"), ("mp4", "aac"), ("ogg", "libopus"), ("adts", "aac")]
)
def test_what_browsers_and_telephones_record(container: str, codec: str) -> None:
    pcm = hum(2.0, rate=48_000)
    sound, rate = read_recording(encoded(pcm, container, codec), 10)
    assert rate == 48_000
    assert len(sound) / rate == pytest.approx(2.0, abs=0.1)
    assert np.sqrt(np.square(sound).mean()) == pytest.approx(float(np.sqrt(np.square(pcm).mean())), rel=0.1)


def test_channels_are_mixed_and_high_rates_brought_down() -> None:
    stereo = np.stack((hum(1.0, rate=96_000), np.zeros(96_000, np.float32)), axis=1)
    sound, rate = read_recording(wav(stereo, 96_000), 10)
    assert (rate, len(sound)) == (HIGHEST_RATE, HIGHEST_RATE)
    assert np.abs(sound).max() == pytest.approx(float(np.abs(stereo).max()) / 2, rel=0.05)


@pytest.mark.parametrize(
    "data",
    [wav(hum(5.0)), encoded(hum(5.0, rate=48_000), "webm", "libopus"), encoded(hum(5.0, rate=48_000), "mp4", "aac")],
)
def test_no_more_is_decoded_than_is_wanted(data: bytes) -> None:
    with pytest.raises(TooLongError) as refused:
        read_recording(data, 3.0)
    assert refused.value.length_s >= 3.0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"\x1aE\xdf\xa3" + bytes(100),
        b"<html>not found</html>",
        wav(hum(1.0))[:40],
        encoded(hum(1.0, rate=48_000), "webm", "libopus")[:200],
        # a playlist would have the decoder open what it names
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
    ],
)
def test_what_is_no_sound_is_refused(data: bytes) -> None:
    with pytest.raises(RecordingError, match=r"again|another"):
        read_recording(data, 10)


@pytest.mark.parametrize("rate", [1, 4_000, 2_000_000_000])
def test_absurd_rates_are_refused_before_anything_is_computed(rate: int) -> None:
    data = bytearray(wav(np.zeros(1000, np.float32)))
    data[24:28] = struct.pack("<I", rate)
    with pytest.raises(RecordingError, match="samples a second"):
        read_recording(bytes(data), 10)


def matroska(layout: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream: Any = output.add_stream("pcm_s16le", rate=RATE, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, RATE * stream.channels), np.int16), "s16", layout)
        frame.sample_rate = RATE
        output.mux(stream.encode(frame))
    return file.getvalue()


@pytest.mark.parametrize(
    "data", [wav(np.zeros((800, 64), np.float32)), wav(np.zeros((800, 64), np.float32), RATE, "OGG"), matroska("22.2")]
)
def test_a_crowd_of_channels_is_refused_before_it_takes_memory(data: bytes) -> None:
    with pytest.raises(RecordingError, match="channels"):
        read_recording(data, 10)


def test_no_more_memory_is_taken_than_for_one_channel() -> None:
    data = wav(np.zeros((10 * RATE, 8), np.float32), RATE, "FLAC")  # 15 MB of samples in some KB
    tracemalloc.start()
    read_recording(data, 10)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * 10 * RATE * 4


def test_samples_that_are_no_numbers_are_refused_and_loud_ones_cut() -> None:
    for value, fit in ((np.nan, False), (np.inf, False), (1e30, True)):
        pcm = hum(1.0)
        pcm[5] = value
        file = io.BytesIO()
        soundfile.write(file, pcm, RATE, subtype="FLOAT", format="WAV")
        if fit:
            assert np.abs(read_recording(file.getvalue(), 10)[0]).max() == 1.0
        else:
            with pytest.raises(RecordingError, match="no numbers"):
                read_recording(file.getvalue(), 10)
