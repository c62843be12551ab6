"""Speech slower or faster at the same pitch, as a stream: waveform similarity overlap-add (Verhelst, Roelands, 1993).

The output is made of stretches of the input, laid one after another at the new pace and faded over. Each is taken from
where it continues the one before it best, within a period of the lowest voice around its due place, so that the
periods of a voice meet in step: that is why its pitch stays.

    input    ──┬──hop──┬───────────────┬─        due place of stretch k: k · hop · speed
               │ k - 1 │ goes on …     │  ← ± reach: where that going on sounds like best
    output   ──┴───────┴── faded over to k ──
"""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from omni.timing import Timing
from omni.types import FASTEST, SLOWEST, Pcm

_HOP_S = 0.02
"""of output that each stretch adds: a period of the lowest voice, and less than a sound of speech lasts"""
_REACH_S = 0.01
"""how far from its due place a stretch may be taken: half a period of 50 Hz to either side"""
_QUIET = 1e-9
"""energy below which stretches are all alike"""


@dataclass(frozen=True, slots=True, eq=False)
class Tempo:
    """One sound at another pace. A value: every change gives a new one. At 1 the sound passes through untouched."""

    speed: float = 1.0
    """factor on the pace, SLOWEST to FASTEST"""
    rate: int = field(default_factory=lambda: Timing().output_rate)
    """Hz of the sound"""
    _heard: Pcm = field(default_factory=lambda: np.zeros(0, np.float32))
    """the input, as far back as it is needed"""
    _heard_from: int = 0
    """place of its first sample, counted from the beginning of the sound"""
    _n_stretches: int = 0
    _latest: int = 0
    """where the latest stretch was taken"""

    def __post_init__(self) -> None:
        if not SLOWEST <= self.speed <= FASTEST:
            raise ValueError(f"a speed of {self.speed} is out of range: choose one from {SLOWEST} to {FASTEST}")

    def over(self, pcm: Pcm, *, last: bool) -> tuple["Tempo", Pcm]:
        """Take the next piece; how the sound was cut does not change a bit of the output.

        Args:
            pcm: [S] at the rate.
            last: nothing follows, so nothing is held back. Up to 50 ms are otherwise.

        Returns:
            what is left to be said, and the output so far: in all the input's length over the speed, give or take
            what the last hop differs by.
        """
        if self.speed == 1.0:
            return self, pcm
        state = replace(self, _heard=np.concatenate([self._heard, pcm]))
        pieces: list[Pcm] = []
        while (taken := state._next(last=last)) is not None:
            state, piece = taken
            pieces.append(piece)
        if last:
            # To the very end of the input, so that it ends as it was meant to.
            first = state._latest + state._hop if state._n_stretches else 0
            pieces.append(state._stretch(first, state._n_heard))
            state = Tempo(self.speed, self.rate)
        return state, np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    @property
    def _hop(self) -> int:
        return round(_HOP_S * self.rate)

    @property
    def _n_heard(self) -> int:
        return self._heard_from + len(self._heard)

    def _stretch(self, start: int, end: int) -> Pcm:
        return self._heard[start - self._heard_from : end - self._heard_from]

    def _next(self, *, last: bool) -> "tuple[Tempo, Pcm] | None":
        """The next hop of output, if enough is known of the input for it."""
        hop, reach = self._hop, round(_REACH_S * self.rate)
        due = round(self._n_stretches * hop * self.speed)
        goes_on = self._latest + hop
        if self._n_stretches == 0:
            if self._n_heard < hop:
                return None
            return replace(self, _n_stretches=1), self._stretch(0, hop)
        if max(due + (0 if last else reach), goes_on) + hop > self._n_heard:
            return None
        ahead = self._stretch(goes_on, goes_on + hop)
        first = max(0, due - reach)
        place = first + _most_alike(self._stretch(first, min(due + reach + hop, self._n_heard)), ahead)
        ramp = _ramp(hop)
        piece = (1 - ramp) * ahead + ramp * self._stretch(place, place + hop)
        kept = min(place + hop, max(0, round((self._n_stretches + 1) * hop * self.speed) - reach))
        state = replace(
            self,
            _heard=self._stretch(kept, self._n_heard),
            _heard_from=kept,
            _n_stretches=self._n_stretches + 1,
            _latest=place,
        )
        return state, piece


def _most_alike(sound: Pcm, wanted: Pcm) -> int:
    """Where in a sound [S] the stretch begins that is most like the wanted one [T], whatever their loudness."""
    samples = sound.astype(np.float64)
    energy = np.concatenate([[0.0], np.cumsum(samples**2)])
    energies = energy[len(wanted) :] - energy[: -len(wanted)]
    likeness = np.correlate(samples, wanted.astype(np.float64), "valid") / np.sqrt(energies + _QUIET)
    return int(likeness.argmax())


def _ramp(n: int) -> npt.NDArray[np.float32]:
    """From 0 to 1 in n steps, without a corner at either end."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n), np.float32)
