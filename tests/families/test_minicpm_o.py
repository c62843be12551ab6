"""MiniCPM-o as an engine drives it, on a small checkpoint of random weights: opening, listening, answering."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from omni.checkpoint import CheckpointError, find
from omni.families.minicpm_o import LONGEST, WINDOW, MiniCpmO, load_minicpm_o
from omni.model import Phase
from omni.types import Reply, Unit
from tests.families.small import Heard, Told, answered, asked, ids_in, noise, picture, step_all

# -------------------------------------------------------------------- opening


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


def test_a_session_opens_with_the_voice_and_the_instructions(model: MiniCpmO, told: Told) -> None:
    state = model.open("Be brief.<image>", model.capabilities.voices[1])
    assert state.cache.length > 70
    [text] = told.texts
    assert text.startswith("<|im_start|>user\nYou are a helpful assistant.")
    assert "audio prompt.<|audio_start|><|audio_end|>" in text
    assert text.endswith("voice style.\nBe brief.<\N{ZERO WIDTH SPACE}image><|im_end|>\n")


def test_sessions_that_open_alike_share_the_work_and_nothing_else(model: MiniCpmO, told: Told) -> None:
    one = model.open("Alike.", None)
    other = model.open("Alike.", None)
    assert len(told.texts) == 1
    before = other.cache.keys.clone()
    model.listen([Unit(text="Hello.")], [one])
    assert one.cache.length > other.cache.length
    assert torch.equal(other.cache.keys, before)


@pytest.mark.parametrize("seconds", [0.5, 31])
def test_a_reference_of_the_wrong_length_is_refused(model: MiniCpmO, seconds: float) -> None:
    with pytest.raises(ValueError, match="give 1 to 30 s"):
        model.prepare_voice("mine", noise(seconds))


def test_a_prepared_voice_speaks_otherwise(model: MiniCpmO) -> None:
    mine = model.prepare_voice("mine", noise(2.0, seed=9))
    states = [model.open("", voice) for voice in (None, mine)]
    for state in states:
        model.listen([Unit(text="Hello.")], [state])
    first, second = (np.concatenate(answered(model, state).pcm) for state in states)
    assert len(first) != len(second) or not np.allclose(first, second)


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


# -------------------------------------------------------------------- the assistant's turn


def test_an_answer_is_written_and_spoken(model: MiniCpmO) -> None:
    heard = answered(model, asked(model))
    assert heard.end is not None
    assert heard.end.n_tokens <= 24
    assert heard.said == heard.text != ""
    assert heard.sound_s > 0.5
    assert all(0 <= start_s <= heard.sound_s for _, start_s in heard.words)
    assert float(np.abs(np.concatenate(heard.pcm)).max()) > 0.01


def test_sound_begins_before_the_text_is_complete(model: MiniCpmO) -> None:
    state, heard = asked(model), Heard()
    model.begin(state, Reply(max_tokens=60))
    while not heard.pcm:
        step_all(model, [state], [heard], 1)
    assert state.answer
    assert not state.answer.written


def test_a_written_answer_needs_no_talker(model: MiniCpmO) -> None:
    state = asked(model)
    model.begin(state, Reply(speaks=False, max_tokens=9))
    heard = Heard()
    while heard.end is None:
        heard.take(model.step(Phase.THINK, [state])[0])
    assert heard.text
    assert not heard.pcm
    assert heard.end.n_tokens <= 9


def test_instructions_for_one_reply_stand_right_before_it(model: MiniCpmO, told: Told) -> None:
    state = asked(model)
    told.texts.clear()
    model.begin(state, Reply(instructions="Whisper."))
    assert told.texts == ["<|im_end|>\n<|im_start|>system\nWhisper.<|im_end|>\n"]


def test_what_else_is_in_the_batch_does_not_show(model: MiniCpmO) -> None:
    alone = [answered(model, asked(model, seed)) for seed in (1, 2, 3)]
    states, together = [asked(model, seed) for seed in (1, 2, 3)], [Heard() for _ in range(3)]
    for state in states:
        model.begin(state, Reply(max_tokens=24))
    step_all(model, states, together)
    for one, other in zip(alone, together, strict=True):
        assert one.text == other.text
        np.testing.assert_allclose(np.concatenate(one.pcm), np.concatenate(other.pcm), atol=1e-4)


def test_units_of_several_sessions_are_heard_together(model: MiniCpmO) -> None:
    units = [Unit(audio=noise(seed=1)), Unit(audio=noise(0.4), image=picture(90)), Unit(text="Hello."), Unit(text="")]
    alone, together = ([model.open("", None) for _ in units] for _ in range(2))
    for unit, state in zip(units, alone, strict=True):
        model.listen([unit], [state])
    model.listen(units, together)
    for one, other in zip(alone, together, strict=True):
        n = one.cache.length
        assert n == other.cache.length
        torch.testing.assert_close(one.cache.keys[:, :, :n], other.cache.keys[:, :, :n], atol=1e-4, rtol=0)


def test_an_answer_is_never_longer_than_a_session_has_room_for(model: MiniCpmO) -> None:
    state = asked(model)
    model.begin(state, Reply(max_tokens=4_096))
    model.step(Phase.THINK, [state])
    assert state.answer
    assert state.answer.decoding
    assert state.answer.decoding.limit <= LONGEST - WINDOW.limit - 20


@pytest.mark.parametrize(
    ("mode", "language", "begins"),
    [
        ("omni", "zh", "你是一个AI助手"),
        ("audio_assistant", "en", "Use the voice in the audio prompt"),
        ("audio_roleplay", "zh", "模仿输入音频中的声音特征。"),
        ("voice_cloning", "en", "Clone the voice"),
        ("default", "en", "You are a helpful assistant. You can accept audio and text"),
    ],
)
def test_every_mode_opens(model: MiniCpmO, told: Told, mode: str, language: str, begins: str) -> None:
    other = MiniCpmO(model._network, model._tokenizer, mode=mode, language=language)  # type: ignore[arg-type]
    other.open("", model.capabilities.voices[0])
    assert told.texts[0].startswith(f"<|im_start|>user\n{begins}")
