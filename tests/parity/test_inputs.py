"""How conversations are spelled, and the features that fill them, in the original's small complete model."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from omni.audio.clips import clip_mel, n_audio_tokens, n_mel_frames
from omni.audio.encoder import AudioEncoder, AudioProjector, AudioState
from omni.audio.features import FRAMES_PER_S
from omni.configs import SliceConfig, read_audio, read_resampler, read_vision
from omni.text import template
from omni.types import Picture
from omni.vision.encoder import VisionEncoder
from omni.vision.resampler import VisionResampler
from omni.vision.slicing import plan_slices, strips
from tests.parity.golden import Golden, Record, assert_close
from tests.parity.test_slicing import config_of

LIMIT = 5e-5


@dataclass
class Ids:
    """The ids of special tokens; text is not tokenized here."""

    token_ids: Mapping[str, int]

    def encode(self, text: str) -> list[int]:
        return [self.token_ids[token] for token in re.findall(r"<[^<>]+>", text)]

    def token_id(self, token: str) -> int:
        return self.token_ids[token]


@dataclass
class Model:
    """Everything on the understanding side but the language model."""

    golden: Golden

    def __post_init__(self) -> None:
        config = self.golden.facts["config"]
        self.slices: SliceConfig = config_of(self.golden.facts["preprocessor_config"])
        self.n_queries = config["query_num"]
        vision = read_vision(config)
        self.vision = VisionEncoder(vision)
        self.resampler = VisionResampler(read_resampler(config, vision))
        audio = read_audio(config)
        self.audio = AudioEncoder(audio)
        self.projector = AudioProjector(audio)
        self.group = n_audio_tokens(FRAMES_PER_S, audio.audio_pool_step)
        self.vision.load_state_dict(self.golden.weights("vpm."), strict=True)
        self.resampler.load_state_dict(self.golden.weights("resampler."), strict=True)
        self.audio.load_state_dict(self.golden.weights("apm."), strict=True)
        self.projector.load_state_dict(self.golden.weights("audio_projection_layer."), strict=True)

    def picture(self, k: int) -> Picture:
        repeat = self.golden.facts["images"][k][2]
        picture: Picture = self.golden.tensors[f"in.image.{k}"].numpy().repeat(repeat, 0).repeat(repeat, 1)
        return picture

    def image(self, k: int, limit: int | None, image_id: int | None = None) -> str:
        height, width, _ = self.picture(k).shape
        return template.image_placeholder(
            plan_slices((width, height), self.slices, limit).grid, self.n_queries, image_id
        )

    def sound(self, name: str) -> str:
        n_frames = n_mel_frames(len(self.golden.tensors[name]))
        return template.audio_placeholder(n_audio_tokens(n_frames, self.projector.pool_step), self.group)

    def contents(self, parts: list[dict[str, Any]], limit: int | None, numbered: bool) -> list[str]:
        texts = []
        n_images = 0
        for part in parts:
            if "image" in part:
                texts.append(self.image(part["image"], limit, n_images if numbered else None))
                n_images += 1
            else:
                texts.append(self.sound(part["audio"]) if "audio" in part else template.as_text(part["text"]))
        return texts

    @torch.inference_mode()
    def see(self, pictures: list[Picture], limit: int | None) -> Tensor:
        pieces = [strip for picture in pictures for strip in strips(picture, self.slices, limit)]
        vectors: Tensor = self.resampler(self.vision(pieces), [strip.shape for strip in pieces])
        return vectors

    @torch.inference_mode()
    def hear(self, names: list[str], state: AudioState) -> list[Tensor]:
        mels = [torch.from_numpy(clip_mel(self.golden.tensors[name].numpy())) for name in names]
        return [self.projector(self.audio.stream([mel], [state])[0]) for mel in mels]


@pytest.fixture(scope="module")
def model(golden: Callable[[str], Golden]) -> Model:
    return Model(golden("end_to_end"))


def short(text: str) -> str:
    """Runs of placeholders as the golden file writes them."""
    return re.sub(r"(?:<unk>){2,}", lambda run: f"<unk>×{len(run[0]) // len('<unk>')}", text)


def steps_of(model: Model) -> list[list[tuple[dict[str, Any], dict[str, Any]]]]:
    expected = {step["name"]: step for step in model.golden.facts["expected"]["steps"]}
    return [
        [(step, expected[step["name"]]) for step in conversation["steps"]]
        for conversation in model.golden.facts["conversations"]
    ]


def spelled(model: Model, step: dict[str, Any], standing: template.Standing | None) -> str:
    """The text of one prefill; what stands open is given for the first one of a user's turn."""
    if "sys_prompt" in step:
        system = step["sys_prompt"]
        parts = template.system_prompt(system["mode"], system["language"], model.sound(system["ref_audio"]))
        return template.message("user", "".join(parts))
    parts = step["content"]
    if parts[0].get("text") == "<unit>":
        _, image, sound = parts
        limit = step.get("max_slice_nums", 1)
        content = template.unit(model.image(image["image"], limit), model.sound(sound["audio"]))
    else:
        content = "".join(model.contents(parts, 1, False))
    return content if standing is None else template.closing(standing) + template.USER_START + content


def test_units_and_turns_are_spelled_as_in_the_original(model: Model) -> None:
    for conversation in steps_of(model):
        new_turn: template.Standing | None = None
        for step, expected in conversation:
            if step["op"] == "generate":
                assert expected["prompt_text"] == template.closing("user") + template.SPEECH_START
                new_turn = "completed" if expected["completed"] else "interrupted"
                continue
            assert short(spelled(model, step, new_turn)) == expected["text"], step["name"]
            new_turn = "nothing" if "sys_prompt" in step else None


def test_chats_are_spelled_as_in_the_original(model: Model) -> None:
    expected = {step["name"]: step for step in model.golden.facts["expected"]["steps"]}
    defaults = model.golden.facts["preprocessor_config"]
    for chat in model.golden.facts["chats"]:
        options = chat.get("options", {})
        glue = "" if options.get("omni_input") else "\n"
        numbered, limit = options.get("use_image_id", defaults["use_image_id"]), options.get("max_slice_nums")
        texts = []
        for messages in chat["msgs"]:
            rows = [
                (message["role"], glue.join(model.contents(message["content"], limit, numbered)))
                for message in messages
            ]
            texts.append(short(template.conversation(rows, speaks=True)))
        assert texts == expected[chat["name"]]["text"]


def test_places_of_features_are_found(model: Model) -> None:
    markers = template.Markers.of(Ids(model.golden.facts["token_ids"]))
    n_found = 0
    for conversation in steps_of(model):
        for step, expected in conversation:
            if step["op"] == "prefill":
                spans = markers.find(expected["input_ids"])
                assert [list(span) for span in spans.images] == expected["image_bound"]
                assert [list(span) for span in spans.audio] == expected["audio_bounds"]
                n_found += len(spans.images) + len(spans.audio)
            else:
                assert markers.find(expected["prompt_ids"]).speaker == expected["prompt_ids"].index(markers.speaker)
    assert n_found


def test_features_of_every_unit(model: Model, record_property: Record) -> None:
    tensors, row_step = model.golden.tensors, model.golden.facts["image_embeds_row_step"]
    for conversation in steps_of(model):
        state = AudioState()
        for step, expected in conversation:
            if step["op"] == "generate":
                state.clear()
                continue
            name = step["name"]
            parts = step.get("content") or [{"audio": step["sys_prompt"]["ref_audio"]}]
            images = [model.picture(part["image"]) for part in parts if "image" in part]
            if images:
                for i, row in enumerate(model.see(images, step.get("max_slice_nums", 1))):
                    wanted = tensors[f"out.{name}.image_embeds.{i}"]
                    assert_close(row[::row_step], wanted, LIMIT, record_property, f"{name} image {i}")
            for i, row in enumerate(model.hear([part["audio"] for part in parts if "audio" in part], state)):
                assert_close(row, tensors[f"out.{name}.audio_embeds.{i}"], LIMIT, record_property, f"{name} audio {i}")
            if "sys_prompt" in step:
                state.clear()
            assert state.length == expected["audio_cache_after"]


def test_features_of_chats(model: Model, record_property: Record) -> None:
    """Outside a live stream all clips are one batch, and the sounds of a message are one clip."""
    tensors, row_step = model.golden.tensors, model.golden.facts["image_embeds_row_step"]
    expected = {step["name"]: step for step in model.golden.facts["expected"]["steps"]}
    for chat in model.golden.facts["chats"]:
        name, limit = chat["name"], chat.get("options", {}).get("max_slice_nums")
        contents = [message["content"] for messages in chat["msgs"] for message in messages]
        pictures = [model.picture(part["image"]) for content in contents for part in content if "image" in part]
        for i, row in enumerate(model.see(pictures, limit)):
            wanted = tensors[f"out.{name}.image_embeds.{i}"]
            assert_close(row[::row_step], wanted, LIMIT, record_property, f"{name} image {i}")
        sounds = [[tensors[part["audio"]].numpy() for part in content if "audio" in part] for content in contents]
        mels = [torch.from_numpy(clip_mel(np.concatenate(parts))) for parts in sounds if parts]
        assert [mel.shape[1] for mel in mels] == list(chain(*expected[name]["audio_frames"]))
        with torch.inference_mode():
            rows = [
                model.projector(encoded[: (mel.shape[1] + 1) // 2])
                for encoded, mel in zip(model.audio(mels), mels, strict=True)
            ]
        for i, row in enumerate(rows):
            assert_close(row, tensors[f"out.{name}.audio_embeds.{i}"], LIMIT, record_property, f"{name} audio {i}")
