from omni.packaged.language.prompt import STATIC
from scripts.bench_suite.answers import held_out, wer
from scripts.bench_suite.material import Question, load_material


def test_a_question_that_the_prompt_answers_does_not_count() -> None:
    shown = next(message.text for message in STATIC if message.role == "user")
    given_away = Question("a", shown.lower().rstrip("?"), "x")
    fresh = Question("b", "How many buttons has a coat?", "x")
    assert held_out([given_away, fresh]) == [fresh]


def test_enough_questions_are_held_out() -> None:
    assert len(held_out(load_material().questions)) >= 30


def test_spelling_is_no_word_error() -> None:
    assert wer(["Eight colours!", "I don't"], ["8 colours", "i don't."]) == 0
    assert wer(["one two three four"], ["one two tree four"]) == 0.25
