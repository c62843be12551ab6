"""The life of answers: prepared on a guess, released, held while the user speaks over them, cut to what was heard."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from omni.types import Reply
from streaming.events import (
    AudioPart,
    EndStatus,
    Item,
    Measured,
    ReplyOptions,
    ResponseEnded,
    ResponseSpeech,
    ResponseStarted,
    ResponseText,
    TextPart,
)
from streaming.tdm.clock import Clock
from streaming.tdm.conversation import Conversation
from streaming.tdm.jobs import MarkState, Rewind, Truncate
from streaming.tdm.pipeline import Answer, EngineError
from streaming.tdm.playout import Playout

GUESS = "guess"
"""name of the mark before a speculative answer"""


@dataclass(slots=True)
class _Response:
    """An answer and what the client knows of it."""

    answer: Answer
    run: "asyncio.Task[None]"
    id: str
    item_id: str
    options: ReplyOptions
    send: "asyncio.Task[None] | None" = None
    """set once it is released"""
    speech_end_s: float | None = None
    """clock time at which the user stopped speaking; None: they did not speak"""
    released_s: float = 0.0
    audible: bool = False
    written: str = ""
    """what was sent of an answer that does not speak"""


class Speaker:
    """At most one answer at a time: on its way (active), or prepared and not yet wanted (guessed)."""

    def __init__(
        self, conversation: Conversation, clock: Clock, lead_s: float, ended: Callable[[str | None], None]
    ) -> None:
        """Wire it; ended is called when an answer is over, with the model's error if it failed."""
        self._talk = conversation
        self._clock = clock
        self._timing = conversation.timing
        self._lead_s = lead_s
        self._pipeline = conversation.pipeline
        self._dialogue = conversation.dialogue
        self._outlet = conversation.outlet
        self._ended = ended
        self._response: _Response | None = None

    @property
    def active(self) -> bool:
        """An answer that the client knows of is not over."""
        return self._response is not None and self._response.send is not None

    @property
    def guessing(self) -> bool:
        """An answer is being prepared that may not be wanted."""
        return self._response is not None and self._response.send is None

    @property
    def response_id(self) -> str | None:
        """Id of the active response."""
        return self._response.id if self._response and self.active else None

    @property
    def item_id(self) -> str | None:
        """Item of the active response."""
        return self._response.item_id if self._response and self.active else None

    def prepare(self, reply: Reply, options: ReplyOptions) -> None:
        """Start an answer and keep it back."""
        self._pipeline.tell(MarkState(GUESS))
        playout = Playout(self._clock, self._timing, self._lead_s)
        answer = Answer(self._pipeline, self._clock, playout, reply)
        run = asyncio.create_task(answer.run())
        run.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._response = _Response(answer, run, f"resp_{uuid4().hex[:20]}", f"item_{uuid4().hex[:20]}", options)

    def discard(self) -> None:
        """The guess was wrong: forget the prepared answer."""
        if self._response is not None and self.guessing:
            self._response.run.cancel()
            self._response = None
            self._pipeline.next_turn()
            self._pipeline.tell(Rewind(GUESS))

    def release(self, speech_end_s: float | None) -> None:
        """The prepared answer is wanted: tell the client and let it sound."""
        response = self._response
        if response is None:
            raise RuntimeError("no answer was prepared")
        response.speech_end_s = speech_end_s
        response.released_s = self._clock.now_s()
        speaks = response.answer.reply.speaks
        part = AudioPart("", 0.0) if speaks else TextPart("")
        previous = self._dialogue.add(Item(response.item_id, "assistant", (part,), "in_progress"))
        self._outlet.send(
            ResponseStarted(
                response.id,
                response.item_id,
                previous,
                speaks,
                response.options.metadata,
                self._pipeline.turn,
                may_call=bool(response.answer.reply.tools),
                voice=response.answer.reply.voice.name if response.answer.reply.voice is not None else None,
            )
        )
        response.answer.playout.release()
        response.send = asyncio.create_task(self._send(response))

    def hold(self) -> None:
        """The user speaks over the answer: stop until resume() or abandon()."""
        if self._response is not None:
            self._response.answer.hold()

    def resume(self) -> float:
        """It was no interruption. Returns the position from which the answer goes on."""
        if self._response is None:
            raise RuntimeError("no answer is on hold")
        return self._response.answer.resume()

    def cut_off(self) -> None:
        """The client has lost its connection: the answer waits for reach()."""
        if self._response is not None:
            self._response.answer.playout.cut_off()

    def reach(self, *, anew: bool) -> None:
        """The client is there again; anew: with a player that has nothing of what was sent."""
        if self._response is not None:
            self._response.answer.playout.reach(anew=anew)

    def report(self, item_id: str, heard_s: float, most_s: float = math.inf) -> bool:
        """The player's position, see Playout.report(); False if the item is not the active answer's."""
        if item_id != self.item_id or self._response is None:
            return False
        self._response.answer.playout.report(heard_s, most_s)
        return True

    @property
    def heard_s(self) -> float:
        """Listener's position in the active answer."""
        return self._response.answer.playout.heard_s if self._response else 0.0

    @property
    def heard_text(self) -> str:
        """What the listener has heard of the active answer."""
        return self._response.answer.playout.heard_text if self._response else ""

    @property
    def holding(self) -> bool:
        """The active answer is on hold."""
        return self.active and self._response is not None and self._response.answer.playout.holding

    def abandon(self, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        """End the active answer where the listener is; dialogue and model keep only what was heard."""
        response = self._response
        if response is None or response.send is None:
            return
        response.answer.hold()
        response.run.cancel()
        response.send.cancel()
        self._pipeline.next_turn()
        transcribes = self._talk.capabilities.transcribes
        begun = bool(response.answer.text or response.answer.playout.total_s)
        if begun:
            heard_s = response.answer.playout.heard_s if response.answer.reply.speaks else math.inf
            self._pipeline.tell(Truncate(heard_s))
        elif not transcribes:
            # as if it had not been asked: more of the same turn may follow
            self._pipeline.tell(Rewind(GUESS))
        self._finish(response, "cancelled", reason)
        if not begun and transcribes:
            # the model may not have opened this answer yet: what it would cut is the answer before
            self._talk.rebuild()

    def close(self) -> None:
        """Stop everything; the client is gone."""
        if self._response is not None:
            self._response.run.cancel()
            if self._response.send is not None:
                self._response.send.cancel()
            self._response = None

    async def _send(self, response: _Response) -> None:
        try:
            if response.answer.reply.speaks:
                await self._send_speech(response)
            else:
                await self._send_text(response)
            await response.run
        except EngineError as error:
            self._finish(response, "failed", None, str(error))
        else:
            if response.answer.max_tokens_reached and response.answer.reply.max_tokens is not None:
                self._finish(response, "incomplete", "max_output_tokens")
            else:
                self._finish(response, "completed", None)

    async def _send_speech(self, response: _Response) -> None:
        playout = response.answer.playout
        while True:
            await self._outlet.drain()
            chunk = await playout.next()
            if chunk is None:
                return
            self._outlet.send(
                ResponseSpeech(response.id, response.item_id, chunk.pcm, chunk.text, chunk.at_s, self._pipeline.turn)
            )
            if not response.audible:
                response.audible = True
                self._measure(response)

    async def _send_text(self, response: _Response) -> None:
        text: str | None = ""
        while text is not None:
            if text:
                response.written += text
                self._outlet.send(ResponseText(response.id, response.item_id, text, self._pipeline.turn))
            text = await response.answer.texts.get()
            await self._outlet.drain()
            # the user speaks over a written answer too: the step in hand may have brought more of it, or its end
            await response.answer.playout.going()

    def _measure(self, response: _Response) -> None:
        if response.speech_end_s is not None:
            now_s = self._clock.now_s()
            self._outlet.send(Measured(response.id, now_s - response.speech_end_s, now_s - response.released_s))

    def _called(self, response: _Response, said: bool) -> tuple[Item, ...]:
        """Put what the answer asks for into the conversation: behind its words, or in their place if there are none."""
        calls = tuple(Item(f"item_{uuid4().hex[:20]}", "assistant", (call,)) for call in response.answer.calls)
        if calls and not said:
            self._dialogue.delete(response.item_id)
        for call in calls:
            self._dialogue.add(call)
        return calls

    def _finish(
        self,
        response: _Response,
        status: EndStatus,
        reason: Literal["turn_detected", "client_cancelled", "max_output_tokens"] | None,
        error: str | None = None,
    ) -> None:
        answer, playout = response.answer, response.answer.playout
        item_status: Literal["completed", "incomplete"] = "completed" if status == "completed" else "incomplete"
        if answer.reply.speaks:
            item = self._dialogue.answer(response.item_id, playout.words, playout.total_s, playout.heard_s, item_status)
            full_text = playout.sent_text
        else:
            full_text = response.written
            # the model has written more than anybody was sent: it is told the conversation anew
            self._talk.stale = self._talk.stale or full_text != answer.text
            item = Item(response.item_id, "assistant", (TextPart(full_text),), item_status)
            self._dialogue.replace(item)
        self._response = None
        calls = self._called(response, said=bool(full_text.strip())) if status == "completed" else ()
        self._outlet.send(
            ResponseEnded(
                response.id, item, status, reason, error, full_text, answer.n_tokens, self._pipeline.turn, calls
            )
        )
        self._ended(error)
