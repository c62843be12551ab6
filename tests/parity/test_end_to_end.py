"""Whole conversations of the original's small model, through the family as a session drives it: units in, ids out."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from omni.configs import MiniCpmOConfig
from omni.families.minicpm_o.family import MiniCpmO
from omni.families.minicpm_o.network import Network
from omni.families.minicpm_o.state import State
from omni.model import Phase
from omni.nn.cache import KvCache
from omni.nn.sampling import TextSampling, greedy
from omni.text.template import USER_START
from omni.text.tools import CALL_END, CALL_START
from omni.types import Pcm, Picture, Reply, TurnEnd, Unit
from tests.parity.golden import Golden, Record, assert_close

STATES, LOGITS = 5e-5, 2e-4


@dataclass
class Spelled:
    """A tokenizer that knows the texts of the golden file, each as a whole, and lists what it was asked."""

    golden: Golden
    texts: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for step in self.golden.facts["expected"]["steps"]:
            pairs = [(step.get("text"), step.get("input_ids")), (step.get("prompt_text"), step.get("prompt_ids"))]
            self.texts |= {long(text): ids for text, ids in pairs if isinstance(text, str)}
        # the end of every answer's opening; its ids are those of the prompts, less what closes the user's turn
        prompt, ids = next(
            (text, ids) for text, ids in self.texts.items() if text.startswith("<|im_end|>\n<|im_start|>a")
        )
        self.texts[prompt.removeprefix("<|im_end|>\n")] = ids[2:]
        ids = next(ids for text, ids in self.texts.items() if text.startswith(USER_START + "<unit>"))
        self.texts[USER_START] = ids[: ids.index(self.token_id("<unit>"))]

    def encode(self, text: str) -> list[int]:
        return self.texts[text]

    def token_id(self, token: str) -> int:
        # no conversation of the file calls functions: the tokens around a call never come
        known = self.golden.facts["token_ids"] | dict.fromkeys((CALL_START, CALL_END), -1)
        index: int = known[token]
        return index

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(f"[{index}]" for index in ids)


def long(text: str) -> str:
    """Runs of placeholders, which the golden file writes as <unk>×n."""
    return re.sub(r"<unk>×(\d+)", lambda run: "<unk>" * int(run[1]), text)


@pytest.fixture(scope="module")
def golden_call(golden: Callable[[str], Golden]) -> Golden:
    return golden("end_to_end")


def whole(golden: Golden, tokenizer: Spelled) -> Network:
    """The golden file's model."""
    facts = golden.facts
    config = MiniCpmOConfig.from_json({**facts["config"], "slice_config": facts["preprocessor_config"]})
    network = Network(config, tokenizer)
    for prefix, module in network.parts.items():
        module.load_state_dict(golden.weights(prefix), strict=True)
        module.requires_grad_(False)
    return network


@pytest.fixture(scope="module")
def network(golden_call: Golden) -> Network:
    return whole(golden_call, Spelled(golden_call))


def sound(golden: Golden, name: str) -> Pcm:
    pcm: Pcm = golden.tensors[name].numpy()
    return pcm


def picture(golden: Golden, index: int) -> Picture:
    repeat = golden.facts["images"][index][2]
    image: Picture = golden.tensors[f"in.image.{index}"].numpy().repeat(repeat, 0).repeat(repeat, 1)
    return image


def unit_of(golden: Golden, content: list[dict[str, Any]]) -> Unit:
    parts = {kind: value for part in content for kind, value in part.items() if value != "<unit>"}
    return Unit(
        audio=sound(golden, parts["audio"]) if "audio" in parts else None,
        image=picture(golden, parts["image"]) if "image" in parts else None,
        text=parts.get("text"),
    )


def opened(golden: Golden, network: Network, steps: list[dict[str, Any]]) -> tuple[MiniCpmO, State]:
    """The family as the conversation's first step sets it up."""
    system = steps[0]["sys_prompt"]
    penalties = [step["generation"]["repetition_penalty"] for step in steps if step["op"] == "generate"]
    model = MiniCpmO(
        network,
        Spelled(golden),
        mode=system["mode"],
        language=system["language"],
        sampling=TextSampling(repetition_penalty=penalties[0]),
        new_draw=lambda: greedy,
    )
    return model, model.open("", model.prepare_voice("reference", sound(golden, system["ref_audio"])))


@dataclass
class Recorded:
    """What went through the language model: the last state of every stretch of context, and every draw's scores."""

    network: Network
    last: list[Tensor] = field(default_factory=list)
    scores: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        llm, read, logits = self.network.llm, self.network.llm.read, self.network.llm.logits

        def reading(prompts: Sequence[Tensor], caches: Sequence[KvCache]) -> list[Tensor]:
            states = read(prompts, caches)
            self.last.append(states[0][-1])
            return states

        def scoring(hidden: Tensor) -> Tensor:
            scores = logits(hidden)
            self.scores.append(scores[0])
            return scores

        self.patches = mock.patch.multiple(llm, read=reading, logits=scoring)


def answer(model: MiniCpmO, state: State, limit: int) -> tuple[list[int], Tensor]:
    """Write an answer to its end; the ids drawn, and the states of its opening."""
    # the original looks at its limit between bursts of three
    model.begin(state, Reply(speaks=False, max_tokens=-(-limit // 3) * 3))
    while True:
        decoding = state.answer.decoding if state.answer else None
        [deltas] = model.step(Phase.THINK, [state])
        if deltas and isinstance(deltas[-1], TurnEnd):
            assert decoding is not None
            assert decoding.state is not None
            return decoding.ids, decoding.state


def test_conversations_go_as_the_original_went(golden_call: Golden, network: Network, record_property: Record) -> None:
    facts, tensors = golden_call.facts, golden_call.tensors
    expected = {step["name"]: step for step in facts["expected"]["steps"]}
    for conversation in facts["conversations"]:
        recorded = Recorded(network)
        with recorded.patches:
            model, state = opened(golden_call, network, conversation["steps"])
            for step in conversation["steps"]:
                name, wanted = step["name"], expected[step["name"]]
                if step["op"] == "generate":
                    recorded.scores.clear()
                    ids, opening = answer(model, state, step["max_new_tokens"])
                    assert ids == wanted["new_ids"], name
                    scores = torch.stack(recorded.scores)
                    assert_close(scores, tensors[f"out.{name}.logits"], LOGITS, record_property, f"{name} logits")
                    place = network.markers.find(wanted["prompt_ids"]).speaker
                    speaker = opening[place : place + 1] if place is not None else opening[:0]
                    assert_close(speaker, tensors[f"out.{name}.spk_hidden"], STATES, record_property, f"{name} speaker")
                else:
                    if "content" in step:
                        model.max_slices = step.get("max_slice_nums", 1)
                        model.listen([unit_of(golden_call, step["content"])], [state])
                    assert state.audio.length == wanted["audio_cache_after"], name
                    last = recorded.last[-1]
                    assert_close(last, tensors[f"out.{name}.last_hidden"], STATES, record_property, f"{name} state")
                    scores = network.llm.logits(last)
                    assert_close(scores, tensors[f"out.{name}.last_logits"], LOGITS, record_property, f"{name} logits")
                assert state.cache.length == wanted["kv_after"], name


def test_two_sessions_in_one_batch_go_as_each_alone(golden_call: Golden, network: Network) -> None:
    """Their units, which differ in all lengths, are read together, and their answers written together."""
    conversations = golden_call.facts["conversations"]
    units = [unit_of(golden_call, conversation["steps"][1]["content"]) for conversation in conversations]
    begun = [opened(golden_call, network, conversation["steps"]) for conversation in conversations]
    model, states = begun[0][0], [state for _, state in begun]
    marks = [model.mark(state) for state in states]
    alone = []
    for given, state, mark in zip(units, states, marks, strict=True):
        model.listen([given], [state])
        alone.append(answer(model, state, 12)[0])
        model.rewind(state, mark)
    model.listen(units, states)
    for state in states:
        model.begin(state, Reply(speaks=False, max_tokens=12))
    model.step(Phase.THINK, states)
    decodings = [state.answer.decoding for state in states if state.answer]
    for _ in range(3):
        model.step(Phase.THINK, states)
    assert [decoding.ids for decoding in decodings if decoding] == alone
