"""MiniCPM-o at another pace: all that it says of its speech is said of the sound as it comes out."""

from dataclasses import replace

import numpy as np
import pytest

from omni.families.minicpm_o.family import MiniCpmO
from omni.types import Reply, Unit
from tests.families.small import Heard, answered, asked, noise, step_all

SAYS = Reply(says="The small dog sees my green table near the river. A wise farmer likes it.")


@pytest.mark.parametrize("speed", [0.5, 1.5])
def test_words_and_sound_keep_the_pace(model: MiniCpmO, speed: float) -> None:
    plain, paced = (answered(model, asked(model), replace(SAYS, speed=each)) for each in (1.0, speed))
    assert paced.said == plain.said
    assert paced.sound_s * speed == pytest.approx(plain.sound_s, rel=0.03)
    (*_, last), (*_, plain_last) = paced.words, plain.words
    assert last[1] < paced.sound_s
    assert last[1] * speed == pytest.approx(plain_last[1], abs=0.3)


def test_at_its_own_pace_nothing_is_touched(model: MiniCpmO) -> None:
    plain, paced = (answered(model, asked(model), reply) for reply in (SAYS, replace(SAYS, speed=1.0)))
    np.testing.assert_array_equal(np.concatenate(plain.pcm), np.concatenate(paced.pcm))


@pytest.mark.parametrize("speed", [0.5, 1.5])
def test_what_was_heard_is_counted_in_the_sound_that_was_heard(model: MiniCpmO, speed: float) -> None:
    kept = []
    for each in (1.0, speed):
        state = model.open("", None)
        heard = answered(model, state, replace(SAYS, speed=each))
        before = state.cache.length
        model.truncate(state, heard.sound_s / 2)
        kept.append(before - state.cache.length)
    assert kept[0] == pytest.approx(kept[1], abs=4)
    assert min(kept) > 4


def test_a_cough_does_not_change_it(model: MiniCpmO) -> None:
    reply = replace(SAYS, speed=0.7)
    plain = answered(model, asked(model), reply)
    state, heard = asked(model), Heard()
    model.begin(state, reply)
    for _ in range(4):
        step_all(model, [state], [heard], 2)
        mark = model.mark(state)
        # more of it is spoken, and taken back
        step_all(model, [state], [Heard()], 2)
        model.rewind(state, mark)
        model.listen([Unit(audio=noise(seed=6))], [state])
        model.rewind(state, mark)
    step_all(model, [state], [heard])
    assert heard.said == plain.said
    # the codes are drawn anew; what is left of the stretcher's input is not
    assert heard.sound_s == pytest.approx(plain.sound_s, rel=0.3)


def test_a_pace_out_of_range_is_refused(model: MiniCpmO) -> None:
    with pytest.raises(ValueError, match="out of range"):
        model.begin(asked(model), Reply(speed=2.0))
