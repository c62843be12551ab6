"""Answers of MiniCPM-o, on a small checkpoint of random weights: written, spoken while they are, many together."""

import numpy as np
import pytest
import torch

from omni.families.minicpm_o.family import LONGEST, WINDOW, MiniCpmO
from omni.families.minicpm_o.state import State
from omni.model import Phase, RowsError
from omni.nn.sampling import NoNumbersError
from omni.types import Delta, Reply, Unit
from tests.families.small import SHORT, Heard, Told, answered, asked, noise, picture, step_all


def test_an_answer_is_written_and_spoken(model: MiniCpmO) -> None:
    heard = answered(model, asked(model))
    assert heard.end is not None
    assert heard.end.n_tokens <= 24
    assert heard.said == heard.text != ""
    assert heard.sound_s > 0.5
    assert all(0 <= start_s <= heard.sound_s for _, start_s in heard.words)
    assert float(np.abs(np.concatenate(heard.pcm)).max()) > 0.01


def test_sound_begins_before_the_text_is_complete(model: MiniCpmO) -> None:
    state, heard = asked(model), Heard()
    model.begin(state, Reply(max_tokens=60))
    while not heard.pcm:
        step_all(model, [state], [heard], 1)
    assert state.answer
    assert not state.answer.written


def test_a_written_answer_needs_no_talker(model: MiniCpmO) -> None:
    state = asked(model)
    model.begin(state, Reply(speaks=False, max_tokens=9))
    heard = Heard()
    while heard.end is None:
        heard.take(model.step(Phase.THINK, [state])[0])
    assert heard.text
    assert not heard.pcm
    assert heard.end.n_tokens <= 9


def test_instructions_for_one_reply_stand_right_before_it(model: MiniCpmO, told: Told) -> None:
    state = asked(model)
    told.texts.clear()
    model.begin(state, Reply(instructions="Whisper."))
    assert told.texts == ["<|im_end|>\n<|im_start|>system\nWhisper.<|im_end|>\n"]


def test_what_else_is_in_the_batch_does_not_show(model: MiniCpmO) -> None:
    alone = [answered(model, asked(model, seed)) for seed in (1, 2, 3)]
    states, together = [asked(model, seed) for seed in (1, 2, 3)], [Heard() for _ in range(3)]
    for state in states:
        model.begin(state, Reply(max_tokens=24))
    step_all(model, states, together)
    for one, other in zip(alone, together, strict=True):
        assert one.text == other.text
        np.testing.assert_allclose(np.concatenate(one.pcm), np.concatenate(other.pcm), atol=1e-4)


def test_units_of_several_sessions_are_heard_together(model: MiniCpmO) -> None:
    units = [Unit(audio=noise(seed=1)), Unit(audio=noise(0.4), image=picture(90)), Unit(text="Hello."), Unit(text="")]
    alone, together = ([model.open("", None) for _ in units] for _ in range(2))
    for unit, state in zip(units, alone, strict=True):
        model.listen([unit], [state])
    model.listen(units, together)
    for one, other in zip(alone, together, strict=True):
        n = one.cache.length
        assert n == other.cache.length
        torch.testing.assert_close(one.cache.keys[:, :, :n], other.cache.keys[:, :, :n], atol=1e-4, rtol=0)


def test_an_answer_is_never_longer_than_a_session_has_room_for(model: MiniCpmO) -> None:
    state = asked(model)
    model.begin(state, Reply(max_tokens=4_096))
    model.step(Phase.THINK, [state])
    assert state.answer
    assert state.answer.decoding
    assert state.answer.decoding.limit <= LONGEST - WINDOW.limit - 20


@pytest.mark.parametrize("phase", [Phase.THINK, Phase.SPEAK])
def test_a_session_without_numbers_fails_alone(model: MiniCpmO, phase: Phase) -> None:
    """Every other one of its batch goes on as if nothing were."""
    alone = answered(model, asked(model, seed=1))
    states, heard = [asked(model, seed) for seed in (1, 2)], [Heard(), Heard()]
    for state in states:
        model.begin(state, SHORT)
    while not heard[1].pcm:
        step_all(model, states, heard, 1)
    lost = states[1].answer
    assert lost
    assert lost.speech
    spoilt = states[1].cache if phase is Phase.THINK else lost.speech.talker.cache
    spoilt.values = torch.full_like(spoilt.values, torch.nan)
    with pytest.raises(RowsError, match=r"1 of 2 sessions failed: the .* computed no numbers") as caught:
        for _ in range(200):
            for each in (Phase.THINK, Phase.SPEAK):
                heard[0].take(deltas(model.step(each, states)[0]))
    row, failed = caught.value.rows
    assert isinstance(failed, NoNumbersError)
    heard[0].take(deltas(row))
    step_all(model, states[:1], heard[:1])
    assert heard[0].text == alone.text
    np.testing.assert_allclose(np.concatenate(heard[0].pcm), np.concatenate(alone.pcm), atol=1e-4)


def deltas(row: list[Delta] | Exception) -> list[Delta]:
    assert isinstance(row, list)
    return row


def test_a_burst_that_fails_is_written_once(model: MiniCpmO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each session can be tried alone, and nothing is missing."""
    written = Reply(speaks=False, max_tokens=12)

    def likeliest(seed: int) -> State:
        state = asked(model, seed)  # chance would not come out the same another time
        state.draw = lambda probabilities: probabilities.argmax(-1)
        model.begin(state, written)
        return state

    alone, heard, states = [Heard(), Heard()], [Heard(), Heard()], [likeliest(1), likeliest(2)]
    for answer, seed in zip(alone, (1, 2), strict=True):
        step_all(model, [likeliest(seed)], [answer])
    step_all(model, states, heard, 1)
    with monkeypatch.context() as broken:
        fails_the_second_time(model._network.llm.model, broken)
        with pytest.raises(MemoryError):
            model.step(Phase.THINK, states)
    for state, answer in zip(states, heard, strict=True):
        step_all(model, [state], [answer])
    assert [answer.text for answer in heard] == [answer.text for answer in alone]


def test_a_piece_of_speech_that_fails_is_spoken_once(model: MiniCpmO, monkeypatch: pytest.MonkeyPatch) -> None:
    states, heard = [asked(model, seed) for seed in (1, 2)], [Heard(), Heard()]
    for state in states:
        model.begin(state, SHORT)
    while not all(answer.pcm for answer in heard):
        step_all(model, states, heard, 1)
    before = [spoken(state) for state in states]
    synthesis = model._network.synthesis
    assert synthesis
    with monkeypatch.context() as broken:
        fails_the_second_time(synthesis.vocoder, broken)  # the first session's piece was there already
        with pytest.raises(MemoryError):
            while True:
                before = [spoken(state) for state in states]
                for row, answer in zip(model.step(Phase.SPEAK, states), heard, strict=True):
                    answer.take(row)
                for row, answer in zip(model.step(Phase.THINK, states), heard, strict=True):
                    answer.take(row)
    assert [spoken(state) for state in states] == before
    for state, answer in zip(states, heard, strict=True):
        step_all(model, [state], [answer])
        assert answer.said == answer.text


def spoken(state: State) -> tuple[int, int, str, float]:
    """How far the speech of an answer has got."""
    assert state.answer
    speech = state.answer.speech
    assert speech
    return len(speech.talker.frames), speech.n_decoded, speech.caption, state.answer.captions.sound_s


def fails_the_second_time(part: torch.nn.Module, patch: pytest.MonkeyPatch) -> None:
    calls, whole = iter(range(100)), part.forward

    def forward(*args: object) -> object:
        if next(calls) == 1:
            raise MemoryError("no room")
        return whole(*args)

    patch.setattr(part, "forward", forward)
