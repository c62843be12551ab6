"""Functions that MiniCPM-o asks for. What it writes is given here: random weights ask for nothing."""

from collections.abc import Callable, Sequence

import pytest
import torch

from omni.families.minicpm_o import answering
from omni.families.minicpm_o.family import MiniCpmO
from omni.model import Phase, RowsError
from omni.text.decoding import Decoding, recite
from omni.text.llm import LanguageModel
from omni.text.template import SPEECH_START
from omni.text.tools import offered
from omni.text.window import Window
from omni.types import Reply, TextDelta, Tool, ToolCall, ToolOutput, Unit
from tests.families.small import SHORT, Heard, Told, answered, asked, ids_in, noise, picture, step_all

WEATHER = Tool("weather", "The weather.", "{}")
TIME = Tool("time", "The time.", "{}")
CALL = '<tool_call>\n{"name": "weather", "arguments": {"town": "Ulm"}}\n</tool_call>'
OFFER = f"<|im_start|>system\n{offered([WEATHER])}<|im_end|>\n"

Writes = Callable[[str], list[Decoding]]


@pytest.fixture
def writes(model: MiniCpmO, monkeypatch: pytest.MonkeyPatch) -> Writes:
    """Has the model write this, and nothing else; gives what it was asked."""
    asked_for: list[Decoding] = []

    def write(text: str) -> list[Decoding]:
        ids = tuple(model._tokenizer.encode(text))

        def written(llm: LanguageModel, rows: Sequence[Decoding], n_tokens: int) -> list[list[int]]:
            for row in rows:
                if row.script is None:
                    asked_for.append(row)
                row.script, row.limit = ids, len(ids)
            return recite(llm, rows, n_tokens)

        monkeypatch.setattr(answering, "decode", written)
        return asked_for

    return write


def calls_of(model: MiniCpmO, reply: Reply) -> tuple[Heard, list[tuple[str, str]]]:
    state = asked(model)
    heard = answered(model, state, reply)
    assert heard.end is not None
    return heard, [(call.name, call.arguments) for call in heard.calls]


@pytest.mark.parametrize("end", ["<|im_end|>", "<|tts_eos|><|im_end|>"])
def test_a_call_follows_the_words_and_is_not_spoken(model: MiniCpmO, writes: Writes, end: str) -> None:
    writes(f"The small dog.{CALL}{end}")
    heard, calls = calls_of(model, Reply(tools=(WEATHER,)))
    assert heard.said == heard.text == "The small dog."
    assert calls == [("weather", '{"town": "Ulm"}')]
    assert 0 < heard.sound_s < 5


def test_a_call_may_stand_behind_the_end_of_speech(model: MiniCpmO, writes: Writes) -> None:
    writes(f"The small dog.<|tts_eos|>\n{CALL}\n{CALL}<|im_end|>")
    heard, calls = calls_of(model, Reply(tools=(WEATHER,)))
    assert heard.text == "The small dog."
    assert len(calls) == 2


@pytest.mark.parametrize("speaks", [True, False])
def test_a_call_alone_is_an_answer_without_a_sound(model: MiniCpmO, writes: Writes, speaks: bool) -> None:
    writes(f"{CALL}<|im_end|>")
    heard, calls = calls_of(model, Reply(speaks, tools=(WEATHER,)))
    assert (heard.text, heard.pcm) == ("", [])
    assert calls == [("weather", '{"town": "Ulm"}')]


def test_the_call_comes_with_the_end_of_the_text(model: MiniCpmO, writes: Writes) -> None:
    writes(f"A dog.{CALL}<|im_end|>")
    state = asked(model)
    model.begin(state, Reply(tools=(WEATHER,)))
    deltas = [delta for _ in range(20) for delta in model.step(Phase.THINK, [state])[0]]
    end = next(index for index, delta in enumerate(deltas) if isinstance(delta, TextDelta) and delta.last)
    assert isinstance(deltas[end + 1], ToolCall)
    assert not any(isinstance(delta, ToolCall) for delta in deltas[:end])


def test_what_follows_a_call_is_no_part_of_the_answer(model: MiniCpmO, writes: Writes) -> None:
    writes(f"A dog.{CALL}\n<tool_response>\nIt rains.\n</tool_response><|im_end|>")
    heard, calls = calls_of(model, Reply(tools=(WEATHER,)))
    assert heard.said == heard.text == "A dog."
    assert len(calls) == 1


@pytest.mark.parametrize("broken", ["<tool_call>\nweather in Ulm\n</tool_call>", '<tool_call>{"name": "weat'])
def test_a_broken_call_is_neither_made_nor_spoken(model: MiniCpmO, writes: Writes, broken: str) -> None:
    writes(f"A dog.{broken}<|im_end|>")
    heard, calls = calls_of(model, Reply(tools=(WEATHER,)))
    assert heard.said == heard.text == "A dog."
    assert calls == []


def test_an_answer_that_is_nothing_but_a_broken_call_fails(model: MiniCpmO, writes: Writes) -> None:
    writes("<tool_call>\nweather in Ulm\n</tool_call><|im_end|>")
    with pytest.raises(RowsError, match="no call; ask again"):
        calls_of(model, Reply(tools=(WEATHER,)))
    # cut at its limit, it may have been going to be one
    writes("<tool_call>\nweather in Ulm")
    heard, calls = calls_of(model, Reply(tools=(WEATHER,)))
    assert (calls, heard.end and heard.end.reason) == ([], "max_tokens")


@pytest.mark.parametrize("reply", [Reply(), Reply(tools=(WEATHER,), tool_choice="none"), Reply(tools=(TIME,))])
def test_a_call_that_nobody_offered_is_not_made(model: MiniCpmO, writes: Writes, reply: Reply) -> None:
    writes(f"A dog.{CALL}<|im_end|>")
    heard, calls = calls_of(model, reply)
    assert heard.said == heard.text == "A dog."
    assert calls == []


def test_a_model_that_was_told_of_functions_is_kept_from_calling_them(model: MiniCpmO, writes: Writes) -> None:
    given = writes("A dog.<|im_end|>")
    state = asked(model)
    for reply in (Reply(), Reply(tools=(WEATHER,)), Reply(tools=(WEATHER,), tool_choice="none"), Reply()):
        answered(model, state, reply)
    start = model._tokenizer.token_id("<tool_call>")
    assert [row.forbidden for row in given] == [frozenset(), frozenset(), {start}, {start}]


@pytest.mark.parametrize(
    ("choice", "opening", "rest"),
    [
        ("required", '<tool_call>\n{"name": "', 'weather", "arguments": {}}\n</tool_call>'),
        ("weather", '<tool_call>\n{"name": "weather", "arguments":', " {}}\n</tool_call>"),
    ],
)
def test_a_demanded_call_is_begun_for_the_model(
    model: MiniCpmO, writes: Writes, choice: str, opening: str, rest: str
) -> None:
    given = writes(f"{rest}\nAs I said.<|im_end|>")
    heard, calls = calls_of(model, Reply(tools=(WEATHER,), tool_choice=choice))
    assert (heard.text, heard.pcm) == ("", [])
    assert calls == [("weather", "{}")]
    # nothing opens a talker: all that is wanted is a call
    text = f"<|im_start|>assistant\n{opening}"
    told = model._tokenizer.encode(text)
    state = asked(model)
    model.begin(state, Reply(tools=(WEATHER,), tool_choice=choice))
    model.step(Phase.THINK, [state])
    assert given[-1].state is not None
    assert len(given[-1].state) == len(told)


# -------------------------------------------------------------------- what stands in the context


def test_functions_are_told_of_once_before_the_answer(model: MiniCpmO, told: Told) -> None:
    state = asked(model)
    told.texts.clear()
    answered(model, state, Reply(tools=(WEATHER,), max_tokens=6))
    assert told.texts == ["<|im_end|>\n" + OFFER]
    told.texts.clear()
    model.listen([Unit(text="And now?")], [state])
    answered(model, state, Reply(tools=(WEATHER,), max_tokens=6))
    answered(model, state, Reply(tools=(WEATHER,), tool_choice="none", max_tokens=6))
    assert not any("# Tools" in text for text in told.texts)


def test_other_functions_take_their_place(model: MiniCpmO, told: Told) -> None:
    state = asked(model)
    model.begin(state, Reply(tools=(WEATHER,)))
    length = state.cache.length
    model.truncate(state, 0.0)
    told.texts.clear()
    model.begin(state, Reply(tools=(TIME,)))
    [text] = told.texts
    assert '"time"' in text
    # only one of the two is left
    assert abs(state.cache.length - length) < 20


def test_a_wrong_guess_takes_the_offer_back(model: MiniCpmO, told: Told) -> None:
    state = asked(model)
    before = ids_in(state)
    mark = model.mark(state)
    model.begin(state, Reply(tools=(WEATHER,)))
    model.rewind(state, mark)
    assert torch.equal(ids_in(state), before)
    told.texts.clear()
    model.begin(state, Reply(tools=(WEATHER,)))
    assert told.texts == ["<|im_end|>\n" + OFFER]


def test_functions_that_the_window_forgot_are_told_of_again(
    model: MiniCpmO, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = model.open("Remember me.", None)
    monkeypatch.setattr(model, "window", Window(limit=1_100, target=900))
    n_told = []
    for turn in range(8):
        for _ in range(4):
            model.listen([Unit(audio=noise(seed=turn))], [state])
        told.texts.clear()
        answered(model, state, Reply(speaks=False, tools=(WEATHER,), max_tokens=6))
        n_told.append(sum(OFFER in text for text in told.texts))
        assert state.offered((WEATHER,))
    assert n_told[:2] == [1, 0]
    assert sum(n_told) > 1


def test_functions_without_end_are_refused_and_change_nothing(model: MiniCpmO) -> None:
    state = asked(model)
    before = ids_in(state)
    with pytest.raises(ValueError, match="offer fewer"):
        model.begin(state, Reply(tools=(Tool("long", "a " * 5_000, "{}"),)))
    assert torch.equal(ids_in(state), before)
    assert answered(model, state, SHORT).end


def test_calls_and_outputs_of_the_history_stand_as_in_training(model: MiniCpmO, told: Told) -> None:
    call, output = ToolCall("call_1", "weather", '{"town": "Ulm"}'), ToolOutput("call_1", "It rains.")
    state = model.open("Calls.", None)
    told.texts.clear()
    model.listen([Unit(text="Does it rain?")], [state])
    model.listen([Unit(text="Wait.", role="assistant")], [state])
    for unit in (Unit(tool=call, role="assistant"), Unit(tool=output), Unit(tool=output), Unit(text="Well?")):
        model.listen([unit], [state])
    response = "<tool_response>\nIt rains.\n</tool_response>"
    assert told.texts[2:] == [
        f"\n{CALL}",
        f"<|im_end|>\n<|im_start|>user\n{response}",
        f"\n{response}",
        "Well?",
    ]
    model.listen([Unit(tool=call, role="assistant")], [state])
    assert told.texts[-1] == f"<|im_end|>\n<|im_start|>assistant\n{CALL}"


def test_an_output_is_answered(model: MiniCpmO, writes: Writes, told: Told) -> None:
    writes(f"{CALL}<|im_end|>")
    state = asked(model)
    answered(model, state, Reply(tools=(WEATHER,)))
    told.texts.clear()
    model.listen([Unit(tool=ToolOutput("call_1", "It rains." + "!" * 5_000))], [state])
    assert told.texts[0].startswith("<|im_end|>\n<|im_start|>user\n<tool_response>\nIt rains.!")
    assert told.texts[0].endswith("! […]\n</tool_response>")
    writes("The dog.<|tts_eos|><|im_end|>")
    assert answered(model, state, Reply(tools=(WEATHER,))).said == "The dog."


def test_what_the_camera_showed_meanwhile_waits_for_the_users_words(
    model: MiniCpmO, writes: Writes, told: Told
) -> None:
    writes(f"{CALL}<|im_end|>")
    state = asked(model)
    answered(model, state, Reply(tools=(WEATHER,)))
    model.listen([Unit(image=picture(9), glance=True)], [state])
    told.texts.clear()
    model.listen([Unit(tool=ToolOutput("call_1", "It rains."))], [state])
    assert "<image>" not in told.texts[0]
    writes("The dog.<|tts_eos|><|im_end|>")
    answered(model, state, Reply(tools=(WEATHER,)))
    told.texts.clear()
    model.listen([Unit(text="And now?")], [state])
    assert "<image>" in told.texts[0]


def test_an_interrupted_answer_calls_nothing(model: MiniCpmO, writes: Writes) -> None:
    text = "The small dog sees the green table."
    writes(f"{text}{CALL}<|im_end|>")
    state, heard = asked(model), Heard()
    model.begin(state, Reply(tools=(WEATHER,)))
    length = state.cache.length
    step_all(model, [state], [heard])
    model.truncate(state, heard.sound_s * 0.4)
    opening, words = (len(model._tokenizer.encode(each)) for each in (SPEECH_START, text))
    assert opening < state.cache.length - length < opening + words
    assert state.standing == "interrupted"
