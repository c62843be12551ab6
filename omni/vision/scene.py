"""What plain arithmetic can tell of a picture: how light it is, what colour, and whether anything moved."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from omni.types import Picture

Thumbnail = npt.NDArray[np.int16]
"""[ROWS, COLUMNS] of mean grey, 0 to 255"""

ROWS, COLUMNS = 24, 32
_SAMPLES = 4
"""pixels a side that stand for one cell: enough to average camera noise away, few enough to take no time"""

_CELL_CHANGED = 12
"""grey levels; noise of a webcam in dim light stays under half of it"""
_DARK, _DIM = 45, 95
"""mean grey below which a scene is called so"""

_SHARE_OF_COLOUR = 0.4
"""a colour is worth a word when so much of the centre has it"""
_HUES = ("red", "orange", "yellow", "green", "green", "green", "blue", "blue", "blue", "purple", "purple", "pink")
"""of twelve sectors of the colour circle, the first centred on red"""

Light = Literal["dark", "dim", "bright"]


def thumbnail(picture: Picture) -> Thumbnail:
    """A grey picture of a few cells, of any picture, in well under a millisecond."""
    rows = np.linspace(0, len(picture) - 1, ROWS * _SAMPLES).astype(np.intp)
    columns = np.linspace(0, picture.shape[1] - 1, COLUMNS * _SAMPLES).astype(np.intp)
    # green is most of what the eye calls brightness, and one channel is quicker than three
    sampled = picture[rows[:, None], columns].astype(np.int32) @ np.array([77, 150, 29]) >> 8
    cells = sampled.reshape(ROWS, _SAMPLES, COLUMNS, _SAMPLES).mean(axis=(1, 3))
    return np.asarray(cells, np.int16)


def changed_share(before: Thumbnail, after: Thumbnail) -> float:
    """Share of the cells, 0 to 1, that look different now."""
    return float(np.mean(np.abs(after - before) > _CELL_CHANGED))


def light_of(grey: Thumbnail) -> Light:
    """How light the scene is."""
    mean = grey.mean()
    return "dark" if mean < _DARK else "dim" if mean < _DIM else "bright"


def colour_of_centre(picture: Picture) -> str | None:
    """The colour that fills most of the middle, if one does, in a plain word."""
    height, width = picture.shape[:2]
    centre = picture[height // 4 : height - height // 4, width // 4 : width - width // 4]
    pixels = centre[:: max(1, len(centre) // 48), :: max(1, centre.shape[1] // 48)].reshape(-1, 3)
    names, counts = np.unique(_colours(pixels), return_counts=True)
    most = int(np.argmax(counts))
    return str(names[most]) if counts[most] >= _SHARE_OF_COLOUR * len(pixels) else None


def has_detail(picture: Picture) -> bool:
    """False for a picture in which no letter can stand: hardly an edge anywhere."""
    grey = picture[::2, ::2, 1].astype(np.int16)
    edges = (np.abs(np.diff(grey, axis=0))[:, :-1] > 24) | (np.abs(np.diff(grey, axis=1))[:-1] > 24)
    return edges.size > 0 and float(edges.mean()) > 0.0005


def _colours(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.str_]:
    """A plain word for each pixel of [N, 3]."""
    rgb = pixels.astype(np.float32) / 255
    most, least = rgb.max(axis=1), rgb.min(axis=1)
    span = np.maximum(most - least, 1e-6)
    red, green, blue = rgb.T
    # position on the colour circle in sixths: red 0, green 2, blue 4
    sixths = np.select(
        [most == red, most == green], [(green - blue) / span % 6, (blue - red) / span + 2], (red - green) / span + 4
    )
    hue = np.array(_HUES)[np.round(sixths * 2).astype(np.intp) % len(_HUES)]
    grey = np.select([most < 0.2, most < 0.75], ["black", "grey"], "white")
    named = np.where(np.isin(hue, ["red", "orange", "yellow"]) & (most < 0.6) & (least < 0.35), "brown", hue)
    # pure dark red is still red: brown has some green in it
    named = np.where((named == "brown") & (green < 0.35 * red), "red", named)
    # skin and wood in good light
    named = np.where((hue == "orange") & (most >= 0.6) & (span < 0.55 * most), "beige", named)
    return np.where((most < 0.2) | (span < 0.18 * np.maximum(most, 0.3)), grey, named)
