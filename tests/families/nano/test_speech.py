"""Paces that the synthesizer cannot speak at by itself, on a fake one that is exact."""

import pytest

from omni.families.nano.speech import at_speed, spoken, stepped
from omni.text.manner import AS_IT_IS, Manner
from omni.types import FASTEST, SLOWEST
from tests.fakes_nano import TIMING, WORD_S, FakeSynthesizer


@pytest.mark.parametrize("speed", [SLOWEST, 0.5, 0.6, 0.8, 1.0, 1.2, FASTEST])
def test_every_speed_is_reached(speed: float) -> None:
    synthesizer = FakeSynthesizer()
    making = spoken(synthesizer, "One two three four.", synthesizer.voices[0], at_speed(AS_IT_IS, speed))
    speech = stepped(making, to_the_end=True)
    assert speech is not None
    length_s = 4 * WORD_S / speed
    assert len(speech.pcm) / TIMING.output_rate == pytest.approx(length_s, abs=0.05)
    assert [word.start_s for word in speech.words] == pytest.approx([index * WORD_S / speed for index in range(4)])
    (asked,) = synthesizer.manners
    assert 0.6 <= asked.pace <= 1.0
    # the pause is stretched with the rest of the sound
    assert asked.pauses * asked.pace / speed == pytest.approx(1 / speed)


def test_speed_and_manner_together_stay_within_what_can_be_asked_for() -> None:
    assert at_speed(Manner(pace=0.5), SLOWEST).pace == SLOWEST
    assert at_speed(Manner(pace=1.5), FASTEST).pace == FASTEST
    assert at_speed(Manner(pitch=1.2, pauses=2.0), 0.5) == Manner(pace=0.5, pitch=1.2, pauses=4.0)


def test_at_its_own_pace_the_sound_is_the_synthesizers() -> None:
    synthesizer = FakeSynthesizer()
    speech = stepped(spoken(synthesizer, "One.", synthesizer.voices[0], AS_IT_IS), to_the_end=True)
    assert speech is not None
    assert (speech.pcm == synthesizer.speak("One.", synthesizer.voices[0]).pcm).all()


def test_a_clause_is_made_step_by_step() -> None:
    synthesizer = FakeSynthesizer(n_steps=3)
    making = spoken(synthesizer, "One.", synthesizer.voices[0], AS_IT_IS)
    steps = [stepped(making, to_the_end=False) for _ in range(3)]
    assert [speech is None for speech in steps] == [True, True, False]
