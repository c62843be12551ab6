"""The official client and its functions with a small MiniCPM-o. What it writes is given: random weights ask nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="MiniCPM-o needs torch: pip install -e '.[minicpm-o]'")

from omni.checkpoint import find
from omni.families.minicpm_o import answering
from omni.families.minicpm_o.family import MiniCpmO, load_minicpm_o
from omni.text.decoding import Decoding, recite
from omni.text.llm import LanguageModel
from tests.streaming.gateway.test_functions import talking

CALL = '<tool_call>\n{"name": "weather", "arguments": {"town": "Ulm"}}\n</tool_call>'


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> MiniCpmO:
    return load_minicpm_o(find(str(tiny_folder)), device="cpu", mode="omni", language="en")


@pytest.fixture
def answers(model: MiniCpmO, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the model writes, answer by answer."""
    answers: list[str] = []

    def written(llm: LanguageModel, rows: Sequence[Decoding], n_tokens: int) -> list[list[int]]:
        for row in rows:
            if row.script is None:
                row.script = tuple(model._tokenizer.encode(f"{answers.pop(0)}<|im_end|>"))
                row.limit = len(row.script)
        return recite(llm, rows, n_tokens)

    monkeypatch.setattr(answering, "decode", written)
    yield answers
    assert answers == []


async def test_a_spoken_answer_ends_with_a_call_and_its_output_is_answered(model: MiniCpmO, answers: list[str]) -> None:
    answers += [f"The small dog.{CALL}", "The tall bird."]
    async with talking(model) as talk:
        await talk.write("Does it rain?")
        answer, call = (await talk.respond()).output
        assert answer.content[0].transcript.strip() == "The small dog."
        assert (call.type, call.name, call.arguments) == ("function_call", "weather", '{"town": "Ulm"}')
        await talk.create(type="function_call_output", call_id=call.call_id, output="It rains.")
        (answer,) = (await talk.respond()).output
        assert answer.content[0].transcript.strip() == "The tall bird."


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "weather"}])
async def test_a_call_that_is_demanded_is_made_without_a_word(
    model: MiniCpmO, answers: list[str], choice: object
) -> None:
    answers.append('weather", "arguments": {}}</tool_call>' if choice == "required" else " {}}</tool_call>")
    async with talking(model) as talk:
        await talk.write("Does it rain?")
        (call,) = (await talk.respond(tool_choice=choice)).output
        assert (call.name, call.arguments) == ("weather", "{}")


async def test_a_call_outlives_the_telling_anew_of_the_conversation(model: MiniCpmO, answers: list[str]) -> None:
    answers += [CALL, "The tall bird."]
    async with talking(model) as talk:
        await talk.write("Does it rain?")
        (call,) = (await talk.respond(output_modalities=["text"])).output
        await talk.connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
        await talk.until("session.updated")
        await talk.create(type="function_call_output", call_id=call.call_id, output="It rains.")
        (answer,) = (await talk.respond(tools=[], output_modalities=["text"])).output
        assert answer.content[0].text == "The tall bird."
