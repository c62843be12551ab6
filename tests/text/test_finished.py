"""Who has finished and who has not, with the packaged model's guess and without one."""

import pytest

from omni.text.finished import SURE, UNSURE, finished

WHOLE = [
    "What is the capital of France?",
    "How many days are there in a week?",
    "Can you tell me what time it is?",
    "Who wrote Romeo and Juliet?",
    "What do you see?",
    "Can you read this?",
    "Tell me a joke.",
    "What should I cook for dinner tonight?",
    "Is it going to rain tomorrow?",
    "Where do penguins live?",
    "How do I make a cup of coffee?",
    "Do you like music?",
    "Please read the sign to me.",
    "Why is the sky blue?",
    "What is the largest animal in the world?",
    "Explain how a rainbow works.",
    "Who are you?",
    "Could you help me with my homework?",
    "What is my name?",
    "How far away is the moon?",
    "When was the telephone invented?",
    "Which planet is closest to the sun?",
    "What does this word mean?",
    "Are cats smarter than dogs?",
    "Give me a recipe for pancakes.",
    "What are you looking at?",
    "How tall is the Eiffel Tower?",
    "Does a spider have six or eight legs?",
    "Would you recommend a good book?",
    "Describe what you see in the picture.",
    "What can I do on a rainy day?",
    "Should I take an umbrella?",
    "Hello.",
    "Thank you.",
    "Yes.",
    "So what is the biggest city in Japan?",
    "Okay, tell me about the ocean.",
    "Hi, can you hear me?",
    "Louder, please.",
    "Sorry, what was that?",
]
# cut where people pause, with the full stop that a recogniser writes there
CUT = [
    "What is the capital of.",
    "How many days are there in.",
    "Can you tell me.",
    "I was wondering.",
    "Who wrote.",
    "Can you read.",
    "Tell me a joke about.",
    "What should I cook for dinner if I only have.",
    "Is it going to rain tomorrow or.",
    "I would like to know.",
    "How do I make a cup of.",
    "My favorite color is.",
    "I went to the store and.",
    "Well, you know.",
    "Um.",
    "So I was thinking.",
    "The thing is.",
    "When I was young.",
    "If it rains tomorrow.",
    "I need some help with.",
    "Could you please.",
    "What is the difference between cats.",
    "What is the difference between cats and.",
    "Yesterday I met.",
    "My brother, who lives in Berlin,",
    "Let me think.",
    "I have two dogs and a.",
    "How far away is the.",
    "Which planet is.",
    "When was the telephone.",
    "Do you know who.",
    "On my way to work.",
    "I'm looking for a book about.",
    "What's the best way to.",
    "Because I don't really.",
    "Please tell me how to.",
    "Would you recommend a.",
    "After we had dinner.",
]
STATEMENTS = [
    "I went to the beach yesterday.",
    "My name is Anna.",
    "I have two dogs.",
    "It is raining here.",
    "I bought a new car.",
    "I'm going to visit my parents.",
    "I don't like coffee.",
    "My sister is a nurse.",
]


def share(texts: list[str], guesses: list[float | None], low: float, high: float) -> float:
    scores = [finished(text, guess) for text, guess in zip(texts, guesses, strict=True)]
    return sum(low <= score < high for score in scores) / len(scores)


def test_words_alone_tell_most() -> None:
    unknown: list[float | None] = [None] * 100
    assert share(WHOLE, unknown[: len(WHOLE)], SURE, 2) > 0.9
    assert share(CUT, unknown[: len(CUT)], SURE, 2) <= 0.06
    assert share(STATEMENTS, unknown[: len(STATEMENTS)], UNSURE, SURE) == 1


@pytest.mark.models
def test_with_the_models_guess_nearly_all() -> None:
    from omni.packaged.language.chat import SmolChat
    from omni.text.chat import Message

    context = SmolChat().open()
    guesses = {text: context.warm([Message("user", text)]) for text in [*WHOLE, *CUT, *STATEMENTS]}
    assert share(WHOLE, [guesses[text] for text in WHOLE], SURE, 2) > 0.9
    assert share(CUT, [guesses[text] for text in CUT], SURE, 2) <= 0.03
    assert share(CUT, [guesses[text] for text in CUT], -1, UNSURE + 1e-9) > 0.9
    assert share(STATEMENTS, [guesses[text] for text in STATEMENTS], SURE, 2) == 0


@pytest.mark.parametrize("text", ["", "  ", "...", "."])
def test_nothing_said_is_not_finished(text: str) -> None:
    assert finished(text, 0.9) == 0


def test_a_comma_and_dots_go_on_whatever_the_model_says() -> None:
    assert finished("I went home,", 0.99) <= UNSURE
    assert finished("What is the capital...", 0.99) <= UNSURE


def test_a_question_mark_is_stronger_than_the_full_stop_that_recognisers_write() -> None:
    assert finished("Where do penguins live?", None) > finished("Where do penguins live.", None)


def test_only_the_last_sentence_counts() -> None:
    assert finished("I like tea. What do you like?", 0.8) >= SURE
    assert finished("What do you like? I like.", 0.0) <= UNSURE


def test_more_of_a_guess_is_never_less_of_a_score() -> None:
    for text in [*WHOLE, *CUT, *STATEMENTS]:
        scores = [finished(text, guess / 20) for guess in range(21)]
        assert scores == sorted(scores)
        assert all(0 <= score <= 1 for score in scores)


def test_a_comma_after_a_whole_question_leaves_it_open_but_not_for_long() -> None:
    assert UNSURE < finished("Which animal gives us milk,", 0.45) < SURE
    assert finished("Which animal gives us milk,", 0.1) <= UNSURE
    assert finished("I went to the shop,", 0.5) <= UNSURE


@pytest.mark.parametrize(
    ("text", "guess", "sure"),
    [
        ("How many sides does a triangle have.", 0.94, True),
        ("How many sides does a triangle have", 0.2, False),
        ("Which animal gives us milk,", 0.9, True),
        ("Which one is bigger,", 0.36, False),
        ("I have two dogs, which I have,", 0.9, False),
    ],
)
def test_a_question_that_lost_its_mark_ends_where_the_model_is_sure(text: str, guess: float, sure: bool) -> None:
    assert (finished(text, guess) >= SURE) == sure
