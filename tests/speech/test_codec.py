"""The quantiser beside its definition, digit by digit."""

import pytest
import torch

from omni.configs import DvaeConfig
from omni.speech.codec import Codec

CONFIG = DvaeConfig(feature_dim=6, hidden=8, bn_dim=8, num_layers=1)


def test_a_code_is_four_digits_of_five() -> None:
    torch.manual_seed(2)
    codec = Codec(CONFIG)
    codes = torch.tensor([[[0], [624], [137], [3]]])
    features = codec.dequantise(codes)[0, :, 0]
    for group in range(2):
        values = torch.zeros(4)
        for refinement, scale in enumerate((1.0, 0.25)):
            code = int(codes[0, 2 * group + refinement, 0])
            for place in range(4):
                values[place] += scale * (code // 5**place % 5 - 2) / 2
        expected = codec._quantizers[group].project_out(values)
        torch.testing.assert_close(features[6 * group : 6 * group + 6], expected)


def test_what_is_encoded_has_one_code_for_two_frames() -> None:
    codec = Codec(CONFIG)
    codes = codec.encode(torch.randn(3, 100, 14))
    assert codes.shape == (3, 4, 7)
    assert codec(codes).shape == (3, 100, 14)
    with pytest.raises(ValueError, match="no multiple of 2"):
        codec.encode(torch.randn(1, 100, 3))
