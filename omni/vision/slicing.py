"""How a picture becomes patches: an overview, and slices of it in detail when it is large (MiniCPM-V's slicing).

Every step rounds as the original does, because the number of patches decides the shape of everything after it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from omni.configs import SliceConfig
from omni.types import Picture

Size = tuple[int, int]
"""width, height in pixels"""


@dataclass(frozen=True, slots=True)
class Grid:
    """How many slices a picture is cut into."""

    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """What is made of one picture: its overview and, with a grid, rows × columns slices of a refined copy."""

    overview: Size
    grid: Grid | None = None
    slice: Size | None = None
    """of one slice; None without a grid"""

    @property
    def refined(self) -> Size | None:
        """The size to which the picture is brought before it is cut; None without a grid."""
        if self.grid is None or self.slice is None:
            return None
        return self.slice[0] * self.grid.columns, self.slice[1] * self.grid.rows

    @property
    def n_images(self) -> int:
        """Overview and slices together: each becomes one set of queries."""
        return 1 + (self.grid.columns * self.grid.rows if self.grid else 0)


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """One overview or slice as the encoder takes it."""

    pixels: npt.NDArray[np.float32]
    """[3, p, p·P] about [-1, 1]: the patches in reading order, laid side by side"""
    rows: int
    """patches from top to bottom; P = rows · columns"""
    columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as the resampler takes them."""
        return self.rows, self.columns


def plan_slices(size: Size, config: SliceConfig, max_slices: int | None = None) -> SlicePlan:
    """Decide what is made of a picture of this size.

    Args:
        size: of the original, at least 1×1.
        config: the checkpoint's scales.
        max_slices: 1 gives an overview alone; None takes the checkpoint's own maximum.
    """
    width, height = size
    limit = config.max_slice_nums if max_slices is None else max_slices
    n_wanted = min(math.ceil(width * height / config.scale_resolution**2), limit)
    if n_wanted <= 1:
        return SlicePlan(best_size(width, height, config, enlarge=True))
    grid = _best_grid(math.log(width / height), n_wanted, limit)
    cell_width = _multiple(width, grid.columns) / grid.columns
    cell_height = _multiple(height, grid.rows) / grid.rows
    return SlicePlan(
        overview=best_size(width, height, config, enlarge=False),
        grid=grid,
        slice=best_size(cell_width, cell_height, config, enlarge=True),
    )


def best_size(width: float, height: float, config: SliceConfig, *, enlarge: bool) -> Size:
    """The size near this shape that has about scale_resolution² pixels and whole patches.

    Args:
        width: of the original or of a cell of the grid, which may be a fraction of a pixel.
        height: like width.
        config: the checkpoint's scales.
        enlarge: bring small pictures up to the area as well; otherwise they keep their size, rounded to patches.
    """
    side = config.scale_resolution
    if enlarge or width * height > side * side:
        ratio = width / height
        # both truncations are the original's, and the width follows from the truncated height
        height = int(side / math.sqrt(ratio))
        width = int(height * ratio)
    return _multiple(width, config.patch_size), _multiple(height, config.patch_size)


def strips(picture: Picture, config: SliceConfig, max_slices: int | None = None) -> list[Strip]:
    """Slice a picture: its overview first, then its slices in reading order.

    Args:
        picture: RGB [height, width, 3], at its original size: shrinking it before changes the grid.
        config: the checkpoint's scales.
        max_slices: as in plan_slices.
    """
    image = Image.fromarray(picture)
    plan = plan_slices(image.size, config, max_slices)
    return [_strip(piece, config) for piece in _pieces(image, plan)]


def _pieces(image: Image.Image, plan: SlicePlan) -> Iterator[Image.Image]:
    yield image.resize(plan.overview, Image.Resampling.BICUBIC)
    if plan.grid is None or plan.slice is None or plan.refined is None:
        return
    refined = image.resize(plan.refined, Image.Resampling.BICUBIC)
    width, height = plan.slice
    for top in range(0, refined.height, height):
        for left in range(0, refined.width, width):
            yield refined.crop((left, top, left + width, top + height))


def _strip(image: Image.Image, config: SliceConfig) -> Strip:
    p = config.patch_size
    rows, columns = image.height // p, image.width // p
    mean, deviation = (np.asarray(values, np.float32) for values in (config.norm_mean, config.norm_std))
    pixels = (np.asarray(image, np.float32) / 255 - mean) / deviation
    # [rows, p, columns, p, 3] → [3, p, rows, columns, p]: one row of patches after another along the last axis
    patches = pixels.reshape(rows, p, columns, p, 3).transpose(4, 1, 0, 2, 3)
    return Strip(np.ascontiguousarray(patches.reshape(3, p, rows * columns * p)), rows, columns)


def _best_grid(log_ratio: float, n_wanted: int, limit: int) -> Grid:
    """The grid of about n_wanted cells whose shape is nearest to the picture's; of equals, the first."""
    candidates = [n for n in (n_wanted - 1, n_wanted, n_wanted + 1) if 1 < n <= limit]
    grids = [Grid(columns, n // columns) for n in candidates for columns in range(1, n + 1) if n % columns == 0]
    return min(grids, key=lambda grid: abs(log_ratio - math.log(grid.columns / grid.rows)))


def _multiple(length: float, of: int) -> int:
    """The multiple nearest to a length, at least one. Halves go to the even multiple, as Python rounds."""
    return max(round(length / of) * of, of)
