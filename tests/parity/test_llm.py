"""The language model against the golden tensors."""

from collections.abc import Callable
from itertools import accumulate

import pytest
import torch
from torch import Tensor

from omni.configs import DecoderConfig
from omni.text.llm import LanguageModel, place_each, place_features
from tests.parity.golden import Golden, Record, assert_close

LIMIT = 1e-4


@pytest.fixture(scope="module")
def file(golden: Callable[[str], Golden]) -> Golden:
    return golden("llm")


@pytest.fixture(scope="module")
def model(file: Golden) -> LanguageModel:
    model = LanguageModel(DecoderConfig.from_json(file.facts["config"], architecture="qwen2"))
    model.load_state_dict(file.weights("llm."))
    return model.requires_grad_(False)


@pytest.fixture
def prompt(file: Golden) -> Tensor:
    return file.tensors["out.inputs_embeds"]


def test_features_take_the_place_of_their_placeholders(
    file: Golden, model: LanguageModel, record_property: Record
) -> None:
    facts, tensors = file.facts, file.tensors
    tokens = model.embed(tensors["in.input_ids"][0])
    seen = place_each(tokens, facts["image_bound"], list(tensors["in.image_embeds"]))
    clips = [tensors[f"in.audio_embeds.{clip}"] for clip in range(facts["num_audio_clips"])]
    heard = place_features(seen, facts["audio_bounds"], torch.cat(clips))
    assert_close(heard, tensors["out.inputs_embeds"], LIMIT, record_property, "inputs_embeds")
    separate = [tensors[f"in.audio_embeds_separate.{index}"] for index in range(len(facts["audio_bounds"]))]
    assert_close(
        place_each(seen, facts["audio_bounds"], separate),
        tensors["out.inputs_embeds_chunk_input_false"],
        LIMIT,
        record_property,
        "inputs_embeds_chunk_input_false",
    )


def test_prefill_and_continuation(file: Golden, model: LanguageModel, prompt: Tensor, record_property: Record) -> None:
    tensors = file.tensors
    layers: list[Tensor] = []
    hook = model.model.layers[0].register_forward_hook(lambda *call: layers.append(call[-1]))
    cache = model.model.new_cache(file.facts["expected"]["kv_len"])
    hidden = model(prompt[None], [0], [cache])
    hook.remove()
    assert_close(layers[0][0], tensors["out.hidden_layer1"], LIMIT, record_property, "hidden_layer1")
    assert_close(hidden[0], tensors["out.last_hidden"], LIMIT, record_property, "last_hidden")
    assert_close(model.logits(hidden[0]), tensors["out.logits"], LIMIT, record_property, "logits")
    after = model(model.embed(tensors["in.next_ids"]), [cache.length], [cache])
    assert_close(model.logits(after[0]), tensors["out.next_logits"], LIMIT, record_property, "next_logits")
    assert cache.length == file.facts["expected"]["kv_len"]
    keys, values = cache.read(0, cache.length)
    assert_close(keys, tensors["out.kv.layer0.key"], LIMIT, record_property, "kv.layer0.key")
    assert_close(values, tensors["out.kv.layer0.value"], LIMIT, record_property, "kv.layer0.value")


def test_a_shorter_row_needs_no_padding_in_front(
    file: Golden, model: LanguageModel, prompt: Tensor, record_property: Record
) -> None:
    """The original pads the shorter row on the left and masks it; here it starts at 0, and is padded behind."""
    shorter = len(prompt) - file.facts["left_pad"]
    rows = torch.stack([prompt, torch.cat([prompt[:shorter], torch.zeros_like(prompt[shorter:])])])
    caches = [model.model.new_cache(len(prompt)) for _ in rows]
    found = model.logits(model(rows, [0, 0], caches)[1, :shorter])
    assert_close(found, file.tensors["out.left_padded_logits"], LIMIT, record_property, "left_padded_logits")


def test_every_cut_of_the_prefill_gives_the_golden_states(
    file: Golden, model: LanguageModel, prompt: Tensor, record_property: Record
) -> None:
    for size in (1, 7, 25):
        cache = model.model.new_cache(len(prompt))
        pieces = torch.split(prompt, size)
        starts = accumulate((len(piece) for piece in pieces), initial=0)
        found = torch.cat([model(piece[None], [at], [cache])[0] for piece, at in zip(pieces, starts, strict=False)])
        assert_close(found, file.tensors["out.last_hidden"], LIMIT, record_property, f"last_hidden by {size}")
