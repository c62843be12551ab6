"""The talker gives the golden numbers: speaker, caches, scores, probabilities, masks, and a segment carried over."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from omni.speech.talker import FRAMES_PER_CALL, TalkerState
from tests.parity import speaking
from tests.parity.golden import Golden, Record, assert_close


@pytest.fixture
def tts(golden: Callable[[str], Golden]) -> Golden:
    return golden("tts")


def opened(talker: speaking.RecordedTalker, tts: Golden) -> TalkerState:
    return talker.open(tts.tensors["in.speaker_hidden"][0])


def ranges(visible: Tensor) -> list[list[int]]:
    """Inclusive ranges of what is True, as the golden files write them."""
    found: list[list[int]] = []
    for slot in visible.nonzero().flatten().tolist():
        if found and found[-1][1] == slot - 1:
            found[-1][1] = slot
        else:
            found.append([slot, slot])
    return found


@torch.inference_mode()
def test_speaker(tts: Golden, record_property: Record) -> None:
    talker = speaking.talker(tts)
    projected = talker.projector(tts.tensors["in.speaker_hidden"])
    assert_close(projected, tts.tensors["out.speaker_projected"], 5e-5, record_property, "projected")
    speaker = opened(talker, tts).speaker.unsqueeze(0)
    assert_close(speaker, tts.tensors["out.speaker_embedding"], 5e-5, record_property, "speaker")


def test_what_a_frame_sees(tts: Golden) -> None:
    talker = speaking.talker(tts)
    for row in tts.facts["expected"]["attention_rows"]:
        visible = talker.visible_slots(row["past"], row["text_tokens"], row["past"] + 1)
        assert ranges(visible) == row["visible"], row


@torch.inference_mode()
def test_three_calls(tts: Golden, record_property: Record) -> None:
    talker, state, facts = speaking.talker(tts), opened(speaking.talker(tts), tts), tts.facts
    draw = speaking.Forced(tts.tensors["in.codes"], facts["eos_token"])
    ids = tts.tensors["in.text_ids"][0].tolist()
    for (_, end), known in zip(facts["prefill_ranges"], facts["text_tokens_known"], strict=True):
        talker.prefill_text(state, ids[:end])
        state.n_text = known
        talker.generate([state], [draw])

    scores = torch.cat(talker.scores)
    expected = tts.tensors["out.logits"]
    assert_close(scores[: len(expected)], expected, 1e-4, record_property, "logits")
    probe = scores[len(expected) :, :, ::13]
    assert_close(probe, tts.tensors["out.logits_probe"], 1e-4, record_property, "logits of the third call")
    probabilities = torch.stack([draw.probabilities[step] for step in facts["prob_steps"]])
    assert_close(probabilities, tts.tensors["out.probs"], 1e-4, record_property, "probabilities")
    assert len(state.frames) == len(facts["prefill_ranges"]) * FRAMES_PER_CALL
    check_cache(talker, state, tts, record_property)


def check_cache(talker: speaking.RecordedTalker, state: TalkerState, tts: Golden, record: Record) -> None:
    expected: dict[str, Any] = tts.facts["expected"]
    assert state.cache.length == expected["kv_len"]
    for name, tensor in tts.tensors.items():
        if name.startswith("out.kv."):
            _, _, layer, kind, part = name.split(".")
            start = 0 if part == "text" else talker.bos_slot
            held = state.cache.keys if kind == "key" else state.cache.values
            slots = held[int(layer.removeprefix("layer")), :, start : start + tensor.shape[1]]
            assert_close(slots, tensor, 1e-4, record, name)
    first, last = expected["zero_slots"]
    assert not state.cache.keys[:, :, first : last + 1].any()


@torch.inference_mode()
def test_a_segment_carried_over(tts: Golden, record_property: Record) -> None:
    talker, facts = speaking.talker(tts), tts.facts
    codes, ids = tts.tensors["in.codes"], tts.tensors["in.text_ids"][0].tolist()
    before = opened(talker, tts)
    before.frames = list(codes[:60])
    state = talker.carry_over(before, ids[:2] + ids[6 : 6 + facts["carry_text"]], 50)
    for name, tensor in tts.tensors.items():
        if name.startswith("out.carry_kv."):
            _, _, layer, kind = name.split(".")
            held = state.cache.keys if kind == "key" else state.cache.values
            slots = held[int(layer.removeprefix("layer")), :, talker.bos_slot : talker.bos_slot + tensor.shape[1]]
            assert_close(slots, tensor, 1e-4, record_property, name)
    talker.generate([state], [speaking.Forced(codes[:6], facts["eos_token"])])
    assert len(state.frames) == facts["expected"]["carry_new_frames_returned"]
    scores = torch.cat(talker.scores)[:6, :, ::3]
    assert_close(scores, tts.tensors["out.carry_logits"], 1e-4, record_property, "logits")
