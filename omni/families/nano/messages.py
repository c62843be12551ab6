"""What a nano session remembers, as the messages that its language model reads."""

from dataclasses import replace

from omni.families.nano.state import CUT_OFF, MAX_MESSAGES, Answer, Memory, bounded, message_of
from omni.text.about_manner import Asked, acknowledges, asked_of
from omni.text.about_sight import about_sight
from omni.text.chat import Message
from omni.timing import Timing
from omni.types import ToolOutput, Unit

OPENING = "Hello!"
"""what the user is taken to have said when the assistant is to speak first"""
CONTINUING = "Please go on."
"""the same, after an answer"""
SHOWING = "What do you see?"
"""the same, when something new is to be seen"""


def answer_messages(answer: Answer | None, timing: Timing) -> tuple[Message, ...]:
    """What the conversation keeps of the latest answer."""
    return () if answer is None else (*message_of("assistant", answer.remembered(timing)), *answer.calls)


def placed(unit: Unit, memory: Memory) -> Memory:
    """A typed message takes its place: the user's in this turn, others after it."""
    text = unit.text or ""
    if unit.role == "user" and unit.tool is None:
        return replace(memory, typed=(*memory.typed, text)[-MAX_MESSAGES:])
    if unit.role == "system" or isinstance(unit.tool, ToolOutput):
        # said into the user's turn, which may be in the middle of a word: it stands before what is being spoken
        added = (Message("user", "", unit.tool),) if unit.tool else message_of("system", text)
        later = (*memory.later, *message_of("user", *memory.typed), *added)
        return replace(_heeded(replace(memory, heard="")), later=bounded(later), typed=(), heard=memory.heard)
    told = message_of("assistant", text) if unit.tool is None else (Message("assistant", "", unit.tool),)
    later = (*memory.later, *user_message(memory), *told)
    memory = replace(_heeded(memory), later=bounded(later), sight_before=memory.sight)
    return replace(memory, typed=(), utterance=None, heard="")


def asked_manner(memory: Memory) -> Asked | None:
    """How the user's turn asks to be spoken to; None: it does not."""
    return asked_of(" ".join((*memory.typed, memory.heard)), memory.manner)


def said_last(memory: Memory, timing: Timing) -> tuple[tuple[Message, ...], str | None] | None:
    """What the assistant said last, to be said again from its beginning; None: nothing yet.

    Returns:
        the conversation that it answered, without instructions, and its words. Words None: it was cut off before all
        of it was known, and is to be written again.
    """
    messages = (*memory.history, *answer_messages(memory.answer, timing), *memory.later)
    draft = memory.answer.draft if memory.answer else None
    if draft is not None and not any(message.role == "assistant" for message in memory.later):
        # all of it, however little was heard
        if not draft.complete and draft.task.prompt:
            prompt = draft.task.prompt
            return prompt[1:] if prompt[0].role == "system" else prompt, None
        if draft.text.strip() and not acknowledges(draft.text.strip()):
            return messages, draft.text.strip()
    for place in reversed(range(len(messages))):
        message = messages[place]
        if message.role == "assistant" and message.text and not acknowledges(message.text):
            before = messages[:place]
            whole = not message.text.endswith(CUT_OFF) or not before or before[-1].role != "user"
            return before, message.text.removesuffix(CUT_OFF) if whole else None
    return None


def _heeded(memory: Memory) -> Memory:
    """The same, with what the turn asks for taken to heart: nobody will answer it any more."""
    asked = asked_manner(memory)
    return memory if asked is None else replace(memory, manner=asked.manner)


def user_message(memory: Memory) -> tuple[Message, ...]:
    """What the user has typed and said in this turn, after what the camera shows, if it is about that."""
    note = _note(memory) if asks_to_look(memory) else ""
    said = message_of("user", *memory.typed, memory.heard)
    return tuple(Message("user", note + message.text) for message in said)


def nudge(memory: Memory, spoke: bool) -> Message:
    """What stands for a user who said nothing."""
    if memory.sight is not memory.sight_before:
        return Message("user", _note(memory) + SHOWING)
    return Message("user", CONTINUING if spoke else OPENING)


def asks_to_look(memory: Memory) -> bool:
    """Whether the user's turn is about what the camera shows."""
    return about_sight(" ".join((*memory.typed, memory.heard)))


def _note(memory: Memory) -> str:
    """What the camera shows, as a line before the user's words."""
    return "" if memory.sight is None else f"(The camera shows: {memory.sight.description})\n"
