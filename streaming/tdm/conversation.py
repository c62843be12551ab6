"""What both sides of a conversation share: settings, dialogue, the line to the engine, the way to the client."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from omni.model import Capabilities
from omni.types import Reply, ToolCall, ToolOutput, Unit, Voice
from streaming.company.catalogue import Catalogue, no_voice
from streaming.events import (
    AudioPart,
    Event,
    Fault,
    ImagePart,
    Item,
    Opened,
    RefusedError,
    ReplyOptions,
    Settings,
    TurnDetection,
)
from streaming.tdm.clock import Clock
from streaming.tdm.dialogue import Dialogue, text_of
from streaming.tdm.jobs import Listen, Open
from streaming.tdm.pipeline import Engine, Pipeline
from streaming.tdm.recent import Recent

MAX_REPLAYED = 200
"""newest items that a new model state is told of: more than any model's context keeps of a spoken conversation"""
WORDLESS_SILENCE_S = 0.6
"""silence that ends a turn by default where no words say if it is complete; most pauses in sentences are shorter"""
SPEECH_GONE = "[The user said something here.]"
"""stands for speech that was let go and has no words, so that no answer seems to belong to the question before"""


class Outlet(Protocol):
    """Where a session's events go."""

    def send(self, event: Event) -> None:
        """Queue an event for the client. Never blocks."""
        ...

    async def drain(self) -> None:
        """Return when the client has room for more sound."""
        ...


def opening_settings(capabilities: Capabilities) -> Settings:
    """What a session is set to before its client says anything."""
    if capabilities.transcribes:
        return Settings()
    return Settings(transcribes=False, turn_detection=TurnDetection(silence_s=WORDLESS_SILENCE_S))


def opening(session_id: str, engine: Engine, settings: Settings, catalogue: Catalogue) -> Opened:
    """What a session says first."""
    return Opened(session_id, engine.capabilities, engine.timing, settings, catalogue.voices())


class Conversation:
    """Keeps the model's state in step with the dialogue and the settings."""

    def __init__(  # noqa: PLR0917
        self,
        session_id: str,
        engine: Engine,
        clock: Clock,
        outlet: Outlet,
        settings: Settings,
        catalogue: Catalogue,
    ) -> None:
        self.capabilities = engine.capabilities
        self.timing = engine.timing
        self.outlet = outlet
        self.catalogue = catalogue
        self.settings = self.possible(settings)
        self._voice = self._found(self.settings.voice)
        self.dialogue = Dialogue()
        self.pipeline = Pipeline(session_id, engine, clock, self._lost)
        self.recent = Recent(engine.timing)
        """what the user said, as long as its words are not known: for a family that does not transcribe, for good"""
        self.stale = False
        """the model's state no longer matches; it is made anew between turns"""
        self.unfit = False
        """nor is it to be answered from: it is made anew before the next answer, if need be in the middle of a turn"""
        self.written: frozenset[str] = frozenset()
        """items that the model's state was made with: it was told their words, and knows nothing of their sound"""

    def possible(self, settings: Settings) -> Settings:
        """The settings, without what this model cannot do."""
        can = self.capabilities
        tools = settings.tools if can.calls_tools else ()
        return replace(settings, transcribes=settings.transcribes and can.transcribes, tools=tools)

    def opened_as(self, settings: Settings) -> tuple[str | None, ...]:
        """What the model's state is made with of the settings: if that changes, it is made anew."""
        voice = None if self.capabilities.changes_voice else settings.voice
        return (settings.instructions, voice, settings.mode, settings.language)

    def change(self, settings: Settings) -> None:
        """Be set to these from now on.

        Raises:
            RefusedError: they name a voice that is not there. Nothing has changed then.
        """
        if settings.voice != self.settings.voice:
            # the voice in use is kept here: whoever removes it from the catalogue takes it from nobody's call
            self._voice = self._found(settings.voice)
        self.settings = settings

    def rebuild(self) -> None:
        """Make the model's state anew from the settings and the dialogue."""
        self.stale = self.unfit = False
        self.written = frozenset(item.id for item in self.dialogue)
        settings = self.settings
        self.pipeline.tell(Open(settings.instructions, self._voice, settings.mode, settings.language))
        for item in [*self.dialogue][-MAX_REPLAYED:]:
            self.inform(item)

    def outdate(self) -> None:
        """The model knows another conversation than the client: no answer is to come of it."""
        self.stale = self.unfit = True

    def inform(self, item: Item) -> None:
        """Tell the model of an item."""
        for unit in self._units(item):
            self.pipeline.tell(Listen(unit))

    def reply(self, options: ReplyOptions) -> Reply:
        """How to answer: as the session is set, unless the options say otherwise."""
        speaks = self.settings.speaks if options.speaks is None else options.speaks
        tools = self.settings.tools if options.tools is None else options.tools
        given = options.says is not None
        return Reply(
            speaks,
            options.instructions,
            None if given else options.max_tokens or self.settings.max_tokens,
            tools if self.capabilities.calls_tools and not given else (),
            options.tool_choice or self.settings.tool_choice,
            options.says,
            self.settings.speed,
            self._changed_voice(options.voice) if self.capabilities.changes_voice else None,
        )

    def engine_failed(self, message: str) -> None:
        """Tell the client that the model failed; its state is made anew before the next turn."""
        self.outdate()
        self.outlet.send(
            Fault("server_error", "model_error", f"The model failed ({message}). The conversation goes on.")
        )

    def _lost(self, reason: str) -> None:
        # What follows a failure fails too: the first reason is the one that helps.
        if not self.unfit:
            self.engine_failed(reason)

    def sound_dropped(self, dropped_s: float) -> None:
        """Tell the client, and whoever watches, of sound of a turn that the engine did not take in time."""
        if dropped_s > 0:
            message = f"{dropped_s:.1f} s of this turn were lost: the engine is too slow for so much sound."
            self.outlet.send(Fault("server_error", "sound_dropped", message))

    def _changed_voice(self, name: str | None) -> Voice | None:
        """The voice for one answer: also the default must be named, to a model that was opened with another."""
        chosen = self.catalogue.voice(name) if name is not None else None
        return chosen or self._voice or next(iter(self.capabilities.voices), None)

    def _found(self, name: str | None) -> Voice | None:
        if name is None:
            return None
        voice = self.catalogue.voice(name)
        if voice is None:
            raise RefusedError(*no_voice(name, self.catalogue))
        return voice

    def _units(self, item: Item) -> Iterator[Unit]:
        """What the model is told of an item: of speech the sound, if that is kept, else the words."""
        for part in item.parts:
            if isinstance(part, ImagePart):
                yield Unit(image=part.image)
            elif isinstance(part, ToolCall | ToolOutput):
                yield Unit(tool=part, role=item.role)
        sound = self.recent.of(item.id)
        parts = [part for part in item.parts if not (sound and isinstance(part, AudioPart))]
        text = text_of(parts)
        wordless = any(isinstance(part, AudioPart) and part.transcript is None for part in parts)
        if wordless and not self.capabilities.transcribes:
            text = f"{text} {SPEECH_GONE}".strip()
        if text:
            yield Unit(text=text, role=item.role)
        yield from sound
