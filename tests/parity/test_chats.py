"""Answers outside of a live stream, in the original's small complete model: prompts, greedy ids and their scores."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from omni.families.minicpm_o.chat import Chat, Layout, Message, Part, Wish
from omni.nn.sampling import TextSampling, greedy
from omni.text.decoding import decode
from tests.parity.golden import Golden, Record, assert_close
from tests.parity.test_end_to_end import LOGITS, STATES, Spelled, long, picture, sound, whole


@pytest.fixture(scope="module")
def file(golden: Callable[[str], Golden]) -> Golden:
    return golden("end_to_end")


@pytest.fixture(scope="module")
def chat(file: Golden) -> Chat:
    """Its tokenizer knows the prompts of the golden file to the letter, and nothing else."""
    tokenizer = Spelled(file)
    for step in (step for step in file.facts["expected"]["steps"] if step["op"] == "chat"):
        rows = zip(step["text"], step["input_ids"], step["attention_mask_start"], strict=True)
        tokenizer.texts |= {long(text): ids[start:] for text, ids, start in rows}
    return Chat(whole(file, tokenizer), tokenizer)


def part_of(file: Golden, source: dict[str, Any]) -> Part:
    if "image" in source:
        return picture(file, source["image"])
    return sound(file, source["audio"]) if "audio" in source else source["text"]


def conversations(file: Golden, step: dict[str, Any]) -> list[list[Message]]:
    return [
        [Message(message["role"], [part_of(file, source) for source in message["content"]]) for message in messages]
        for messages in step["msgs"]
    ]


def wish_of(file: Golden, step: dict[str, Any]) -> Wish:
    options = step.get("options", {})
    return Wish(
        Layout(
            glue="" if options.get("omni_input") else "\n",
            max_slices=options.get("max_slice_nums"),
            numbered=options.get("use_image_id", file.facts["preprocessor_config"]["use_image_id"]),
        ),
        TextSampling(repetition_penalty=step["generation"]["repetition_penalty"]),
        step["max_new_tokens"],
    )


def test_answers_are_the_original_s(file: Golden, chat: Chat, record_property: Record) -> None:
    head = chat.network.llm.lm_head
    assert head is not None
    expected = {step["name"]: step for step in file.facts["expected"]["steps"]}
    for step in file.facts["chats"]:
        name, wish = step["name"], wish_of(file, step)
        rows = chat.open([chat.spell(messages, wish) for messages in conversations(file, step)], wish, greedy)
        scores: list[Tensor] = []
        hook = head.register_forward_hook(lambda *call, scores=scores: scores.append(call[-1]))
        decode(chat.network.llm, rows, step["max_new_tokens"])
        hook.remove()
        for i, (row, wanted) in enumerate(zip(rows, expected[name]["new_ids"], strict=True)):
            # behind an answer that ended early the original fills its row
            assert row.ids == (wanted[: len(row.ids)] if row.completed else wanted)
            assert row.state is not None
            hidden = file.tensors[f"out.{name}.prompt_last_hidden"][i]
            assert_close(row.state[-1], hidden, STATES, record_property, f"{name} {i} state")
            places = [sum(len(above.ids) > at for above in rows[:i]) for at in range(len(row.ids))]
            found = torch.stack([batch[place] for batch, place in zip(scores, places, strict=False)])
            logits = file.tensors[f"out.{name}.logits.{i}"][: len(found)]
            assert_close(found, logits, LOGITS, record_property, f"{name} {i} logits")
