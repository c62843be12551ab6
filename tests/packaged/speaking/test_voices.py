import numpy as np
import pytest

from omni.packaged.speaking.voices import (
    FORMANTS,
    MELODIES,
    PACES,
    PITCHES,
    Shape,
    Spectra,
    breathed,
    shape_pitch,
    shaped,
    stretch,
)
from omni.text.manner import Manner
from omni.types import Voice


def test_a_shape_is_kept_in_a_voice() -> None:
    shape = Shape(pitch=0.5, melody=1.25, formants=0.75, pace=2, breath=-3)
    assert Shape.of(shaped("ada", shape)) == shape


def test_a_voice_that_was_saved_before_breath_was_known_is_read() -> None:
    assert Shape.of(Voice("ada", state={"shape": np.array([0.5, 1, 0.75, 2], np.float32)})) == Shape(0.5, 1, 0.75, 2)


@pytest.mark.parametrize("numbers", [[1.0, 1.0], [1.0] * 6, [1.0, 1.0, np.nan, 1.0]])
def test_a_shape_that_cannot_be_read_is_refused(numbers: list[float]) -> None:
    with pytest.raises(ValueError, match=r"'ada' was not made for this synthesizer; choose one of its own"):
        Shape.of(Voice("ada", state={"shape": np.array(numbers, np.float32)}))


def test_a_manner_is_taken_as_far_as_it_stays_intelligible() -> None:
    voice = Shape(pitch=0.5, melody=1.2, formants=0.9, pace=1.2)
    spoken = voice.spoken(Manner(pitch=1.5, melody=0.5, pace=0.5))
    assert (spoken.pitch, spoken.melody, spoken.pace) == pytest.approx((0.75, 0.6, 0.6))
    assert (spoken.formants, spoken.breath) == (voice.formants, voice.breath)
    least, most = (voice.spoken(Manner(pitch=by, melody=by, pace=by)) for by in (0.01, 100))
    for index, (low, high) in enumerate((PITCHES, MELODIES, FORMANTS, PACES)):
        assert low <= (least.pitch, least.melody, least.formants, least.pace)[index]
        assert high >= (most.pitch, most.melody, most.formants, most.pace)[index]


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.5])
def test_frames_are_drawn_together_or_apart(factor: float) -> None:
    ramp = np.tile(np.arange(60, dtype=np.float32), (3, 1))
    pitch = np.where(np.arange(60) < 30, 0, 200).astype(np.float32)
    paced = Spectra(ramp, ramp, ramp, ramp, ramp, pitch).paced(factor)
    n_frames = round(60 / factor)
    assert paced.harmonics.shape == paced.free_phases.shape == (3, n_frames)
    assert paced.noise[0] == pytest.approx(np.linspace(0, 59, n_frames), abs=1e-4)
    # no pitch that nobody has, halfway from none to some
    assert set(paced.pitch.tolist()) == {0, 200}
    assert (paced.pitch > 0).mean() == pytest.approx(0.5, abs=0.05)


def test_stretching_moves_a_resonance() -> None:
    spectrum = np.zeros((601, 2), np.float32)
    spectrum[100] = 1
    assert np.argmax(stretch(spectrum, 1.2)[:, 0]) == 120
    assert np.argmax(stretch(spectrum, 0.8)[:, 0]) == 80


def test_breath_is_in_decibels() -> None:
    assert breathed(np.zeros((2, 2), np.float32), Shape(breath=20)) == pytest.approx(np.log(10))


def test_melody_widens_around_the_median_and_silence_stays_silent() -> None:
    f0 = np.array([0, 100, 200, 400, 0], np.float32)
    assert shape_pitch(f0, Shape(melody=0.5)).tolist() == pytest.approx([0, 141.4, 200, 282.8, 0], abs=0.1)
    assert shape_pitch(f0, Shape(pitch=0.5)).tolist() == pytest.approx([0, 50, 100, 200, 0])
    assert shape_pitch(f0, Shape(pitch=0.1)).tolist() == pytest.approx([0, 41, 41, 41, 0])
