import pytest

from omni.text.about_sight import about_sight


@pytest.mark.parametrize(
    "text",
    [
        "What do you see?",
        "Can you still see me?",
        "Can you read this?",
        "Please read me the sign.",
        "what does it say",
        "What does the label say?",
        "What's this?",
        "Who is that?",
        "What am I holding?",
        "What do I have in my hand?",
        "What color is my shirt?",
        "Is it dark in here?",
        "Is the light on?",
        "Is anything moving?",
        "Describe the picture.",
        "What is written on the wall?",
        "Look at this!",
        "What is it?",
        "What kind of animal is this?",
        "Which fruit is it?",
        "What does my shirt say?",
        "Can you describe this?",
        "What is on my desk?",
    ],
)
def test_a_look_is_asked_for(text: str) -> None:
    assert about_sight(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "How are you?",
        "What animal says meow?",
        "What color is the sky on a clear day?",
        "What should I wear when it rains?",
        "What instrument has black and white keys?",
        "See you tomorrow.",
        "Read me a story.",
        "What is the light of the moon?",
        "What is two plus two?",
        "Is it going to rain?",
        "I saw a movie yesterday.",
        "What does a zebra look like?",
        "What does a cow say?",
        "What time is it?",
        "What day is it?",
        "What is it called when water freezes?",
    ],
)
def test_it_is_not(text: str) -> None:
    assert not about_sight(text)
