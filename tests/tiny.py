"""The smallest MiniCPM-o that has every part, as config.json would describe it."""

from typing import Any

CONFIG: dict[str, Any] = {
    "model_type": "minicpmo",
    "version": "2.6",
    "vocab_size": 40,
    "hidden_size": 128,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1_000_000.0,
    "max_position_embeddings": 512,
    "drop_vision_last_layer": False,
    "vision_config": {
        "hidden_size": 16,
        "intermediate_size": 20,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "image_size": 56,
        "patch_size": 14,
    },
    "audio_config": {
        "d_model": 8,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "max_source_positions": 100,
    },
    "tts_config": {
        "model_type": "conditional_chattts",
        "llm_dim": 128,
        "hidden_size": 12,
        "intermediate_size": 16,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "num_text_tokens": 30,
    },
    "dvae_sizes": {"feature_dim": 8, "hidden": 4, "bn_dim": 4, "num_layers": 2},
    "vocos_sizes": {"dim": 8, "intermediate_dim": 12, "num_layers": 2},
}
