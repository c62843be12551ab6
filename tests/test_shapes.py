"""The table of released names, against the list that was enumerated from the released classes."""

import json
from pathlib import Path

import torch

from omni.configs import MiniCpmOConfig
from omni.shapes import Shape, language_model, minicpm_o, n_parameters, unread, vocoder
from omni.text.llm import LanguageModel

RELEASED = {
    name: tuple(shape)
    for name, shape in json.loads(
        (Path(__file__).parent / "golden" / "minicpmo26_state_dict_shapes.json").read_text()
    ).items()
}

FULL_SIZE = MiniCpmOConfig.from_json(
    {
        "model_type": "minicpmo",
        "version": "2.6",
        "vocab_size": 151700,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "max_position_embeddings": 32768,
        "drop_vision_last_layer": False,
        "vision_config": {
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "num_attention_heads": 16,
            "num_hidden_layers": 27,
            "image_size": 980,
            "patch_size": 14,
        },
        "audio_config": {
            "d_model": 1024,
            "encoder_layers": 24,
            "encoder_attention_heads": 16,
            "encoder_ffn_dim": 4096,
        },
        "tts_config": {"model_type": "conditional_chattts", "llm_dim": 3584},
    }
)


def test_the_full_size_configuration_gives_exactly_the_released_tensors() -> None:
    shapes = minicpm_o(FULL_SIZE)
    assert len(shapes) == 1599
    assert shapes == RELEASED
    assert n_parameters(shapes) == 8_674_997_028


def test_the_vocoder_has_83_tensors() -> None:
    shapes = vocoder(FULL_SIZE.vocos)
    assert len(shapes) == 83
    assert n_parameters(shapes) == 13_584_998
    assert shapes["backbone.embed.weight"] == (512, 100, 7)
    assert shapes["head.out.weight"] == (1026, 512)


def test_the_language_model_on_the_meta_device_has_the_table_s_names() -> None:
    with torch.device("meta"):
        model = LanguageModel(FULL_SIZE.llm)
    built: dict[str, Shape] = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert built == language_model(FULL_SIZE.llm)
    assert {f"llm.{name}": shape for name, shape in built.items()}.items() <= RELEASED.items()


def test_what_nobody_reads_is_the_way_from_mel_to_codes_and_a_table_without_use() -> None:
    names = unread(RELEASED, FULL_SIZE)
    assert len(names) == 122
    assert "tts.model.embed_tokens.weight" in names
    assert "tts.dvae.encoder.conv_out.weight" in names
    assert not [name for name in names if name.startswith(("llm.", "vpm.", "tts.dvae.decoder.", "tts.emb"))]
