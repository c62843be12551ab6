"""One conversation: the one stateful object between a client and the engine.

Commands come in by handle(), results of the engine by deliver(); events go out through the Outlet. The user's
side is tdm/listener.py, the assistant's tdm/speaker.py, what they share tdm/conversation.py.
"""

from dataclasses import replace

import numpy as np

from omni.types import ToolOutput
from streaming.commands import (
    AppendAudio,
    AppendImage,
    Cancel,
    Clear,
    Command,
    Commit,
    CreateItem,
    DeleteItem,
    Heard,
    Respond,
    RetrieveItem,
    TruncateItem,
    Update,
)
from streaming.company.catalogue import BuiltIn, Catalogue
from streaming.events import (
    AudioPart,
    Closed,
    CloseReason,
    Fault,
    Item,
    ItemAdded,
    ItemDeleted,
    ItemRetrieved,
    ItemTruncated,
    RefusedError,
    ReplyOptions,
    Settings,
    Updated,
)
from streaming.tdm.clock import Clock
from streaming.tdm.conversation import Conversation, Outlet, opening
from streaming.tdm.dialogue import text_of
from streaming.tdm.jobs import Result, Truncate
from streaming.tdm.listener import Listener
from streaming.tdm.pipeline import Engine
from streaming.tdm.speaker import Speaker
from streaming.tdm.turns import Activity

LEAD_S = 0.5
"""sound that is sent ahead of the listener's position, against a network that stumbles"""

_WORK = AppendImage | Update | Commit | CreateItem | DeleteItem | TruncateItem | Respond
"""commands that give the model something to do; sound has a bound of its own, in the multiplexer"""


class Session:
    """See the module. All methods belong to one event loop, and are called one at a time."""

    def __init__(  # noqa: PLR0917
        self,
        session_id: str,
        engine: Engine,
        activity: Activity,
        clock: Clock,
        outlet: Outlet,
        settings: Settings,
        lead_s: float,
        catalogue: Catalogue | None = None,
    ) -> None:
        """Wire a session; open() starts it.

        Args:
            lead_s: how far ahead of the listener sound is sent, to ride out a network that stutters.
            catalogue: the voices that settings may name; None: the model's own.

        Raises:
            RefusedError: the settings name a voice that is not there.
        """
        self.id = session_id
        self._engine = engine
        self._outlet = outlet
        catalogue = catalogue or BuiltIn(engine.capabilities)
        self._talk = Conversation(session_id, engine, clock, outlet, settings, catalogue)
        self._speaker = Speaker(self._talk, clock, lead_s, self._answer_ended)
        self._listener = Listener(self._talk, self._speaker, activity, clock)
        self._can_hear = False
        self._greeting_id: str | None = None
        """response in which the assistant spoke first"""

    @property
    def items(self) -> tuple[Item, ...]:
        """The conversation so far."""
        return tuple(self._talk.dialogue)

    @property
    def idle(self) -> bool:
        """Neither side has a turn in progress."""
        return not (self._listener.busy or self._speaker.active or self._speaker.guessing)

    async def open(self) -> None:
        """Make the model's state and tell the client. First call."""
        self._outlet.send(opening(self.id, self._engine, self._talk.settings, self._talk.catalogue))
        self._talk.rebuild()

    def greet(self) -> None:
        """The client can hear from now on: the assistant speaks first, if it is set to."""
        if not self._can_hear:
            self._can_hear = True
            self._greet()

    def deliver(self, result: Result) -> None:
        """Take a result of the engine."""
        self._talk.pipeline.deliver(result)

    def cut_off(self) -> None:
        """The client has lost its connection. An answer under way waits until reach()."""
        self._speaker.cut_off()

    def reach(self, *, anew: bool) -> None:
        """The client is there again, also if nobody had noticed that it was not.

        Args:
            anew: it hears with a player that has nothing of what was sent; that is sent again from where it stopped.
        """
        self._speaker.reach(anew=anew)

    async def close(self, reason: CloseReason, message: str, retry_s: float | None = None) -> None:
        """End the conversation and free what it holds, saying what Closed says. Last call."""
        self._speaker.close()
        self._talk.pipeline.close()
        self._outlet.send(Closed(reason, message, retry_s))

    async def handle(self, command: Command) -> None:
        """Do what the client asks. What cannot be done is answered by a Fault; the session lives on."""
        try:
            if isinstance(command, AppendAudio):
                await self._listener.hear(command.pcm)
            elif self._talk.pipeline.busy and isinstance(command, _WORK):
                raise RefusedError(
                    "rate_limit_exceeded", "The model is still busy with what was sent before; wait, and send it again."
                )
            else:
                self._handle(command)
        except RefusedError as error:
            self._talk.outlet.send(Fault("invalid_request_error", error.code, str(error)))

    def _handle(self, command: Command) -> None:
        dialogue = self._talk.dialogue
        match command:
            case AppendImage(image):
                self._listener.see(image)
            case Update(settings):
                self._update(settings)
            case Commit():
                self._listener.commit()
            case Clear():
                self._listener.clear()
            case CreateItem(item, after):
                self._create(item, after)
            case RetrieveItem(item_id):
                self._outlet.send(ItemRetrieved(dialogue.get(item_id)))
            case DeleteItem(item_id):
                self._delete(item_id)
            case TruncateItem(item_id, heard_s):
                self._truncate(item_id, heard_s)
            case Heard(item_id, heard_s, most_s):
                self._speaker.report(item_id, heard_s, most_s)
            case Respond(options):
                self._respond(options)
            case Cancel(response_id):
                self._cancel(response_id)

    def _update(self, settings: Settings) -> None:
        settings = self._talk.possible(settings)
        self._refuse_long(settings.instructions, "session.instructions")
        before = self._talk.settings
        self._talk.change(settings)
        if settings != before:
            # an answer that is being prepared would follow the old ones; it is prepared again
            self._speaker.discard()
        self._listener.detect(settings.turn_detection)
        if self._talk.opened_as(settings) != self._talk.opened_as(before):
            self._refresh()
        self._outlet.send(Updated(settings))
        if self._can_hear and settings.greeting != before.greeting:
            self._greet()

    def _greet(self) -> None:
        """Speak first: where nobody has said anything, nor is about to. What the client tells the model is not said."""
        greeting = self._talk.settings.greeting
        begun = self._listener.speaking or any(item.role != "system" for item in self.items)
        if greeting and not begun:
            self._respond(ReplyOptions(says=greeting))
            self._greeting_id = self._speaker.response_id

    def _create(self, item: Item, after: str | None) -> None:
        self._refuse_long(text_of(item.parts), "item.content")
        self._refuse_unasked(item)
        sounds = [part.pcm for part in item.parts if isinstance(part, AudioPart) and part.pcm is not None]
        at_end = after in (None, self._talk.dialogue.last_id)
        if sounds and not (at_end and self.idle):
            raise RefusedError("invalid_value", "Recorded speech can only be added at the end, between turns.")
        if sounds and self._talk.stale:
            self._talk.rebuild()
        silent = tuple(part for part in item.parts if not (isinstance(part, AudioPart) and part.pcm is not None))
        parts = tuple(replace(part, pcm=None) if isinstance(part, AudioPart) else part for part in item.parts)
        item = replace(item, parts=parts)
        previous = self._talk.dialogue.add(item, after)
        if at_end and self.idle and not self._talk.stale:
            self._talk.inform(replace(item, parts=silent))
        else:
            self._refresh()
        self._outlet.send(ItemAdded(item, previous))
        if sounds:
            self._listener.transcribe(item.id, np.concatenate(sounds))

    def _delete(self, item_id: str) -> None:
        if item_id == self._speaker.item_id:
            raise RefusedError("item_in_progress", f"Item {item_id!r} is being spoken; cancel its response first.")
        self._talk.dialogue.delete(item_id)
        self._talk.recent.forget(item_id)
        self._refresh()
        self._outlet.send(ItemDeleted(item_id))

    def _respond(self, options: ReplyOptions) -> None:
        self._refuse_long(options.instructions or "", "response.instructions")
        if self._speaker.active and self._speaker.response_id == self._greeting_id:
            # Clients that know of no greeting have the assistant begin, or ask, as soon as they are connected.
            if options == ReplyOptions() and self._talk.dialogue.last_id == self._speaker.item_id:
                return  # it has begun
            self._listener.interrupt("client_cancelled")
        if self._speaker.active:
            raise RefusedError(
                "conversation_already_has_active_response",
                f"Response {self._speaker.response_id} is under way; wait for response.done or cancel it.",
            )
        self._speaker.discard()
        self._listener.make_way()
        if self._talk.stale:
            self._talk.rebuild()
        self._listener.prepare(options)
        self._speaker.release(None)

    def _cancel(self, response_id: str | None) -> None:
        if not self._speaker.active or response_id not in (None, self._speaker.response_id):
            raise RefusedError("response_cancel_not_active", "No such response is under way; nothing was cancelled.")
        self._listener.interrupt("client_cancelled")

    def _truncate(self, item_id: str, heard_s: float) -> None:
        if self._speaker.report(item_id, heard_s):
            if self._speaker.holding:
                # Whether this is an interruption is still open; what the client heard is settled.
                self._outlet.send(ItemTruncated(item_id, self._speaker.heard_s, self._speaker.heard_text))
                return
            # The client has stopped playing: nobody would hear the rest.
            self._listener.interrupt("client_cancelled")
        item = self._talk.dialogue.truncate(item_id, heard_s)
        part = item.parts[0]
        if isinstance(part, AudioPart):
            if self._talk.dialogue.is_latest_answer(item_id) and item_id not in self._talk.written:
                # a prepared answer would be taken for this one, and so would the place before the user's turn
                self._speaker.discard()
                self._talk.pipeline.tell(Truncate(part.duration_s))
                self._talk.stale = self._talk.stale or self._listener.busy
            else:
                self._refresh()
            self._outlet.send(ItemTruncated(item_id, part.duration_s, part.transcript or ""))

    def _refuse_long(self, text: str, name: str) -> None:
        """Before it stands in the conversation: there it would fail again with every answer."""
        most = self._talk.capabilities.max_text_bytes
        if most is not None and len(text.encode()) > most:
            raise RefusedError(
                "string_above_max_length",
                f"{name} has more than {most} bytes, the most that this model reads at a time; shorten it.",
            )

    def _refuse_unasked(self, item: Item) -> None:
        for part in item.parts:
            if isinstance(part, ToolOutput) and not self._talk.dialogue.has_call(part.call_id):
                raise RefusedError(
                    "invalid_tool_call_id", f"No function was asked for as {part.call_id!r}; use the call's call_id."
                )

    def _answer_ended(self, error: str | None) -> None:
        if error is not None:
            self._talk.engine_failed(error)
        self._listener.await_user()
        if self._talk.stale and not self._listener.busy:
            self._talk.rebuild()

    def _refresh(self) -> None:
        """The model's state must be made anew: now, or at the latest before the next answer."""
        self._talk.outdate()
        if self.idle:
            self._talk.rebuild()
