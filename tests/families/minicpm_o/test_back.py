"""How MiniCPM-o goes back, on a small checkpoint of random weights: guesses, coughs, interruptions, long calls."""

import numpy as np
import pytest
import torch

from omni.families.minicpm_o.family import MiniCpmO
from omni.model import Phase
from omni.text.window import Window
from omni.types import Reply, Unit
from tests.families.small import SHORT, Heard, Told, answered, asked, ids_in, noise, picture, step_all

# -------------------------------------------------------------------- going back


def test_a_guess_that_was_wrong_leaves_nothing(model: MiniCpmO) -> None:
    state, undisturbed = asked(model), asked(model)
    mark = model.mark(state)
    answered(model, state, n_steps=3)
    model.rewind(state, mark)
    for each in (state, undisturbed):
        model.listen([Unit(audio=noise(seed=5))], [each])
    torch.testing.assert_close(ids_in(state), ids_in(undisturbed))
    assert state.answer is None


def test_a_cough_over_an_answer_does_not_change_it(model: MiniCpmO) -> None:
    plain = answered(model, asked(model))
    state, heard = asked(model), Heard()
    model.begin(state, Reply(max_tokens=24))
    for _ in range(3):
        step_all(model, [state], [heard], 3)
        mark = model.mark(state)
        model.listen([Unit(audio=noise(seed=6))], [state])
        model.rewind(state, mark)
    step_all(model, [state], [heard])
    assert heard.text == plain.text
    np.testing.assert_allclose(np.concatenate(heard.pcm), np.concatenate(plain.pcm), atol=1e-5)


def test_an_answer_that_goes_on_leaves_its_marks_alone(model: MiniCpmO) -> None:
    state, heard = asked(model), Heard()
    model.begin(state, Reply(max_tokens=24))
    step_all(model, [state], [heard], 5)
    mark = model.mark(state)
    assert state.answer
    assert state.answer.speech
    n_frames, n_written, text = len(state.answer.speech.talker.frames), len(state.answer.ends), heard.text
    for _ in range(2):
        step_all(model, [state], [Heard()], 3)
        model.rewind(state, mark)
        assert state.answer.speech
        assert (len(state.answer.speech.talker.frames), len(state.answer.ends)) == (n_frames, n_written)
    step_all(model, [state], [heard])
    assert heard.text.startswith(text)
    assert heard.said == heard.text


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_what_nobody_heard_is_forgotten(model: MiniCpmO, share: float) -> None:
    state = asked(model)
    before = ids_in(state)
    heard = answered(model, state)
    whole = state.cache.length
    model.truncate(state, share * heard.sound_s)
    assert torch.equal(ids_in(state)[:, :, : before.shape[2]], before)
    if share == 0.0:
        assert state.cache.length == before.shape[2]
        assert state.standing == "user"
    elif share == 1.0:
        assert state.cache.length == whole
    else:
        assert before.shape[2] + 9 < state.cache.length < whole
        assert state.standing == "interrupted"


def test_an_interrupted_answer_is_closed_as_in_training(model: MiniCpmO, told: Told) -> None:
    state = asked(model)
    heard = answered(model, state, n_steps=8)
    model.truncate(state, heard.sound_s / 2)
    told.texts.clear()
    model.listen([Unit(text="Stop.")], [state])
    assert told.texts == ["<|tts_eos|><|im_end|>\n<|im_start|>user\nStop."]


def test_news_of_less_being_heard_may_come_late(model: MiniCpmO) -> None:
    state = asked(model)
    heard = answered(model, state)
    model.truncate(state, heard.sound_s * 0.8)
    model.listen([Unit(text="What else?")], [state])
    length = state.cache.length
    mark = model.mark(state)
    model.truncate(state, heard.sound_s * 0.3)
    assert state.cache.length < length
    assert state.standing == "user"
    cut = state.cache.length
    model.listen([Unit(text="Hm?")], [state])
    model.rewind(state, mark)
    assert state.cache.length == cut
    assert answered(model, state).end is not None


def test_truncating_twice_or_before_anything_was_said_is_no_error(model: MiniCpmO) -> None:
    state = asked(model)
    length = state.cache.length
    model.truncate(state, 0.0)
    model.begin(state, Reply())
    model.truncate(state, 0.0)
    model.truncate(state, 0.0)
    assert (state.cache.length, state.standing) == (length, "user")
    assert answered(model, state).end is not None


@pytest.mark.parametrize("speaks", [True, False])
def test_an_answer_that_was_never_begun_takes_nothing_with_it(model: MiniCpmO, speaks: bool) -> None:
    state = asked(model)
    before = ids_in(state)
    model.begin(state, Reply(speaks=speaks))
    for _ in range(2):
        model.truncate(state, 0.0)
        assert torch.equal(ids_in(state), before)
        assert state.standing == "user"


def test_a_cough_before_the_first_word_of_a_greeting_does_not_silence_it(model: MiniCpmO) -> None:
    state = model.open("", None)
    model.begin(state, SHORT)
    mark = model.mark(state)
    model.listen([Unit(audio=noise(seed=6))], [state])
    model.rewind(state, mark)
    heard = Heard()
    step_all(model, [state], [heard])
    assert heard.end is not None


def test_a_written_answer_stays(model: MiniCpmO) -> None:
    state = asked(model)
    model.begin(state, Reply(speaks=False, max_tokens=12))
    model.step(Phase.THINK, [state])
    length = state.cache.length
    model.truncate(state, float("inf"))
    assert state.cache.length == length
    assert state.standing == "interrupted"


def test_a_closed_session_holds_nothing(model: MiniCpmO) -> None:
    state = asked(model)
    answered(model, state, n_steps=4)
    model.close(state)
    assert state.cache.nbytes == 0
    assert state.answer is None


# -------------------------------------------------------------------- long calls


def test_a_call_goes_on_beyond_the_window(model: MiniCpmO, monkeypatch: pytest.MonkeyPatch) -> None:
    state = model.open("Remember me.", None)
    prompt = ids_in(state)
    monkeypatch.setattr(model, "window", Window(limit=500, target=400))
    marks = []
    for turn in range(6):
        for second in range(3):
            marks.append(model.mark(state))
            model.listen([Unit(audio=noise(seed=turn), image=picture(second))], [state])
        assert state.cache.length <= 500
        assert answered(model, state, Reply(speaks=False, max_tokens=6)).end
    assert torch.equal(ids_in(state)[:, :, : prompt.shape[2]], prompt)
    # far back is forgotten, and going there is the beginning; not so far back is what it was
    model.rewind(state, marks[-1])
    assert state.standing == "user"
    model.rewind(state, marks[1])
    assert (state.cache.length, state.standing) == (prompt.shape[2], "nothing")
    assert answered(model, state, Reply(speaks=False, max_tokens=6)).end
