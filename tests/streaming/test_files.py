"""Sound, pictures and video read from real files, which the tests encode themselves."""

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from omni.timing import Timing
from omni.types import Pcm, Unit
from streaming.files import FileError, read_picture, read_sound, read_video, write_sound, write_whole
from tests.fakes import say
from tests.films import film, tone

TIMING = Timing()


def watch(path: Path, longest_s: int = 60, most_pictures: int = 64) -> list[Unit]:
    return read_video(path, TIMING, longest_s=longest_s, most_pictures=most_pictures)


def greys(units: list[Unit]) -> list[int]:
    return [round(float(unit.image[:, 40:].mean()) / 10) for unit in units if unit.image is not None]


def frequency(pcm: Pcm) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(pcm))) * TIMING.input_rate / len(pcm))


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 2), (44_100, 2), (48_000, 1)])
def test_sound_of_any_rate_and_any_channels_is_read(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([tone(1, 220, rate)] * channels, axis=1), rate)
    pcm = read_sound(path, TIMING)
    assert pcm.dtype == np.float32
    assert len(pcm) == pytest.approx(TIMING.input_rate, rel=0.01)
    assert frequency(pcm[: TIMING.input_rate]) == pytest.approx(220, abs=2)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\x24\x00\x00\x00WAVEfmt ", b"\xff" * 5_000, "hé".encode()])
def test_what_is_nothing_of_the_kind_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "question.wav"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"question\.wav"):
        read_sound(path, TIMING)
    with pytest.raises(FileError, match=r"question\.wav.*JPEG"):
        read_picture(path)
    with pytest.raises(FileError, match=r"question\.wav.*damaged: [A-Z][^\[]*$"):
        watch(path)


def test_an_absent_or_empty_file_is_refused(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    for read in (lambda: read_sound(absent, TIMING), lambda: read_picture(absent), lambda: watch(absent)):
        with pytest.raises(FileError, match="no file"):
            read()
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), TIMING.input_rate)
    with pytest.raises(FileError, match="no sound"):
        read_sound(tmp_path / "empty.wav", TIMING)


def test_what_was_said_can_be_written_and_read_again(tmp_path: Path) -> None:
    pcm = say("hello", TIMING.output_rate)
    write_sound(tmp_path / "answer.wav", pcm, TIMING)
    sound, rate = soundfile.read(tmp_path / "answer.wav", dtype="float32")
    assert rate == TIMING.output_rate
    assert np.allclose(sound, pcm, atol=1e-4)
    with pytest.raises(FileError, match="answer"):
        write_sound(tmp_path / "no" / "answer.wav", pcm, TIMING)


def test_on_a_full_disk_there_is_no_half_file_and_the_one_of_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "before.wav").write_bytes(b"precious")
    monkeypatch.setattr(os, "fsync", full)
    for name in ("answer.wav", "before.wav"):
        with pytest.raises(FileError, match=rf"cannot write .*{name}: No space left on device; make room"):
            write_sound(tmp_path / name, say("hello", TIMING.output_rate), TIMING)
    assert [path.name for path in tmp_path.iterdir()] == ["before.wav"]
    assert (tmp_path / "before.wav").read_bytes() == b"precious"


def test_a_link_and_a_pipe_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(tmp_path / "answer.wav")
    write_whole(tmp_path / "link.wav", b"one")
    assert (tmp_path / "link.wav").is_symlink()
    assert (tmp_path / "answer.wav").read_bytes() == b"one"
    os.mkfifo(tmp_path / "pipe.wav")
    reader = os.open(tmp_path / "pipe.wav", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe.wav", b"two")
    assert os.read(reader, 9) == b"two"
    os.close(reader)


def test_a_picture_keeps_its_size(tmp_path: Path) -> None:
    picture = np.zeros((300, 2_600, 3), np.uint8)
    picture[:, ::2] = 255
    Image.fromarray(picture).save(tmp_path / "wide.png")
    assert np.array_equal(read_picture(tmp_path / "wide.png"), picture)


def test_a_video_is_seconds_of_sound_with_what_is_seen_at_their_ends(tmp_path: Path) -> None:
    sound = np.concatenate([tone(1, 300), tone(1, 600), tone(0.4, 900)])
    units = watch(film(tmp_path / "a.mkv", 2.4, sound=sound))
    assert greys(units) == [2, 3, 3]
    pieces = [unit.audio for unit in units if unit.audio is not None]
    assert [len(piece) / TIMING.input_rate for piece in pieces] == pytest.approx([1, 1, 0.4], abs=0.01)
    assert [frequency(piece) for piece in pieces] == pytest.approx([300, 600, 900], abs=5)


def test_sound_that_begins_late_or_ends_early_stays_with_its_pictures(tmp_path: Path) -> None:
    units = watch(film(tmp_path / "a.mkv", 4, sound=tone(1, 300), sound_at_s=1.5))
    silent, half, rest, nothing = (unit.audio for unit in units)
    assert silent is not None
    assert half is not None
    assert rest is not None
    assert not silent.any()
    assert np.flatnonzero(np.abs(half) > 0.05)[0] / TIMING.input_rate == pytest.approx(0.5, abs=0.01)
    assert len(rest) / TIMING.input_rate == pytest.approx(0.5, abs=0.01)
    assert nothing is None


def test_what_a_codec_adds_at_the_end_is_no_second_of_its_own(tmp_path: Path) -> None:
    units = watch(film(tmp_path / "a.mp4", 2, sound=tone(2.03, 300), codec="aac"))
    assert greys(units) == [2, 2]


def test_a_video_without_sound_is_pictures_spread_over_it(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", 9)
    assert greys(watch(path)) == [2, 3, 4, 5, 6, 7, 8, 9, 9]
    assert greys(watch(path, longest_s=2, most_pictures=3)) == [3, 6, 9]
    assert all(unit.audio is None for unit in watch(path))


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_what_a_phone_filmed_lying_down_stands_upright(tmp_path: Path, rotation: int) -> None:
    """The right half is grey as it was filmed."""
    (unit,) = watch(film(tmp_path / "a.mp4", 1, rotation=rotation))
    assert unit.image is not None
    filmed = np.zeros((32, 64))
    filmed[:, 32:] = 10
    assert np.abs(unit.image.mean(2) - np.rot90(filmed, rotation // 90)).max() < 6


def test_a_video_that_is_too_long_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"lasts 5 s.*3 s are the most"):
        watch(film(tmp_path / "a.mkv", 5, sound=tone(5, 300)), longest_s=3)


def test_a_video_without_pictures_or_cut_short_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1, 300), TIMING.input_rate)
    with pytest.raises(FileError, match="--audio"):
        watch(tmp_path / "a.wav")
    whole = film(tmp_path / "a.mp4", 2).read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match="damaged"):
        watch(tmp_path / "b.mp4")


def test_a_video_without_pyav_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mkv", 1)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(FileError, match=r"pip install .*minicpm-o"):
        watch(path)


def test_sound_that_libsndfile_does_not_know_is_left_to_pyav(tmp_path: Path) -> None:
    path = film(tmp_path / "a.m4a", 1, sound=tone(1, 300), codec="aac")
    pcm = read_sound(path, TIMING)
    assert pcm.dtype == np.float32
    assert len(pcm) / TIMING.input_rate == pytest.approx(1, abs=0.1)
    assert frequency(pcm) == pytest.approx(300, abs=5)


def test_sound_that_nobody_knows_is_refused_with_what_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = film(tmp_path / "a.mkv", 1)
    with pytest.raises(FileError, match=r"a\.mkv.*WAV, FLAC, Ogg and MP3 can be read"):
        read_sound(silent, TIMING)
    known = film(tmp_path / "a.m4a", 1, sound=tone(1, 300), codec="aac")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(FileError, match=r"a\.m4a.*with PyAV \(run .*minicpm-o"):
        read_sound(known, TIMING)
    soundfile.write(tmp_path / "nan.wav", np.full(9_000, np.nan, np.float32), TIMING.input_rate, subtype="FLOAT")
    with pytest.raises(FileError, match=r"no numbers$"):
        read_sound(tmp_path / "nan.wav", TIMING)
