"""Characters in instructions: how they are read, and which questions are theirs."""

import pytest

from omni.packaged.language.prompt import STATIC, Persona
from omni.text.chat import Message

FLINT = Persona.of("""You are Captain Flint, an old pirate captain. You love treasure and Mr. Smee.
User: Hello!
You: Ahoy, matey! Welcome aboard me ship.
User: Who are you?
You: I be Captain Flint, the terror of the seven seas!
User: Tell me a story.
You: Once, on a stormy night, we found a chest of gold.
User: Tell me a story.
You: There was a parrot that could count to ten.

slowly, in a low voice""")


def test_examples_are_read_out_of_plain_lines() -> None:
    assert FLINT.who.endswith("Mr. Smee.\n\nslowly, in a low voice")
    assert len(FLINT.examples) == 4
    assert FLINT.messages()[:2] == (
        Message("user", "Hello!"),
        Message("assistant", "Ahoy, matey! Welcome aboard me ship."),
    )
    assert FLINT.reminder == "You are Captain Flint, an old pirate captain."


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Be brief.",
        "You are kind.\nAlways tell the user: be careful.",
        "You: an answer without a question",
        "User: a question without an answer",
    ],
)
def test_other_instructions_have_no_examples(text: str) -> None:
    assert Persona.of(text) == Persona(text)


def test_lines_that_are_no_example_stay_instructions() -> None:
    text = "You: be brief.\nUser: a doctor.\nUser: hello\nYou: Ahoy!\r\nUser: busy.\nYou are kind."
    persona = Persona.of(text)
    assert persona.examples == (("hello", "Ahoy!"),)
    assert persona.who == "You: be brief.\nUser: a doctor.\nUser: busy.\nYou are kind."


def test_plain_instructions_stay_as_they_are() -> None:
    assert Persona.of("Be brief.\nBe kind, Dr. Who. And smile.").who == "Be brief.\nBe kind, Dr. Who. And smile."
    assert Persona.of("Be kind to Dr. Who. And smile.").reminder == "Be kind to Dr. Who."
    assert Persona.of("Be kind").reminder == "Be kind"


@pytest.mark.parametrize("text", ["user:" + " " * 50_000, "user: a" + "\n" * 50_000, " " * 50_000 + "user: a"])
def test_endless_white_space_is_read_in_no_time(text: str) -> None:
    assert Persona.of(text).examples == ()


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("hello", "Ahoy"),
        ("Hi there!", "Ahoy"),
        ("Good morning, Captain Flint.", "Ahoy"),
        ("Who are you?", "I be"),
        ("Hello, what's your name?", "I be"),
        ("Can you tell me a story, please?", "Once"),
        ("Tell me a story about a dog.", None),
        ("Who are they?", None),
        ("What is the capital of France?", None),
        ("", None),
    ],
)
def test_an_examples_question_has_its_answer(question: str, answer: str | None) -> None:
    found = FLINT.answer(question, [])
    assert found is None if answer is None else found is not None and found.startswith(answer)


@pytest.mark.parametrize(
    ("example", "question"),
    [
        ("What is your favourite food?", "What's your favorite food, Captain?"),
        ("I am sad.", "I'm really sad today."),
        ("I am sad.", "I feel a bit sad"),
        ("Tell me a joke.", "Do you know a joke?"),
        ("Tell me a joke.", "Could you tell me another joke, please?"),
        ("What did you do today?", "How was your day?"),
        ("What happened then?", "Go on."),
        ("Are you a computer?", "Are you real?"),
        ("Thank you.", "You are so kind!"),
        ("Don't you sleep?", "Do you not sleep?"),
    ],
)
def test_what_is_asked_in_other_words_is_the_same(example: str, question: str) -> None:
    persona = Persona.of(f"You are Captain Flint.\nUser: {example}\nYou: Aye.")
    assert (persona.answer(question, []) == "Aye.") == (example != "Don't you sleep?")
    assert persona.answer(example, []) == "Aye."


def test_what_was_said_is_not_said_again_but_the_name_is() -> None:
    told: list[str] = []
    for expected in ("Once", "There was", None):
        found = FLINT.answer("Tell me a story.", told)
        assert found is None if expected is None else found is not None and found.startswith(expected)
        # as the conversation keeps an answer that was interrupted
        told.append(f"Well. {(found or '')[:24]}—")
    told += [answer for _, answer in FLINT.examples]
    assert FLINT.answer("Who are you?", told) == "I be Captain Flint, the terror of the seven seas!"


def test_the_static_examples_are_a_conversation() -> None:
    assert [message.role for message in STATIC] == ["system", *("user", "assistant") * (len(STATIC) // 2)]
