"""What Nano does with pictures, on parts that are exact and instant."""

from omni.families.nano.messages import CONTINUING, SHOWING
from omni.types import Unit
from tests.fakes_nano import FakeParts, answer, ask, asked, picture, put, sound, whole


def test_what_the_camera_shows_is_told_to_those_who_ask(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(image=picture(7)))
    assert ask(parts, nano, state, "How are you?")[-1] == ("user", "How are you?")
    told = ("user", "(The camera shows: something of shade 7.)\nWhat is this?")
    assert ask(parts, nano, state, "What is this?")[-1] == told
    put(nano, state, Unit(text="What is this?"))
    answer(nano, state)
    assert asked(parts)[-1] == told
    assert len(parts.eyes.looks) == 1


def test_the_eyes_know_what_was_seen_before(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(image=picture(7)))
    put(nano, state, Unit(image=picture(8)))
    assert [(shade, before and before.description) for shade, before in parts.eyes.looks] == [
        (7, None),
        (8, "something of shade 7."),
    ]


def test_nobody_waits_for_eyes_that_were_not_asked_for(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    nano.listen([Unit(audio=whole("how "), image=picture(7))], [state])
    nano.listen([Unit(audio=whole("are "), image=picture(8))], [state])
    nano.listen([Unit(audio=sound("you"), image=picture(9))], [state])
    put(nano, state, Unit(image=picture(10)))
    # the very first picture is looked at, so that something is known
    assert [shade for shade, _ in parts.eyes.looks] == [7]
    assert ask(parts, nano, state, "?") == [("user", "how are you?")]


def test_the_end_of_a_question_about_what_is_seen_does_not_wait_for_a_second_look(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    nano.listen([Unit(audio=whole("What do you see "), image=picture(7))], [state])
    nano.listen([Unit(audio=whole("on the table "), image=picture(8))], [state])
    nano.listen([Unit(audio=sound("there?"), image=picture(9))], [state])
    assert [shade for shade, _ in parts.eyes.looks] == [7, 8]
    answer(nano, state)
    assert asked(parts)[-1] == (
        "user",
        "(The camera shows: something of shade 8.)\nWhat do you see on the table there?",
    )
    # in the next turn a newer one is worth a look
    assert ask(parts, nano, state, "And what do you see now?")[-1] == (
        "user",
        "(The camera shows: something of shade 9.)\nAnd what do you see now?",
    )


def test_a_short_question_about_what_is_seen_waits_for_the_eyes(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(image=picture(6)))
    nano.listen([Unit(audio=sound("What is this?"), image=picture(7))], [state])
    answer(nano, state)
    assert asked(parts) == [("user", "(The camera shows: something of shade 7.)\nWhat is this?")]


def test_words_that_were_cut_apart_come_under_the_newer_note(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    nano.listen([Unit(audio=whole("What do you see"), image=picture(7))], [state])
    answer(nano, state)
    nano.truncate(state, 0.0)
    nano.listen([Unit(audio=whole("in my hand?"), image=picture(9))], [state])
    answer(nano, state)
    assert asked(parts) == [("user", "(The camera shows: something of shade 9.)\nWhat do you see in my hand?")]


def test_a_picture_without_a_word_is_told(parts: FakeParts) -> None:
    nano = parts.nano()
    state = nano.open("", None)
    put(nano, state, Unit(image=picture(7)))
    answer(nano, state)
    assert asked(parts) == [("user", f"(The camera shows: something of shade 7.)\n{SHOWING}")]
    answer(nano, state)
    assert asked(parts)[-1] == ("user", CONTINUING)
