"""Loading a network, and what it refuses. What it computes is compared with the original's numbers in tests/parity."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from omni.audio.encoder import AudioState
from omni.checkpoint import CheckpointError, find
from omni.families.minicpm_o.network import Network, Prompt, load_network
from omni.text.template import PLACEHOLDER


@pytest.fixture
def changed(tiny_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "changed"
    shutil.copytree(tiny_folder, folder)
    return folder


@pytest.fixture(scope="module")
def network(tiny_folder: Path) -> Network:
    return load_network(find(str(tiny_folder)), "cpu")[0]


def set_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_every_part_is_loaded_in_its_type(changed: Path) -> None:
    set_config(changed, torch_dtype="bfloat16")
    network, tokenizer = load_network(find(str(changed)), "cpu")
    types = {prefix: next(module.parameters()).dtype for prefix, module in network.parts.items()}
    assert set(types) == {"llm.", "vpm.", "resampler.", "apm.", "audio_projection_layer.", "tts."}
    assert types.pop("tts.") is torch.float32
    assert set(types.values()) == {torch.bfloat16}
    assert network.synthesis
    assert next(network.synthesis.vocoder.parameters()).dtype is torch.float32
    assert not any(part.is_meta for module in network.parts.values() for part in module.parameters())
    assert tokenizer.encode("<|im_start|>") == [tokenizer.token_id("<|im_start|>")]


def test_a_network_in_half_precision_computes(changed: Path) -> None:
    set_config(changed, torch_dtype="bfloat16")
    network, tokenizer = load_network(find(str(changed)), "cpu")
    [image] = network.see([np.zeros((40, 50, 3), np.uint8)], 1)
    [sound] = network.hear([np.ones(16_000, np.float32)], [AudioState()])
    ids = tokenizer.encode(f"<unit>{network.image_text((50, 40), 1)}{network.sound_text(16_000)}")
    [states] = network.read([Prompt(ids, list(image), [sound])], [network.llm.model.new_cache(0)])
    assert states.dtype is torch.bfloat16
    assert bool(states.isfinite().all())


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"num_hidden_layers": 3}, "missing"),
        ({"num_hidden_layers": 1}, "unexpected"),
        ({"intermediate_size": 96}, "misshaped"),
        ({"init_tts": False}, "has no talker"),
        ({"quantization_config": {"bits": 4}}, "not yet supported"),
    ],
)
def test_what_does_not_fit_its_description_is_refused(changed: Path, fields: dict[str, Any], why: str) -> None:
    set_config(changed, **fields)
    with pytest.raises(CheckpointError, match=why):
        load_network(find(str(changed)), "cpu")


def test_a_tokenizer_of_another_model_is_refused(changed: Path) -> None:
    path = changed / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    settings["added_tokens_decoder"] = {}
    path.write_text(json.dumps(settings))
    for name in ("added_tokens.json", "special_tokens_map.json"):
        (changed / name).unlink()
    source = json.loads((changed / "tokenizer.json").read_text())
    source["model"]["vocab"]["zzzz"] = 1_000_000
    (changed / "tokenizer.json").write_text(json.dumps(source))
    with pytest.raises(CheckpointError, match="gives ids up to 1000000"):
        load_network(find(str(changed)), "cpu")


def test_features_and_placeholders_must_agree(network: Network) -> None:
    [start, end] = network.markers.audio_start, network.markers.audio_end
    with pytest.raises(ValueError, match="placeholders"):
        network.embed(Prompt([start, 5, 5, end], audio=[torch.zeros(1, 128)]))
    with pytest.raises(ValueError, match="placeholders"):
        network.embed(Prompt([5], images=[torch.zeros(64, 128)]))


@pytest.mark.parametrize("seconds", [0.5, 0.0, -1.0])
def test_sound_is_spelled_by_the_second_however_far_attention_reaches(changed: Path, seconds: float) -> None:
    set_config(changed, audio_chunk_length=seconds)
    network, _ = load_network(find(str(changed)), "cpu")
    assert [network.sound_text(n).count("<|audio_start|>") for n in (16_000, 40_000)] == [1, 3]


def test_sound_without_a_feature_needs_no_place_of_its_own(changed: Path) -> None:
    set_config(changed, chunk_input=False)
    network, tokenizer = load_network(find(str(changed)), "cpu")
    sounds = [np.ones(n, np.float32) for n in (100, 16_000)]
    features = network.hear(sounds, [AudioState(), AudioState()])
    ids = tokenizer.encode("".join(network.sound_text(len(sound)) for sound in sounds))
    assert network.embed(Prompt(ids, audio=features)).shape == (27, 128)


def test_sound_too_short_to_be_heard_leaves_no_trace(network: Network) -> None:
    state = AudioState()
    [features] = network.hear([np.zeros(100, np.float32)], [state])
    assert (len(features), state.length) == (0, 0)
    assert network.sound_text(100) == ""


def test_pictures_are_looked_at_a_few_slices_at_a_time(network: Network) -> None:
    sizes: list[int] = []
    assert network.seeing
    watching = network.seeing.resampler.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    pictures = [np.full((60 + 9 * shade, 90, 3), shade, np.uint8) for shade in range(20)]
    together = network.see(pictures, 1)
    watching.remove()
    assert sizes == [16, 4]
    torch.testing.assert_close(together[18], network.see([pictures[18]], 1)[0], atol=1e-4, rtol=0)


def test_long_clips_are_heard_in_pieces(network: Network) -> None:
    clips = [np.zeros(16_000 * 31, np.float32), np.zeros(8_000, np.float32)]
    assert [len(features) for features in network.hear_clips(clips)] == [775, 12]
    assert network.sound_text(16_000 * 31).count(PLACEHOLDER) == 775
