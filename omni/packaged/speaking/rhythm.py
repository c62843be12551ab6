"""How fast somebody speaks: syllables in recorded speech, counted by the rise and fall of its vowels."""

import numpy as np

from omni.audio.features import FRAMES_PER_S
from omni.packaged.speaking.likeness import mel_power
from omni.types import Pcm

_VOWELS = slice(5, 28)
"""mel bands of the vowels' resonances, 300 to 2,500 Hz"""
_SMOOTH_FRAMES = 9
_DEPTH_DB = 2.5
"""a dip that divides two syllables"""
_SYLLABLE_DB, _SPEECH_DB = 18, 25
"""the top of a syllable, and speech at all, lie no further below the loudest"""


def syllables_per_s(pcm: Pcm) -> float:
    """Syllables in each second that sounds, of speech [S] at Timing.input_rate; silence has none. Within a tenth."""
    level = 10 * np.log10(mel_power(pcm)[:, _VOWELS].sum(axis=1) + 1e-9)
    loudest = np.quantile(level, 0.95)
    window = np.hanning(_SMOOTH_FRAMES + 2)
    level = np.convolve(np.maximum(level, loudest - 35), window / window.sum(), "same")
    n_syllables, rising, turn = 0, False, level[0]
    for now in level:
        turn = max(turn, now) if rising else min(turn, now)
        if abs(now - turn) > _DEPTH_DB:
            n_syllables += rising and turn > loudest - _SYLLABLE_DB
            rising, turn = not rising, now
    return float(n_syllables * FRAMES_PER_S / max(int((level > loudest - _SPEECH_DB).sum()), 1))
