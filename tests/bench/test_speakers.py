from pathlib import Path

import numpy as np
import pytest
import soundfile

from omni.types import Pcm
from scripts.bench_suite.speakers import (
    AUDIBLE_DBFS,
    NOISE_DBFS,
    RATE,
    SPEECH_DBFS,
    Speaker,
    Utterance,
    audible_span,
    cough,
    frame_levels,
    levelled,
    noise_floor,
    utter,
    with_pause,
)


def tone(duration_s: float, amplitude: float) -> Pcm:
    return np.asarray(amplitude * np.sin(np.arange(round(duration_s * RATE)) * 0.1), np.float32)


def test_the_end_of_speech_is_its_last_audible_frame() -> None:
    quiet = np.zeros(RATE // 5, np.float32)
    begin, end = audible_span(np.concatenate([quiet, tone(0.5, 0.2), quiet]))
    assert (begin, end) == (RATE // 5, RATE // 5 + RATE // 2)


def test_the_noise_floor_is_not_audible_and_not_silence() -> None:
    noise = noise_floor(RATE, np.random.default_rng(0))
    assert np.abs(frame_levels(noise) - NOISE_DBFS).max() < 3
    assert frame_levels(noise).max() < AUDIBLE_DBFS
    with pytest.raises(ValueError, match="nothing audible"):
        audible_span(noise)


@pytest.mark.parametrize("amplitude", [0.01, 0.9])
def test_every_voice_is_brought_to_one_level(amplitude: float) -> None:
    assert frame_levels(levelled(tone(1.0, amplitude))).mean() == pytest.approx(SPEECH_DBFS, abs=0.2)


def test_a_pause_is_as_long_as_it_says() -> None:
    first, second = Utterance("a", "One", tone(0.3, 0.2)), Utterance("a", "two", tone(0.4, 0.2))
    whole = with_pause(first, second, 0.6)
    assert whole.duration_s == pytest.approx(1.3)
    assert not whole.pcm[round(0.3 * RATE) : round(0.9 * RATE)].any()


def test_an_utterance_is_cut_to_what_is_audible_and_kept(tmp_path: Path) -> None:
    said: list[str] = []

    def say(text: str, path: Path) -> None:
        said.append(text)
        soundfile.write(path, np.concatenate([np.zeros(4_000, np.float32), tone(1.0, 0.5)]), RATE)

    speaker = Speaker("test", say, lambda: True)
    first = utter(speaker, "Hello", tmp_path)
    assert first.duration_s == pytest.approx(1.0, abs=0.02)
    assert (utter(speaker, "Hello", tmp_path).pcm == first.pcm).all()
    assert said == ["Hello"]


def test_a_cough_is_short_loud_and_the_same_for_the_same_seed() -> None:
    assert cough(1).duration_s < 0.3
    assert frame_levels(cough(1).pcm).max() > SPEECH_DBFS
    assert (cough(1).pcm == cough(1).pcm).all()
