import numpy as np
import pytest
import torch

from omni.audio.clips import CLIP_SAMPLES, clip_mel, cut_clips, n_audio_tokens, n_mel_frames
from omni.audio.features import HOP_SAMPLES, N_FFT, mel_filters
from omni.timing import Timing


def _tone(n_samples: int) -> np.ndarray:
    return np.asarray(np.sin(np.arange(n_samples) * 0.3), np.float32)


def test_a_second_is_a_hundred_frames_and_twenty_five_tokens() -> None:
    n_frames = clip_mel(_tone(Timing().unit_samples)).shape[1]
    assert n_frames == n_mel_frames(Timing().unit_samples) == 100
    assert n_audio_tokens(n_frames, pool_step=2) == 25
    assert n_audio_tokens(n_frames, pool_step=5) == 10


def test_a_moment_of_sound_takes_no_place() -> None:
    assert [n_audio_tokens(n_mel_frames(n), pool_step=2) for n in (1, 320, 321)] == [0, 0, 1]


def test_long_sound_is_cut_and_a_clip_too_long_is_refused() -> None:
    sound = _tone(2 * CLIP_SAMPLES + 5)
    assert [len(clip) for clip in cut_clips(sound)] == [CLIP_SAMPLES, CLIP_SAMPLES, 5]
    assert cut_clips(sound[:0]) == []
    with pytest.raises(ValueError, match="cut the sound"):
        clip_mel(sound)


def _whisper(pcm: np.ndarray) -> np.ndarray:
    """The slow twin: the clip as one of 30 s, which torch mirrors at both of its ends."""
    padded = torch.from_numpy(np.pad(pcm, (0, CLIP_SAMPLES - len(pcm))))
    spectrum = torch.stft(padded, N_FFT, HOP_SAMPLES, window=torch.hann_window(N_FFT), return_complex=True)
    power = spectrum[:, :-1].abs() ** 2
    decades = (torch.from_numpy(mel_filters()) @ power).clamp(min=1e-10).log10()
    scaled = (torch.maximum(decades, decades.max() - 8) + 4) / 4
    return scaled[:, : n_mel_frames(len(pcm))].numpy()


@pytest.mark.parametrize("missing", [0, 3, 199, 200, 201, 5_000])
def test_a_clip_sounds_to_its_last_sample_as_whisper_hears_it(missing: int) -> None:
    pcm = _tone(CLIP_SAMPLES - missing)
    pcm[-300:] += 0.5  # an end worth hearing
    np.testing.assert_allclose(clip_mel(pcm), _whisper(pcm), rtol=0, atol=5e-5)
