"""Voices made of hibari's one: its source-filter parameters, changed before they become sound.

The network gives a pitch curve and spectral envelopes. Scaling the pitch is what a longer or shorter larynx does,
stretching the envelopes along frequency is what a longer or shorter vocal tract does; the words stay as they were.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from omni.text.manner import Manner
from omni.types import Voice

Floats = npt.NDArray[np.float32]

_VOICED_HZ = 40.0
"""hibari's own border between pitch and no pitch"""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a voice differs from the built-in one. All 1: not at all."""

    pitch: float = 1.0
    """factor on the pitch, 0.4 to 2"""
    melody: float = 1.0
    """factor on how far the pitch moves around its median, in octaves; 0 is a monotone"""
    formants: float = 1.0
    """factor on the resonances' frequencies, 0.7 to 1.4; below 1 is a longer vocal tract"""
    pace: float = 1.0
    """factor on the speed, 0.5 to 2"""

    @classmethod
    def of(cls, voice: Voice) -> "Shape":
        """Read a shape out of a voice's state.

        Raises:
            ValueError: the state is not one that shaped() writes.
        """
        numbers = voice.state.get("shape")
        if numbers is None or numbers.shape != (4,):
            raise ValueError(f"voice {voice.name!r} was not made for this synthesizer; choose one of its own")
        return cls(*map(float, numbers))

    def spoken(self, manner: Manner) -> "Shape":
        """The shape of this voice where it speaks in another manner."""
        return replace(
            self, pitch=self.pitch * manner.pitch, melody=self.melody * manner.melody, pace=self.pace * manner.pace
        )


def shaped(name: str, shape: Shape) -> Voice:
    """A voice of this synthesizer, ready for Shape.of."""
    return Voice(name, state={"shape": np.array([shape.pitch, shape.melody, shape.formants, shape.pace], np.float32)})


BUILT_IN = (
    shaped("heart", Shape()),
    shaped("oak", Shape(pitch=0.56, formants=0.86)),
    shaped("brook", Shape(pitch=0.85, melody=1.15, formants=0.95, pace=0.86)),
    shaped("wren", Shape(pitch=1.15, formants=1.07, pace=1.04)),
    shaped("pip", Shape(pitch=1.4, melody=1.1, formants=1.2)),
)
"""the one of the package, deep, slow narrator, light, child-like"""


def shape_pitch(f0: Floats, shape: Shape) -> Floats:
    """Pitch curve [F] in Hz (0: unvoiced) of another larynx."""
    voiced = f0 > _VOICED_HZ
    if not voiced.any():
        return f0
    median = np.median(f0[voiced])
    moved = shape.pitch * median * (np.maximum(f0, _VOICED_HZ) / median) ** shape.melody
    # a scaled pitch must not fall under the border and lose its voice
    return np.where(voiced, np.maximum(moved, _VOICED_HZ + 1), 0).astype(np.float32)


def stretch(spectrum: Floats, formants: float) -> Floats:
    """Stretch a spectral quantity [B, F] along its B frequency bins; beyond the top the last bin repeats."""
    if formants == 1:
        return spectrum
    n_bins = len(spectrum)
    source = np.minimum(np.arange(n_bins, dtype=np.float32) / formants, n_bins - 1)
    low = np.minimum(source.astype(np.intp), n_bins - 2)
    high_share = (source - low)[:, None].astype(np.float32)
    stretched: Floats = spectrum[low] * (1 - high_share) + spectrum[low + 1] * high_share
    return stretched
