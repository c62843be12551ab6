"""MiniCPM-o as an engine drives it, on a small checkpoint of random weights: loading, and the user's turn."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from omni.checkpoint import CheckpointError, find
from omni.families.minicpm_o.family import MiniCpmO, load_minicpm_o
from omni.types import Reply, Unit
from tests.families.small import Told, ids_in, noise, picture

# -------------------------------------------------------------------- loading


def test_a_checkpoint_without_ears_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deaf"
    shutil.copytree(tiny_folder, folder)
    described = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**described, "init_audio": False}))
    with pytest.raises(CheckpointError, match="has no ears"):
        load_minicpm_o(find(str(folder)), device="cpu", mode="omni", language="en")


def test_the_voices_beside_the_checkpoint_are_built_in(model: MiniCpmO) -> None:
    assert model.capabilities.voices[0].name == "default"
    assert all(voice.state["features"].shape[1] == 128 for voice in model.capabilities.voices)


# -------------------------------------------------------------------- the user's turn


def test_units_are_spelled_as_in_training(model: MiniCpmO, told: Told) -> None:
    state = model.open("Spelled.", None)
    told.texts.clear()
    model.listen([Unit(audio=noise(), image=picture(0))], [state])
    model.listen([Unit(audio=noise())], [state])
    model.listen([Unit(text="And now?")], [state])
    model.listen([Unit(text="Well?")], [state])
    model.listen([Unit(audio=noise(0.01))], [state])
    assert told.texts == [
        "<|im_start|>user\n<unit><image></image><|audio_start|><|audio_end|>",
        "<|audio_start|><|audio_end|>",
        "And now?",
        "\nWell?",
    ]
    assert state.standing == "user"


def test_history_stands_as_if_it_had_been_spoken(model: MiniCpmO, told: Told) -> None:
    state = model.open("History.", None)
    told.texts.clear()
    model.listen([Unit(text="Who are you?")], [state])
    model.listen([Unit(text="A machine.", role="assistant")], [state])
    model.listen([Unit(text="Be kind.", role="system")], [state])
    model.listen([Unit(text="Thanks.")], [state])
    assert told.texts == [
        "<|im_start|>user\nWho are you?",
        "<|im_end|>\n<|im_start|>assistant\n<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>A machine.<|tts_eos|>",
        "<|im_end|>\n<|im_start|>system\nBe kind.<|im_end|>\n",
        "<|im_start|>user\nThanks.",
    ]


def test_a_text_too_long_is_refused_and_changes_nothing(model: MiniCpmO) -> None:
    state, other = model.open("", None), model.open("", None)
    long = "a " * 5_000
    for unit in (Unit(text=long), Unit(text=long, role="system"), Unit(text=long, audio=noise())):
        with pytest.raises(ValueError, match="tokens is too long"):
            model.listen([unit], [state])
    with pytest.raises(ValueError, match="tokens is too long"):
        model.open(long, None)
    for each in (state, other):
        model.listen([Unit(audio=noise())], [each])
    assert (state.ledger, state.audio.length) == (other.ledger, other.audio.length)
    assert torch.equal(ids_in(state), ids_in(other))


def test_of_what_passes_by_only_the_newest_is_seen_and_only_by_a_turn(model: MiniCpmO, told: Told) -> None:
    state = model.open("Glances.", None)
    length = state.cache.length
    told.texts.clear()
    for shade in (0, 100, 200):
        model.listen([Unit(image=picture(shade), glance=True)], [state])
    assert (told.texts, state.cache.length) == ([], length)
    model.listen([Unit(text="What is it?")], [state])
    model.listen([Unit(text="Really?")], [state])
    assert told.texts == ["<|im_start|>user\n<unit><image></image>What is it?", "\nReally?"]
    other = model.open("Glances.", None)
    model.listen([Unit(image=picture(200), text="What is it?")], [other])
    model.listen([Unit(text="Really?")], [other])
    assert torch.equal(state.cache.keys[:, :, : state.cache.length], other.cache.keys[:, :, : other.cache.length])


def test_a_picture_that_is_shown_is_seen_even_if_nobody_speaks(model: MiniCpmO, told: Told) -> None:
    state = model.open("", None)
    told.texts.clear()
    model.listen([Unit(image=picture(0), glance=True)], [state])
    model.begin(state, Reply())
    assert told.texts == ["<|im_start|>user\n<unit><image></image>"]
