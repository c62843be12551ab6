"""Words that MiniCPM-o is given to say, as they are: greetings, and speech alone."""

import pytest
import torch

from omni.families.minicpm_o.family import LONGEST, MiniCpmO
from omni.model import Phase
from omni.text.template import SPEECH_START
from omni.text.window import Window
from omni.types import Reply, TextDelta, TurnEnd, Unit
from tests.families.small import Heard, Told, answered, asked, ids_in, noise, step_all

TEXT = "The small dog sees my green table near the river. A wise farmer likes it."
SAYS = Reply(says=TEXT)


def test_the_words_are_said_as_they_are(model: MiniCpmO) -> None:
    heard = answered(model, asked(model), SAYS)
    assert heard.said == heard.text == TEXT
    assert heard.sound_s > 1
    assert heard.end == TurnEnd("completed", heard.end.n_tokens if heard.end else 0)
    starts = [start_s for _, start_s in heard.words]
    assert starts == sorted(starts)
    assert starts[-1] < heard.sound_s


def test_the_assistant_may_speak_first(model: MiniCpmO, told: Told) -> None:
    state = model.open("Be kind.", None)
    told.texts.clear()
    assert answered(model, state, SAYS).said == TEXT
    model.listen([Unit(text="Hello.")], [state])
    assert told.texts == ["<|im_end|>\n<|im_start|>user\nHello."]


def test_they_stand_in_the_history_as_an_answer(model: MiniCpmO) -> None:
    said, written = asked(model), asked(model)
    answered(model, said, SAYS)
    model.listen([Unit(text=TEXT, role="assistant")], [written])
    torch.testing.assert_close(ids_in(said), ids_in(written), atol=1e-4, rtol=0)
    assert said.standing == written.standing == "completed"


def test_what_it_was_told_for_an_answer_of_its_own_has_no_part_in_it(model: MiniCpmO, told: Told) -> None:
    state = asked(model)
    told.texts.clear()
    heard = answered(model, state, Reply(says="<tool_call> is a <|spk|>.", instructions="Whisper.", max_tokens=1))
    assert heard.said.replace("\N{ZERO WIDTH SPACE}", "") == "<tool_call> is a <|spk|>."
    assert told.texts == []


@pytest.mark.parametrize("text", ["", " ", "…"])
def test_hardly_anything_may_be_said(model: MiniCpmO, text: str) -> None:
    heard = answered(model, asked(model), Reply(says=text))
    assert heard.text == text
    assert heard.end


def test_they_are_written_if_nobody_listens(model: MiniCpmO) -> None:
    heard = answered(model, asked(model), Reply(speaks=False, says=TEXT))
    assert (heard.text, heard.pcm) == (TEXT, [])
    assert heard.end


def test_beside_an_answer_of_another_session_nothing_shows(model: MiniCpmO) -> None:
    alone = [answered(model, asked(model, seed), reply) for seed, reply in ((1, SAYS), (2, Reply(max_tokens=24)))]
    states, together = [asked(model, seed) for seed in (1, 2)], [Heard(), Heard()]
    model.begin(states[0], SAYS)
    model.begin(states[1], Reply(max_tokens=24))
    step_all(model, states, together)
    assert [heard.text for heard in together] == [heard.text for heard in alone]
    assert [len(heard.pcm) for heard in together] == [len(heard.pcm) for heard in alone]


# -------------------------------------------------------------------- going back


def test_an_interrupted_one_keeps_what_was_heard(model: MiniCpmO) -> None:
    state = model.open("", None)
    before = state.cache.length
    heard = answered(model, state, SAYS)
    whole = state.cache.length
    model.truncate(state, heard.sound_s / 2)
    kept, standing = state.cache.length, state.standing
    assert before < kept < whole
    assert standing == "interrupted"
    model.truncate(state, 0.0)
    assert (state.cache.length, state.standing) == (before, "nothing")


def test_a_cough_does_not_change_it(model: MiniCpmO) -> None:
    state, heard = model.open("", None), Heard()
    model.begin(state, SAYS)
    for n_steps in (0, 1, 2):
        step_all(model, [state], [heard], n_steps)
        mark = model.mark(state)
        model.listen([Unit(audio=noise(seed=6))], [state])
        model.rewind(state, mark)
    step_all(model, [state], [heard])
    assert heard.said == TEXT


# -------------------------------------------------------------------- long ones


def test_a_long_text_is_taken_in_small_steps(model: MiniCpmO) -> None:
    text = (TEXT + " ") * 16
    state, taken, sizes = model.open("", None), "", []
    model.begin(state, Reply(speaks=False, says=text[:1_200]))
    while state.answer and not state.answer.closed:
        length = state.cache.length
        for delta in model.step(Phase.THINK, [state])[0]:
            taken += delta.text if isinstance(delta, TextDelta) else ""
        sizes.append(state.cache.length - length)
    assert taken == text[:1_200]
    assert max(sizes) <= 24 + len(model._tokenizer.encode(SPEECH_START))


def test_for_a_long_text_the_oldest_is_forgotten(model: MiniCpmO, monkeypatch: pytest.MonkeyPatch) -> None:
    state = model.open("Remember me.", None)
    prompt = ids_in(state)
    monkeypatch.setattr(model, "window", Window(limit=1_200, target=1_000))
    for _ in range(4):
        model.listen([Unit(text="a b c d e f g h i j k l m n o p q r s t u v w x y z" * 2)], [state])
        answered(model, state, Reply(speaks=False, max_tokens=6, tools=()))
    n_before = state.cache.length
    n_text = 1_800
    heard = answered(model, state, Reply(speaks=False, says="a " * (n_text // 2)))
    assert heard.end
    assert state.cache.length < n_before + n_text
    assert state.cache.length <= 1_200 + (LONGEST - 8_192)
    assert torch.equal(ids_in(state)[:, :, : prompt.shape[2]], prompt)


def test_a_text_without_end_is_refused_and_changes_nothing(model: MiniCpmO) -> None:
    state = asked(model)
    before = ids_in(state)
    with pytest.raises(ValueError, match="too long to be said"):
        model.begin(state, Reply(says="a " * 5_000))
    assert torch.equal(ids_in(state), before)
    assert answered(model, state, SAYS).end
