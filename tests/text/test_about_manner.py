"""What users say to be spoken to otherwise, and what sounds like it."""

import pytest

from omni.text.about_manner import acknowledges, asked_of
from omni.text.manner import AS_IT_IS, Manner

SLOWER = "Okay, I will speak more slowly."
FASTER = "Okay, I will speak faster."
LOUDER = "Okay, I will speak louder."
SOFTER = "Okay, I will speak more softly."
NORMAL = "Okay, I will speak normally again."
SO = "Okay, I will speak like that."


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("Speak slower please.", SLOWER),
        ("Could you please speak a bit more slowly?", SLOWER),
        ("Slow down a little, please.", SLOWER),
        ("You're talking too fast.", SLOWER),
        ("Not so fast!", SLOWER),
        ("You speak too fast.", SLOWER),
        ("You talk much too quickly.", SLOWER),
        ("Hey, can you speak more slowly so that I can understand you?", SLOWER),
        ("Can you talk faster?", FASTER),
        ("Speed up.", FASTER),
        ("Speak up.", LOUDER),
        ("Louder!", LOUDER),
        ("I can’t hear you.", LOUDER),
        ("I can hardly hear you.", LOUDER),
        ("Lower your voice.", SOFTER),
        ("Be quieter please.", SOFTER),
        ("Don't shout.", SOFTER),
        ("Please speak normally again.", NORMAL),
        ("Okay, back to normal.", NORMAL),
        ("Can you whisper?", SO),
        ("Talk like a robot.", SO),
        ("Could you sound more cheerful?", SO),
        ("Use a deep voice.", SO),
        ("Speak more slowly and softly.", SO),
        ("Speak more slowly, in a deep voice.", SO),
        ("Can you speak a bit more slowly and a bit louder?", SO),
        ("Stop whispering.", NORMAL),
        ("Speak slower and tell me about Paris.", None),
        ("Speak faster, what is the capital of France?", None),
    ],
)
def test_wishes(words: str, answer: str | None) -> None:
    asked = asked_of(words, Manner(melody=0.9))
    assert asked is not None
    assert asked.answer == answer
    assert asked.manner != Manner(melody=0.9)
    assert (asked.manner == AS_IT_IS) == (answer == NORMAL)


@pytest.mark.parametrize(
    ("words", "pace", "loudness"),
    [
        ("Say that again.", 1.0, 1.0),
        ("Could you repeat that for me, please?", 1.0, 1.0),
        ("What did you say?", 1.0, 1.0),
        ("Sorry, my phone rang. What was that?", 1.0, 1.0),
        ("What?", 1.0, 1.0),
        ("Say it again, slower.", 0.84, 1.0),
        ("Can you say that again more slowly?", 0.84, 1.0),
        ("Please repeat your answer more slowly and louder.", 0.84, 1.3),
        ("Louder, please.", 1.0, 1.3),
        ("I can't hear you.", 1.0, 1.3),
    ],
)
def test_who_missed_it_hears_it_again(words: str, pace: float, loudness: float) -> None:
    asked = asked_of(words, AS_IT_IS)
    assert asked is not None
    assert asked.again
    assert asked.manner == Manner(pace=pace, loudness=loudness)


@pytest.mark.parametrize(
    "words", ["Speak louder.", "Quieter, please.", "Say that again and tell me why.", "Say that again, slower. Why?"]
)
def test_who_wants_something_else_does_not(words: str) -> None:
    asked = asked_of(words, AS_IT_IS)
    assert asked is None or not asked.again


def test_a_voice_that_can_go_no_further_says_so_instead() -> None:
    asked = asked_of("Louder, please.", Manner(loudness=1.7))
    assert asked is not None
    assert not asked.again
    assert asked.answer == "I am sorry, I cannot speak any louder."
    assert acknowledges(asked.answer)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "Please.",
        "Could you please",
        "Why do people talk faster when they are nervous?",
        "How do I slow down?",
        "How do I speak louder in public?",
        "My car goes faster than yours.",
        "I speak slowly.",
        "He told me to speak up.",
        "What is faster, a cat or a dog?",
        "Is sound louder in water?",
        "I can hear you.",
        "Can you speak French?",
        "Can you talk about sad things?",
        "Speak to me about the deep sea.",
        "It is too loud in here.",
        "Normal.",
        "Talk to me.",
        "The train went faster and faster.",
        "Which of them is louder and faster?",
        "Speak in a soft voice about the moon.",
    ],
)
def test_other_talk_is_no_wish(words: str) -> None:
    assert asked_of(words, AS_IT_IS) is None


@pytest.mark.parametrize(
    "rest",
    [
        "What is fast food?",
        "My father is sad.",
        "The voice on the radio is quick to fade.",
        "And tell me why the sea is calm.",
        "And tell me a story in a deep voice.",
    ],
)
def test_what_follows_a_wish_is_no_other_wish(rest: str) -> None:
    alone, followed = asked_of("Speak slower.", AS_IT_IS), asked_of(f"Speak slower. {rest}", AS_IT_IS)
    assert alone is not None
    assert followed is not None
    assert followed.manner == alone.manner
    assert followed.answer is None


def test_a_monologue_is_no_wish() -> None:
    assert asked_of("Speak louder. " + "I was by the sea. " * 100, AS_IT_IS) is None


def test_asked_again_it_goes_on_until_it_can_go_no_further() -> None:
    manner, paces, answers = AS_IT_IS, [1.0], []
    for _ in range(6):
        asked = asked_of("Slower.", manner)
        assert asked is not None
        manner = asked.manner
        paces.append(manner.pace)
        answers.append(asked.answer)
    assert paces == sorted(paces, reverse=True)
    assert answers[0] == SLOWER
    assert answers[-1] == "I am sorry, I cannot speak any slower."


def test_a_little_is_less_than_a_lot() -> None:
    little, plain, lot = (asked_of(f"Speak {how}louder.", AS_IT_IS) for how in ("a bit ", "", "a lot "))
    assert little and plain and lot
    assert 1 < little.manner.loudness < plain.manner.loudness < lot.manner.loudness
