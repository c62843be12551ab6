"""How a session of MiniCPM-o opens, on a small checkpoint of random weights: voice, persona, mode and language."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import get_args

import numpy as np
import pytest
import torch

from omni.checkpoint import find
from omni.families.minicpm_o.family import MiniCpmO, load_minicpm_o
from omni.model import Phase
from omni.text.template import Mode
from omni.text.window import Window
from omni.types import Reply, Unit, Voice
from tests.families.small import Told, answered, asked, ids_in, noise

PERSONA = "You are Ida, an old sailor. You never say that you are a machine."


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


# -------------------------------------------------------------------- modes and languages


@pytest.mark.parametrize(
    ("mode", "language", "begins"),
    [
        (None, None, "You are a helpful assistant. You can accept video"),
        ("omni", "zh", "你是一个AI助手"),
        ("audio_assistant", "en", "Use the voice in the audio prompt"),
        ("audio_roleplay", "zh", "模仿输入音频中的声音特征。"),
        ("voice_cloning", None, "Clone the voice"),
        ("default", None, "You are a helpful assistant. You can accept audio and text"),
    ],
)
def test_every_session_may_open_in_a_mode_of_its_own(
    model: MiniCpmO, told: Told, mode: str | None, language: str | None, begins: str
) -> None:
    state = model.open("In a mode.", model.capabilities.voices[0], mode, language)
    assert told.texts[0].startswith(f"<|im_start|>user\n{begins}")
    assert answered(model, state, Reply(speaks=False, max_tokens=3)).end


def test_sessions_that_open_in_other_modes_share_nothing(model: MiniCpmO, told: Told) -> None:
    for mode, language in (("omni", "en"), ("audio_roleplay", "en"), ("omni", "zh"), (None, None)):
        model.open("Shared.", None, mode, language)
    # the last is the first, which is what the server was started with
    assert len(told.texts) == 3


def test_what_the_server_was_started_with_comes_first(model: MiniCpmO, told: Told) -> None:
    other = MiniCpmO(model._network, model._tokenizer, mode="audio_roleplay", language="zh")
    assert other.capabilities.modes[0] == "audio_roleplay"
    assert sorted(other.capabilities.modes) == sorted(get_args(Mode))
    assert other.capabilities.languages == ("zh", "en")
    assert other.prepare_voice("mine", noise()).language == "zh"
    other.open("", None)
    assert told.texts[0].startswith("<|im_start|>user\nUse the <reserved_53> voice.假装")


@pytest.mark.parametrize(
    ("mode", "language", "says"),
    [
        ("karaoke", None, "no mode 'karaoke'; choose one of: omni, audio_assistant"),
        (None, "fr", "no language 'fr'; choose one of: zh, en"),
    ],
)
def test_what_is_unknown_is_refused(model: MiniCpmO, mode: str | None, language: str | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        model.open("", None, mode, language)


def test_cloning_needs_a_voice(model: MiniCpmO) -> None:
    with pytest.raises(ValueError, match="needs a reference"):
        model.open("", Voice("none"), "voice_cloning")


# -------------------------------------------------------------------- role play


def test_a_character_has_a_voice_and_then_a_persona(model: MiniCpmO, told: Told) -> None:
    mine = model.prepare_voice("mine", noise(2.0, seed=9))
    model.open(PERSONA, mine, "audio_roleplay", "en")
    assert told.texts == [
        "<|im_start|>user\nClone the voice in the provided audio prompt."
        f"{'<|audio_start|><|audio_end|>' * 2}"
        f"Try to role-play the character based on the audio prompt above.\n{PERSONA}<|im_end|>\n"
    ]


def test_the_persona_is_the_first_thing_in_the_context_however_long_the_call(
    model: MiniCpmO, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = model.open(PERSONA, model.prepare_voice("mine", noise(2.0, seed=9)), "audio_roleplay")
    opening = ids_in(state)
    monkeypatch.setattr(model, "window", Window(limit=opening.shape[2] + 300, target=opening.shape[2] + 200))
    fed = 0
    answered(model, state, Reply(speaks=False, says="Ahoy there."))
    for turn in range(12):
        for _ in range(3):
            before = state.cache.length
            model.listen([Unit(audio=noise(seed=turn))], [state])
            fed += max(0, state.cache.length - before)
        answered(model, state, Reply(speaks=False, max_tokens=6))
    assert fed > 600
    assert state.cache.length < opening.shape[2] + 400
    assert torch.equal(ids_in(state)[:, :, : opening.shape[2]], opening)


# -------------------------------------------------------------------- voices


def test_voices_are_cloned_and_kept_for_the_call(model: MiniCpmO) -> None:
    assert model.capabilities.makes_voices == "clones"
    assert not model.capabilities.changes_voice


def test_a_voice_kept_for_other_weights_is_known(model: MiniCpmO, tiny_folder: Path) -> None:
    again = load_minicpm_o(find(str(tiny_folder)), device="cpu", mode="omni", language="en")
    assert again.capabilities.voice_version == model.capabilities.voice_version != ""
    assert again._network.hearing is not None
    with torch.no_grad():
        again._network.hearing.projector.linear2.weight.mul_(1.01)
    assert again._network.hearing_version != model.capabilities.voice_version


@pytest.mark.parametrize("state", [{"pitch": np.ones(3, np.float32)}, {"features": np.ones((9, 64), np.float32)}])
def test_a_voice_of_another_model_is_refused(model: MiniCpmO, state: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="voice 'theirs' was made for another model"):
        model.open("", Voice("theirs", "en", state))


def test_voices_are_made_on_other_threads_beside_a_call(model: MiniCpmO) -> None:
    """Each as it would be alone, and the call goes on as if nobody made any."""
    recordings = [noise(2.0, seed=seed) for seed in range(4)]
    expected = [model.prepare_voice("alone", recording).state["features"] for recording in recordings]
    plain = answered(model, asked(model))
    done = Event()

    def make(index: int) -> list[np.ndarray]:
        made: list[np.ndarray] = []
        while not done.is_set() or not made:
            made.append(model.prepare_voice(f"voice {index}", recordings[index]).state["features"])
        return made

    with ThreadPoolExecutor(2) as pool:
        making = [pool.submit(make, index) for index in range(2)]
        try:
            heard = answered(model, asked(model))
        finally:
            done.set()
        for index, each in enumerate(making):
            for features in each.result():
                np.testing.assert_allclose(features, expected[index], atol=1e-6)
    assert heard.text == plain.text
    np.testing.assert_allclose(np.concatenate(heard.pcm), np.concatenate(plain.pcm), atol=1e-5)


def test_a_voice_can_be_used_from_another_thread_than_made_it(model: MiniCpmO) -> None:
    with ThreadPoolExecutor(1) as pool:
        mine = pool.submit(model.prepare_voice, "mine", noise(2.0)).result()
    state = model.open("", mine)
    model.begin(state, Reply(max_tokens=4))
    assert model.step(Phase.THINK, [state])[0]
