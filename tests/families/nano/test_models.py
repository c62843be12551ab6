"""Nano with the models that ship: a spoken question goes in, and the spoken answer is listened to."""

import re

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from omni.audio.resample import Resampler
from omni.families.nano.family import Nano, load_nano
from omni.families.nano.state import State
from omni.model import Phase
from omni.packaged.hearing.recogniser import Recogniser
from omni.packaged.speaking.synthesizer import Synthesizer
from omni.timing import Timing
from omni.types import FASTEST, SLOWEST, Delta, Pcm, Reply, SpeechDelta, TextDelta, Transcript, TurnEnd, Unit

pytestmark = pytest.mark.models

TIMING = Timing()


@pytest.fixture(scope="module")
def nano() -> Nano:
    return load_nano()


@pytest.fixture(scope="module")
def ears() -> Recogniser:
    return Recogniser()


@pytest.fixture(scope="module")
def speaker() -> Synthesizer:
    return Synthesizer()


def heard_as(pcm: Pcm) -> Pcm:
    """The assistant's sound, as a microphone brings it."""
    resampler = Resampler(TIMING.output_rate, TIMING.input_rate)
    return np.concatenate([resampler.push(pcm), resampler.flush()])


def ask(nano: Nano, state: State, speaker: Synthesizer, question: str) -> Transcript:
    """Speak to it, in another voice than it answers in; returns what it understood."""
    pcm = heard_as(speaker.speak(question, speaker.voices[-1]).pcm)
    pcm = np.concatenate([pcm, np.zeros(TIMING.input_rate // 5, np.float32)])
    row: list[Delta] = []
    for start in range(0, len(pcm), TIMING.unit_samples):
        (row,) = nano.listen([Unit(audio=pcm[start : start + TIMING.unit_samples])], [state])
    (transcript,) = row
    assert isinstance(transcript, Transcript)
    return transcript


def answer(nano: Nano, state: State, reply: Reply | None = None) -> tuple[str, Pcm]:
    """Its answer, as text and sound."""
    nano.begin(state, reply or Reply())
    text, sounds = "", []
    for _ in range(100):
        for phase in (Phase.THINK, Phase.SPEAK):
            for delta in nano.step(phase, [state])[0]:
                if isinstance(delta, TextDelta):
                    text += delta.text
                elif isinstance(delta, SpeechDelta):
                    sounds.append(delta.pcm)
                elif isinstance(delta, TurnEnd):
                    return text, np.concatenate(sounds)
    raise AssertionError("the answer does not end")


def plain(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def test_a_spoken_question_is_answered_in_speech(nano: Nano, speaker: Synthesizer, ears: Recogniser) -> None:
    state = nano.open("", None)
    transcript = ask(nano, state, speaker, "What is the capital of France?")
    assert plain(transcript.text) == plain("What is the capital of France?")
    assert transcript.finished is not None
    assert transcript.finished > 0.5
    text, pcm = answer(nano, state)
    assert "paris" in plain(text)
    utterance = ears.open()
    utterance.add(heard_as(pcm))
    assert plain(utterance.transcribe()) == plain(text)


def test_it_remembers_what_was_said_a_turn_ago(nano: Nano, speaker: Synthesizer) -> None:
    state = nano.open("", None)
    ask(nano, state, speaker, "My favorite color is green.")
    answer(nano, state)
    ask(nano, state, speaker, "What is my favorite color?")
    assert "green" in plain(answer(nano, state)[0])


def test_a_sign_is_read_to_who_asks(nano: Nano, speaker: Synthesizer) -> None:
    image = Image.new("RGB", (640, 480), "white")
    ImageDraw.Draw(image).text((120, 180), "OPEN AT NINE", "black", ImageFont.load_default(60))
    state = nano.open("", None)
    nano.listen([Unit(image=np.asarray(image))], [state])
    ask(nano, state, speaker, "What does the sign say?")
    # the reader of signs may miss a space
    assert "openatnine" in "".join(plain(answer(nano, state)[0]))


def test_an_answer_goes_on_after_somebody_spoke_over_it(nano: Nano, speaker: Synthesizer) -> None:
    texts = []
    for overlapped in (False, True):
        state = nano.open("", None)
        ask(nano, state, speaker, "How do I make tea?")
        nano.begin(state, Reply())
        text = "".join(delta.text for delta in nano.step(Phase.THINK, [state])[0] if isinstance(delta, TextDelta))
        if overlapped:
            mark = nano.mark(state)
            ask(nano, state, speaker, "Wait, what is the capital of France?")
            answer(nano, state)
            nano.rewind(state, mark)
        while state.memory.answer is not None and not state.memory.answer.closed:
            for phase in (Phase.THINK, Phase.SPEAK):
                text += "".join(d.text for d in nano.step(phase, [state])[0] if isinstance(d, TextDelta))
        texts.append(text)
    assert texts[0] == texts[1]
    assert "tea" in plain(texts[0])


@pytest.mark.parametrize("speed", [SLOWEST, FASTEST])
def test_given_words_are_understood_at_any_speed(nano: Nano, ears: Recogniser, speed: float) -> None:
    words = "There was nobody in the room when I opened the door."
    _, plain_pcm = answer(nano, nano.open("", None), Reply(says=words))
    _, pcm = answer(nano, nano.open("", None), Reply(says=words, speed=speed))
    assert len(pcm) == pytest.approx(len(plain_pcm) / speed, rel=0.15)
    utterance = ears.open()
    utterance.add(heard_as(pcm))
    heard = plain(utterance.transcribe())
    assert sum(word in heard for word in plain(words)) >= len(plain(words)) - 2


def test_a_spoken_wish_is_heeded(nano: Nano, speaker: Synthesizer) -> None:
    state = nano.open("You are Flint, a pirate.\nUser: Who are you?\nYou: I be Flint, matey!", None)
    ask(nano, state, speaker, "Who are you?")
    text, before = answer(nano, state)
    assert text == "I be Flint, matey!"
    ask(nano, state, speaker, "Could you speak more slowly, please?")
    assert answer(nano, state)[0] == "Okay, I will speak more slowly."
    ask(nano, state, speaker, "Who are you?")
    assert len(answer(nano, state)[1]) > 1.1 * len(before)
