"""What MiniCPM-o's audio encoder hears of a clip, and how many places it takes in the language model's context.

The features are Whisper's, clip by clip. A live stream is no exception: every unit is a clip of its own, with its own
mirrored start and its own loudest value, so how the stream was cut does show in them. The model was trained that way.
"""

import numpy as np

from omni.audio.features import FRAMES_PER_S, HOP_SAMPLES, N_FFT, Mel, log_mel, normalise
from omni.types import Pcm

CLIP_S = 30
"""the longest clip; Whisper hears any clip as one of this length, with silence after it"""

CLIP_FRAMES = CLIP_S * FRAMES_PER_S
CLIP_SAMPLES = CLIP_FRAMES * HOP_SAMPLES


def cut_clips(pcm: Pcm) -> list[Pcm]:
    """Cut sound [S] at Timing.input_rate into pieces of at most CLIP_S seconds; none of an empty one."""
    return [pcm[start : start + CLIP_SAMPLES] for start in range(0, len(pcm), CLIP_SAMPLES)]


def clip_mel(pcm: Pcm) -> Mel:
    """Features of one clip.

    Args:
        pcm: [S] at Timing.input_rate, at most CLIP_S seconds.

    Returns:
        [80, F] with F = ceil(S / HOP_SAMPLES): the frames that begin inside the clip.

    Raises:
        ValueError: the clip is too long; cut_clips() first.
    """
    if len(pcm) > CLIP_SAMPLES:
        raise ValueError(f"a clip has at most {CLIP_S} s; cut the sound into clips first")
    n_frames = n_mel_frames(len(pcm))
    half = N_FFT // 2
    # Only a clip that reaches the end hears it mirrored; after all others comes silence, as log_mel assumes.
    if len(pcm) > CLIP_SAMPLES - half:
        full = np.pad(pcm, (0, CLIP_SAMPLES - len(pcm)))
        pcm = np.concatenate([full, full[-2 : -half - 2 : -1]])
    return normalise(log_mel(pcm)[:, :CLIP_FRAMES])[:, :n_frames]


def n_mel_frames(n_samples: int) -> int:
    """Mel frames of a clip."""
    return -(-n_samples // HOP_SAMPLES)


def n_audio_tokens(n_frames: int, pool_step: int) -> int:
    """Places in the context that mel frames take: halved by the encoder's convolution, then pooled.

    May be 0 for a clip of a few hundredths of a second: there is nothing to encode then.
    """
    n_encoded = (n_frames + 1) // 2
    return n_encoded // pool_step
