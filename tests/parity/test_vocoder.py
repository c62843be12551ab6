"""Codec and vocoder give the golden numbers, at the tiny sizes and at the released ones."""

import math
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from omni.configs import DvaeConfig, VocosConfig
from omni.speech.codec import Codec
from omni.speech.vocoder import Vocoder
from tests.parity import speaking
from tests.parity.golden import Golden, Record, assert_close

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def test_codes_become_mel(golden: Callable[[str], Golden], record_property: Record) -> None:
    tts = golden("tts")
    codec = speaking.talker(tts).dvae
    codes = [tts.tensors[f"in.dvae_codes.{index}"] for index in range(3)]
    quantised = codec.dequantise(codes[0])[0]
    assert_close(quantised, tts.tensors["out.dvae_quantized"], 5e-5, record_property, "quantised")
    for index, each in enumerate(codes):
        assert_close(codec(each)[0], tts.tensors[f"out.mel.{index}"], 5e-5, record_property, f"mel.{index}")


def test_mel_becomes_codes(golden: Callable[[str], Golden]) -> None:
    tts = golden("tts")
    codes = speaking.talker(tts).dvae.encode(tts.tensors["in.encode_mel"].unsqueeze(0))
    expected = tts.tensors["out.encode_codes"]
    # rounding may put a value on the other side of a quantiser's edge
    assert codes.shape == expected.shape
    assert int((codes != expected).sum()) <= 1


def test_mel_becomes_a_waveform(golden: Callable[[str], Golden], record_property: Record) -> None:
    vocos = golden("vocos")
    vocoder = speaking.vocoder(vocos)
    for index in range(2):
        mel = vocos.tensors[f"in.mel.{index}"]
        features = vocoder.backbone(mel)[0]
        assert_close(features, vocos.tensors[f"out.backbone.{index}"], 5e-5, record_property, f"backbone.{index}")
        assert_close(vocoder(mel)[0], vocos.tensors[f"out.wav.{index}"], 1e-5, record_property, f"wav.{index}")


def fill_by_recipe(module: nn.Module, tag: str) -> None:
    """The weights that the golden README prescribes for models too large to be stored."""
    for key, value in module.named_parameters():
        if key.startswith(("encoder.", "downsample_conv.")):
            continue  # not on the way from codes to sound
        seed = zlib.crc32(f"{tag}/{key}".encode()) & 0x7FFFFFFF
        noise = np.random.RandomState(seed).standard_normal(tuple(value.shape))
        last = key.split(".")[-1]
        if last in ("coef", "gamma"):
            noise = 0.3 + 0.05 * noise
        elif last == "bias":
            noise = 0.1 * noise
        elif noise.ndim == 1:
            noise = 1 + 0.2 * noise
        else:
            noise = noise / math.sqrt(np.prod(noise.shape[1:]))
        value.copy_(torch.from_numpy(noise.astype(np.float32)))


def test_the_released_sizes(golden: Callable[[str], Golden], record_property: Record) -> None:
    full = golden("full_size")
    codec, vocoder = Codec(DvaeConfig()), Vocoder(VocosConfig())
    fill_by_recipe(codec, f"{full.facts['tag']}/dvae")
    fill_by_recipe(vocoder, f"{full.facts['tag']}/vocos")
    weights = {f"tts.dvae.{key}": value for key, value in codec.named_parameters()}
    weights |= {f"vocos: {key}": value for key, value in vocoder.named_parameters()}
    for key, first in full.facts["recipe_probe_first_values"].items():
        torch.testing.assert_close(weights[key].flatten()[:3], torch.tensor(first))
    assert_close(codec(full.tensors["in.codes"])[0], full.tensors["out.mel"], 1e-5, record_property, "mel")
    assert_close(vocoder(full.tensors["in.mel"])[0], full.tensors["out.wav"], 1e-5, record_property, "wav")
