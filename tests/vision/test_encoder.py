import numpy as np
import torch

from omni.configs import ResamplerConfig, VisionConfig
from omni.vision.encoder import VisionEncoder, position_buckets
from omni.vision.resampler import VisionResampler, position_table
from omni.vision.slicing import Strip

TINY = VisionConfig(32, 48, 2, 2, image_size=980, patch_size=14, vision_batch_size=2)
RELEASED = VisionConfig(1152, 4304, 16, 27, image_size=980, patch_size=14)


def _strips(shapes: list[tuple[int, int]]) -> list[Strip]:
    noise = np.random.default_rng(0)
    return [Strip(noise.standard_normal((3, 14, 14 * r * c)).astype(np.float32), r, c) for r, c in shapes]


def _n_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_what_else_is_in_the_batch_does_not_show() -> None:
    torch.manual_seed(0)
    encoder, resampler = VisionEncoder(TINY), VisionResampler(ResamplerConfig(5, 256, 2, 32))
    pieces = _strips([(2, 3), (4, 4), (1, 9), (2, 3), (80, 1)])
    shapes = [strip.shape for strip in pieces]
    with torch.inference_mode():
        rows = encoder(pieces)
        vectors = resampler(rows, shapes)
        assert vectors.shape == (5, 5, 256)
        for strip, shape, row, vector in zip(pieces, shapes, rows, vectors, strict=True):
            (alone,) = encoder([strip])
            torch.testing.assert_close(alone, row, rtol=0, atol=1e-5)
            torch.testing.assert_close(resampler([alone], [shape])[0], vector, rtol=0, atol=1e-5)


def test_no_picture_is_no_work() -> None:
    assert VisionEncoder(TINY)([]) == []


def test_most_places_are_plain_fractions_and_the_rest_lie_one_lower() -> None:
    exceptions = {}
    for n in range(1, 71):
        plain = torch.arange(n) * 70 // n
        lower = plain - position_buckets(n, 70)
        assert set(lower.tolist()) <= {0, 1}
        if lower.any():
            exceptions[n] = lower.nonzero().flatten().tolist()
    assert exceptions == {
        25: [5, 10, 15, 20],
        49: [7, 14, 35, 42],
        50: [5, 10, 15, 20, 30, 40],
        55: [11, 22, 33, 44],
        58: [29],
    }


def test_places_are_the_same_whatever_the_default_device_is() -> None:
    position_buckets.cache_clear()
    with torch.device("meta"):
        assert position_buckets(25, 70).tolist()[5] == 13


def test_the_position_table_tells_the_column_first() -> None:
    table = position_table(80, 3, 16, torch.device("cpu"), torch.float32).view(80, 3, 16)
    assert torch.equal(table[:, 0, :8], table[:1, 0, :8].expand(80, -1)), "the first half knows no row"
    assert torch.equal(table[0, :, 8:], table[0, :1, 8:].expand(3, -1)), "the second half knows no column"
    # the first wave is the plain place: sin(column), then cos(column)
    np.testing.assert_allclose(table[0, :, 0], np.sin(np.arange(3)), atol=1e-6)
    np.testing.assert_allclose(table[0, :, 4], np.cos(np.arange(3)), atol=1e-6)
    np.testing.assert_allclose(table[:, 0, 8], np.sin(np.arange(80)), atol=1e-5)


def test_the_released_sizes_have_the_released_number_of_weights() -> None:
    with torch.device("meta"):
        assert _n_parameters(VisionEncoder(RELEASED)) == 417_792_240
        assert _n_parameters(VisionResampler(ResamplerConfig(64, 3584, 28, 1152))) == 68_619_264
