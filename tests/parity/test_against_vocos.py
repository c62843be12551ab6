"""The vocoder against vocos, and the codec's quantiser against vector-quantize-pytorch: same weights, same numbers."""

import math
import sys
from types import ModuleType
from typing import Any

import pytest
import torch

from omni.configs import DvaeConfig, VocosConfig
from omni.speech.codec import Codec
from omni.speech.vocoder import Vocoder
from tests.parity.golden import Record, assert_close
from tests.parity.twins import fresh, noise

BACKBONE_LIMIT = 5e-5
WAVEFORM_LIMIT = 1e-5
"""of a waveform within ±20; the golden one is within ±1"""
QUANTISED_LIMIT = 1e-5

UNUSED = {
    "encodec": ["EncodecModel"],
    "scipy": [],
    "torchaudio": [],
    "torchaudio.functional": [],
    "torchaudio.functional.functional": ["_hz_to_mel", "_mel_to_hz"],
}
"""what vocos imports for analysis and for other heads, with the names that it takes from there"""

SIZES = {"input_channels": 11, "dim": 15, "intermediate_dim": 37, "num_layers": 3, "n_fft": 42, "hop_length": 14}


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Vocos without its analysis. The modules of UNUSED are not installed: torchaudio alone would be large."""
    for name, attributes in UNUSED.items():
        stub = ModuleType(name)
        for attribute in attributes:
            setattr(stub, attribute, None)
        monkeypatch.setitem(sys.modules, name, stub)
    from vocos import Vocos
    from vocos.heads import ISTFTHead
    from vocos.models import VocosBackbone

    backbone = VocosBackbone(**{name: SIZES[name] for name in list(SIZES)[:4]})
    head = ISTFTHead(SIZES["dim"], SIZES["n_fft"], SIZES["hop_length"], padding="same")
    return fresh(Vocos(torch.nn.Identity(), backbone, head), seed=9)


@pytest.mark.parametrize("n_frames", [1, 2, 23])
def test_mel_becomes_a_waveform(theirs: Any, n_frames: int, record_property: Record) -> None:
    ours = Vocoder(VocosConfig(**SIZES)).requires_grad_(False)
    analysis = {name: tensor for name, tensor in ours.state_dict().items() if name.startswith("feature_extractor.")}
    ours.load_state_dict({**theirs.state_dict(), **analysis}, strict=True)
    mel = noise(2, SIZES["input_channels"], n_frames)
    features = theirs.backbone(mel)
    assert_close(ours.backbone(mel), features, BACKBONE_LIMIT, record_property, "backbone")
    waveform = theirs.decode(mel)
    print(f"largest value {float(waveform.abs().max()):.1f}")
    assert_close(ours(mel), waveform, WAVEFORM_LIMIT, record_property, "waveform")


def test_magnitudes_that_run_away_are_clipped(theirs: Any, record_property: Record) -> None:
    head = theirs.head
    head.out.bias[: SIZES["n_fft"] // 2 + 1] += 4
    features = noise(1, 9, SIZES["dim"])
    magnitudes = head.out(features)[..., : SIZES["n_fft"] // 2 + 1].exp()
    assert 0.1 < float((magnitudes > 100).float().mean()) < 0.9
    ours = Vocoder(VocosConfig(**SIZES)).requires_grad_(False).head
    ours.load_state_dict(head.state_dict(), strict=True)
    expected = head(features)
    relative = 1 / float(expected.abs().max())
    assert_close(relative * ours(features), relative * expected, 1e-6, record_property, "relative to the largest")


@pytest.mark.parametrize("levels", [(5, 5, 5, 5), (7, 4, 6)], ids=str)
@pytest.mark.parametrize("residual", [1, 2, 3])
def test_codes_and_what_they_stand_for(levels: tuple[int, ...], residual: int, record_property: Record) -> None:
    from vector_quantize_pytorch import GroupedResidualFSQ

    config = DvaeConfig(feature_dim=17, hidden=6, bn_dim=5, num_layers=1, groups=3, levels=levels, residual=residual)
    theirs = fresh(GroupedResidualFSQ(dim=3 * 17, groups=3, levels=list(levels), num_quantizers=residual), seed=10)
    ours = Codec(config).requires_grad_(False)
    ours.vq_layer.quantizer.load_state_dict(theirs.state_dict(), strict=True)

    # Theirs has groups first and codes last, ours the codes of one group after those of another.
    codes = torch.randint(math.prod(levels), (3, 2, 19, residual), generator=torch.Generator().manual_seed(11))
    found = ours.dequantise(codes.permute(1, 0, 3, 2).flatten(1, 2)).transpose(1, 2)
    assert_close(found, theirs.get_output_from_indices(codes), QUANTISED_LIMIT, record_property, "features")

    features = 2 * noise(2, 19, 3 * 17, seed=12)
    _, expected = theirs(features)
    quantizers: Any = ours.vq_layer.quantizer.rvqs
    groups = zip(quantizers, features.chunk(3, dim=-1), strict=True)
    assert torch.equal(torch.stack([each.encode(group) for each, group in groups]).transpose(2, 3), expected.long())
