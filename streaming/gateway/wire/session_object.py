"""The GA session object of a connection: rendered for session.created and session.updated, merged on session.update."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from omni.model import Capabilities
from omni.timing import Timing
from omni.types import FASTEST, SLOWEST, Voice
from streaming.company.catalogue import OPENAI_VOICES, BuiltIn, Catalogue, no_voice
from streaming.events import Opened, Settings, TurnDetection
from streaming.gateway.wire.audio import AudioFormat
from streaming.gateway.wire.fields import Fields, WireError
from streaming.gateway.wire.prompts import Own, Prompt, acting, read_prompt
from streaming.gateway.wire.tools import check_choice, choice_object, read_choice, read_tools, refusals, tools_object
from streaming.gateway.wire.turn_detection import read_turn_detection, turn_detection_object

MAX_OUTPUT_TOKENS = 4096
"""most that a client may ask for in one response (OpenAI's own limit)"""

_WITHOUT_EFFECT = ("include", "tracing", "parallel_tool_calls", "reasoning", "truncation")
"""fields that a client of OpenAI may set and that mean nothing here"""

_FIELDS = (
    "type",
    "model",
    "output_modalities",
    "instructions",
    "max_output_tokens",
    "audio",
    "tools",
    "tool_choice",
    "prompt",
    "mode",
    "language",
    *_WITHOUT_EFFECT,
)
_FORMATS: tuple[AudioFormat, ...] = ("audio/pcm", "audio/pcmu", "audio/pcma")


@dataclass(frozen=True, slots=True)
class SessionObject:
    """What the wire knows of a session beside its Settings. Replaced as a whole by each update."""

    id: str
    can: Capabilities
    catalogue: Catalogue
    """what its caller may choose from; looked up anew each time"""
    timing: Timing
    settings: Settings
    turn_defaults: TurnDetection
    """what a turn_detection of the client starts from"""
    model_aliases: tuple[str, ...] = ()
    """names besides its own that a client may call the model by"""
    expires_at: int | None = None
    """Unix time in seconds"""
    input_format: AudioFormat = "audio/pcm"
    output_format: AudioFormat = "audio/pcm"
    eagerness: str = "auto"
    own: Own = field(default_factory=Own)
    """what settings hold of the client's own, whichever character it chose"""
    prompt: Prompt | None = None
    notes: tuple[WireError, ...] = field(default=(), compare=False)
    """what the latest update asked for and did not get"""

    @classmethod
    def opened(
        cls,
        event: Opened,
        model_aliases: tuple[str, ...],
        expires_at: int | None,
        catalogue: Catalogue | None = None,
    ) -> "SessionObject":
        """As the session was opened; without a catalogue, with the model's own voices."""
        return cls(
            id=event.session_id,
            can=event.capabilities,
            catalogue=catalogue or BuiltIn(event.capabilities),
            timing=event.timing,
            settings=event.settings,
            turn_defaults=event.settings.turn_detection or TurnDetection(),
            own=Own(event.settings.instructions, event.settings.voice, event.settings.mode, event.settings.language),
            model_aliases=model_aliases,
            expires_at=expires_at,
        )

    @classmethod
    def begun(
        cls,
        event: Opened,
        model_aliases: tuple[str, ...],
        expires_at: int | None,
        chosen: Mapping[str, Any],
        catalogue: Catalogue | None = None,
    ) -> "SessionObject":
        """As it was opened, but for what was chosen before it: with a secret, or in the request that opened it.

        Raises:
            WireError: a field of what was chosen is wrong.
        """
        named = chosen.get("model")
        aliases = (*model_aliases, named) if isinstance(named, str) else model_aliases
        opened = cls.opened(event, aliases, expires_at, catalogue)
        begun = opened.merged(Fields(chosen, "session"), has_spoken=False)
        most = event.capabilities.max_text_bytes
        if most is not None and len(begun.settings.instructions.encode()) > most:
            # of later ones the session says so; it opens with these, and every answer would fail
            message = f"The instructions have more than {most} bytes, the most that this model reads; shorten them."
            raise WireError("string_above_max_length", message, "session.instructions")
        return begun

    @property
    def model(self) -> str:
        """The model's own name."""
        return self.can.name

    @property
    def calls_tools(self) -> bool:
        """The model can ask for functions."""
        return self.can.calls_tools

    @property
    def voice(self) -> str | None:
        """The name of the voice in use."""
        return self.name_of(self.settings.voice)

    def name_of(self, voice: str | None) -> str | None:
        """The name of a voice that a client named by its name or id; None stands for the default."""
        if voice is None:
            return next(iter(self.catalogue.voices()), None)
        found = self.catalogue.voice(voice)
        return voice if found is None else found.name

    def render(self) -> dict[str, Any]:
        """The session object as JSON."""
        settings = self.settings
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": self.id,
            "model": self.model,
            "output_modalities": modalities(settings.speaks),
            "instructions": settings.instructions,
            "tools": tools_object(settings.tools),
            "tool_choice": choice_object(settings.tool_choice) if self.calls_tools else "none",
            "max_output_tokens": settings.max_tokens or "inf",
            "tracing": None,
            "prompt": None if self.prompt is None else self.prompt.render(),
            "truncation": "auto",
            "expires_at": self.expires_at,
            "audio": {
                "input": {
                    "format": format_object(self.input_format, self.timing),
                    "transcription": {"model": self.model} if settings.transcribes else None,
                    "noise_reduction": None,
                    "turn_detection": turn_detection_object(settings.turn_detection, self.eagerness),
                },
                "output": {
                    "format": format_object(self.output_format, self.timing),
                    "voice": self.voice,
                    "speed": settings.speed,
                },
            },
            "include": None,
            **self._addressed(),
        }

    def _addressed(self) -> dict[str, str]:
        """Fields of our own: how the model is addressed, where it has a choice of ways."""
        ways = (("mode", self.settings.mode, self.can.modes), ("language", self.settings.language, self.can.languages))
        return {name: chosen or known[0] for name, chosen, known in ways if known}

    def merged(self, fields: Fields, has_spoken: bool) -> "SessionObject":
        """This session with the fields of a session.update; what they do not name stays, null clears.

        Args:
            fields: the event's `session`.
            has_spoken: sound was sent already, so that the voice of most models can no longer change.

        Raises:
            WireError: a field is wrong. Nothing of the update holds then.
        """
        fields.only(_FIELDS)
        fields.choice("type", ("realtime",))
        aliases = self._aliases(fields)
        prompt, own = self._role(fields)
        settings = self.settings
        if "max_output_tokens" in fields:
            limit = fields.max_tokens("max_output_tokens", MAX_OUTPUT_TOKENS)
            settings = replace(settings, max_tokens=None if limit == "inf" else limit)
        speaks = speaks_of(fields)
        if speaks is not None:
            settings = replace(settings, speaks=speaks)
        if self.calls_tools:
            settings = _with_tools(settings, fields, self.can.max_tools_bytes)
        notes = () if self.calls_tools else refusals(fields)
        merged = replace(self, settings=settings, own=own, prompt=prompt, notes=notes, model_aliases=aliases)
        if audio := fields.object("audio"):
            audio.only(("input", "output"))
            if sound_in := audio.object("input"):
                merged = merged._with_input(sound_in)
            if sound_out := audio.object("output"):
                merged = merged._with_output(sound_out)
        merged = replace(merged, settings=acting(merged.settings, merged.own, merged.prompt, self.can, self.catalogue))
        if has_spoken and merged.voice != self.voice and not self.can.changes_voice:
            raise WireError(
                "cannot_update_voice",
                f"The voice stays '{self.voice}' once the assistant has spoken; open another session to change it.",
                fields.path("prompt" if fields["prompt"] is not None else "audio.output.voice"),
            )
        return merged

    def _role(self, fields: Fields) -> tuple[Prompt | None, Own]:
        """The character, and what the client names itself, but for the voice."""
        prompt, own = self.prompt, self.own
        if "prompt" in fields:
            named = fields.object("prompt")
            prompt = None if named is None else read_prompt(named, self.catalogue, self.prompt)
            if prompt is not None and prompt != self.prompt:
                own = Own()  # what is named beside it takes precedence, what was named before gives way
        if "instructions" in fields:
            own = replace(own, instructions=fields.text("instructions") or "")
        if "mode" in fields:
            own = replace(own, mode=_way(fields, "mode", self.can.modes))
        if "language" in fields:
            own = replace(own, language=_way(fields, "language", self.can.languages))
        return prompt, own

    def _aliases(self, fields: Fields) -> tuple[str, ...]:
        """The model's other names, with the one given here if the client has named none before.

        Over WebRTC no address says it: the first name that a client gives is then its name for what it got.
        """
        model = fields.text("model")
        if model is None or model in (self.model, *self.model_aliases):
            return self.model_aliases
        if not self.model_aliases:
            return (model,)
        raise WireError(
            "model_change_refused",
            f"This session's model is '{self.model}' and stays so; open another session for another model.",
            fields.path("model"),
        )

    def _with_input(self, fields: Fields) -> "SessionObject":
        fields.only(("format", "noise_reduction", "transcription", "turn_detection"))
        merged, settings = self, self.settings
        if "format" in fields:
            merged = replace(merged, input_format=format_of(fields, self.timing))
        if "transcription" in fields:
            # which recogniser and which language are the server's to say
            settings = replace(settings, transcribes=fields.object("transcription") is not None)
        if noise := fields.object("noise_reduction"):
            # the browser's own is better placed; the field is checked because its absence would be a riddle
            noise.choice("type", ("near_field", "far_field"))
        if "turn_detection" in fields:
            turn, eagerness = read_turn_detection(
                fields.object("turn_detection"), settings.turn_detection, self.eagerness, self.turn_defaults
            )
            settings = replace(settings, turn_detection=turn)
            merged = replace(merged, eagerness=eagerness)
        return replace(merged, settings=settings)

    def _with_output(self, fields: Fields) -> "SessionObject":
        fields.only(("format", "voice", "speed"))
        merged = self
        if "format" in fields:
            merged = replace(merged, output_format=format_of(fields, self.timing))
        if "voice" in fields:
            merged = replace(merged, own=replace(merged.own, voice=self.voice_of(fields)))
        if "speed" in fields:
            speed = fields.number("speed", SLOWEST, FASTEST)
            merged = replace(merged, settings=replace(merged.settings, speed=1.0 if speed is None else speed))
        return merged

    def voice_of(self, fields: Fields) -> str | None:
        """The voice that a field "voice" names, as it names it; None for the default.

        Raises:
            WireError: there is no such voice.
        """
        name = voice_name(fields)
        # one that was removed goes on for who uses it
        if name is None or name == self.settings.voice or self.catalogue.voice(name) is not None:
            return name
        return stand_in(name, self.can, self.catalogue, fields).name


def modalities(speaks: bool) -> list[str]:
    """The wire's way to say whether answers are spoken."""
    return ["audio"] if speaks else ["text"]


def format_object(audio_format: AudioFormat, timing: Timing) -> dict[str, Any]:
    """An audio format as JSON."""
    if audio_format == "audio/pcm":
        return {"type": audio_format, "rate": timing.wire_rate}
    return {"type": audio_format}


def format_of(fields: Fields, timing: Timing) -> AudioFormat:
    """The field "format"; null is PCM.

    Raises:
        WireError: another format, or PCM at another rate.
    """
    named = fields.object("format")
    if named is None:
        return "audio/pcm"
    named.require("type")
    kind = named.choice("type", _FORMATS)
    if kind == "audio/pcm":
        named.whole("rate", timing.wire_rate, timing.wire_rate)
    return next(one for one in _FORMATS if one == kind)


def speaks_of(fields: Fields) -> bool | None:
    """The field "output_modalities"; None if it is absent.

    Raises:
        WireError: neither ["audio"] nor ["text"].
    """
    listed = fields.list("output_modalities")
    if listed is None:
        return None
    if listed not in (["audio"], ["text"]):
        raise WireError(
            "invalid_value",
            "output_modalities must be ['audio'] (which brings its transcript) or ['text'], one of the two.",
            fields.path("output_modalities"),
        )
    return bool(listed == ["audio"])


def _with_tools(settings: Settings, fields: Fields, most_bytes: int | None) -> Settings:
    tools, choice = read_tools(fields, most_bytes), read_choice(fields)
    if "tool_choice" in fields:
        settings = replace(settings, tool_choice=choice or "auto")
    settings = settings if tools is None else replace(settings, tools=tools)
    check_choice(settings.tool_choice, settings.tools, fields)
    return settings


def _way(fields: Fields, name: str, known: tuple[str, ...]) -> str | None:
    """A field of our own: one of the ways to address the model."""
    if not known and fields[name] is not None:
        raise WireError("unsupported_value", f"This model has no choice of {name}; leave it out.", fields.path(name))
    return fields.choice(name, known)


def voice_name(fields: Fields) -> str | None:
    """What a field "voice" names, by a string or by an object with an id; None for the default."""
    if not isinstance(fields["voice"], dict):
        return fields.identifier("voice")
    named = Fields(fields["voice"], fields.path("voice"))
    named.only(("id",))
    named.require("id")
    return named.identifier("id")


def stand_in(name: str, can: Capabilities, catalogue: Catalogue, fields: Fields) -> Voice:
    """The model's own voice for one of OpenAI's, which a field "voice" names.

    Raises:
        WireError: it is none of those either.
    """
    if name in OPENAI_VOICES and can.voices:
        return can.voices[OPENAI_VOICES.index(name) % len(can.voices)]
    raise WireError(*no_voice(name, catalogue), fields.path("voice"))
