import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.configs import SliceConfig
from omni.vision.slicing import Grid, plan_slices, strips

RELEASED = SliceConfig(max_slice_nums=9)


def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "limit", "grid", "overview", "refined"),
    [
        ((1280, 720), 1, None, (602, 336), None),
        ((640, 480), 1, None, (518, 392), None),
        ((448, 448), 9, None, (448, 448), None),
        ((100, 60), 9, None, (574, 350), None),
        ((1280, 720), 2, Grid(2, 1), (602, 336), (840, 476)),
        ((1344, 1344), None, Grid(3, 3), (448, 448), (1344, 1344)),
        ((1920, 1080), 6, Grid(3, 2), (602, 336), (1470, 812)),
        ((1920, 1080), None, Grid(4, 2), (602, 336), (1680, 952)),
    ],
)
def test_sizes_that_others_agree_on(
    size: tuple[int, int],
    limit: int | None,
    grid: Grid | None,
    overview: tuple[int, int],
    refined: tuple[int, int] | None,
) -> None:
    plan = plan_slices(size, RELEASED, limit)
    assert (plan.grid, plan.overview, plan.refined) == (grid, overview, refined)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 6_000), st.integers(1, 6_000), st.integers(1, 16))
def test_every_size_has_whole_patches_and_no_more_slices_than_allowed(width: int, height: int, limit: int) -> None:
    plan = plan_slices((width, height), RELEASED, limit)
    assert 1 <= plan.n_images <= 1 + limit
    assert plan.n_images != 2, "one slice would show the overview again"
    for side in (*plan.overview, *(plan.slice or ())):
        assert side >= RELEASED.patch_size
        assert side % RELEASED.patch_size == 0


def test_a_strip_holds_the_patches_of_the_picture_in_reading_order() -> None:
    picture = _noise(448, 448)  # of the very size that is wanted: nothing is resized
    (strip,) = strips(picture, RELEASED)
    p = RELEASED.patch_size
    for k in (0, 1, 31, 32, 1023):
        top, left = k // strip.columns * p, k % strip.columns * p
        patch = picture[top : top + p, left : left + p].transpose(2, 0, 1) / 127.5 - 1
        np.testing.assert_allclose(strip.pixels[:, :, k * p : (k + 1) * p], patch, atol=1e-6)


def test_the_overview_comes_first_and_slices_in_reading_order() -> None:
    picture = np.zeros((896, 1792, 3), np.uint8)
    picture[:448, :, 0] = 255  # red above
    picture[:, 896:, 2] = 255  # blue on the right
    plan = plan_slices((1792, 896), RELEASED, 8)
    assert plan.grid == Grid(4, 2)
    pieces = strips(picture, RELEASED, 8)
    assert len(pieces) == plan.n_images
    means = [piece.pixels.mean((1, 2)).round(1) + 0.0 for piece in pieces[1:]]
    assert [mean[0] for mean in means] == [1.0] * 4 + [-1.0] * 4
    assert [mean[2] for mean in means] == [-1.0, -1.0, 1.0, 1.0] * 2
    np.testing.assert_allclose(pieces[0].pixels.mean((1, 2)), [0, -1, 0], atol=0.05)


def test_normalisation_is_the_checkpoints() -> None:
    config = SliceConfig(norm_mean=(0.0, 0.5, 1.0), norm_std=(1.0, 0.5, 0.25))
    (strip,) = strips(np.full((448, 448, 3), 255, np.uint8), config)
    np.testing.assert_allclose(strip.pixels.mean((1, 2)), [1.0, 1.0, 0.0], atol=1e-6)
