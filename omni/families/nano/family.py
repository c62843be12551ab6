"""The default family: small models in a chain. Recogniser and eyes make text, a language model answers it,
and a synthesizer speaks the answer clause by clause while the rest of it is still being written.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from omni.families.nano.messages import (
    answer_messages,
    asked_manner,
    asks_to_look,
    nudge,
    placed,
    said_last,
    user_message,
)
from omni.families.nano.speech import Synthesizer, at_speed, spoken, stepped
from omni.families.nano.state import (
    MAX_PREFILLS,
    Answer,
    Draft,
    Memory,
    Sight,
    State,
    Task,
    Utterance,
    bounded,
    joined,
    message_of,
)
from omni.model import Capabilities, Phase
from omni.packaged.hearing.recogniser import Recogniser as PackagedRecogniser
from omni.packaged.language.chat import SmolChat
from omni.packaged.language.prompt import Persona
from omni.packaged.seeing.eyes import Eyes as PackagedEyes
from omni.packaged.speaking.shaping import Shaping
from omni.packaged.speaking.synthesizer import Synthesizer as PackagedSynthesizer
from omni.text.about_manner import Asked
from omni.text.chat import Chat, Message
from omni.text.finished import finished
from omni.text.manner import manner_of
from omni.timing import Timing
from omni.types import Delta, Pcm, Picture, Reply, TextDelta, Transcript, TurnEnd, Unit, Voice

VOICE_VERSION = "1"
"""whoever changes shaping so that voices made before would sound otherwise changes this; they are then made anew"""


class Recogniser(Protocol):
    """Speech to text."""

    def open(self) -> Utterance:
        """Start to hear an utterance."""
        ...


class Eyes(Protocol):
    """Pictures to text."""

    def look(self, image: Picture, before: Any) -> Sight:
        """What is in the picture; before: what was in the one before it, None for the first."""
        ...


class Nano:
    """OmniModel over separate small models. A batch is a loop: the parts run on processors, a stream at a time."""

    def __init__(
        self,
        recogniser: Recogniser,
        chat: Chat,
        synthesizer: Synthesizer,
        eyes: Eyes,
        shape_voice: Callable[[str, Pcm], Voice] | None = None,
    ) -> None:
        self.timing = Timing()
        self.capabilities = Capabilities(
            name="nano",
            voices=synthesizer.voices,
            sees=True,
            transcribes=True,
            calls_tools=chat.calls_tools,
            changes_voice=True,
            makes_voices=None if shape_voice is None else "shapes",
            voice_version=VOICE_VERSION,
        )
        self._recogniser = recogniser
        self._chat = chat
        self._synthesizer = synthesizer
        self._eyes = eyes
        self._shape_voice = shape_voice

    def prepare_voice(self, name: str, reference: Pcm) -> Voice:
        """One of nano's own voices, made more like the reference; it takes seconds. See OmniModel.

        Its state's "likeness" [2] is the similarity to the reference of the best built-in voice, and of this one.

        Raises:
            NotImplementedError: this nano's synthesizer cannot.
            ValueError: there is not enough speech in the reference.
        """
        if self._shape_voice is None:
            known = ", ".join(voice.name for voice in self.capabilities.voices)
            raise NotImplementedError(f"this nano cannot make voice {name!r}; it speaks in its built-in ones ({known})")
        return self._shape_voice(name, reference)

    def open(
        self, instructions: str, voice: Voice | None, mode: str | None = None, language: str | None = None
    ) -> State:
        """Start a session's memory. Nano is addressed in one way alone, in English.

        Raises:
            ValueError: the voice is none of this family's.
        """
        voice = self.capabilities.voices[0] if voice is None else self._known(voice)
        return State(instructions, voice, self._chat.open())

    def _known(self, voice: Voice) -> Voice:
        """A voice that can be spoken in: one that was made for the synthesizer, or a built-in one by its name."""
        if voice.state:
            stepped(self._synthesizer.steps("", voice), to_the_end=True)
            return voice
        voices = {known.name: known for known in self.capabilities.voices}
        if voice.name not in voices:
            raise ValueError(f"nano has no voice {voice.name!r}; choose one of: {', '.join(voices)}")
        return voices[voice.name]

    # ---------------------------------------------------------------- the user's turn

    def listen(self, units: Sequence[Unit], states: Sequence[State]) -> list[list[Delta]]:
        """Hear, see and read one unit for each state; sound gives the Transcript of the turn so far."""
        return [self._listen(unit, state) for unit, state in zip(units, states, strict=True)]

    def _listen(self, unit: Unit, state: State) -> list[Delta]:
        if unit.audio is not None:
            self._hear(unit.audio, state)
        if unit.image is not None:
            state.memory = replace(state.memory, picture=unit.image)
        self._look(unit, state)
        if unit.text is not None or unit.tool is not None:
            state.memory = placed(unit, state.memory)
        if unit.audio is None:
            return []
        heard = state.memory.heard
        return [Transcript(heard, finished(heard, self._warm(state)))]

    def _hear(self, audio: Pcm, state: State) -> None:
        utterance = state.memory.utterance or self._recogniser.open()
        utterance.add(audio)
        state.memory = replace(state.memory, utterance=utterance, heard=utterance.transcribe())

    def _look(self, unit: Unit, state: State) -> None:
        """Look at the latest picture, unless somebody would wait for it in vain.

        Looking takes longer than an answer may. So while the user speaks it is done only if their words ask for
        it, and in a short unit, which ends their speech, only if it was not done since they began.
        """
        memory = state.memory
        if memory.picture is None:
            return
        asked = asks_to_look(memory)
        whole = unit.audio is not None and len(unit.audio) == self.timing.unit_samples
        due = whole and (asked or memory.sight is None)
        if memory.utterance is None or due or (asked and not memory.looked):
            sight = self._eyes.look(memory.picture, memory.sight)
            looked = memory.utterance is not None
            state.memory = replace(memory, picture=None, sight=sight, looked=looked)

    def _warm(self, state: State) -> float | None:
        """Prefill what the user has said so far, and ask whether it sounds complete."""
        answer = state.memory.answer
        if answer is not None and not answer.closed and not answer.draft.complete:
            # spoken over an answer that is still being written and may have to go on: do not disturb it
            return None
        if not state.memory.heard:
            return None
        messages = self._conversation(state, state.instructions)
        warmed, guess = state.warmed
        # no guess: a long text may take several calls, but not over an answer to these very words
        if warmed != messages or (guess is None and state.writing is None):
            self._stop(state)
            guess = state.context.warm(messages)
            state.warmed = messages, guess
        return guess

    # ---------------------------------------------------------------- the assistant's turn

    def begin(self, state: State, reply: Reply) -> None:
        """Close the user's turn and open the answer. With nothing to answer, the assistant opens or goes on.

        Raises:
            ValueError: the reply's voice is none of this family's.
        """
        memory = state.memory
        asked = asked_manner(memory)
        task = self._task(state, reply, asked)
        if state.draft is None or state.draft.task != task:
            state.draft = Draft(task)
        state.memory = Memory(
            history=bounded(self._conversation(state, "")),
            answer=Answer(state.draft),
            picture=memory.picture,
            sight=memory.sight,
            sight_before=memory.sight,
            manner=asked.manner if asked else memory.manner,
        )

    def _task(self, state: State, reply: Reply, asked: Asked | None) -> Task:
        memory = state.memory
        voice = state.voice if reply.voice is None else self._known(reply.voice)
        instructions = state.instructions if reply.instructions is None else reply.instructions
        # who gives instructions for this answer, or functions, has something else in mind than what can be said here
        free = reply.instructions is None and not (reply.tools and self.capabilities.calls_tools)
        heeds = asked is not None and free and reply.says is None
        words = asked.answer if asked and heeds else reply.says
        prompt = self._conversation(state, instructions)
        if asked and heeds and asked.again and (said := said_last(memory, self.timing)):
            prompt, words = (*message_of("system", instructions), *said[0]), said[1]
        if words is None and (not prompt or prompt[-1].role != "user"):
            prompt = (*prompt, nudge(memory, any(message.role == "assistant" for message in prompt)))
        manner = manner_of(Persona.of(instructions).who).times(asked.manner if asked else memory.manner)
        return Task(prompt, reply, voice, at_speed(manner, reply.speed), words)

    def step(self, phase: Phase, states: Sequence[State]) -> list[list[Delta]]:
        """Write some of the answer (THINK), or speak its next clause (SPEAK), for each state.

        Raises:
            RuntimeError: a model failed. What was spoken of the answer stays, and the next turn can be taken.
        """
        one = self._think if phase is Phase.THINK else self._speak
        rows: list[list[Delta]] = []
        for state in states:
            try:
                rows.append(one(state))
            except Exception:
                self._give_up(state)
                raise
        return rows

    def _give_up(self, state: State) -> None:
        """Close an answer that cannot be finished, so that the next turn starts clean."""
        state.draft = state.writing = None
        if state.memory.answer is not None:
            state.memory = replace(state.memory, answer=replace(state.memory.answer, closed=True))

    def _think(self, state: State) -> list[Delta]:
        answer = state.memory.answer
        if answer is None or answer.closed or answer.written:
            return []
        draft = answer.draft
        if len(draft.text) == answer.n_chars and not draft.complete:
            self._write(state, draft)
        text = draft.text[answer.n_chars :]
        answer = replace(answer, n_chars=len(draft.text), written=draft.complete)
        deltas: list[Delta] = [TextDelta(text, last=answer.written)] if text or answer.written else []
        if answer.written:
            deltas += draft.calls
        if answer.written and not draft.task.reply.speaks:
            deltas.append(_end(draft))
            answer = replace(answer, closed=True)
        state.memory = replace(state.memory, answer=answer)
        return deltas

    def _write(self, state: State, draft: Draft) -> None:
        """Take the words that the answer is given, or have the language model write a few tokens more of it."""
        task = draft.task
        if task.words is not None:
            self._stop(state)
            draft.write(task.words, complete=True)
            return
        if state.writing is not draft:
            draft.write_again()
            state.writing = draft
            reply = task.reply
            state.context.begin(task.prompt, reply.max_tokens, reply.tools, reply.tool_choice)
        draft.write(*state.context.read())
        if draft.complete:
            draft.calls = state.context.calls()
        draft.n_tokens = state.context.n_tokens()

    def _speak(self, state: State) -> list[Delta]:
        answer = state.memory.answer
        if answer is None or answer.closed or not answer.draft.task.reply.speaks:
            return []
        draft = answer.draft
        deltas: list[Delta] = []
        if answer.n_clauses < draft.n_speakable(answer.n_chars):
            if answer.n_clauses == len(draft.speech) and not self._make(draft):
                return []
            deltas.append(draft.speech[answer.n_clauses])
            answer = replace(answer, n_clauses=answer.n_clauses + 1)
        state.memory = replace(state.memory, answer=answer)
        if answer.written and answer.n_clauses == len(draft.clauses) and not self._prefills(state, bool(deltas)):
            deltas.append(_end(draft))
            state.memory = replace(state.memory, answer=replace(answer, closed=True))
        return deltas

    def _make(self, draft: Draft) -> bool:
        """Make sound of the draft's next clause, or some of it; True: it is there.

        Somebody waits for the first clause, which is short; in the midst of a later one other sessions have their turn.
        """
        clause, task = draft.clauses[len(draft.speech)], draft.task
        # not the draft's while it goes on: one that fails is over, and never comes to an end
        making, draft.making = draft.making, None
        making = making or spoken(self._synthesizer, clause, task.voice, task.manner)
        speech = stepped(making, to_the_end=not draft.speech)
        if speech is None:
            draft.making = making
            return False
        draft.speech.append(speech)
        return True

    def _prefills(self, state: State, spoke: bool) -> bool:
        """While a greeting is being heard, have the language model read the instructions; False: that is done.

        Those of a character are long: its first answer would be late. Sound that is ready does not wait for it.
        """
        draft = state.memory.answer.draft if state.memory.answer else None
        instructions = message_of("system", state.instructions)
        if state.memory.history or not instructions or draft is None or draft.task.words is None:
            return False
        if draft.n_prefills == MAX_PREFILLS:
            return False
        if spoke:
            return True
        draft.n_prefills += 1
        # not the words that are heard: most texts that are read out have no answer
        guess = state.context.warm((*instructions, Message("user", "")))
        if guess is not None:
            draft.n_prefills = MAX_PREFILLS
        return guess is None

    # ---------------------------------------------------------------- going back

    def mark(self, state: State) -> Memory:
        """Remember this place."""
        return state.memory.copy()

    def rewind(self, state: State, mark: Memory) -> None:
        """Return to a place. The language model's context follows when it is next used."""
        state.memory = mark.copy()

    def truncate(self, state: State, heard_s: float) -> None:
        """Close the latest answer and forget what nobody heard of it. A written answer was read, and stays."""
        answer = state.memory.answer
        if answer is None:
            return
        heard_s = max(0.0, heard_s if answer.heard_s is None else min(heard_s, answer.heard_s))
        state.memory = replace(state.memory, answer=replace(answer, closed=True, heard_s=heard_s))
        self._stop(state)

    def close(self, state: State) -> None:
        """Give up an answer that a remote model may still be sending."""
        self._stop(state)

    def _stop(self, state: State) -> None:
        if state.writing is not None:
            state.writing = None
            state.context.stop()

    def _conversation(self, state: State, instructions: str) -> tuple[Message, ...]:
        """All that was said, as the language model reads it; the user's turn, if there is one, comes last."""
        memory = state.memory
        answer = answer_messages(memory.answer, self.timing)
        spoken = joined((*memory.history, *answer, *memory.later, *user_message(memory)))
        return (*message_of("system", instructions), *spoken)


def load_nano(chat: Chat | None = None, whisper: Path | None = None) -> Nano:
    """Nano with the models that ship inside packages, loaded and warm.

    Args:
        chat: in place of the packaged language model, which is then not loaded.
        whisper: folder of a recogniser in place of the packaged one.

    Raises:
        MissingModelError: a package is not installed, or is another version.
    """
    recogniser, synthesizer, eyes = PackagedRecogniser(folder=whisper), PackagedSynthesizer(), PackagedEyes()
    utterance = recogniser.open()
    # the first call of a network allocates; better now than in somebody's first turn
    utterance.add(synthesizer.speak("Ready.", synthesizer.voices[0]).pcm)
    utterance.transcribe()
    eyes.warm()
    return Nano(recogniser, chat or SmolChat(), synthesizer, eyes, Shaping(synthesizer).voice)


def _end(draft: Draft) -> TurnEnd:
    limit = draft.task.reply.max_tokens
    return TurnEnd("completed" if limit is None or draft.n_tokens < limit else "max_tokens", draft.n_tokens)
