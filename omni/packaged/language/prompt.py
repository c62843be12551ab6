"""What the packaged chat model is told before every conversation.

A model this small follows examples, not orders. They show the length, the tone, a fact remembered and a camera
note; none of them is a question from scripts/bench_suite.

A session's instructions may show examples of its own, in plain lines that any model can read; this is how a character
is written for role play:

    You are Captain Flint, an old pirate captain. You love treasure and the sea.
    User: Hello!
    You: Ahoy, matey! Welcome aboard me ship.
    User: Where do you live?
    You: Wherever the wind blows, matey.

The model is shown the first examples as a conversation, and the first sentence again before each question, because it
heeds what stands near. A question that is asked as an example asks it is answered as the example answers it. All other
lines are instructions.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from omni.packaged.language.alike import WHO, gist, near
from omni.text.chat import Message

_EXAMPLES = (
    ("What is the capital of Germany?", "The capital of Germany is Berlin."),
    ("How many cents are in a dollar?", "There are a hundred cents in a dollar."),
    ("My brother is called Tom.", "I see, your brother is called Tom."),
    ("What is my brother called?", "Your brother is called Tom."),
    ("How do I boil an egg?", "Put the egg into boiling water and wait for about eight minutes."),
    ("Who wrote Oliver Twist?", "Charles Dickens wrote Oliver Twist."),
    ('(The camera shows: a sign that says "STOP".)\nWhat do you see?', 'I can see a sign that says "STOP".'),
    ("Thanks!", "You're welcome! Is there anything else I can help you with?"),
)

STATIC: tuple[Message, ...] = (
    Message(
        "system",
        "You are a friendly voice assistant. You answer in one or two short, simple sentences.",
    ),
    *(
        message
        for question, answer in _EXAMPLES
        for message in (Message("user", question), Message("assistant", answer))
    ),
)
"""prefilled once for all sessions; a session's own instructions follow it as a second system message"""

_MOST_EXAMPLES = 100
_EXAMPLE = re.compile(
    r"^[^\S\n]*user:(?P<asked>.*\S)\s*\n[^\S\n]*you:(?P<told>.*\S)[^\S\n]*(?:\n|\Z)", re.IGNORECASE | re.MULTILINE
)
_KNOWN_BY = 20
"""characters from which an answer that was perhaps cut off is known"""
_FIRST_SENTENCE = re.compile(r".*?[a-z]{2}[.!](?=\s|$)", re.S)


@dataclass(frozen=True, slots=True)
class Persona:
    """Instructions, and the examples in them of how to follow them."""

    who: str
    """the instructions alone"""
    examples: tuple[tuple[str, str], ...] = ()
    """what the user says, what the assistant says to that"""

    @classmethod
    def of(cls, instructions: str) -> "Persona":
        """Read the examples out of a session's instructions."""
        examples = tuple((match["asked"].strip(), match["told"].strip()) for match in _EXAMPLE.finditer(instructions))
        return cls(_EXAMPLE.sub("", instructions).strip(), examples[:_MOST_EXAMPLES])

    @property
    def reminder(self) -> str:
        """Who they are, in a sentence."""
        first = _FIRST_SENTENCE.match(self.who)
        return first[0] if first else self.who

    def messages(self) -> tuple[Message, ...]:
        """The examples as a conversation."""
        return tuple(
            message
            for question, answer in self.examples
            for message in (Message("user", question), Message("assistant", answer))
        )

    def answer(self, question: str, given: Sequence[str]) -> str | None:
        """What an example says to this very question.

        Args:
            given: the answers so far: what was said already is said again only to who asks for the name.
        """
        names = set(re.findall(r"[A-Z]\w+", self.reminder)) - {"You"}
        asked = gist(question, names)
        gists = [gist(example, names) for example, _ in self.examples]
        # the very question before one that is only near to it
        for wanted in (asked, *near(asked)):
            answers = [answer for (_, answer), example in zip(self.examples, gists, strict=True) if example == wanted]
            fresh = [answer for answer in answers if not any(answer[:_KNOWN_BY] in told for told in given)]
            if answers and (fresh or wanted == WHO):
                return (fresh or answers)[0]
            if answers:
                return None
        return None
