"""Bytes of a sound file to samples."""

import io

import numpy as np
import soundfile

from omni.audio.resample import Resampler
from omni.timing import Timing
from omni.types import Pcm


def decode_sound(data: bytes, timing: Timing) -> Pcm:
    """Decode a sound file of any rate and any number of channels.

    Args:
        data: the file's bytes: WAV, FLAC, Ogg, MP3 and what else libsndfile knows.
        timing: says the rate that is wanted.

    Returns:
        [S] at Timing.input_rate, its channels mixed, and what is louder than a file should be cut off at full scale.

    Raises:
        ValueError: no sound file, no sound in it, or samples that are no numbers.
    """
    try:
        sound, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        # the library names the bytes by their place in memory first, then what is wrong
        reason = str(error).rpartition(": ")[2].rstrip(".")
        raise ValueError(f"it is no sound file that can be read: {reason}") from error
    mono: Pcm = sound.mean(axis=1, dtype=np.float32)
    if not len(mono):
        raise ValueError("it has no sound in it")
    if not np.isfinite(mono).all():
        raise ValueError("it has samples that are no numbers")
    # A float file may hold anything: sound of 1e30 would reach the model as NaN, and spoil whatever came after it.
    mono = np.clip(mono, -1.0, 1.0)
    resampler = Resampler(rate, timing.input_rate)
    return np.concatenate((resampler.push(mono), resampler.flush()))
