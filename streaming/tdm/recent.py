"""What the user said lately, as sound: a model whose state is made anew hears it again, where no words stand for it.

A family that does not transcribe never has the words, so the bounds matter. Of a longer conversation the oldest
sound is let go, from the beginning of the oldest turn on; of a turn's pictures only the last is kept.
"""

from dataclasses import replace

from omni.timing import Timing
from omni.types import Unit
from streaming.tdm.dialogue import MAX_PICTURES

MAX_SOUND_S = 120.0
"""sound that is kept, of all turns together: 8 MB, and as much as a model can hear again in a few seconds"""


class Recent:
    """The user's latest turns, by their items' ids, as units in the order in which they were said."""

    def __init__(self, timing: Timing) -> None:
        self._turns: dict[str, list[Unit]] = {}
        self._n_samples = 0
        self._max_samples = round(MAX_SOUND_S * timing.input_rate)

    def of(self, item_id: str) -> tuple[Unit, ...]:
        """What is kept of a turn; nothing if it was let go, or forgotten because its words are known."""
        return tuple(self._turns.get(item_id, ()))

    def add(self, item_id: str, unit: Unit) -> None:
        """Keep the next unit of a turn."""
        units = self._turns.setdefault(item_id, [])
        if unit.image is not None:
            units[:] = map(_without_picture, units)
        units.append(unit)
        if unit.image is not None:
            self._let_pictures_go()
        self._n_samples += _n_samples(unit)
        while self._n_samples > self._max_samples:
            oldest = next(iter(self._turns))
            self._n_samples -= _n_samples(self._turns[oldest].pop(0))
            if not self._turns[oldest]:
                del self._turns[oldest]

    def forget(self, item_id: str) -> None:
        """A turn is not needed any more: its words are known, or it was none."""
        self._n_samples -= sum(map(_n_samples, self._turns.pop(item_id, ())))

    def _let_pictures_go(self) -> None:
        """Keep the newest pictures: each takes megabytes."""
        seeing = [units for units in self._turns.values() if any(unit.image is not None for unit in units)]
        for units in seeing[:-MAX_PICTURES]:
            units[:] = map(_without_picture, units)


def _n_samples(unit: Unit) -> int:
    return 0 if unit.audio is None else len(unit.audio)


def _without_picture(unit: Unit) -> Unit:
    return replace(unit, image=None)
