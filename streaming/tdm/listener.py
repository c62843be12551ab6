"""The user's side of a conversation: from sound and pictures to turns.

STARTED opens a turn, units are listened to while it lasts, PAUSED flushes the last short unit and has an answer
prepared on the guess that the user is done, CONTINUED discards it, ENDED releases it. Speech over an answer
holds the answer first; it is an interruption once it lasts or its words say so.
"""

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal
from uuid import uuid4

from omni.text.backchannel import is_backchannel
from omni.text.finished import UNSURE
from omni.types import Delta, Pcm, Picture, Transcript, Unit
from streaming.events import (
    AudioPart,
    Cleared,
    Committed,
    IdleTimedOut,
    Item,
    ItemAdded,
    OverlapEnded,
    RefusedError,
    ReplyOptions,
    SpeechStarted,
    SpeechStopped,
    TurnDetection,
    UserTranscript,
)
from streaming.tdm.clock import Clock
from streaming.tdm.conversation import Conversation
from streaming.tdm.jobs import Listen, MarkState, Rewind
from streaming.tdm.multiplexer import Multiplexer
from streaming.tdm.speaker import Speaker
from streaming.tdm.turns import Activity, Signal, Turns

ONSET = "onset"
"""name of the mark before a turn's first unit"""
INTERRUPTION_S = 0.7
"""speech over an answer that is an interruption whatever it says"""
SHORTEST_INTERRUPTION_S = 0.25
"""for a family that does not transcribe: shorter speech over an answer is a noise"""
KEPT_S = 1.0
"""sound kept between turns, from which a turn's beginning is taken"""
MAX_PENDING = 2
"""units that wait for the engine at a time; more wait in the multiplexer"""


@dataclass(slots=True)
class _UserTurn:
    """What the user is saying, until it is an item or was nothing."""

    item_id: str
    overlaps: bool
    """it began while an answer was under way, and whether it is an interruption is open"""
    text: str = ""
    finished: float | None = None
    units: list[Unit] = field(default_factory=list)
    """what the model was given of it"""
    n_pending: int = 0
    """units whose words are still to come"""
    ended: bool = False
    duration_s: float = 0.0


class Listener:
    """Hears and sees for one session."""

    def __init__(self, conversation: Conversation, speaker: Speaker, activity: Activity, clock: Clock) -> None:
        self._talk = conversation
        self._speaker = speaker
        self._activity = activity
        self._clock = clock
        self._mux = Multiplexer(conversation.timing, KEPT_S)
        self._turns: Turns | None = None
        self._user: _UserTurn | None = None
        self._arrived_s = 0.0
        self._unanswered = False
        """sound was put into the conversation that no answer has followed"""
        self._quiet_from_s: float | None = None
        """media time since which an answer waits for a word of the user"""
        self.detect(conversation.settings.turn_detection)

    @property
    def busy(self) -> bool:
        """A turn of the user is in progress."""
        return self._user is not None

    def detect(self, detection: TurnDetection | None) -> None:
        """Set how turns are found. What was not committed is forgotten if that changes."""
        if detection == (self._turns.detection if self._turns is not None else None):
            return
        if self._user is not None:
            self.clear()
        self._turns = Turns(self._talk.timing, detection, self._mux.heard_s) if detection is not None else None

    def await_user(self) -> None:
        """An answer has been heard; from now on the user's silence counts."""
        self._quiet_from_s = self._mux.heard_s

    async def hear(self, pcm: Pcm) -> None:
        """Take sound from the microphone [S], however much of it."""
        # Decisions are made window by window, also when a client sends a whole recording at once.
        step = self._talk.timing.window_samples
        for begin in range(0, len(pcm), step):
            await self._hear(pcm[begin : begin + step])

    def see(self, image: Picture) -> None:
        """Take a picture from the camera."""
        self._mux.see(image)
        self._glance()

    def prepare(self, options: ReplyOptions) -> None:
        """Have an answer prepared, the newest picture in view."""
        if (unit := self._mux.take_image()) is not None:
            self._talk.pipeline.tell(Listen(unit))
        self._unanswered = False
        self._speaker.prepare(self._talk.reply(options), options)

    def make_way(self) -> None:
        """The client wants an answer now: a turn in progress ends here, or waits until it is committed by hand."""
        user = self._user
        if user is None:
            return
        if self._turns is not None:
            self.commit()
        elif user.units:
            self._talk.pipeline.tell(Rewind(ONSET))
            self._mux.put_back(user.units)
            user.units, user.duration_s = [], 0.0

    def interrupt(self, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        """End the answer under way where the user heard it last, and listen on."""
        user, units = self._user, []
        if user is not None:
            user.overlaps = False
            units, user.units, user.duration_s = user.units, [], 0.0
        if units:
            # The model heard these on top of the answer; they belong after what is left of it.
            self._talk.pipeline.tell(Rewind(ONSET))
        self._speaker.abandon(reason)
        if user is not None:
            for unit in units:
                self._listen(user, unit)

    def transcribe(self, item_id: str, pcm: Pcm) -> None:
        """Listen to recorded sound [S] of an item that is in the dialogue; its words are reported when known."""
        user = _UserTurn(item_id, overlaps=False)
        step = self._talk.timing.unit_samples
        for begin in range(0, len(pcm), step):
            self._listen(user, Unit(audio=pcm[begin : begin + step]))
        self._talk.unheard[item_id] = tuple(user.units)
        self._unanswered = True

    def commit(self) -> None:
        """The user's turn ends here, by the client's word.

        Raises:
            RefusedError: there is nothing to commit, or an answer is under way.
        """
        user = self._user
        if user is None:
            raise RefusedError("input_audio_buffer_commit_empty", "There is no sound to commit; append some first.")
        if self._speaker.active:
            raise RefusedError(
                "conversation_already_has_active_response", "An answer is under way; cancel it before you commit."
            )
        self._speaker.discard()
        while (unit := self._mux.flush()) is not None:
            self._listen(user, unit)
        if self._turns is not None:
            self._talk.outlet.send(SpeechStopped(user.item_id, self._turns.end_s, self._talk.pipeline.turn))
        self._close_turn()
        self._add_item(user)
        self._unanswered = True

    def clear(self) -> None:
        """Forget what was not committed."""
        user = self._user
        self._speaker.discard()
        if user is not None and user.units:
            self._talk.pipeline.tell(Rewind(ONSET))
        self._close_turn()
        self._mux.forget()
        if user is not None:
            self._resume(user)
        self._talk.outlet.send(Cleared())

    # ------------------------------------------------------------ sound

    async def _hear(self, pcm: Pcm) -> None:
        if self._turns is None and self._user is None:
            self._open_turn(self._mux.heard_s)
        self._mux.hear(pcm)
        self._arrived_s = self._clock.now_s()
        if self._turns is not None:
            for probability in await self._activity.probabilities(pcm):
                self._window(self._turns, probability)
        self._listen_ready()
        self._glance()

    def _window(self, turns: Turns, probability: float) -> None:
        overlap = self._speaker.active
        if overlap and not turns.detection.interrupts_response and self._user is None:
            probability = 0.0
        signal = turns.window(probability, overlap)
        if signal is not None:
            self._signal(turns, signal)
        if self._user is not None and self._user.overlaps and turns.voiced_s >= INTERRUPTION_S:
            self.interrupt("turn_detected")
        self._check_idle(turns)

    def _check_idle(self, turns: Turns) -> None:
        timeout_s, quiet_from_s = turns.detection.idle_timeout_s, self._quiet_from_s
        if timeout_s is None or quiet_from_s is None or self._user is not None or self._speaker.active:
            return
        if self._mux.heard_s - quiet_from_s >= timeout_s:
            self._quiet_from_s = None
            self._talk.outlet.send(IdleTimedOut(f"item_{uuid4().hex[:20]}", quiet_from_s, self._mux.heard_s))
            self.prepare(ReplyOptions())
            self._speaker.release(None)

    def _signal(self, turns: Turns, signal: Signal) -> None:
        match signal:
            case Signal.STARTED:
                start_s = max(0.0, turns.start_s - turns.detection.prefix_padding_s)
                user = self._open_turn(start_s)
                self._talk.outlet.send(SpeechStarted(user.item_id, start_s, self._talk.pipeline.turn))
                if user.overlaps:
                    self._speaker.hold()
            case Signal.PAUSED:
                if self._user is not None and (unit := self._mux.flush()) is not None:
                    self._listen(self._user, unit)
            case Signal.CONTINUED:
                self._speaker.discard()
                if self._user is not None:
                    self._user.ended = False
            case Signal.ENDED:
                self._end_turn(turns)

    def _open_turn(self, from_s: float) -> _UserTurn:
        if self._talk.stale and not self._speaker.active:
            self._talk.rebuild()
        self._user = _UserTurn(f"item_{uuid4().hex[:20]}", overlaps=self._speaker.active and self._turns is not None)
        self._quiet_from_s = None
        self._mux.open_turn(from_s)
        return self._user

    def _close_turn(self) -> None:
        self._user = None
        if self._turns is not None:
            self._turns.reset()
        self._talk.sound_dropped(self._mux.close_turn())

    def _listen_ready(self) -> None:
        """Listen to full units of the open turn, but not to a silence in which it may end."""
        while self._user is not None and self._user.n_pending < MAX_PENDING:
            if self._turns.paused if self._turns is not None else self._speaker.active:
                return
            if (unit := self._mux.take()) is None:
                return
            self._listen(self._user, unit)

    def _listen(self, user: _UserTurn, unit: Unit) -> None:
        if not user.units:
            if self._unanswered and self._talk.capabilities.transcribes:
                # the model would take these words for more of that turn; told of it as text, it does not
                self._unanswered = False
                self._talk.rebuild()
            self._talk.pipeline.tell(MarkState(ONSET))
        user.units.append(unit)
        user.n_pending += 1
        if unit.audio is not None:
            user.duration_s += len(unit.audio) / self._talk.timing.input_rate
        self._talk.pipeline.ask(Listen(unit)).add_done_callback(partial(self._heard, user))

    def _glance(self) -> None:
        """Between turns the model sees what the camera shows."""
        if self._user is not None or self._speaker.active or self._talk.stale:
            return
        if (unit := self._mux.glance()) is not None:
            self._talk.pipeline.tell(Listen(unit))

    # ------------------------------------------------------------ words

    def _heard(self, user: _UserTurn, future: "asyncio.Future[tuple[Delta, ...]]") -> None:
        """The model has listened to a unit."""
        if future.cancelled():
            return
        user.n_pending -= 1
        error = future.exception()
        if error is not None:
            self._talk.engine_failed(str(error))
        else:
            for delta in future.result():
                if isinstance(delta, Transcript):
                    user.text, user.finished = delta.text, delta.finished
        if user is not self._user:
            self._transcribed(user)
            return
        if self._talk.settings.transcribes and user.text and not user.overlaps:
            self._talk.outlet.send(UserTranscript(user.item_id, user.text, False, user.duration_s))
        if not user.n_pending and self._turns is not None and self._turns.paused:
            self._words(self._turns, user)

    def _words(self, turns: Turns, user: _UserTurn) -> None:
        """All that was said before this pause is known."""
        if user.overlaps:
            if self._is_interruption(turns, user):
                self.interrupt("turn_detected")
            else:
                self._go_on(turns, user)
            return
        signal = turns.words(user.finished)
        if signal is Signal.ENDED or user.ended:
            self._end_turn(turns)
        elif (
            turns.detection.creates_response
            and not self._speaker.guessing
            and (user.finished is None or user.finished > UNSURE)
            and (user.text or not self._talk.capabilities.transcribes)
        ):
            self.prepare(ReplyOptions())

    def _is_interruption(self, turns: Turns, user: _UserTurn) -> bool:
        if self._talk.capabilities.transcribes:
            return not is_backchannel(user.text)
        return turns.voiced_s >= SHORTEST_INTERRUPTION_S

    def _go_on(self, turns: Turns, user: _UserTurn) -> None:
        """It was a cough or an "uh-huh": the answer goes on."""
        self._drop_turn(turns, user)
        self._resume(user)

    def _resume(self, user: _UserTurn) -> None:
        """Let the answer go on that this turn put on hold, if it did."""
        response_id = self._speaker.response_id
        if response_id is not None and self._speaker.holding:
            at_s = self._speaker.resume()
            self._talk.outlet.send(OverlapEnded(user.item_id, response_id, at_s, self._talk.pipeline.turn))

    def _drop_turn(self, turns: Turns, user: _UserTurn) -> None:
        """What was heard is no turn: the model forgets it."""
        self._talk.outlet.send(SpeechStopped(user.item_id, turns.end_s, self._talk.pipeline.turn))
        if user.units:
            self._talk.pipeline.tell(Rewind(ONSET))
        self._close_turn()

    def _end_turn(self, turns: Turns) -> None:
        user = self._user
        if user is None:
            turns.reset()
            return
        if user.n_pending:
            user.ended = True
            return
        if user.overlaps:
            self._words(turns, user)
            return
        if self._talk.capabilities.transcribes and not user.text:
            self._speaker.discard()
            self._drop_turn(turns, user)
            self._talk.outlet.send(Cleared())
            return
        end_s, creates_response = turns.end_s, turns.detection.creates_response
        speech_end_s = self._arrived_s - (self._mux.heard_s - end_s)
        self._talk.outlet.send(SpeechStopped(user.item_id, end_s, self._talk.pipeline.turn))
        self._close_turn()
        self._add_item(user)
        self._unanswered = not creates_response
        if creates_response:
            if not self._speaker.guessing:
                self.prepare(ReplyOptions())
            self._speaker.release(speech_end_s)

    def _add_item(self, user: _UserTurn) -> None:
        dialogue, outlet = self._talk.dialogue, self._talk.outlet
        previous = dialogue.last_id
        item = Item(user.item_id, "user", (AudioPart(None, user.duration_s),))
        dialogue.add(item)
        self._talk.unheard[item.id] = tuple(user.units)
        outlet.send(Committed(user.item_id, previous))
        outlet.send(ItemAdded(item, previous))
        self._transcribed(user)

    def _transcribed(self, user: _UserTurn) -> None:
        """Report the words of a committed turn, once they are complete."""
        dialogue = self._talk.dialogue
        if user.n_pending:
            return
        self._talk.unheard.pop(user.item_id, None)
        if user.item_id not in dialogue:
            return
        item, heard = dialogue.get(user.item_id), AudioPart(user.text, user.duration_s)
        parts = tuple(heard if isinstance(part, AudioPart) else part for part in item.parts)
        dialogue.replace(replace(item, parts=parts))
        if self._talk.settings.transcribes and self._talk.capabilities.transcribes:
            self._talk.outlet.send(UserTranscript(user.item_id, user.text, True, user.duration_s))
