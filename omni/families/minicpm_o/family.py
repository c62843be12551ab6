"""MiniCPM-o 2.6 as an OmniModel: a live stream in units, answers in bursts of text and pieces of speech.

What the released code does and this family mends: an exclamation mark (id 0) no longer vanishes from the text; special
tokens that the model writes are no text; what was cut from an interrupted answer leaves the context as well, where the
released code keeps whatever was written ahead of the sound.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from omni.audio.encoder import AudioState
from omni.checkpoint import Checkpoint, CheckpointError
from omni.families.minicpm_o.answering import LONGEST_ANSWER, Answering
from omni.families.minicpm_o.network import Network, Prompt, Vocabulary, check_reference, load_network, read_voices
from omni.families.minicpm_o.opening import LANGUAGES, MODES, Openings, first_of
from omni.families.minicpm_o.state import Mark, Offer, State
from omni.model import Capabilities, Phase, RowsError
from omni.nn.sampling import Draw, TextSampling, by_chance
from omni.text.template import (
    ANSWER_START,
    SPEECH_END,
    SPEECH_START,
    TURN_START,
    USER_START,
    Language,
    Mode,
    as_text,
    closing,
    message,
    unit,
)
from omni.text.tools import answered, asked_for, offered, offers
from omni.text.window import Ledger, Window
from omni.timing import Timing
from omni.types import Delta, Pcm, Reply, Tool, ToolCall, ToolOutput, Unit, Voice

_MAX_BATCH = 8
WINDOW = Window(limit=8_192, target=6_144)
"""tokens of context: what the released server allows a call before it begins anew; 90 s with a camera, 5 min without"""
LONGEST = WINDOW.limit + 1_024
"""tokens that a session comes to hold: an answer is not interrupted by forgetting, and takes LONGEST_ANSWER at most"""
_LONGEST_TEXT = WINDOW.limit // 2
"""tokens of typed text or of instructions"""
_MAX_TEXT_BYTES = 12_000
"""the same in bytes: what any language needs no more tokens for"""
_MAX_TOOLS_BYTES = 10_000
"""the same of functions: JSON has many short tokens"""
_SAMPLING = TextSampling()


class MiniCpmO:
    """OmniModel over the network of one checkpoint. Sessions are computed together, a row of the batch each."""

    def __init__(
        self,
        network: Network,
        tokenizer: Vocabulary,
        *,
        name: str = "minicpm-o-2.6",
        mode: Mode = "omni",
        language: Language = "en",
        max_slices: int = 1,
        sampling: TextSampling = _SAMPLING,
        new_draw: Callable[[], Draw] | None = None,
    ) -> None:
        """Serve a network.

        Args:
            network: with its weights.
            tokenizer: of its language model.
            name: that clients see.
            mode: what the system prompt sets up, unless a session asks for another.
            language: of the system prompt, likewise.
            max_slices: of a camera picture, beside its overview.
            sampling: of text.
            new_draw: makes each session's way of choosing from probabilities; by chance if left out.
        """
        self.timing = Timing()
        self.max_slices = max_slices
        self._network = network
        self._tokenizer = tokenizer
        self._answering = Answering(network, tokenizer, sampling)
        self._new_draw = new_draw or self._by_chance
        self._turn_start = tokenizer.token_id(TURN_START)
        self._n_header = len(tokenizer.encode(USER_START))
        self.window = WINDOW
        """what of a long conversation is remembered"""
        self._openings = Openings(network, tokenizer, self._as_text)
        self.capabilities = Capabilities(
            name,
            (Voice("default", language),),
            network.seeing is not None,
            transcribes=False,
            calls_tools=True,
            max_batch=_MAX_BATCH,
            max_text_bytes=_MAX_TEXT_BYTES,
            max_tools_bytes=_MAX_TOOLS_BYTES,
            makes_voices="clones",
            voice_version=network.hearing_version,
            modes=first_of(mode, MODES),
            languages=first_of(language, LANGUAGES),
        )

    def add_voices(self, references: Sequence[tuple[str, Pcm]]) -> None:
        """Make built-in voices of these recordings; they take the place of the voice that has none."""
        voices = tuple(self.prepare_voice(name, reference) for name, reference in references)
        self.capabilities = replace(self.capabilities, voices=voices or self.capabilities.voices)

    def prepare_voice(self, name: str, reference: Pcm) -> Voice:
        """Make a voice from a few seconds of speech [S] at Timing.input_rate: what is heard of it, to be imitated.

        Reads weights alone, so it may run on any thread beside everything else.

        Raises:
            ValueError: the recording is too short or too long.
        """
        check_reference(name, reference)
        features = self._network.hear([reference], [AudioState()])[0]
        return Voice(name, self.capabilities.languages[0], {"features": features.float().cpu().numpy()})

    def open(
        self, instructions: str, voice: Voice | None, mode: str | None = None, language: str | None = None
    ) -> State:
        """Start a session's memory with the system prompt, in which the voice is heard and the instructions follow.

        It is never forgotten, however long the call: whoever the instructions say the assistant is, it stays.

        Raises:
            ValueError: there is no such mode or language, the voice is of another model or the mode needs one, or the
                instructions are too long.
        """
        can = self.capabilities
        cache = self._openings.read(
            instructions, voice or can.voices[0], mode or can.modes[0], language or can.languages[0]
        )
        state = State(cache.clone(), Ledger(cache.length), self._new_draw())
        # Room doubles as it is needed: twice from here it holds the longest session, and no more.
        state.cache.reserve(LONGEST // 4)
        return state

    # ---------------------------------------------------------------- the user's turn

    def listen(self, units: Sequence[Unit], states: Sequence[State]) -> list[list[Delta]]:
        """Take one unit into each state. This model does not report what it heard.

        Raises:
            ValueError: a text is too long; nothing was taken.
        """
        rows: list[tuple[Unit, State]] = []
        for given, state in zip(units, states, strict=True):
            if given.glance and state.standing != "user":
                state.glimpse = given.image
            elif self._says(given):
                rows.append((state.noted(given), state))
        network = self._network
        # First of all, because a text may be refused: nothing is remembered yet.
        spelled = [self._tokenizer.encode(self._spelled(given, state)) for given, state in rows]
        seen = iter(network.see([given.image for given, _ in rows if given.image is not None], self.max_slices))
        heard = iter(
            network.hear(
                [given.audio for given, _ in rows if given.audio is not None],
                [state.audio for given, state in rows if given.audio is not None],
            )
        )
        prompts = [
            Prompt(
                ids,
                images=tuple(next(seen)) if given.image is not None else (),
                audio=(next(heard),) if given.audio is not None else (),
            )
            for ids, (given, _) in zip(spelled, rows, strict=True)
        ]
        for (given, state), prompt in zip(rows, prompts, strict=True):
            self._enter(given, state, prompt.ids)
        network.read(prompts, [state.cache for _, state in rows])
        for given, state in rows:
            state.took(given)
            self._keep_within(state)
        return [[] for _ in units]

    def _says(self, given: Unit) -> bool:
        """There is something in it: a hundredth of a second of sound is nothing to the encoder."""
        heard = given.audio is not None and self._network.sound_text(len(given.audio))
        return bool(heard or given.text or given.tool or given.image is not None)

    def _spelled(self, given: Unit, state: State) -> str:
        """A unit in the words of the template, after what opens the turn where none is open."""
        before = closing(state.standing)
        # Of calls and outputs as many bytes as a text may have tokens: it never has more.
        if isinstance(given.tool, ToolCall):
            # The calls of one answer follow its words, and one another, in one message.
            opening = "\n" if state.standing == "completed" else before + ANSWER_START
            return opening + asked_for(given.tool, _LONGEST_TEXT)
        if isinstance(given.tool, ToolOutput):
            opening = "\n" if state.standing == "user" else before + USER_START
            return opening + answered(given.tool, _LONGEST_TEXT)
        text = self._as_text(given.text or "")
        if given.role == "assistant":
            return before + SPEECH_START + text + SPEECH_END
        if given.role == "system":
            return before + message("system", text)
        image = sound = ""
        if given.image is not None:
            height, width, _ = given.image.shape
            image = self._network.image_text((width, height), self.max_slices)
        if given.audio is not None:
            sound = self._network.sound_text(len(given.audio))
        # two typed messages of one turn are two lines
        line = "\n" if text and state.texted else ""
        return ("" if state.standing == "user" else before + USER_START) + unit(image, sound) + line + text

    def _as_text(self, text: str) -> str:
        """Text from outside, if it is not too long: its attention alone would take more memory than there is."""
        spelled = as_text(text)
        # never more tokens than bytes
        if len(spelled.encode()) > _LONGEST_TEXT and (n := len(self._tokenizer.encode(spelled))) > _LONGEST_TEXT:
            raise ValueError(f"a text of {n} tokens is too long for a call: send at most {_LONGEST_TEXT} at a time")
        return spelled

    def _enter(self, given: Unit, state: State, ids: Sequence[int]) -> None:
        """Note in the ledger where the unit, and the turn that it opens, will lie."""
        slot = state.cache.length
        if given.role == "user" and state.standing != "user":
            slot += ids.index(self._turn_start)
            state.ledger.open_turn(slot)
            slot += self._n_header
        state.ledger.open_unit(slot)

    def _keep_within(self, state: State) -> None:
        """Forget the oldest of a long conversation, unless an answer is under way."""
        if state.answer is None or state.answer.closed:
            self._shrink(state, self.window)

    def _shrink(self, state: State, window: Window) -> None:
        for start, end in state.ledger.shrink(state.cache.length, window):
            self._network.llm.model.forget(state.cache, start, end)

    # ---------------------------------------------------------------- the assistant's turn

    def begin(self, state: State, reply: Reply) -> None:
        """Close the user's turn and open the answer.

        Functions are told of here, because only now it is known which may be called: in a system message before the
        answer, as in training, though not at the very beginning, which lies in the cache already. They stay there
        for the answers that follow. Instructions for this reply alone stand right before it.

        Raises:
            ValueError: what is to be said, the functions or the instructions are too long.
        """
        if reply.says is None:
            if state.standing != "user" and state.glimpse is not None:
                self.listen([Unit(image=state.glimpse)], [state])
            if offers(reply) and not state.offered(reply.tools):
                self._offer(state, reply.tools)
            if reply.instructions is not None:
                self.listen([Unit(text=reply.instructions, role="system")], [state])
        else:
            self._make_room(state, self._answering.script(reply.says))
        state.answer = self._answering.begin(reply, state.end, state.standing)
        state.standing, state.texted = "interrupted", False
        state.audio.clear()

    def _offer(self, state: State, tools: tuple[Tool, ...]) -> None:
        """Tell of functions, in place of those that were told of before."""
        content = offered(tools)
        ids = self._tokenizer.encode(closing(state.standing) + message("system", content))
        if len(ids) > _LONGEST_TEXT:
            raise ValueError(
                f"the functions take {len(ids)} tokens, and a call has room for {_LONGEST_TEXT}: offer fewer, or "
                "describe them more briefly"
            )
        if state.offer is not None:
            self._forget(state, state.offer.start, state.offer.end)
        start = state.end
        state.ledger.open_unit(state.cache.length)
        self._network.read([Prompt(ids)], [state.cache])
        state.took(Unit(role="system"))
        state.offer = Offer(tools, start, state.end)

    def _make_room(self, state: State, script: Sequence[int]) -> None:
        """Forget what a long text would have no room beside."""
        if len(script) > _LONGEST_TEXT:
            raise ValueError(f"a text of {len(script)} tokens is too long to be said: send at most {_LONGEST_TEXT}")
        if len(script) > LONGEST_ANSWER:
            limit = self.window.limit + LONGEST_ANSWER - len(script)
            self._shrink(state, Window(limit, min(self.window.target, limit)))

    def step(self, phase: Phase, states: Sequence[State]) -> list[list[Delta]]:
        """One burst of text (THINK), or one call of the talker (SPEAK), for all states together.

        Raises:
            RowsError: some answers cannot go on: no numbers were computed, or all that was written is a call that is
                none. Their states are to be made anew.
        """
        answers = [(state, state.answer) for state in states if state.answer is not None and not state.answer.closed]
        answering, before = self._answering, [state.kept() for state in states]
        try:
            if phase is Phase.THINK:
                found = answering.think(answers)
            else:
                found = answering.speak([answer for _, answer in answers])
        except Exception:
            for state, kept in zip(states, before, strict=True):
                state.undo(kept)
            raise
        rows = [found.get(id(state.answer), []) for state in states]
        deltas = [row for row in rows if isinstance(row, list)]
        if len(deltas) < len(rows):
            raise RowsError(rows)
        return deltas

    # ---------------------------------------------------------------- going back

    def mark(self, state: State) -> Mark:
        """Remember this place. Going back to an earlier one makes this one void."""
        return state.mark()

    def rewind(self, state: State, mark: Mark) -> None:
        """Return to a place."""
        state.rewind(mark)

    def truncate(self, state: State, heard_s: float) -> None:
        """Close the latest answer and forget what nobody heard of it. A written answer was read, and stays."""
        answer = state.answer
        if answer is None:
            return
        start, end = answer.cut(heard_s)
        if state.ledger.slot(end) == state.cache.length:  # nothing was said since
            state.standing = answer.standing
        self._forget(state, start, end)

    def _forget(self, state: State, start: int, end: int) -> None:
        """Forget places: what was said since moves up, and a mark behind them stays good."""
        first, last = state.ledger.slot(start), state.ledger.slot(end)
        self._network.llm.model.forget(state.cache, first, last)
        state.ledger.forget(first, last)

    def close(self, state: State) -> None:
        """Free the caches: whatever else holds the state holds nothing large."""
        state.answer = None
        state.audio.clear()
        state.cache = self._network.llm.model.new_cache(0)

    def _by_chance(self) -> Draw:
        generator = torch.Generator(self._network.device)
        generator.seed()
        return by_chance(generator)


def load_minicpm_o(
    checkpoint: Checkpoint, *, device: str, mode: Mode, language: Language, max_slices: int = 1
) -> MiniCpmO:
    """The family over a checkpoint, with the voices that lie beside it.

    Args:
        checkpoint: found, not read yet.
        device: where to compute, as torch names it.
        mode: of the system prompt.
        language: of the system prompt.
        max_slices: of a camera picture; more show small print, for 64 tokens each.

    Raises:
        CheckpointError: the checkpoint is incomplete or damaged, or does not fit, or cannot hear.
    """
    if checkpoint.config.audio is None:
        raise CheckpointError(
            f"{checkpoint.folder} has no ears (init_audio is false): a call needs them, omni chat not"
        )
    network, tokenizer = load_network(checkpoint, device)
    model = MiniCpmO(network, tokenizer, mode=mode, language=language, max_slices=max_slices)
    model.add_voices(read_voices(checkpoint))
    return model
