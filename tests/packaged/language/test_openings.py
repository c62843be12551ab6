"""First words that the question or the camera gives."""

import pytest

from omni.packaged.language.openings import Opening, opening


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("What is my name?", "Your name is"),
        ("Okay, what's my favorite color?", "Your favorite color is"),
        ("What is my dog called?", "Your dog is called"),
        ("Where do I live?", "You live"),
        ("Where am I going tomorrow?", "You are going"),
        ("How many cats do I have?", "You have"),
        ("My name is Anna.", "I see, your name is Anna."),
        ("Hi, I'm Peter.", "I see, you are Peter."),
        ("I have a dog and my sister is a nurse.", "I see, you have a dog and your sister is a nurse."),
        ("What is the capital of France?", ""),
        ("What do you see?", ""),
        ("", ""),
    ],
)
def test_the_users_words_are_turned_round(message: str, text: str) -> None:
    assert opening(message).text == text
    assert not opening(message).complete


def test_a_name_comes_from_the_instructions() -> None:
    assert opening("Hi, what's your name?", "Your name is Robbie. You are a pirate.").text == "My name is Robbie."
    assert opening("Who are you?", "You are Ada, a tutor.").text == "My name is Ada."
    assert opening("Who are you?", "You are a pirate.").text == ""
    assert opening("Who are you?", "You are Captain Flint, a pirate.").text == "My name is Captain Flint."


def test_a_character_answers_as_its_examples_do() -> None:
    who = (
        "You are Captain Flint, a pirate.\nUser: Who are you?\nYou: I be Flint!\nUser: My name is Ada.\nYou: Arr, Ada!"
    )
    assert opening("What's your name?", who) == Opening("I be Flint!", complete=True)
    assert opening("What's your name?", who, given=["I be Flint!"]) == Opening("I be Flint!", complete=True)
    assert opening("My name is Ada.", who).text == "Arr, Ada!"
    assert opening("My name is Ada.", who, given=["Arr, Ada!"]).text == "I see, your name is Ada."
    assert opening("I am a bit tired today.", who) == Opening()
    assert opening("What is my name?", who, ["My name is Eve."]).text == "Your name is Eve."
    assert opening(SIGN + "What does it say?", who).text == 'It says "EXIT".'


def test_a_long_statement_is_not_repeated() -> None:
    assert opening("My name is " + "very " * 20 + "long.").text == ""


SIGN = '(The camera shows: a sign that says "EXIT". It may be a street sign. The light is dim. Something is moving.)\n'
THING = "(The camera shows: perhaps a banana, and no text. The light is bright, and the middle is mostly yellow.)\n"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (SIGN + "Read this.", 'It says "EXIT".'),
        (SIGN + "What does it say?", 'It says "EXIT".'),
        (SIGN + "What do you see?", 'I can see a sign that says "EXIT". It may be a street sign.'),
        (SIGN + "Is it dark in here?", "It is dim."),
        (THING + "What is this?", "It may be a banana."),
        (THING + "What am I holding?", "It may be a banana."),
        (THING + "What color is it?", "It is mostly yellow."),
        (THING + "Can you read this?", "I can see no text that I could read."),
        (SIGN + "What is the capital of France?", ""),
        (THING + "Look at this, what fruit is it?", "It may be a banana."),
        (SIGN + "What is it like to be a machine?", ""),
        (SIGN + "What time is it?", ""),
        (SIGN + "What is this song about?", ""),
    ],
)
def test_the_camera_answers_questions_about_it(message: str, text: str) -> None:
    assert opening(message).text == text
    assert opening(message).complete == bool(text)


def test_what_the_user_said_of_themselves_is_remembered() -> None:
    earlier = ["My name is Ada.", "(The camera shows: a cup.)\nI live in Rome.", "My name is Eve, by the way", "Hello."]
    assert opening("What is my name?", "", earlier).text == "Your name is Eve, by the way."
    assert opening("Where do I live?", "", earlier) == Opening("You live in Rome.", complete=True)
    assert opening("What is my dog called?", "", earlier) == Opening("Your dog is called")
