"""One session's line to the engine: jobs go in order, results come back to whoever asked."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from omni.model import Capabilities, Phase
from omni.timing import Timing
from omni.types import Delta, Reply, SpeechDelta, TextDelta, ToolCall, TurnEnd
from streaming.tdm.clock import Clock
from streaming.tdm.jobs import Begin, Close, Failed, Job, Result, Step, Work
from streaming.tdm.playout import Playout

POLL_S = 0.02
"""pause before a model that had nothing to say (a remote one) is asked again"""
MAX_JOBS = 1_000
"""jobs of one session that may wait for the engine: three times what the replay of a long conversation takes"""
SILENCE_S = 40.0
"""a model that gives nothing for so long, though asked again and again, has failed; longer than an endpoint's own
time-out of 30 s, which knows better what is wrong"""
MAX_AHEAD_S = 6.0
"""speech that is made beyond the listener's position; then the model waits (law 11)"""


class EngineError(RuntimeError):
    """The engine could not do a job; the session's model state is to be made anew."""


class Engine(Protocol):
    """What a session needs of the worker. Neither call blocks."""

    timing: Timing
    capabilities: Capabilities

    def submit(self, job: Job) -> None:
        """Queue a job; its Result comes back to the session by its id."""
        ...

    def cancel(self, session_id: str, before_turn: int) -> None:
        """Drop decoding of older turns."""
        ...


class Pipeline:
    """Turns awaitable calls into jobs, and drives the steps of an answer."""

    def __init__(
        self, session_id: str, engine: Engine, clock: Clock, lost: Callable[[str], None], *, background: bool = False
    ) -> None:
        """Open the line.

        Args:
            lost: called with the reason when work failed whose result nobody waits for.
            background: see Job.
        """
        self.turn = 0
        """the number that guards barge-in (law 8)"""
        self._session_id = session_id
        self._engine = engine
        self._clock = clock
        self._lost = lost
        self._background = background
        self._count = 0
        self._waiting: dict[int, tuple[int, asyncio.Future[tuple[Delta, ...]]]] = {}

    @property
    def busy(self) -> bool:
        """So much waits for the engine that a client should not ask for more."""
        return len(self._waiting) >= MAX_JOBS // 2

    def ask(self, work: Work, due_in_s: float = 0.0) -> "asyncio.Future[tuple[Delta, ...]]":
        """Submit work now; the future gives its deltas, or raises EngineError, also if MAX_JOBS wait already."""
        self._count += 1
        future: asyncio.Future[tuple[Delta, ...]] = asyncio.get_running_loop().create_future()
        if len(self._waiting) >= MAX_JOBS:
            future.set_exception(EngineError("too much of this call waits for it"))
            return future
        self._waiting[self._count] = (self.turn, future)
        due_s = self._clock.now_s() + due_in_s
        self._engine.submit(Job(self._session_id, self._count, self.turn, work, due_s, self._background))
        return future

    def tell(self, work: Work) -> None:
        """Submit work whose result nobody waits for."""
        self.ask(work).add_done_callback(self._told)

    def _told(self, future: "asyncio.Future[tuple[Delta, ...]]") -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self._lost(str(error))

    def deliver(self, result: Result) -> None:
        """Take a result from the engine. One that nobody waits for any more is dropped."""
        _, future = self._waiting.pop(result.job.number, (0, None))
        if future is None or future.done():
            return
        if isinstance(result, Failed):
            future.set_exception(EngineError(result.message))
        else:
            future.set_result(result.deltas)

    def next_turn(self) -> None:
        """What is being decoded is not wanted any more: cancel it, and ignore what comes of it."""
        self.turn += 1
        self._engine.cancel(self._session_id, self.turn)
        for number, (turn, future) in list(self._waiting.items()):
            if turn < self.turn and future.cancelled():
                del self._waiting[number]

    def close(self) -> None:
        """Free the session's state on the engine."""
        self.next_turn()
        for _, future in self._waiting.values():
            future.cancel()
        self._waiting.clear()
        self._engine.submit(Job(self._session_id, self._count + 1, self.turn, Close()))


class Answer:
    """One answer in the making: decodes and speaks until the turn's end, paced by the listener."""

    def __init__(self, pipeline: Pipeline, clock: Clock, playout: Playout, reply: Reply) -> None:
        self.playout = playout
        self.reply = reply
        self.text = ""
        self.calls: list[ToolCall] = []
        self.n_tokens = 0
        self.max_tokens_reached = False
        self.started_s = clock.now_s()
        self.texts: asyncio.Queue[str | None] = asyncio.Queue()
        """text of an answer that does not speak; None ends it"""
        self._pipeline = pipeline
        self._clock = clock
        self._latest_s = 0.0
        """when the model last gave something, or was not asked because the answer was on hold or far enough ahead"""
        self._going = asyncio.Event()
        self._going.set()

    def hold(self) -> None:
        """Stop decoding after the step in hand: the model's state must keep still."""
        self._going.clear()
        self.playout.hold()

    def resume(self) -> float:
        """Go on decoding and sending; returns the position from which sound is sent."""
        self._going.set()
        return self.playout.resume()

    async def run(self) -> None:
        """Decode to the end of the turn. Cancel the task to give the answer up.

        Raises:
            EngineError: the model failed, or gave nothing for SILENCE_S.
        """
        try:
            await self._decode()
        finally:
            self.playout.finish()
            self.texts.put_nowait(None)

    async def _decode(self) -> None:
        await self._pipeline.ask(Begin(self.reply))
        self._latest_s = self._clock.now_s()
        last = ended = False
        while not ended:
            progress = False
            for phase in self._phases(last):
                await self._room()
                for delta in await self._pipeline.ask(Step(phase), max(0.0, self.playout.ahead_s)):
                    progress = True
                    last = last or (isinstance(delta, TextDelta) and delta.last)
                    ended = ended or self._take(delta)
            if not self.reply.speaks and last:
                ended = True
            if progress:
                self._latest_s = self._clock.now_s()
            elif not ended:
                await self._poll()

    async def _poll(self) -> None:
        now_s = self._clock.now_s()
        if now_s - self._latest_s >= SILENCE_S:
            raise EngineError(f"it gave nothing for {SILENCE_S:.0f} s; ask again, or look at what serves the model")
        await self._clock.sleep_until(now_s + POLL_S)

    def _phases(self, last: bool) -> tuple[Phase, ...]:
        if not self.reply.speaks:
            return (Phase.THINK,)
        return (Phase.SPEAK,) if last else (Phase.THINK, Phase.SPEAK)

    def _take(self, delta: Delta) -> bool:
        """Use a delta; True at the end of the turn."""
        match delta:
            case TextDelta(text):
                self.text += text
                if not self.reply.speaks and text:
                    self.texts.put_nowait(text)
            case ToolCall():
                self.calls.append(delta)
            case SpeechDelta():
                self.playout.push(delta)
            case TurnEnd(reason, n_tokens):
                self.n_tokens = n_tokens
                self.max_tokens_reached = reason == "max_tokens"
                return True
        return False

    async def _room(self) -> None:
        """Wait while the answer is on hold, or enough is ready ahead of the listener."""
        waits = not self._going.is_set() or self.playout.ahead_s > MAX_AHEAD_S
        await self._going.wait()
        while self.playout.ahead_s > MAX_AHEAD_S:
            await self._clock.sleep_until(self._clock.now_s() + 0.1)
            await self._going.wait()
        if waits:
            self._latest_s = self._clock.now_s()
