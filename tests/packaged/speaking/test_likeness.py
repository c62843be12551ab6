import numpy as np
import pytest
import soxr

from omni.audio.features import HOP_SAMPLES, N_FFT, mel_filters
from omni.packaged.files import MissingModelError
from omni.packaged.speaking.likeness import Likeness, mel_power, without_pauses
from omni.packaged.speaking.synthesizer import Synthesizer
from omni.timing import Timing
from omni.types import Pcm

RATE = Timing().input_rate
SENTENCES = ("The old man walked slowly along the river.", "We would like three tickets, please, for the evening show.")
loads_models = pytest.mark.models


@pytest.fixture(scope="module")
def likeness() -> Likeness:
    return Likeness()


@pytest.fixture(scope="module")
def clips() -> dict[str, list[Pcm]]:
    """Two sentences each of two speakers; the second is the first played slowly, hence deeper and larger."""
    synthesizer = Synthesizer()
    woman = [_heard(synthesizer.speak(text, synthesizer.voices[0]).pcm, Timing().output_rate) for text in SENTENCES]
    return {"woman": woman, "man": [_heard(clip, round(RATE / 1.7)) for clip in woman]}


def _heard(pcm: Pcm, rate: int) -> Pcm:
    return np.asarray(soxr.resample(pcm, rate, RATE), np.float32)


@loads_models
def test_a_speaker_is_more_like_themselves_than_like_another(likeness: Likeness, clips: dict[str, list[Pcm]]) -> None:
    (woman, woman_again), (man, man_again) = (
        [likeness.print_of(clip) for clip in clips[name]] for name in ("woman", "man")
    )
    assert min(woman @ woman_again, man @ man_again) > max(woman @ man, woman_again @ man_again) + 0.1


@loads_models
def test_loudness_and_pauses_are_no_part_of_a_voice(likeness: Likeness, clips: dict[str, list[Pcm]]) -> None:
    first, second = clips["woman"]
    together = np.concatenate([first, second])
    apart = np.concatenate([first, np.zeros(3 * RATE, np.float32), second]) * np.float32(0.05)
    assert likeness.print_of(together) @ likeness.print_of(apart) > 0.98


@loads_models
def test_clips_together_have_the_prints_that_each_has_alone(likeness: Likeness, clips: dict[str, list[Pcm]]) -> None:
    together = likeness.prints_of(clips["woman"])
    for clip, print_, mean in zip(clips["woman"], together, likeness.means_of(clips["woman"]), strict=True):
        assert float(print_ @ likeness.print_of(clip)) == pytest.approx(1, abs=1e-5)
        assert float(print_ @ mean) == pytest.approx(float(np.linalg.norm(mean)), abs=1e-5)
        assert float(np.linalg.norm(mean)) < 1


@loads_models
def test_two_speakers_in_a_clip_are_noticed(likeness: Likeness, clips: dict[str, list[Pcm]]) -> None:
    assert likeness.several_speakers(np.concatenate([clips["woman"][0], clips["man"][1]]))
    for one in clips.values():
        # somebody who leans away from the microphone stays the same person
        assert not likeness.several_speakers(np.concatenate([one[0], one[1] * np.float32(0.2)]))


@loads_models
@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.5, 2.0])
def test_silence_and_short_clips_have_prints_too(likeness: Likeness, seconds: float) -> None:
    silence = np.zeros(round(seconds * RATE), np.float32)
    assert np.isfinite(likeness.print_of(silence)).all()
    assert not likeness.several_speakers(silence)


def test_a_pause_is_cut_down_and_silence_is_not_made_loud() -> None:
    tone = np.sin(np.arange(RATE) * 0.2).astype(np.float32)
    heard = without_pauses(np.concatenate([tone, np.zeros(5 * RATE, np.float32), tone]))
    assert 2.2 < len(heard) / RATE < 2.6
    assert not without_pauses(np.zeros(RATE, np.float32)).any()


def test_mel_power_is_that_of_each_frame() -> None:
    pcm = np.random.default_rng(0).normal(0, 0.1, RATE // 4).astype(np.float32)
    found = mel_power(pcm)
    padded = np.pad(pcm.astype(np.float64), N_FFT // 2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    for frame in (0, 7, len(found) - 1):
        piece = padded[frame * HOP_SAMPLES :][:N_FFT] * window
        assert found[frame] == pytest.approx(mel_filters(40) @ np.abs(np.fft.rfft(piece)) ** 2, rel=1e-4, abs=1e-9)


@loads_models
def test_the_network_is_the_one_that_torch_runs(likeness: Likeness, clips: dict[str, list[Pcm]]) -> None:
    torch = pytest.importorskip("torch")
    from omni.packaged.speaking.likeness import _CHECKPOINT
    from omni.packaged.torch_file import read_tensors

    weights = {
        name: torch.tensor(np.array(tensor))
        for name, tensor in read_tensors(_CHECKPOINT.verified(), "model_state").items()
    }
    network = torch.nn.LSTM(40, 256, 3)
    network.load_state_dict({name[5:]: tensor for name, tensor in weights.items() if name.startswith("lstm.")})
    clip = without_pauses(clips["woman"][0])[: HOP_SAMPLES * 160 - 1]
    mel = mel_power(clip)
    with torch.no_grad():
        end = network(torch.from_numpy(mel)[:, None])[1][0][-1, 0]
        expected = torch.relu(weights["linear.weight"] @ end + weights["linear.bias"])
    print_ = likeness.prints(clips["woman"][0][: len(clip)])[0]
    assert float(print_ @ (expected / expected.norm()).numpy()) == pytest.approx(1, abs=1e-3)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingModelError, match=r"resemblyzer==0\.1\.4"):
        Likeness()
