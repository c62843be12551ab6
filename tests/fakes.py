"""A scripted model and a harness that plays conversations on a manual clock.

Speech is spelled in levels: every word is a stretch of constant level that names it, so that what was said,
and what was played, can be read back from samples exactly.
"""

import asyncio
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from omni.model import Capabilities, Mark, Phase
from omni.speech.words import heard_text
from omni.timing import Timing
from omni.types import Delta, Pcm, Reply, Role, SpeechDelta, TextDelta, Transcript, TurnEnd, Unit, Voice, Word
from streaming.commands import AppendAudio, Command
from streaming.company.catalogue import Catalogue
from streaming.events import AudioPart, Event, ResponseEnded, ResponseSpeech, Settings
from streaming.session import Session
from streaming.tdm.clock import ManualClock, settle
from streaming.tdm.conversation import opening_settings
from streaming.tdm.jobs import Result
from streaming.tdm.worker import Worker

TIMING = Timing()
WORD_S = 0.24
_SEPARATOR = 0.15
_vocabulary: dict[str, int] = {}


def say(text: str, rate: int = TIMING.input_rate) -> Pcm:
    """The text as sound: each word WORD_S long."""
    parts = []
    for word in text.split():
        level = 0.2 + 0.001 * _vocabulary.setdefault(word, len(_vocabulary))
        n = round(WORD_S * rate)
        parts += [np.full(n - n // 12, level, np.float32), np.full(n // 12, _SEPARATOR, np.float32)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def silence(seconds: float, rate: int = TIMING.input_rate) -> Pcm:
    return np.zeros(round(seconds * rate), np.float32)


def noise(seconds: float) -> Pcm:
    """Sound that voice activity takes for speech and that has no words."""
    return np.full(round(seconds * TIMING.input_rate), _SEPARATOR, np.float32)


def read(pcm: Pcm) -> str:
    """The words in sound; of a word that was cut off, 5 ms are enough."""
    words = {round(0.001 * index, 3): word for word, index in _vocabulary.items()}
    starts = np.flatnonzero(np.diff(pcm, prepend=np.nan) != 0)
    found: list[str] = []
    before = None
    for begin, end in pairwise([*starts, len(pcm)]):
        if end - begin < 0.005 * TIMING.input_rate:
            continue
        word = words.get(round(float(pcm[begin]) - 0.2, 3))
        if word is not None and word != before:
            found.append(word)
        before = word
    return " ".join(found)


@dataclass(eq=False)
class ScriptedState:
    instructions: str
    history: list[tuple[Role, str]] = field(default_factory=list)
    audio: Pcm = field(default_factory=lambda: np.zeros(0, np.float32))
    typed: list[str] = field(default_factory=list)
    n_images: int = 0
    reply: Reply | None = None
    to_think: list[str] = field(default_factory=list)
    to_speak: list[str] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    spoken_s: float = 0.0

    def take_turn(self) -> str:
        """What the user has typed and said; the next turn begins empty."""
        text = " ".join([*self.typed, read(self.audio)]).strip()
        self.audio, self.typed = np.zeros(0, np.float32), []
        return text


class ScriptedModel:
    """OmniModel whose answers are a function of what it was told; it notes what it was asked to do."""

    def __init__(
        self,
        answer: Callable[[ScriptedState, str], str] = lambda state, text: f"You said {text} .",
        finished: Callable[[str], float | None] = lambda text: 0.1 if text.endswith("and") else 0.9,
        max_batch: int = 1,
        transcribes: bool = True,
    ) -> None:
        self.timing = TIMING
        voices = (Voice("plain"), Voice("other"))
        self.capabilities = Capabilities("scripted", voices, sees=True, transcribes=transcribes, max_batch=max_batch)
        self.fail: Exception | None = None
        self.n_deaf = 0
        """units that it will fail to listen to"""
        self.states: list[ScriptedState] = []
        self.log: list[str] = []
        self.replies: list[Reply] = []
        """how it was to answer, each time"""
        self._answer = answer
        self._finished = finished

    def prepare_voice(self, name: str, reference: Pcm) -> Voice:
        return Voice(name, state={"reference": reference})

    def open(
        self, instructions: str, voice: Voice | None, mode: str | None = None, language: str | None = None
    ) -> ScriptedState:
        self.log.append(f"open {voice.name if voice else 'default'}")
        self.states.append(ScriptedState(instructions))
        return self.states[-1]

    def listen(self, units: Sequence[Unit], states: Sequence[ScriptedState]) -> list[list[Delta]]:
        return [self._listen(unit, state) for unit, state in zip(units, states, strict=True)]

    def _listen(self, unit: Unit, state: ScriptedState) -> list[Delta]:
        self.log.append("listen")
        if self.n_deaf:
            self.n_deaf -= 1
            raise RuntimeError("out of memory")
        if unit.image is not None:
            state.n_images += 1
        if unit.text is not None:
            if unit.role == "user":
                state.typed.append(unit.text)
            else:
                if unit.role == "assistant" and (said := state.take_turn()):
                    state.history.append(("user", said))
                state.history.append((unit.role, unit.text))
        if unit.audio is None:
            return []
        state.audio = np.concatenate([state.audio, unit.audio])
        if not self.capabilities.transcribes:
            return []
        text = read(state.audio)
        return [Transcript(text, self._finished(text))]

    def begin(self, state: ScriptedState, reply: Reply) -> None:
        self.log.append("begin")
        self.replies.append(reply)
        text = state.take_turn()
        if text or reply.says is None:
            state.history.append(("user", text))
        state.reply, state.words, state.spoken_s, state.to_speak = reply, [], 0.0, []
        state.to_think = (self._answer(state, text) if reply.says is None else reply.says).split()

    def step(self, phase: Phase, states: Sequence[ScriptedState]) -> list[list[Delta]]:
        if self.fail is not None:
            error, self.fail = self.fail, None
            raise error
        return [self._think(state) if phase is Phase.THINK else self._speak(state) for state in states]

    def _think(self, state: ScriptedState) -> list[Delta]:
        self.log.append("think")
        words, state.to_think = state.to_think[:2], state.to_think[2:]
        state.to_speak += words
        last = not state.to_think
        if last and state.reply is not None and not state.reply.speaks:
            state.history.append(("assistant", " ".join(state.to_speak)))
            state.reply = None
        return [TextDelta("".join(f" {word}" for word in words), last)]

    def _speak(self, state: ScriptedState) -> list[Delta]:
        self.log.append("speak")
        deltas: list[Delta] = []
        if state.to_speak:
            words = tuple(Word(f" {word}", index * WORD_S) for index, word in enumerate(state.to_speak))
            pcm = say(" ".join(state.to_speak), TIMING.output_rate)
            deltas.append(SpeechDelta(pcm, words))
            state.words += [Word(word.text, state.spoken_s + word.start_s) for word in words]
            state.spoken_s += len(pcm) / TIMING.output_rate
            state.to_speak = []
        if not state.to_think and state.reply is not None:
            state.history.append(("assistant", "".join(word.text for word in state.words).strip()))
            state.reply = None
            deltas.append(TurnEnd("completed", len(state.words)))
        return deltas

    def mark(self, state: ScriptedState) -> Mark:
        return deepcopy(state)

    def rewind(self, state: ScriptedState, mark: Mark) -> None:
        state.__dict__.update(deepcopy(mark).__dict__)

    def truncate(self, state: ScriptedState, heard_s: float) -> None:
        text = heard_text(state.words, state.spoken_s, heard_s).strip()
        if state.reply is None and state.history and state.history[-1][0] == "assistant":
            state.history.pop()
        state.reply, state.to_think, state.to_speak = None, [], []
        if text:
            state.history.append(("assistant", text))

    def close(self, state: ScriptedState) -> None:
        self.states.remove(state)


class LevelActivity:
    """Voice activity by level: anything but silence is speech."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)

    async def probabilities(self, pcm: Pcm) -> list[float]:
        self._rest = np.concatenate([self._rest, pcm])
        n = len(self._rest) // TIMING.window_samples
        windows, self._rest = np.split(self._rest, [n * TIMING.window_samples])
        return [float(np.abs(window).mean() > 0.05) for window in windows.reshape(n, TIMING.window_samples)]


class Client:
    """One client: collects events, and plays what it is sent as a careful player would."""

    def __init__(
        self, session_id: str, stage: "Stage", settings: Settings, lead_s: float, catalogue: Catalogue | None = None
    ) -> None:
        self.events: list[Event] = []
        self.blocked = asyncio.Event()
        self.blocked.set()
        self._stage = stage
        activity = LevelActivity()
        self.session = Session(session_id, stage.worker, activity, stage.clock, self, settings, lead_s, catalogue)

    def send(self, event: Event) -> None:
        self.events.append(event)

    async def drain(self) -> None:
        await self.blocked.wait()

    def of(self, *kinds: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def kinds(self) -> list[str]:
        """Names of the events so far, repetitions and sound merged."""
        names = [type(event).__name__ for event in self.events]
        return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]

    def sound(self, response_id: str | None = None) -> Pcm:
        """All sound that was sent (of one response), in order of sending."""
        parts = [
            event.pcm
            for event in self.events
            if isinstance(event, ResponseSpeech) and response_id in (None, event.response_id)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    async def do(self, command: Command) -> None:
        await self.session.handle(command)
        await self._stage.run()


class Stage:
    """Engine, clock and any number of clients. Time passes only in hear() and wait()."""

    def __init__(self, model: ScriptedModel | None = None) -> None:
        self.model = model or ScriptedModel()
        self.clock = ManualClock()
        self.worker: Worker[ScriptedState] = Worker(self.model, self._deliver)
        self.clients: dict[str, Client] = {}
        self.steps_per_packet: int | None = None
        """how fast the engine is; None: infinitely"""

    def _deliver(self, result: Result) -> None:
        client = self.clients.get(result.job.session_id)
        if client is not None:
            client.session.deliver(result)

    async def join(
        self,
        name: str = "a",
        settings: Settings | None = None,
        lead_s: float = 0.3,
        catalogue: Catalogue | None = None,
    ) -> Client:
        settings = settings or opening_settings(self.model.capabilities)
        client = self.clients[name] = Client(name, self, settings, lead_s, catalogue)
        await client.session.open()
        await self.run()
        return client

    async def run(self) -> None:
        """Let the engine work until it has nothing to do, or is out of breath."""
        await settle()
        left = self.steps_per_packet
        while left != 0 and self.worker.step():
            left = left - 1 if left is not None else None
            await settle()

    async def hear(self, *sounds: tuple[Client, Pcm]) -> None:
        """Clients speak at the same time, in real time of the manual clock, packet by packet."""
        packet = TIMING.packet_samples
        for begin in range(0, max(len(pcm) for _, pcm in sounds), packet):
            for client, pcm in sounds:
                if begin < len(pcm):
                    await client.session.handle(AppendAudio(pcm[begin : begin + packet]))
            await self.run()
            await self.clock.advance(TIMING.packet_ms / 1000)
            await self.run()

    async def wait(self, seconds: float, *clients: Client) -> None:
        """Time passes; microphones are open and silent."""
        listeners = clients or tuple(self.clients.values())
        await self.hear(*((client, silence(seconds)) for client in listeners))


def history(stage: Stage, index: int = 0) -> list[tuple[str, str]]:
    return list(stage.model.states[index].history)


def transcripts(client: Client) -> list[tuple[str, str]]:
    return [
        (item.role, (item.parts[0].transcript or "").strip())
        for item in client.session.items
        if isinstance(item.parts[0], AudioPart)
    ]


def ended(client: Client) -> list[ResponseEnded]:
    return [event for event in client.events if isinstance(event, ResponseEnded)]
