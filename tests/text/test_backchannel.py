import pytest

from omni.text.backchannel import is_backchannel

# fmt: off
LISTENING = [
    "uh-huh", "Uh huh.", "mm-hmm", "Mm-hmm.", "Mmm", "hmm", "Hmm.", "yeah", "Yeah, yeah.", "yep", "yes", "okay",
    "OK.", "Okay, okay.", "right", "Right, right.", "I see.", "Oh, I see.", "Oh okay, I see.", "ah", "aha", "Oh!",
    "oh wow", "wow", "sure", "got it", "of course", "That's right.", "That’s right.", "cool", "Really?",
    "makes sense", "all right", "alright", "interesting", "I know", "um", "uh", "exactly", "go on", "", "  ", "...",
    "Okay, that's nice.",
]
WANTING_THE_TURN = [
    "no", "No.", "stop", "Stop!", "wait", "Wait, wait.", "hold on", "yeah but", "okay stop",
    "okay thanks that's enough", "what", "why", "no no no", "I see a cat", "right now", "shut up", "excuse me",
    "yes tell me more about Paris", "hmm what about London", "right turn", "pause", "never mind", "hello",
    "okay so what is the capital of Spain", "yes yes yes yes yes yes", "你好", "7", "hey", "quiet",
]
# fmt: on


@pytest.mark.parametrize("text", LISTENING)
def test_listeners_words_leave_the_turn(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize("text", WANTING_THE_TURN)
def test_anything_else_takes_it(text: str) -> None:
    assert not is_backchannel(text)
