from hypothesis import given
from hypothesis import strategies as st

from streaming.gateway.wire.transcripts import StableText


def test_only_what_two_guesses_agree_on_is_sent() -> None:
    text = StableText()
    assert text.push("I want to recognise") == ""
    assert text.push("I want to wreck a nice") == "I want to"
    assert text.push("I want to wreck a nice beach") == " wreck a"
    assert text.finish("I want to wreck a nice beach.") == " nice beach."


def test_a_word_that_may_go_on_waits() -> None:
    text = StableText()
    text.push("yes I can")
    assert text.push("yes I can't") == "yes I"


def test_what_was_sent_is_not_taken_back() -> None:
    text = StableText()
    text.push("call me now")
    assert text.push("call me now please") == "call me"
    assert text.push("tell me now") == ""
    assert text.push("tell me now please") == ""
    assert text.finish("Tell me now, please.") == ""


@given(st.lists(st.text("ab ", max_size=12), max_size=8), st.text("ab ", max_size=12))
def test_deltas_begin_the_final_text_or_stop(guesses: list[str], final: str) -> None:
    text = StableText()
    sent = "".join(text.push(guess) for guess in guesses)
    rest = text.finish(final)
    assert sent + rest == final or not rest
