"""The model listens to the user: a turn's units go in, its words come back and into the dialogue."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from omni.types import Delta, Transcript, Unit
from streaming.events import AudioPart, UserTranscript
from streaming.tdm.conversation import Conversation
from streaming.tdm.jobs import Listen, MarkState, Rewind

ONSET = "onset"
"""name of the mark before a turn's first unit"""


@dataclass(slots=True)
class UserTurn:
    """What the user is saying, until it is an item or was nothing."""

    item_id: str
    overlaps: bool
    """it began while an answer was under way, and whether it is an interruption is open"""
    text: str = ""
    finished: float | None = None
    given: bool = False
    """the model was given some of it"""
    n_pending: int = 0
    """units that the model has not listened to yet"""
    failed: bool = False
    """the model failed to hear some of it: its words are not all"""
    repeated: bool = False
    """for that reason it was given to the model again, which is done once"""
    ended: bool = False
    duration_s: float = 0.0


class Hearing:
    """One session's ear. What the model was given of a turn is in Conversation.recent under the turn's item."""

    def __init__(self, conversation: Conversation, heard: Callable[[UserTurn], None]) -> None:
        """Wire it; heard is called whenever the model has listened to a unit, or failed to."""
        self._talk = conversation
        self._on_heard = heard
        self._glimpse: Unit | None = None
        """what was seen last between turns: the next turn may be about it"""

    def glance(self, unit: Unit) -> None:
        """Let the model see a picture between turns."""
        self._glimpse = unit
        self._talk.pipeline.tell(Listen(unit))

    def listen(self, user: UserTurn, unit: Unit) -> None:
        """Give the model the turn's next unit."""
        if not user.given:
            self._talk.pipeline.tell(MarkState(ONSET))
            user.given = True
            if self._glimpse is not None and unit.image is None:
                self._talk.recent.add(user.item_id, self._glimpse)
            self._glimpse = None
        user.n_pending += 1
        self._talk.recent.add(user.item_id, unit)
        if unit.audio is not None:
            user.duration_s += len(unit.audio) / self._talk.timing.input_rate
        self._talk.pipeline.ask(Listen(unit)).add_done_callback(partial(self._heard, user))

    def unlisten(self, user: UserTurn) -> tuple[Unit, ...]:
        """Let the model forget what it was given of the turn in progress; returns that."""
        if user.given:
            self._talk.pipeline.tell(Rewind(ONSET))
        return self.take_back(user)

    def take_back(self, user: UserTurn) -> tuple[Unit, ...]:
        """The same, of a turn whose model state is to be made anew."""
        units = self._talk.recent.of(user.item_id)
        self._talk.recent.forget(user.item_id)
        user.given, user.failed, user.duration_s = False, False, 0.0
        return units

    def write_down(self, user: UserTurn) -> None:
        """Put the words of a committed turn into the dialogue and report them, once they are complete."""
        talk = self._talk
        if user.n_pending or not talk.capabilities.transcribes:
            return
        if not user.failed:
            talk.recent.forget(user.item_id)
        if user.item_id not in talk.dialogue:
            return
        item = talk.dialogue.get(user.item_id)
        first = next(part for part in item.parts if isinstance(part, AudioPart))
        # recordings that came in one item are heard as one
        heard, others = AudioPart(user.text, user.duration_s), AudioPart("", 0.0)
        parts = ((heard if part is first else others) if isinstance(part, AudioPart) else part for part in item.parts)
        talk.dialogue.replace(replace(item, parts=tuple(parts)))
        if talk.settings.transcribes:
            talk.outlet.send(UserTranscript(user.item_id, user.text, True, user.duration_s))

    def _heard(self, user: UserTurn, future: "asyncio.Future[tuple[Delta, ...]]") -> None:
        if future.cancelled():
            return
        user.n_pending -= 1
        error = future.exception()
        if error is not None:
            user.failed = True
            self._talk.engine_failed(str(error))
        else:
            for delta in future.result():
                if isinstance(delta, Transcript):
                    user.text, user.finished = delta.text, delta.finished
        self._on_heard(user)
