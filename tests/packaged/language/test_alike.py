"""Which questions are the same one in other words, and which are near enough to it for the same answer."""

import pytest

from omni.packaged.language.alike import WHO, gist, near
from omni.packaged.language.prompt import Persona


@pytest.mark.parametrize(
    ("question", "as_asked"),
    [
        ("Hey, what's your name?", WHO),
        ("Good evening, Flint!", "hello"),
        ("Could you tell me another story, please?", "tell me a story"),
        ("I'm so sad today.", "i am sad"),
    ],
)
def test_courtesy_and_spelling_do_not_count(question: str, as_asked: str) -> None:
    assert gist(question, {"Flint"}) == as_asked


@pytest.mark.parametrize(
    ("question", "nearest"),
    [
        ("My cat died.", "i am sad"),
        ("I can't sleep.", "i am tired"),
        ("I cannot sleep.", "i am tired"),
        ("I'm worried about tomorrow.", "i am afraid"),
        ("Who programmed you?", "are you a computer"),
        ("What do you have for lunch?", "what is your favorite food"),
        ("Tell me about yourself.", WHO),
    ],
)
def test_what_is_near(question: str, nearest: str) -> None:
    assert near(gist(question, set()))[0] == nearest


@pytest.mark.parametrize("question", ["What is the capital of France?", "Who made this cake?", "My cat is black.", ""])
def test_what_is_not(question: str) -> None:
    assert near(gist(question, set())) == ()


def test_the_very_question_comes_before_one_that_is_near() -> None:
    persona = Persona.of("You are Flint.\nUser: I am sad.\nYou: Arr.\nUser: I lost my keys.\nYou: Look in the hold.")
    assert persona.answer("I lost my keys!", []) == "Look in the hold."
    assert persona.answer("I lost my hat.", []) == "Arr."
    # the answer was given: another question's will not do
    assert persona.answer("I lost my keys!", ["Look in the hold."]) is None
