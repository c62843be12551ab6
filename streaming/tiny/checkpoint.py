"""Writes a whole MiniCPM-o 2.6 of random weights in the released layout, small enough to try the server with.

It writes short sentences and speaks them in a hiss. What it sees and hears changes what it says, but means nothing.
"""

import io
import json
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from omni.checkpoint import INDEX, TALKER_VOCABULARY, VOCODER, VOICES
from omni.configs import MiniCpmOConfig
from omni.timing import Timing
from streaming.tiny import weights, words

_WIDTH = 128
"""the resampler has a head for every 128 of it"""
_PITCHES_HZ = {"default": 190.0, "female_example": 220.0, "male_example": 110.0, "video_default": 160.0}
_SOUND_S = 3
_N_SHARDS = 2


def config() -> dict[str, Any]:
    """Its config.json: the released fields, with `dvae_sizes` and `vocos_sizes` beside them."""
    ids, talker = words.llm_ids(), words.talker_ids()
    return {
        "architectures": ["MiniCPMO"],
        "model_type": "minicpmo",
        "version": "2.6",
        "torch_dtype": "float32",
        "vocab_size": len(ids),
        "hidden_size": _WIDTH,
        "intermediate_size": 192,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "max_position_embeddings": 32768,
        "attention_dropout": 0.0,
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "query_num": 64,
        "image_size": 448,
        "patch_size": 14,
        "drop_vision_last_layer": False,
        "batch_vision_input": True,
        "vision_batch_size": 16,
        "use_image_id": True,
        "slice_mode": True,
        "slice_config": {"model_type": "minicpmv", "max_slice_nums": 9, "patch_size": 14, "scale_resolution": 448},
        "audio_pool_step": 2,
        "audio_chunk_length": 1.0,
        "chunk_input": True,
        "stream_input": True,
        "listen_speak_type": "asr",
        "init_vision": True,
        "init_audio": True,
        "init_tts": True,
        **_encoders(),
        **_speaking(talker),
    }


def write_tiny(folder: Path, seed: int = 0) -> None:
    """Write the checkpoint; the same seed gives the same files.

    Args:
        folder: is made; one that exists must be empty.
        seed: of the weights.

    Raises:
        OSError: the folder holds something, or cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name a folder that is, or a new one")
    try:
        _write_files(folder, seed)
    except BaseException as error:
        # half of it would be no checkpoint, and in the way of the next attempt
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if isinstance(error, RuntimeError | SafetensorError):  # so the libraries say that the disk is full
            raise OSError(f"cannot write {folder}: {error}") from error
        raise


def _write_files(folder: Path, seed: int) -> None:
    described = config()
    texts = {
        "config.json": described,
        "preprocessor_config.json": _preprocessor(),
        "generation_config.json": {
            "bos_token_id": described["bos_token_id"],
            "eos_token_id": described["eos_token_id"],
            "do_sample": True,
        },
    }
    for name, content in texts.items():
        (folder / name).write_text(json.dumps(content, indent=2), encoding="utf-8")
    for place, files in ((folder, words.llm_files()), (folder / TALKER_VOCABULARY, words.talker_files())):
        place.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (place / name).write_text(text, encoding="utf-8")
    sizes = MiniCpmOConfig.from_json(described)
    _write_shards(folder, weights.network(sizes, seed))
    torch.save(weights.vocos(sizes.vocos, seed), folder / VOCODER)
    (folder / VOICES).mkdir()
    for name, pitch in _PITCHES_HZ.items():
        (folder / VOICES / f"{name}.wav").write_bytes(_sound(pitch))


def _encoders() -> dict[str, Any]:
    return {
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "num_channels": 3,
            "image_size": 980,
            "patch_size": 14,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
            "attention_dropout": 0.0,
        },
        "audio_config": {
            "model_type": "whisper",
            "d_model": 32,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 128,
            "num_mel_bins": 80,
            "max_source_positions": 1500,
            "activation_function": "gelu",
            "dropout": 0.0,
            "scale_embedding": False,
        },
    }


def _speaking(talker: dict[str, int]) -> dict[str, Any]:
    return {
        "tts_config": {
            "model_type": "conditional_chattts",
            "llm_dim": _WIDTH,
            "hidden_size": 24,
            "intermediate_size": 48,
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "num_text_tokens": len(talker),
            "spk_emb_token_id": talker["[spk_emb]"],
            "audio_bos_token_id": talker["[Ptts]"],
            "text_eos_token_id": talker["[Etts]"],
        },
        "dvae_sizes": {"feature_dim": 16, "hidden": 16, "bn_dim": 16, "num_layers": 2},
        "vocos_sizes": {"dim": 32, "intermediate_dim": 64, "num_layers": 2},
    }


def _preprocessor() -> dict[str, Any]:
    return {
        "image_processor_type": "MiniCPMVImageProcessor",
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "MiniCPMOProcessor",
        "max_slice_nums": 9,
        "scale_resolution": 448,
        "patch_size": 14,
        "use_image_id": True,
        "image_feature_size": 64,
        "slice_mode": True,
        "im_start": "<image>",
        "im_end": "</image>",
        "slice_start": "<slice>",
        "slice_end": "</slice>",
        "unk": "<unk>",
        "im_id_start": "<image_id>",
        "im_id_end": "</image_id>",
        "norm_mean": [0.5, 0.5, 0.5],
        "norm_std": [0.5, 0.5, 0.5],
        "version": 2.6,
        "feature_size": 80,
        "sampling_rate": Timing().input_rate,
        "n_fft": 400,
        "hop_length": 160,
        "chunk_length": 30,
        "n_samples": 30 * Timing().input_rate,
        "nb_max_frames": 3000,
        "padding_side": "right",
        "padding_value": 0.0,
    }


def _write_shards(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    names = [f"model-{number:05}-of-{_N_SHARDS:05}.safetensors" for number in range(1, _N_SHARDS + 1)]
    # In the order of the table, as in the release: a shard holds whole parts.
    where = {tensor: names[place * _N_SHARDS // len(tensors)] for place, tensor in enumerate(tensors)}
    for name in names:
        save_file(
            {tensor: tensors[tensor] for tensor in tensors if where[tensor] == name}, folder / name, {"format": "pt"}
        )
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / INDEX).write_text(json.dumps(index, indent=2), encoding="utf-8")
    for name in names:
        # safetensors writes for the owner alone; whoever may read the rest may read these
        shutil.copymode(folder / INDEX, folder / name)


def _sound(pitch_hz: float) -> bytes:
    """A few seconds that sound a little like speech, as a WAV file: a buzz with a melody, in syllables."""
    rate = Timing().input_rate
    time = np.arange(_SOUND_S * rate) / rate
    melody = pitch_hz * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * time))
    phase = 2 * np.pi * np.cumsum(melody) / rate
    vowel_hz = 500 + 250 * np.sin(2 * np.pi * 1.3 * time)
    buzz = np.zeros_like(time)
    for harmonic in range(1, int(rate / 2 / pitch_hz / 1.2)):
        resonance = np.exp(-(((harmonic * melody - vowel_hz) / 300) ** 2)) + 0.1 / harmonic
        buzz += resonance * np.sin(harmonic * phase)
    syllables = np.clip(np.sin(2 * np.pi * 2 * time) + 0.4, 0, 1)
    sound = buzz * syllables
    samples = (0.5 * 32767 * sound / np.abs(sound).max()).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()
