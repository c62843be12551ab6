"""The user's side of a conversation: from sound and pictures to turns.

STARTED opens a turn, units are listened to while it lasts, PAUSED flushes the last short unit and has an answer
prepared on the guess that the user is done, CONTINUED discards it, ENDED releases it. Speech over an answer
holds the answer first; it is an interruption once it lasts or its words say so.
"""

from typing import Literal
from uuid import uuid4

from omni.text.backchannel import is_backchannel
from omni.text.finished import UNSURE
from omni.types import Pcm, Picture, Unit
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
from streaming.tdm.hearing import Hearing, UserTurn
from streaming.tdm.jobs import Listen
from streaming.tdm.multiplexer import Multiplexer
from streaming.tdm.speaker import Speaker
from streaming.tdm.turns import Activity, Signal, Turns

INTERRUPTION_S = 0.7
"""speech over an answer that is an interruption whatever it says"""
SHORTEST_SPEECH_S = 0.25
"""for a family that does not transcribe: what is shorter is a noise. A single "no", "stop" or "wait", measured in six
synthetic voices, counts as 0.26 to 0.54 s of speech"""
KEPT_S = 1.0
"""sound kept between turns, from which a turn's beginning is taken"""
MAX_PENDING = 2
"""units that wait for the engine at a time; more wait in the multiplexer"""


class Listener:
    """Hears and sees for one session."""

    def __init__(self, conversation: Conversation, speaker: Speaker, activity: Activity, clock: Clock) -> None:
        self._talk = conversation
        self._speaker = speaker
        self._activity = activity
        self._clock = clock
        self._hearing = Hearing(conversation, self._heard)
        self._mux = Multiplexer(conversation.timing, KEPT_S)
        self._turns: Turns | None = None
        self._user: UserTurn | None = None
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

    @property
    def speaking(self) -> bool:
        """The user has the word; where the client commits by hand, nobody knows until it does."""
        return self._user is not None and self._turns is not None

    def detect(self, detection: TurnDetection | None) -> None:
        """Set how turns are found. What was not committed is forgotten if that changes."""
        if detection == (self._turns.detection if self._turns is not None else None):
            return
        if self._user is not None:
            self.clear()
        self._turns = None
        if detection is not None:
            wordless = not self._talk.capabilities.transcribes
            self._turns = Turns(self._talk.timing, detection, self._mux.heard_s, wordless=wordless)

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
        """Have an answer prepared, by a model that knows all that was said, the newest picture in view."""
        if self._talk.unfit:
            self._hear_again()
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
        else:
            self._mux.put_back(self._hearing.unlisten(user))

    def interrupt(self, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        """End the answer under way where the user heard it last, and listen on."""
        user = self._user
        # The model heard these on top of the answer; they belong after what is left of it.
        units = self._hearing.unlisten(user) if user is not None else ()
        self._speaker.abandon(reason)
        if self._talk.stale:
            self._talk.rebuild()
        if user is not None:
            user.overlaps = False
            for unit in units:
                self._listen(user, unit)

    def transcribe(self, item_id: str, pcm: Pcm) -> None:
        """Listen to recorded sound [S] of an item that is in the dialogue; its words are reported when known."""
        user = UserTurn(item_id, overlaps=False)
        step = self._talk.timing.unit_samples
        for begin in range(0, len(pcm), step):
            self._listen(user, Unit(audio=pcm[begin : begin + step]))
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
        if user is not None:
            self._hearing.unlisten(user)
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
                if self._user is not None:
                    self._flush(self._user)
            case Signal.CONTINUED:
                self._speaker.discard()
                if self._user is not None:
                    self._user.ended = False
            case Signal.ENDED:
                self._end_turn(turns)

    def _open_turn(self, from_s: float) -> UserTurn:
        if self._talk.stale and not self._speaker.active:
            self._talk.rebuild()
        self._user = UserTurn(f"item_{uuid4().hex[:20]}", overlaps=self._speaker.active and self._turns is not None)
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

    def _flush(self, user: UserTurn) -> None:
        """Listen to all that was said before this silence, also to what waited for a slow engine."""
        while (unit := self._mux.flush()) is not None:
            self._listen(user, unit)
            if self._mux.waiting_s <= self._talk.timing.window_s:
                return  # the beginning of the silence

    def _listen(self, user: UserTurn, unit: Unit) -> None:
        if not user.given and self._unanswered and self._talk.capabilities.transcribes:
            # the model would take these words for more of that turn; told of it as text, it does not
            self._unanswered = False
            self._talk.rebuild()
        self._hearing.listen(user, unit)

    def _hear_again(self) -> None:
        """Make the model's state anew, and let it hear the turn in progress from its beginning."""
        user = self._user
        units = self._hearing.take_back(user) if user is not None else ()
        self._talk.rebuild()
        if user is not None:
            for unit in units:
                self._hearing.listen(user, unit)

    def _glance(self) -> None:
        """Between turns the model sees what the camera shows."""
        if self._user is not None or self._speaker.active or self._talk.stale:
            return
        if (unit := self._mux.glance()) is not None:
            self._hearing.glance(unit)

    # ------------------------------------------------------------ words

    def _heard(self, user: UserTurn) -> None:
        """The model has listened to a unit, or failed to."""
        if user is not self._user:
            self._hearing.write_down(user)
            return
        if user.failed and not (user.overlaps or user.repeated):
            user.repeated = True
            self._hear_again()
            return
        if self._talk.settings.transcribes and user.text and not user.overlaps:
            self._talk.outlet.send(UserTranscript(user.item_id, user.text, False, user.duration_s))
        if not user.n_pending and self._turns is not None and self._turns.paused:
            self._words(self._turns, user)

    def _words(self, turns: Turns, user: UserTurn) -> None:
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
            and self._is_speech(turns, user)
        ):
            self.prepare(ReplyOptions())

    def _is_interruption(self, turns: Turns, user: UserTurn) -> bool:
        if self._talk.capabilities.transcribes:
            return not is_backchannel(user.text)
        return turns.voiced_s >= SHORTEST_SPEECH_S

    def _is_speech(self, turns: Turns, user: UserTurn) -> bool:
        if self._talk.capabilities.transcribes:
            # what the model failed to hear may have been anything
            return bool(user.text) or user.failed
        return turns.voiced_s >= SHORTEST_SPEECH_S

    def _go_on(self, turns: Turns, user: UserTurn) -> None:
        """It was a cough or an "uh-huh": the answer goes on."""
        self._drop_turn(turns, user)
        self._resume(user)

    def _resume(self, user: UserTurn) -> None:
        """Let the answer go on that this turn put on hold, if it did."""
        response_id = self._speaker.response_id
        if response_id is not None and self._speaker.holding:
            at_s = self._speaker.resume()
            self._talk.outlet.send(OverlapEnded(user.item_id, response_id, at_s, self._talk.pipeline.turn))

    def _drop_turn(self, turns: Turns, user: UserTurn) -> None:
        """What was heard is no turn: the model forgets it."""
        self._talk.outlet.send(SpeechStopped(user.item_id, turns.end_s, self._talk.pipeline.turn))
        self._hearing.unlisten(user)
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
        if not self._is_speech(turns, user):
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

    def _add_item(self, user: UserTurn) -> None:
        dialogue, outlet = self._talk.dialogue, self._talk.outlet
        previous = dialogue.last_id
        item = Item(user.item_id, "user", (AudioPart(None, user.duration_s),))
        dialogue.add(item)
        outlet.send(Committed(user.item_id, previous))
        outlet.send(ItemAdded(item, previous))
        self._hearing.write_down(user)
