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
        names = set(re.findall(r"[A-Z]\w+", self.reminder))
        asked = _gist(question, names)
        answers = [answer for example, answer in self.examples if _gist(example, names) == asked]
        fresh = [answer for answer in answers if not any(answer[:_KNOWN_BY] in told for told in given)]
        if not fresh and asked == _WHO:
            return answers[0] if answers else None
        return fresh[0] if fresh else None


_KNOWN_BY = 20
"""characters from which an answer that was perhaps cut off is known"""
_BEFORE = re.compile(
    r"^(?:(?:well|so|okay|ok|and|now|hey|hi|hello|please|oh|yes|then) )+(?=\w)|^(?:can|could|would|will) you (?=\w)"
)
_AFTER = re.compile(r" (?:please|now|today|yesterday|then|there|again|to me|my dear|dear|for me)$")
_SPELLINGS = (
    (r"n['’]t\b", " not"),
    (r"['’]m\b", " am"),
    (r"['’]re\b", " are"),
    (r"(\w)['’]s\b", r"\1 is"),
    (r"\b(favo|colo|humo)u(r)", r"\1\2"),
    (r"\b(?:very|really|so|quite|a (?:little )?bit|a little) (?=\w)", ""),
    (r"\bi (?:feel|am feeling)\b", "i am"),
    (r"\b(?:tell|give|sing) (?:me |us )?(?:a|another|one more|a new|some|any)\b", "tell me a"),
    (r"\bdo you (?:know|have) (?:a|another|any) (?=story|stories|joke|jokes|riddle)", "tell me a "),
)
"""what is written, or said, in more ways than one"""
_WHO = "who are you"
_ALIKE = {
    _WHO: "what is your name|what are you called|may i ask your name|introduce yourself|tell me your name|who is this"
    "|who am i talking to|who am i speaking to",
    "hello": "hi|hey|greetings|good morning|good afternoon|good evening|good day|hello hello",
    "how are you": "how are you doing|how do you do|how is it going|how do you feel|how are things"
    "|are you okay|are you well",
    "goodbye": "bye|bye bye|good night|see you|see you later|goodbye for now|see you soon|i have to go|i must go",
    "thank you": "thanks|thank you much|thanks a lot|many thanks|thank you for your help|thank you for everything",
    "what do you like to do": "what do you like doing|what are your hobbies|what do you do for fun|what do you like"
    "|what do you do all day",
    "are you a computer": "are you a robot|are you a machine|are you an ai|are you a program|are you real"
    "|are you human",
    "where do you live": "where is your home|where are you living|where are you|where are you from"
    "|where do you come from",
    "what did you do": "how was your day|what have you done|what have you been doing|what are you doing",
    "what should i do": "what can i do|what shall i do|what do you advise|tell me a advice|do you have any advice",
    "what happened then": "what happened next|what happened|and then|go on|then what|tell me more",
    "tell me a joke": "make me laugh|tell me a jokes",
    "tell me a story": "tell me a stories",
}
_GISTS = {other: gist for gist, others in _ALIKE.items() for other in others.split("|")}


def _gist(question: str, names: set[str]) -> str:
    """The question without courtesy and without whom it is put to; the same for questions that are alike."""
    plain = " ".join(word for word in question.split() if re.sub(r"\W", "", word) not in names).lower()
    for written, spelling in _SPELLINGS:
        plain = re.sub(written, spelling, plain)
    words = " ".join(re.findall(r"\w+", plain))
    if words in _GISTS:
        return _GISTS[words]
    for pattern in (_AFTER, _AFTER, _BEFORE, _BEFORE):
        words = pattern.sub("", words)
    return _GISTS.get(words, words)
