"""The networks that transformers has as well: the same weights, under the same names, give the same numbers."""

from typing import Any, NamedTuple

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from omni.audio.encoder import AudioEncoder, AudioState
from omni.configs import DecoderConfig, read_audio, read_vision
from omni.text.llm import LanguageModel
from omni.vision.encoder import VisionEncoder, position_ids
from omni.vision.slicing import Strip
from tests.parity.golden import Record, assert_close
from tests.parity.twins import fresh, noise

LIMIT = 5e-5
"""float32 sums in another order; a thing left out shows at 1e-2"""

DECODER: dict[str, Any] = {
    "vocab_size": 53,
    "hidden_size": 84,
    "intermediate_size": 37,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "max_position_embeddings": 99,
    "rms_norm_eps": 1e-5,
}
SLOW = {"rope_type": "default", "rope_theta": 1_000_000.0}
FAST = {"rope_type": "default", "rope_theta": 10_000.0}


def qwen2() -> Any:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(Qwen2Config(**DECODER, num_key_value_heads=2, rope_parameters=SLOW))


def llama(n_kv_heads: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**DECODER, num_key_value_heads=n_kv_heads, rope_parameters=FAST))


def qwen3() -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    # Heads are wider here than their share of the model.
    return Qwen3ForCausalLM(Qwen3Config(**DECODER, num_key_value_heads=3, head_dim=26, rope_parameters=SLOW))


class Twins(NamedTuple):
    ours: LanguageModel
    theirs: Any


@pytest.fixture(params=["qwen2", "llama", "llama, grouped heads", "qwen3"])
def twins(request: pytest.FixtureRequest) -> Twins:
    kind = request.param
    make = {"qwen2": qwen2, "llama": lambda: llama(6), "llama, grouped heads": lambda: llama(2), "qwen3": qwen3}
    theirs = fresh(make[kind](), seed=1)
    ours = LanguageModel(DecoderConfig.from_json(theirs.config.to_dict(), architecture=theirs.config.model_type))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return Twins(ours.requires_grad_(False), theirs)


def test_a_decoder_reads_and_goes_on(twins: Twins, record_property: Record) -> None:
    """A prompt, a second piece of it, single tokens, and three at once: each with what was remembered."""
    ours, theirs = twins
    ids = torch.randint(DECODER["vocab_size"], (1, 61), generator=torch.Generator().manual_seed(2))
    cache, remembered = ours.model.new_cache(61), None
    for start, end in ((0, 37), (37, 56), (56, 57), (57, 58), (58, 61)):
        expected = theirs(ids[:, start:end], past_key_values=remembered, use_cache=True)
        remembered = expected.past_key_values
        found = ours.logits(ours(ours.embed(ids[:, start:end]), [start], [cache]))
        assert_close(found, expected.logits, LIMIT, record_property, f"logits {start}…{end - 1}")


def test_uneven_rows_are_read_together(twins: Twins, record_property: Record) -> None:
    """Ours pads behind and knows where each row ends; theirs has every row to itself, and sees it whole."""
    ours, theirs = twins
    lengths, n_steps = (29, 1, 17), 3
    rows = [noise(length + n_steps, DECODER["hidden_size"], seed=length) for length in lengths]
    caches = [ours.model.new_cache(1) for _ in rows]
    read = ours.read([row[:-n_steps] for row in rows], caches)
    for cache in caches:
        cache.reserve(cache.length + n_steps)
    steps = [
        ours(torch.stack([row[step] for row in rows]).unsqueeze(1), [cache.length for cache in caches], caches)
        for step in range(-n_steps, 0)
    ]
    for index, row in enumerate(rows):
        expected = theirs.model(inputs_embeds=row.unsqueeze(0)).last_hidden_state[0]
        found = torch.cat([read[index], *(step[index] for step in steps)])
        assert_close(found, expected, LIMIT, record_property, f"row of {lengths[index]}")


def test_thirty_seconds_of_sound(record_property: Record) -> None:
    """Theirs hears nothing shorter. With attention everywhere, one clip and one streamed unit are the same."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    theirs = fresh(
        WhisperEncoder(WhisperConfig(d_model=18, encoder_layers=2, encoder_attention_heads=3, encoder_ffn_dim=37)),
        seed=3,
    )
    source = {"audio_config": theirs.config.to_dict(), "audio_chunk_length": 0, "hidden_size": 9}
    ours = AudioEncoder(read_audio(source)).requires_grad_(False)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    mel = noise(80, 3000)
    expected = theirs(mel.unsqueeze(0)).last_hidden_state[0]
    assert_close(ours([mel])[0], expected, LIMIT, record_property, "a whole clip")
    assert_close(ours.stream([mel], [AudioState()])[0], expected, LIMIT, record_property, "one unit")


def siglip(side: int) -> tuple[VisionEncoder, Any]:
    """Ours and theirs for squares of so many patches a side."""
    from transformers import SiglipVisionConfig, SiglipVisionModel

    sizes = {"hidden_size": 15, "intermediate_size": 37, "num_attention_heads": 3, "num_hidden_layers": 2}
    config = SiglipVisionConfig(**sizes, image_size=3 * side, patch_size=3, vision_use_head=False)
    theirs = fresh(SiglipVisionModel(config), seed=4)
    ours = VisionEncoder(read_vision({"vision_config": config.to_dict(), "drop_vision_last_layer": False}))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours.requires_grad_(False), theirs


@pytest.mark.parametrize("side", [7, 70])
def test_a_picture_as_large_as_the_position_table(side: int, record_property: Record) -> None:
    ours, theirs = siglip(side)
    # Elsewhere the released model spreads its positions by its own rule, which theirs does not know.
    assert torch.equal(position_ids(side, side, side), torch.arange(side * side))
    picture = noise(3, 3 * side, 3 * side)
    strip = picture.view(3, side, 3, side, 3).permute(0, 2, 1, 3, 4).reshape(3, 3, side * side * 3)
    expected = theirs(picture.unsqueeze(0)).last_hidden_state[0]
    found = ours([Strip(strip.numpy(), side, side)])[0]
    assert_close(found, expected, LIMIT, record_property, f"{side} × {side} patches")


def test_layers_that_see_padded_pictures(record_property: Record) -> None:
    """Both encode strips of different shapes as one batch; where a patch stands is for us alone to say."""
    ours, theirs = siglip(7)
    shapes = ((3, 5), (1, 11), (6, 4))
    strips = [Strip(noise(3, 3, 3 * rows * columns).numpy(), rows, columns) for rows, columns in shapes]
    table = theirs.embeddings.position_embedding.weight
    rows = [
        theirs.embeddings.patch_embedding(torch.from_numpy(strip.pixels))[:, 0].T
        + table[position_ids(strip.rows, strip.columns, 7)]
        for strip in strips
    ]
    kept = pad_sequence([torch.ones(len(row), dtype=torch.bool) for row in rows], batch_first=True)
    mask = kept[:, None, None, :].expand(-1, 1, kept.shape[1], -1)
    expected = theirs.post_layernorm(theirs.encoder(pad_sequence(rows, batch_first=True), mask).last_hidden_state)
    for found, wanted, shape in zip(ours(strips), expected, shapes, strict=True):
        assert_close(found, wanted[: len(found)], LIMIT, record_property, f"{shape[0]} × {shape[1]} patches")
