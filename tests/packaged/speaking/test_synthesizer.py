import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.packaged.speaking.synthesizer import Synthesizer
from omni.packaged.speaking.timbre import N_COEFFICIENTS, Timbre
from omni.packaged.speaking.voices import Shape, shaped
from omni.text.manner import Manner
from omni.timing import Timing
from omni.types import Pcm, SpeechDelta, Voice

RATE = Timing().output_rate
loads_models = pytest.mark.models


@pytest.fixture(scope="module")
def synthesizer() -> Synthesizer:
    return Synthesizer()


def _level(pcm: Pcm) -> float:
    """Decibels below full scale of what is not silence."""
    size = RATE // 50
    windows = pcm[: len(pcm) // size * size].reshape(-1, size)
    power = np.mean(np.square(windows), axis=1)
    return 10 * math.log10(float(np.mean(power[power > 1e-4])))


def _silence_after(pcm: Pcm) -> float:
    return (len(pcm) - 1 - int(np.flatnonzero(np.abs(pcm) > 0.003)[-1])) / RATE


def _pitch(pcm: Pcm) -> float:
    """Median of the strongest self-similarity between 60 and 500 Hz, over loud windows of 40 ms."""
    size = RATE // 25
    found = []
    for window in pcm[: len(pcm) // size * size].reshape(-1, size):
        if np.sqrt(np.mean(np.square(window))) > 0.05:
            similarity = np.correlate(window, window, "full")[size - 1 :]
            lags = np.arange(RATE // 500, RATE // 60)
            found.append(RATE / lags[np.argmax(similarity[lags])])
    return float(np.median(found))


@loads_models
@pytest.mark.parametrize(
    "clause", [" The sky is 50% blue,", "\n1. Yes!  ", "so 😀 nice", "Dr. Ott's e.g. 3.14 km", "😀", "", " "]
)
def test_words_are_the_clause_and_lie_in_its_sound(synthesizer: Synthesizer, clause: str) -> None:
    delta = synthesizer.speak(clause, synthesizer.voices[0])
    assert "".join(word.text for word in delta.words) == clause
    starts = [word.start_s for word in delta.words]
    assert starts == sorted(starts)
    assert all(0 <= start <= len(delta.pcm) / RATE for start in starts)


@loads_models
def test_word_times_are_where_the_words_sound(synthesizer: Synthesizer) -> None:
    delta = synthesizer.speak("Red, blue, green, yellow, and orange.", synthesizer.voices[0])
    loud = np.abs(delta.pcm) > 0.02
    for word in (word for word in delta.words if word.text in {" blue,", " green,", " orange."}):
        at = round(word.start_s * RATE)
        # a closure before the word, its sound soon after
        assert loud[at : at + RATE // 10].mean() > loud[at - RATE // 20 : at - RATE // 50].mean()


@loads_models
@pytest.mark.parametrize("index", range(len(Synthesizer.voices)))
def test_every_voice_is_as_loud_and_free_of_clicks(synthesizer: Synthesizer, index: int) -> None:
    for clause in ("Yes.", "The largest ocean is the Pacific,", "because she sells sea shells"):
        delta = synthesizer.speak(clause, synthesizer.voices[index])
        assert delta.pcm.dtype == np.float32
        assert _level(delta.pcm) == pytest.approx(-20, abs=1.5)
        assert np.abs(delta.pcm).max() < 0.98
        # clauses are joined end to end: both ends are at rest
        assert np.abs(delta.pcm[:24]).max() < 0.01
        assert np.abs(delta.pcm[-24:]).max() == 0


@loads_models
def test_pauses_follow_the_punctuation(synthesizer: Synthesizer) -> None:
    none, comma, stop = (
        _silence_after(synthesizer.speak(f"The sky is blue{mark}", synthesizer.voices[0]).pcm)
        for mark in ("", ",", ".")
    )
    assert none < 0.1 < comma < 0.3 < stop < 0.5


@loads_models
def test_sound_starts_at_once(synthesizer: Synthesizer) -> None:
    pcm = synthesizer.speak("The sky is blue.", synthesizer.voices[0]).pcm
    assert np.flatnonzero(np.abs(pcm) > 0.003)[0] / RATE < 0.03


@loads_models
def test_the_same_clause_is_the_same_sound(synthesizer: Synthesizer) -> None:
    first, second = (synthesizer.speak("Once more.", synthesizer.voices[1]) for _ in range(2))
    assert np.array_equal(first.pcm, second.pcm)


@loads_models
def test_what_cannot_be_said_is_no_sound(synthesizer: Synthesizer) -> None:
    for clause in ("😀👍", "  ", "你好", "***"):
        delta = synthesizer.speak(clause, synthesizer.voices[0])
        assert len(delta.pcm) == 0
        assert {word.start_s for word in delta.words} == {0.0}


@loads_models
def test_a_clause_beyond_the_network_is_said_in_parts(synthesizer: Synthesizer) -> None:
    clause = "We counted 1,234,567 of them, " * 12
    delta = synthesizer.speak(clause, synthesizer.voices[0])
    assert "".join(word.text for word in delta.words) == clause
    counted = [word.start_s for word in delta.words if word.text == " counted"]
    assert len(counted) == 12
    assert np.diff(counted).min() > 2
    assert len(delta.pcm) / RATE > counted[-1]


@loads_models
def test_voices_differ_in_pitch_as_their_shapes_say(synthesizer: Synthesizer) -> None:
    clause = "We are all in a yellow room."
    heart, *others = synthesizer.voices
    base = _pitch(synthesizer.speak(clause, heart).pcm)
    for voice in others:
        assert _pitch(synthesizer.speak(clause, voice).pcm) / base == pytest.approx(Shape.of(voice).pitch, rel=0.2)


@loads_models
def test_a_slow_voice_takes_longer(synthesizer: Synthesizer) -> None:
    def seconds(delta: SpeechDelta) -> float:
        return len(delta.pcm) / RATE

    slow = shaped("slow", Shape(pace=0.7))
    clause = "This is a slow and careful voice."
    assert seconds(synthesizer.speak(clause, slow)) > 1.2 * seconds(synthesizer.speak(clause, synthesizer.voices[0]))


@loads_models
def test_a_voice_of_another_family_is_refused(synthesizer: Synthesizer) -> None:
    with pytest.raises(ValueError, match=r"stranger.*choose one of its own"):
        synthesizer.speak("Hello.", Voice("stranger"))


@loads_models
@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_spoken(synthesizer: Synthesizer, clause: str) -> None:
    delta = synthesizer.speak(clause, synthesizer.voices[0])
    assert "".join(word.text for word in delta.words) == clause
    assert np.isfinite(delta.pcm).all()


@loads_models
def test_a_manner_is_heard_in_pace_pitch_loudness_and_pauses(synthesizer: Synthesizer) -> None:
    voice, clause = synthesizer.voices[0], "We are all in a yellow room."
    plain = synthesizer.speak(clause, voice)
    fast = synthesizer.speak(clause, voice, Manner(pace=1.5))
    assert len(fast.pcm) < 0.85 * len(plain.pcm)
    assert [word.text for word in fast.words] == [word.text for word in plain.words]
    assert fast.words[-1].start_s < 0.85 * plain.words[-1].start_s
    assert _pitch(fast.pcm) == pytest.approx(_pitch(plain.pcm), rel=0.2)
    assert _pitch(synthesizer.speak(clause, voice, Manner(pitch=0.6)).pcm) < 0.8 * _pitch(plain.pcm)
    still = synthesizer.speak(clause, voice, Manner(pauses=2))
    assert _silence_after(still.pcm) > 1.8 * _silence_after(plain.pcm)


@loads_models
def test_louder_is_not_clipped_and_softer_loses_nothing(synthesizer: Synthesizer) -> None:
    voice, clause = synthesizer.voices[0], "We sell sea shells."
    plain, loud, soft = (synthesizer.speak(clause, voice, Manner(loudness=factor)).pcm for factor in (1, 2.5, 0.1))
    assert 5 < _level(loud) - _level(plain) < 8
    assert np.abs(loud).max() < 0.98
    assert len(soft) == len(plain)
    assert soft == pytest.approx(plain * np.float32(0.1), abs=0.02)


@loads_models
@settings(max_examples=15, deadline=None)
@given(st.builds(Manner, *[st.floats(0, 100)] * 5))
def test_no_manner_breaks_the_voice(synthesizer: Synthesizer, manner: Manner) -> None:
    for voice in (synthesizer.voices[1], synthesizer.voices[4]):
        delta = synthesizer.speak("Yes, now.", voice, manner)
        assert np.isfinite(delta.pcm).all()
        assert 0 < np.abs(delta.pcm).max() < 0.98


@loads_models
def test_a_timbre_colours_the_voice_and_leaves_the_words(synthesizer: Synthesizer) -> None:
    table = np.zeros((N_COEFFICIENTS, N_COEFFICIENTS + 1), np.float32)
    # the first coefficient is the tilt from low to high
    table[0, -1] = 8
    clause = "We are all in a yellow room."
    plain = synthesizer.speak(clause, synthesizer.voices[0])
    dull = synthesizer.speak(clause, shaped("dull", Shape(), Timbre(table)))
    assert dull.words == plain.words

    def high_share(pcm: Pcm) -> float:
        power = np.square(np.abs(np.fft.rfft(pcm)))
        return float(power[len(power) // 4 :].sum() / power.sum())

    assert high_share(dull.pcm) < 0.5 * high_share(plain.pcm)
    assert _level(dull.pcm) == pytest.approx(-20, abs=1.5)


def test_a_clause_made_in_steps_is_the_same_sound(synthesizer: Synthesizer) -> None:
    clause, voice = "The sky is blue, and so is the sea.", synthesizer.voices[1]
    steps, n_steps = synthesizer.steps(clause, voice), 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            assert np.array_equal(end.value.pcm, synthesizer.speak(clause, voice).pcm)
            break
        n_steps += 1
    assert n_steps == 1
