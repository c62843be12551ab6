"""Recordings that a voice may be made of, and those that it may not, each told why."""

import numpy as np
import pytest

from omni.audio.reference import LONGEST_S, UnfitReferenceError, check_reference, resampled
from omni.packaged.activity import SileroActivity
from omni.packaged.speaking.likeness import Likeness
from omni.timing import Timing
from omni.types import Pcm
from streaming.gateway.media import probabilities_of
from tests.recordings import RATE, hum, loudness
from tests.spoken import say


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * RATE), np.float32)


def problem(sound: Pcm, rate: int = RATE) -> str:
    with pytest.raises(UnfitReferenceError) as refused:
        check_reference(sound, rate, loudness)
    assert str(refused.value)[0].isupper()
    assert str(refused.value).endswith(".")
    return refused.value.problem


def test_a_good_recording_is_trimmed_and_made_even() -> None:
    speech = hum(8.0, level=0.02)
    reference = check_reference(np.concatenate((silence(1.2), speech, silence(0.7))), RATE, loudness)
    checks = reference.checks
    assert checks.trimmed_before_s == pytest.approx(1.2 - 0.15, abs=0.1)
    assert checks.trimmed_after_s == pytest.approx(0.7 + 0.2 - 0.15, abs=0.1)
    assert len(reference.pcm) / RATE == pytest.approx(8.0 + 0.1, abs=0.2)
    assert 3.0 < checks.speech_s < 6.0
    loud = [check_reference(hum(8.0, level=level), RATE, loudness).pcm for level in (0.02, 0.1)]
    assert np.sqrt(np.square(loud[0]).mean()) == pytest.approx(float(np.sqrt(np.square(loud[1]).mean())), rel=0.02)
    assert np.abs(reference.pcm).max() <= 0.951
    assert abs(reference.pcm[0]) < 1e-6 > abs(reference.pcm[-1])  # no click at either end


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_any_usual_rate_is_kept(rate: int) -> None:
    reference = check_reference(hum(8.0, rate=rate), rate, loudness)
    assert len(reference.pcm) / rate == pytest.approx(7.9, abs=0.2)


def test_what_is_not_there_is_silent() -> None:
    assert problem(silence(0)) == "silent"
    assert problem(silence(5)) == "silent"
    assert problem(silence(5) + 1) == "silent"  # a voltage is no sound


def test_noise_alone_is_nobody() -> None:
    sound = np.asarray(np.random.default_rng(0).standard_normal(5 * RATE) * 0.1, np.float32)
    with pytest.raises(UnfitReferenceError, match="Nobody is heard"):
        check_reference(sound, RATE, lambda pcm: [0.1] * (len(pcm) // 512))


def test_speech_is_counted_and_not_the_pauses() -> None:
    assert problem(hum(4.0)) == "too_short"
    assert problem(np.concatenate((hum(1.0), silence(10), hum(1.0)))) == "too_short"
    assert problem(hum(LONGEST_S + 2)) == "too_long"
    # only what lies between the first word and the last counts
    assert check_reference(np.concatenate((silence(20), hum(LONGEST_S - 2), silence(20))), RATE, loudness)


@pytest.mark.parametrize(("level", "fit"), [(0.1, True), (0.015, True), (0.005, False)])
def test_a_whisper_far_away_is_too_quiet(level: float, fit: bool) -> None:
    sound = hum(8.0, level=level, hush=1e-6)
    if fit:
        assert check_reference(sound, RATE, loudness)
    else:
        assert problem(sound) == "silent"


@pytest.mark.parametrize(("below_db", "fit"), [(30, True), (20, True), (10, False), (0, False)])
def test_noise_behind_the_voice(below_db: float, fit: bool) -> None:
    clean = hum(8.0)
    level = float(np.sqrt(np.square(clean).mean())) * 10 ** (-below_db / 20)
    noisy = np.asarray(clean + level * np.random.default_rng(1).standard_normal(len(clean)), np.float32)
    if fit:
        checks = check_reference(noisy, RATE, loudness).checks
        # speech is louder than its own mean with the pauses, and noise above what voices have is filtered away
        assert below_db < checks.above_noise_db < below_db + 8
    else:
        assert problem(noisy) == "noisy"


def test_silence_before_the_words_does_not_hide_noise_between_them() -> None:
    noise = np.random.default_rng(1).standard_normal(8 * RATE) * 0.05
    sound = np.asarray(hum(8.0) + noise, np.float32)
    assert problem(np.concatenate((silence(5), sound, silence(5)))) == "noisy"


@pytest.mark.parametrize("after", [1.0, 0.3])
def test_an_overdriven_voice_is_known_however_loud_it_is_now(after: float) -> None:
    sound = hum(8.0, level=0.3)
    overdriven = np.clip(sound * 2.5 / np.abs(sound).max(), -1, 1).astype(np.float32)
    assert problem(overdriven * np.float32(after)) == "clipped"
    assert check_reference(sound / np.abs(sound).max(), RATE, loudness)  # full scale is not clipped


def test_several_people_are_heard_by_who_can_tell() -> None:
    heard: list[Pcm] = []

    def tell(pcm: Pcm) -> bool:
        heard.append(pcm)
        return True

    with pytest.raises(UnfitReferenceError, match="More than one person") as refused:
        check_reference(hum(8.0), RATE, loudness, tell)
    assert refused.value.problem == "several_speakers"
    assert len(heard[0]) / Timing().input_rate == pytest.approx(7.9, abs=0.2)
    assert check_reference(hum(8.0), RATE, loudness, lambda _: False)


def test_the_sound_given_is_left_as_it_was() -> None:
    sound = hum(8.0)
    before = sound.copy()
    check_reference(sound, RATE, loudness)
    assert np.array_equal(sound, before)
    assert len(resampled(sound, RATE, 16_000)) == len(sound) * 2 // 3


@pytest.mark.models
def test_real_speech_and_what_real_rooms_do_to_it() -> None:
    network = SileroActivity()
    likeness = Likeness()

    def activity(pcm: Pcm) -> list[float]:
        return probabilities_of(network, pcm, Timing())

    rate = Timing().input_rate
    speech = say("We would like three tickets for the evening show, please. The old man walked slowly along the river.")
    chance = np.random.default_rng(0)
    fading = np.exp(-np.arange(rate // 3) / (rate * 0.05))
    echo = np.convolve(speech, 0.2 * chance.standard_normal(len(fading)) * fading / np.sqrt(np.square(fading).sum()))
    room = np.asarray(np.pad(speech, (0, len(fading) - 1)) + echo, np.float32)
    level = float(np.sqrt(np.square(speech).mean()))
    hiss = chance.standard_normal(len(speech)).astype(np.float32) * np.float32(level)
    for fit in (speech, room, speech * np.float32(0.1), speech + np.float32(0.08) * hiss):
        assert check_reference(fit, rate, activity, likeness.several_speakers).checks.speech_s > 3
    loud = np.clip(speech * 6, -1, 1)
    for sound, found in ((loud, "clipped"), (speech + 0.5 * hiss, "noisy"), (hiss, "silent")):
        with pytest.raises(UnfitReferenceError) as refused:
            check_reference(np.asarray(sound, np.float32), rate, activity)
        assert refused.value.problem == found
