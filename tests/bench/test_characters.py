import json
from dataclasses import replace

import pytest

from scripts.bench_suite.characters import QUESTIONS_FILE, Said, asked, faults, n_begun_alike
from streaming.company.catalogue import Character
from streaming.company.characters import INCLUDED
from tests.fakes_nano import FakeChat, FakeParts, parrot

MARLOW = Character(
    "marlow",
    "Captain Marlow",
    "You are Captain Marlow, an old sea captain.\nUser: Hello!\nYou: Ahoy! The wind is fair and the coffee is hot.",
    "Ahoy there! Come aboard.",
)


@pytest.mark.parametrize(
    ("question", "answer", "wrong"),
    [
        ("Do you like the rain?", "Aye, it comes with the wind.", []),
        ("Hello!", "Ahoy! The wind is fair and the coffee is hot.", []),
        ("Do you like the wind?", "I like the wind.", ["plain"]),
        ("Do you like the rain?", "How can I assist you with the coffee?", ["assistant"]),
        ("Do you like the rain?", "I'm a computer, and the wind is fair.", ["machine"]),
        ("Are you a robot?", "I am a machine that is fond of coffee.", []),
        ("Do you like the rain?", "I'm not sure, the wind is better.", ["shrug"]),
        ("Who are you?", "An old captain who is fond of coffee.", ["nameless"]),
        ("Do you like the rain?", "I am Clara, and the wind is fair.", ["misnamed"]),
        ("Do you like the rain?", "Marlow likes the wind.", ["third person"]),
        ("Do you like the rain?", "The wind and the wind and the wind and the wind.", ["stammer"]),
        ("Where do you live?", "You live aboard, in the wind.", ["turned"]),
        ("Do you like the rain?", "", ["empty"]),
    ],
)
def test_an_answer_out_of_the_role_is_found(question: str, answer: str, wrong: list[str]) -> None:
    assert list(faults(MARLOW, question, answer)) == wrong


def test_conversations_begin_with_the_greeting_and_have_five_turns() -> None:
    parts = FakeParts(FakeChat(parrot))
    said = list(asked(parts.nano(), MARLOW, [f"Question {number}?" for number in range(7)]))
    assert [one.question for one in said] == [f"Question {number}?" for number in range(7)]
    conversations = [messages for messages in parts.chat.begun if messages[-1].text in ("Question 4?", "Question 5?")]
    assert [len(messages) for messages in conversations] == [11, 3]
    assert all(messages[1].text == MARLOW.greeting for messages in conversations)


def test_no_fresh_question_is_a_known_one_or_a_line_of_a_character() -> None:
    sets = json.loads(QUESTIONS_FILE.read_text())
    cast = "".join(path.read_text() for path in INCLUDED.glob("*.toml"))
    assert not set(sets["fresh"]) & set(sets["known"])
    assert not [question for question in sets["fresh"] if question in cast]


def test_answers_that_begin_alike_are_counted_within_a_conversation() -> None:
    words = ["A fine day.", "A fine night.", "Aye, friend.", "a fine ship!", "Well.", "A fine thing.", "Aye, friend."]
    said = [Said("captain", "?", answer, (), verbatim=False) for answer in words]
    assert n_begun_alike(said) == 2
    assert n_begun_alike([replace(one, verbatim=True) for one in said]) == 0
