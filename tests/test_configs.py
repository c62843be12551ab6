"""config.json: what is read, what is assumed, and what is refused."""

from typing import Any

import pytest

from omni.configs import ConfigError, DecoderConfig, MiniCpmOConfig, TtsConfig
from tests.tiny import CONFIG


def without(source: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in source.items() if key != name}


def test_every_part_is_read() -> None:
    config = MiniCpmOConfig.from_json(CONFIG)
    assert config.vision
    assert config.resampler
    assert config.audio
    assert config.tts
    assert (config.llm.head_dim, config.llm.qkv_bias, config.llm.qk_norm) == (32, True, False)
    assert (config.vision.positions_per_side, config.vision.n_layers) == (4, 2)
    assert (config.resampler.num_queries, config.resampler.num_heads, config.resampler.kv_dim) == (64, 1, 16)
    assert (config.audio.output_dim, config.audio.projection_dim, config.audio.num_mel_bins) == (128, 8, 80)
    assert (config.tts.decoder.head_dim, config.tts.eos_token_id, config.tts.dvae.intermediate) == (6, 625, 16)
    assert config.vocos.n_fft == 1024


def test_the_released_talker_is_what_the_class_assumes() -> None:
    tts = TtsConfig.from_json({"model_type": "conditional_chattts", "llm_dim": 3584})
    assert (tts.llm_dim, tts.hidden_size, tts.num_text_tokens, tts.dvae.num_layers) == (3584, 768, 21178, 12)


def test_unknown_keys_are_ignored_and_parts_can_be_off() -> None:
    config = MiniCpmOConfig.from_json({**CONFIG, "init_vision": False, "init_tts": False, "sparkle": 1})
    assert config.vision is None
    assert config.resampler is None
    assert config.tts is None


def test_the_dropped_layer_is_the_class_s_default() -> None:
    vision = MiniCpmOConfig.from_json(without(CONFIG, "drop_vision_last_layer")).vision
    assert vision
    assert vision.n_layers == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "llava"}, "describes llava 2.6; this reads MiniCPM-o 2.6 alone"),
        ({"version": 4.5}, "reads MiniCPM-o 2.6"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"hidden_size": None}, "hidden_size"),
        ({"intermediate_size": True}, "intermediate_size"),
        ({"vocab_size": None}, "vocab_size"),
        ({"num_key_value_heads": 3}, "multiple"),
        ({"use_sliding_window": True}, "sliding window"),
        ({"rope_scaling": {"type": "longrope"}}, "rope_scaling"),
        ({"hidden_act": "gelu"}, "silu"),
        ({"vision_config": None}, "lacks vision_config"),
        ({"vision_config": without(CONFIG["vision_config"], "patch_size")}, "vision_config lacks patch_size"),
        ({"vision_config": {**CONFIG["vision_config"], "hidden_act": "gelu"}}, "gelu_pytorch_tanh"),
        ({"audio_config": {**CONFIG["audio_config"], "activation_function": "relu"}}, "gelu"),
        ({"tts_config": {"use_mlp": False}}, "projected speaker"),
        ({"vocos_sizes": {"padding": "center"}}, "same"),
        ({"vocos_sizes": 1}, "vocos_sizes, or it is no object"),
        ({"slice_config": "9"}, "slice_config, or it is no object"),
        ({"num_attention_heads": 0}, "num_attention_heads, or it is no integer above 0"),
        ({"num_key_value_heads": 0}, "multiple"),
        ({"torch_dtype": ["bfloat16"]}, "torch_dtype"),
    ],
)
def test_what_cannot_run_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MiniCpmOConfig.from_json({**CONFIG, **change})


def test_rotary_settings_may_stand_where_transformers_5_writes_them() -> None:
    source = {**without(CONFIG, "rope_theta"), "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}
    assert DecoderConfig.from_json(source, architecture="qwen2").rope_theta == 5e5


def test_architectures_differ_by_bias_and_norm() -> None:
    traits = {
        name: (config.qkv_bias, config.qk_norm)
        for name in ("qwen2", "qwen3", "llama")
        for config in [DecoderConfig.from_json(CONFIG, architecture=name)]
    }
    assert traits == {"qwen2": (True, False), "qwen3": (False, True), "llama": (False, False)}
