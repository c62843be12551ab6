"""Cuts microphone and camera into units of media time (laws 3 and 11)."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from omni.timing import Timing
from omni.types import Pcm, Picture, Unit

MAX_WAITING_S = 60.0
"""sound of an open turn that may wait for the engine; beyond it the oldest is dropped and counted"""


class Multiplexer:
    """Time-division multiplexing of one session's input.

    Between turns it keeps only the last moments, from which a turn begins before its onset was noticed.
    """

    def __init__(self, timing: Timing, preroll_s: float) -> None:
        self._timing = timing
        self._preroll = round(preroll_s * timing.input_rate)
        self._chunks: deque[Pcm] = deque()
        self._n_kept = 0
        self._n_heard = 0
        self._open = False
        self._image: Picture | None = None
        self._image_due = 0
        self._n_dropped = 0
        """samples of the open turn that were lost because the engine was too slow"""

    @property
    def heard_s(self) -> float:
        """Media time: how much sound has come in."""
        return self._n_heard / self._timing.input_rate

    @property
    def waiting_s(self) -> float:
        """Sound that is kept and was not taken."""
        return self._n_kept / self._timing.input_rate

    def hear(self, pcm: Pcm) -> None:
        """Take the next sound [S] in order."""
        self._chunks.append(pcm)
        self._n_kept += len(pcm)
        self._n_heard += len(pcm)
        if self._open:
            self._n_dropped += self._drop_to(round(MAX_WAITING_S * self._timing.input_rate))
        else:
            self._drop_to(self._preroll)

    def see(self, image: Picture) -> None:
        """Take a picture. Only the newest is kept."""
        self._image = image

    def open_turn(self, from_s: float) -> None:
        """The user's turn began at this media time; what is still kept from then on belongs to it."""
        self._drop_to(self._n_heard - round(from_s * self._timing.input_rate))
        self._open = True

    def close_turn(self) -> float:
        """The turn is over; sound after it is pre-roll of the next. Returns the seconds of it that were dropped."""
        self._open = False
        self._drop_to(self._preroll)
        n_dropped, self._n_dropped = self._n_dropped, 0
        return n_dropped / self._timing.input_rate

    def forget(self) -> None:
        """Drop all sound that was not taken."""
        self._drop_to(0)

    def take(self) -> Unit | None:
        """The next full unit of the open turn, when its samples are there."""
        if not self._open or self._n_kept < self._timing.unit_samples:
            return None
        return self._cut(self._timing.unit_samples)

    def put_back(self, units: Sequence[Unit]) -> None:
        """Units of the open turn, all that were taken of it, are to be taken again."""
        sounds = [unit.audio for unit in units if unit.audio is not None]
        self._chunks.extendleft(reversed(sounds))
        self._n_kept += sum(map(len, sounds))

    def flush(self) -> Unit | None:
        """What is left of the open turn, as a short unit."""
        if not self._open or not self._n_kept:
            return None
        return self._cut(min(self._n_kept, self._timing.unit_samples))

    def glance(self) -> Unit | None:
        """Between turns: the newest picture, at most one a unit of media time."""
        if self._open or self._image is None or self._n_heard < self._image_due:
            return None
        return Unit(image=self._take_image(), glance=True)

    def take_image(self) -> Unit | None:
        """The newest picture now, however long ago the last one was taken."""
        return Unit(image=self._take_image()) if self._image is not None else None

    def _take_image(self) -> Picture | None:
        image, self._image = self._image, None
        if image is not None:
            self._image_due = self._n_heard + self._timing.unit_samples
        return image

    def _cut(self, n: int) -> Unit:
        joined = np.concatenate(self._chunks) if len(self._chunks) > 1 else self._chunks[0]
        self._chunks.clear()
        if len(joined) > n:
            self._chunks.append(joined[n:])
        self._n_kept = len(joined) - n
        return Unit(audio=joined[:n], image=self._take_image())

    def _drop_to(self, n: int) -> int:
        """Keep the newest n samples; returns how many were dropped."""
        excess = self._n_kept - max(n, 0)
        if excess <= 0:
            return 0
        left = excess
        while left and len(self._chunks[0]) <= left:
            left -= len(self._chunks.popleft())
        if left:
            self._chunks[0] = self._chunks[0][left:]
        self._n_kept -= excess
        return excess
