"""Features of sound, their places in the context, and the audio encoder, against the original's."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from omni.audio.clips import clip_mel, cut_clips, n_audio_tokens, n_mel_frames
from omni.audio.encoder import AudioEncoder, AudioProjector, AudioState
from omni.configs import AudioConfig, read_audio
from omni.text.template import audio_placeholder
from omni.types import Pcm
from tests.parity.golden import Golden, Record, assert_close

LIMIT = 5e-5
GROUP = 25
"""vectors of one second, at the released pooling"""
POOL_STEP = 2


@pytest.fixture(scope="module")
def features(golden: Callable[[str], Golden]) -> Golden:
    return golden("audio_features")


@pytest.fixture(scope="module")
def audio(golden: Callable[[str], Golden]) -> Golden:
    return golden("audio_encoder")


def mel(pcm: Pcm) -> Tensor:
    return torch.from_numpy(clip_mel(pcm))


def groups(n_samples: int, group: int | None = GROUP) -> list[int]:
    text = audio_placeholder(n_audio_tokens(n_mel_frames(n_samples), POOL_STEP), group)
    return [piece.count("<unk>") for piece in text.split("<|audio_end|>")[:-1]]


def padded(clips: list[Tensor]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence([clip.T for clip in clips], batch_first=True).transpose(1, 2)


def test_features_of_one_clip(features: Golden, record_property: Record) -> None:
    pcm = features.tensors["in.waveform"].numpy()
    assert_close(mel(pcm), features.tensors["out.offline_mel"], LIMIT, record_property, "offline mel")
    expected = features.facts["expected"]["offline"]
    assert [n_mel_frames(len(pcm))] == expected["frames"]
    assert groups(len(pcm)) == expected["groups"]
    assert groups(len(pcm), None) == expected["groups_chunk_input_false"]


def test_features_second_by_second(features: Golden, record_property: Record) -> None:
    pcm = features.tensors["in.waveform"].numpy()
    step = features.facts["expected"]["streaming"][0]["samples"]
    for k, expected in enumerate(features.facts["expected"]["streaming"]):
        piece = pcm[k * step : (k + 1) * step]
        assert len(piece) == expected["samples"]
        assert [n_mel_frames(len(piece))] == expected["frames"]
        assert groups(len(piece)) == expected["groups"]
        assert_close(mel(piece), features.tensors[f"out.stream_mel.{k}"], LIMIT, record_property, f"stream mel {k}")


def test_features_of_merged_clips(features: Golden, record_property: Record) -> None:
    pcm = features.tensors["in.waveform"].numpy()
    a, b, c = features.facts["merge_split"]
    clips = [mel(pcm[:b]), mel(pcm[b:c])]
    expected = features.facts["expected"]["merged"]
    assert [clip.shape[1] for clip in clips] == expected["frames"]
    assert [groups(n) for n in (a, b - a, c - b)] == expected["placeholder_groups"]
    sampled = padded(clips)[:, :, ::5]
    assert_close(sampled, features.tensors["out.merged_mel_sampled"], LIMIT, record_property, "merged mel")


def test_features_of_a_long_sound(features: Golden, record_property: Record) -> None:
    pcm = np.resize(features.tensors["in.waveform"].numpy(), features.facts["long_samples"])
    clips = [mel(clip) for clip in cut_clips(pcm)]
    expected = features.facts["expected"]["long"]
    assert [clip.shape[1] for clip in clips] == expected["frames"]
    assert groups(len(pcm)) == expected["groups"]
    sampled = padded(clips)[:, ::4, ::61]
    assert_close(sampled, features.tensors["out.long_mel_sampled"], LIMIT, record_property, "long mel")


def test_lengths_and_silence(features: Golden) -> None:
    for row in features.facts["expected"]["length_table"]:
        if row.get("frames"):
            silence = np.zeros(row["samples"], np.float32)
            assert [n_mel_frames(len(clip)) for clip in cut_clips(silence)] == row["frames"]
            assert groups(row["samples"]) == row["groups"], row
    silence = clip_mel(np.zeros(1_000, np.float32))
    np.testing.assert_allclose(silence, features.facts["expected"]["silence_value"], atol=LIMIT)


class Parts:
    """The encoder and the projector of a golden file."""

    def __init__(self, golden: Golden, **changes: Any) -> None:
        self.config: AudioConfig = replace(read_audio(golden.facts["config"]), **changes)
        self.encoder = AudioEncoder(self.config).eval()
        self.encoder.load_state_dict(golden.weights("apm."), strict=True)
        self.projector = AudioProjector(self.config)
        self.projector.load_state_dict(golden.weights("audio_projection_layer."), strict=True)

    def offline(self, mels: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        with torch.inference_mode():
            encoded = self.encoder(mels)
            lengths = [(clip.shape[1] + 1) // 2 for clip in mels]
            return encoded, [self.projector(row[:n]) for row, n in zip(encoded, lengths, strict=True)]


def test_one_clip_by_chunks(audio: Golden, record_property: Record) -> None:
    encoded, (tokens,) = Parts(audio).offline([audio.tensors["in.mel"]])
    assert_close(encoded[0], audio.tensors["out.offline_encoder"], LIMIT, record_property, "encoder")
    assert_close(tokens, audio.tensors["out.offline"], LIMIT, record_property, "tokens")


@pytest.mark.parametrize(("name", "lengths"), [("batch", "batch_lens"), ("clips", "clip_lens")])
def test_clips_of_different_lengths(audio: Golden, record_property: Record, name: str, lengths: str) -> None:
    whole = audio.tensors["in.mel"]
    mels = []
    for i, n in enumerate(audio.facts[lengths]):
        start = min(audio.facts["batch_offset"] * i, whole.shape[1] - n)
        mels.append(whole[:, start : start + n])
    encoded, rows = Parts(audio).offline(mels)
    assert [len(row) for row in rows] == audio.facts["expected"][f"{name}_tokens"]
    for i, row in enumerate(rows):
        assert_close(row, audio.tensors[f"out.{name}.{i}"], LIMIT, record_property, f"{name} {i}")
    assert_close(encoded[-1], audio.tensors[f"out.{name}_encoder_last"], LIMIT, record_property, f"{name} encoder")


def test_one_clip_without_chunks(audio: Golden, record_property: Record) -> None:
    clip = audio.tensors["in.mel"][:, : audio.facts["full_attention_len"]]
    _, (tokens,) = Parts(audio, audio_chunk_length=-1.0).offline([clip])
    assert_close(tokens, audio.tensors["out.full_attention"], LIMIT, record_property, "full attention")


def test_a_stream_with_its_cache_and_its_restart(audio: Golden, record_property: Record) -> None:
    parts, state, start = Parts(audio), AudioState(), 0
    n_rounds = sum(audio.facts["stream_lens"]) // audio.tensors["in.mel"].shape[1] + 1
    mel_frames = torch.cat([audio.tensors["in.mel"]] * n_rounds, dim=1)
    for k, n in enumerate(audio.facts["stream_lens"]):
        with torch.inference_mode():
            (encoded,) = parts.encoder.stream([mel_frames[:, start : start + n]], [state])
            tokens = parts.projector(encoded)
        start += n
        assert state.length == audio.facts["expected"]["stream_cache_len"][k]
        assert len(tokens) == audio.facts["expected"]["stream_tokens"][k]
        assert_close(tokens, audio.tensors[f"out.stream.{k}"], LIMIT, record_property, f"stream {k}")
        for layer in range(parts.config.encoder_layers):
            name = f"out.stream_cache.{k}.layer{layer}"
            if f"{name}.key" in audio.tensors:
                assert state.cache
                keys, values = state.cache.read(layer, state.length)
                assert_close(keys, audio.tensors[f"{name}.key"], LIMIT, record_property, f"{name}.key")
                assert_close(values, audio.tensors[f"{name}.value"], LIMIT, record_property, f"{name}.value")
