"""The table of released names, against the list that was enumerated from the released classes."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from omni.audio.encoder import AudioEncoder, AudioProjector
from omni.checkpoint import SINGLE, Checkpoint
from omni.configs import MiniCpmOConfig
from omni.shapes import Shape, minicpm_o, n_parameters, unread, vocoder
from omni.speech.talker import Talker
from omni.speech.vocoder import Vocoder
from omni.text.llm import LanguageModel
from omni.vision.encoder import VisionEncoder
from omni.vision.resampler import VisionResampler
from tests.tiny import CONFIG

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


def parts(config: MiniCpmOConfig) -> dict[str, nn.Module]:
    """Every part that the checkpoint names, on the meta device."""
    assert config.vision
    assert config.resampler
    assert config.audio
    assert config.tts
    with torch.device("meta"):
        return {
            "llm.": LanguageModel(config.llm),
            "vpm.": VisionEncoder(config.vision),
            "resampler.": VisionResampler(config.resampler),
            "apm.": AudioEncoder(config.audio),
            "audio_projection_layer.": AudioProjector(config.audio),
            "tts.": Talker(config.tts),
        }


def built(module: nn.Module, prefix: str = "") -> dict[str, Shape]:
    return {f"{prefix}{name}": tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def test_the_full_size_parts_on_the_meta_device_are_the_table() -> None:
    found = {name: shape for prefix, part in parts(FULL_SIZE).items() for name, shape in built(part, prefix).items()}
    ignored = {name: RELEASED[name] for name in unread(RELEASED, FULL_SIZE)}
    assert ignored == {"tts.model.embed_tokens.weight": (32000, 768)}
    assert {**found, **ignored} == RELEASED
    with torch.device("meta"):
        assert built(Vocoder(FULL_SIZE.vocos)) == vocoder(FULL_SIZE.vocos)


def test_a_small_checkpoint_fills_every_part(tmp_path: Path) -> None:
    config = MiniCpmOConfig.from_json(CONFIG)
    tensors = {name: torch.randn(shape).bfloat16() for name, shape in minicpm_o(config).items()}
    save_file(tensors, tmp_path / SINGLE)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    checkpoint = Checkpoint(tmp_path)
    for prefix, part in parts(checkpoint.config).items():
        checkpoint.load(part, prefix, device="cpu", dtype=torch.float32)
        for name, tensor in part.state_dict().items():
            assert torch.equal(tensor, tensors[prefix + name].float())
