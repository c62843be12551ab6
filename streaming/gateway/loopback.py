"""A caller without a network: plays a recording, a picture or a typed line to the real session, as fast as it computes.

Time is media time on a manual clock. After each packet the engine runs until it has nothing to do, so the outcome
does not depend on how fast the machine is; how long the computing took is measured beside it.
"""

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

import numpy as np

from omni.model import OmniModel, Phase
from omni.types import Pcm, Picture
from streaming.commands import AppendAudio, AppendImage, Command, CreateItem, Respond
from streaming.events import (
    AudioPart,
    Event,
    Fault,
    Item,
    ResponseEnded,
    ResponseSpeech,
    ResponseStarted,
    Settings,
    SpeechStopped,
    TextPart,
)
from streaming.gateway.media import ActivityModel, DirectActivity
from streaming.session import LEAD_S, Session
from streaming.tdm.clock import Clock, ManualClock, SystemClock, settle
from streaming.tdm.conversation import opening_settings
from streaming.tdm.dialogue import text_of
from streaming.tdm.jobs import Done, Listen, Result, Step
from streaming.tdm.worker import Worker

_AFTER_S = 1.0
"""silence that is heard at least after the recording, so that speech at its very end is noticed"""
_LONGEST_S = 180.0
"""silence after which an answer that has not ended is given up"""
_IMAGE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer and how it came about. Media time counts from the start of the recording."""

    text: str
    """what the conversation keeps of it"""
    status: str
    speech_ended_s: float | None
    """media time at which the user stopped speaking; None for a typed question"""
    decided_s: float | None
    """media time at which that was decided"""
    first_audio_compute_s: float | None
    """time the machine computed between that decision and the first sound; None for no sound or a typed question"""


@dataclass(frozen=True, slots=True, eq=False)
class PlayResult:
    """What came of a recording."""

    items: tuple[Item, ...]
    """the conversation as it stands at the end"""
    answers: tuple[Answer, ...]
    faults: tuple[str, ...]
    pcm: Pcm
    """everything the assistant said [S] at Timing.output_rate"""
    media_s: float
    """how long the call lasted for its client"""
    compute_s: dict[str, float]
    """how long the machine computed, by stage: hear, listen, think, speak, other"""

    def as_dict(self) -> dict[str, Any]:
        """For JSON; without the sound."""
        return {
            "items": [
                {"id": item.id, "role": item.role, "status": item.status, "text": text_of(item.parts).strip()}
                for item in self.items
            ],
            "answers": [{key: _rounded(value) for key, value in asdict(answer).items()} for answer in self.answers],
            "faults": list(self.faults),
            "media_s": _rounded(self.media_s),
            "compute_s": {stage: _rounded(seconds) for stage, seconds in sorted(self.compute_s.items())},
        }

    def as_text(self) -> str:
        """For people: who said what."""
        lines = [f"{item.role}: {_said(item)}" for item in self.items]
        return "\n".join(lines) or "nothing was said"


def _rounded(value: object) -> object:
    """To the millisecond: nothing here is known more precisely."""
    return round(value, 3) if isinstance(value, float) else value


async def play(
    model: OmniModel[Any],
    activity: ActivityModel[Any],
    *,
    recording: Pcm | None = None,
    image: Picture | None = None,
    text: str | None = None,
    settings: Settings | None = None,
) -> PlayResult:
    """Hold one call.

    Args:
        model: warm.
        activity: finds speech in the recording.
        recording: what the caller says, [S] at Timing.input_rate, with whatever pauses they make.
        image: what their camera shows all the while.
        text: what they type once the recording, if there is one, is answered.
        settings: of the session, if not its own defaults.
    """
    caller = _Caller(model, activity, settings or opening_settings(model.capabilities))
    await caller.open()
    try:
        if recording is not None:
            await caller.speak(recording, image)
            if text is not None:
                await caller.wait()
        elif image is not None:
            await caller.do(AppendImage(image))
        if text is not None:
            item = Item(f"item_{uuid4().hex[:20]}", "user", (TextPart(text),))
            await caller.do(CreateItem(item))
            await caller.do(Respond())
        await caller.wait()
        return caller.result()
    finally:
        await caller.close()


class _Stopwatch:
    """How long the machine has computed, by stage."""

    def __init__(self, clock: Clock) -> None:
        self.by_stage: defaultdict[str, float] = defaultdict(float)
        self._clock = clock
        self._since_s = clock.now_s()

    @property
    def total_s(self) -> float:
        return sum(self.by_stage.values())

    def start(self) -> None:
        self._since_s = self._clock.now_s()

    def stop(self, stage: str) -> None:
        self.by_stage[stage] += self._clock.now_s() - self._since_s


class _Caller:
    """Client, network and engine in one. Also the session's Outlet."""

    def __init__(self, model: OmniModel[Any], activity: ActivityModel[Any], settings: Settings) -> None:
        self._timing = model.timing
        self._packet_s = self._timing.packet_ms / 1_000
        self._clock = ManualClock()
        self._wall = SystemClock()
        self._watch = _Stopwatch(self._wall)
        self._stage = "other"
        self._starved = False
        self._worker = Worker(model, self._deliver)
        direct = DirectActivity(activity, self._timing)
        self._session = Session("sess_loopback", self._worker, direct, self._clock, self, settings, LEAD_S)
        self._log: list[tuple[float, float, Event]] = []
        """media time, time computed so far, event"""

    async def open(self) -> None:
        await self._session.open()
        await self._compute()

    async def close(self) -> None:
        await self._session.close("client", "the recording is over")
        await self._compute()

    def send(self, event: Event) -> None:
        self._log.append((self._clock.now_s(), self._watch.total_s, event))

    async def drain(self) -> None:
        """A loopback has room for everything."""

    async def speak(self, recording: Pcm, image: Picture | None) -> None:
        n = self._timing.packet_samples
        next_image_s = 0.0
        for begin in range(0, len(recording), n):
            if image is not None and self._clock.now_s() >= next_image_s:
                await self.do(AppendImage(image))
                next_image_s += _IMAGE_EVERY_S
            await self._packet(recording[begin : begin + n])

    async def wait(self) -> None:
        """Be silent until the assistant has said all it will."""
        silence = np.zeros(self._timing.packet_samples, np.float32)
        began_s = self._clock.now_s()
        while self._clock.now_s() < began_s + _AFTER_S or not self._session.idle:
            if self._clock.now_s() > began_s + _LONGEST_S:
                self.send(Fault("server_error", "no_end", f"the answer did not end within {_LONGEST_S:.0f} s"))
                return
            await self._packet(silence)

    async def do(self, command: Command) -> None:
        self._watch.start()
        await self._session.handle(command)
        self._watch.stop("hear")
        await self._compute()

    async def _packet(self, pcm: Pcm) -> None:
        self._starved = False
        await self.do(AppendAudio(pcm))
        await self._clock.advance(self._packet_s)
        await self._compute()
        if self._starved:
            # A model that is served elsewhere needs real time: let as much of it pass as media time did.
            await self._wall.sleep_until(self._wall.now_s() + self._packet_s)

    async def _compute(self) -> None:
        """Let the engine run until it has nothing to do."""
        await settle()
        while True:
            self._stage = "other"
            self._watch.start()
            if not self._worker.step():
                return
            self._watch.stop(self._stage)
            await settle()

    def _deliver(self, result: Result) -> None:
        match result.job.work:
            case Listen():
                self._stage = "listen"
            case Step(phase):
                self._stage = "think" if phase is Phase.THINK else "speak"
                self._starved = phase is Phase.THINK and isinstance(result, Done) and not result.deltas
        self._session.deliver(result)

    def result(self) -> PlayResult:
        """Everything that happened, in one value."""
        events = [event for _, _, event in self._log]
        return PlayResult(
            items=self._session.items,
            answers=tuple(_answers(self._log)),
            faults=tuple(event.message for event in events if isinstance(event, Fault)),
            pcm=_sound([event for event in events if isinstance(event, ResponseSpeech)], self._timing.output_rate),
            media_s=self._clock.now_s(),
            compute_s=dict(self._watch.by_stage),
        )


def _said(item: Item) -> str:
    """The words of an item; of speech that the model does not transcribe, how long it was."""
    sounds = [part for part in item.parts if isinstance(part, AudioPart) and part.transcript is None]
    spoken = [f"(spoke, {sound.duration_s:.1f} s)" for sound in sounds]
    return " ".join([text_of(item.parts).strip(), *spoken]).strip()


def _answers(log: list[tuple[float, float, Event]]) -> list[Answer]:
    """Each answer that ended, with the end of turn that it followed."""
    answers: list[Answer] = []
    stopped: tuple[float, float, SpeechStopped] | None = None
    first_compute_s: dict[str, float] = {}
    origins: dict[str, tuple[float, float, SpeechStopped] | None] = {}
    for media_s, compute_s, event in log:
        match event:
            case SpeechStopped():
                stopped = media_s, compute_s, event
            case ResponseStarted(response_id=response_id):
                origins[response_id], stopped = stopped, None
            case ResponseSpeech(response_id=response_id):
                first_compute_s.setdefault(response_id, compute_s)
            case ResponseEnded(response_id=response_id, item=item, status=status):
                origin, first_s = origins.get(response_id), first_compute_s.get(response_id)
                answers.append(
                    Answer(
                        text=text_of(item.parts).strip(),
                        status=status,
                        speech_ended_s=origin[2].at_s if origin else None,
                        decided_s=origin[0] if origin else None,
                        first_audio_compute_s=first_s - origin[1] if origin and first_s is not None else None,
                    )
                )
            case _:
                pass
    return answers


def _sound(pieces: list[ResponseSpeech], rate: int) -> Pcm:
    """All answers one after another. A piece that is sent again after a false interruption replaces the first."""
    answers: dict[str, Pcm] = {}
    for piece in pieces:
        before = answers.get(piece.response_id, np.zeros(0, np.float32))
        answers[piece.response_id] = np.concatenate((before[: round(piece.at_s * rate)], piece.pcm))
    return np.concatenate([np.zeros(0, np.float32), *answers.values()])
