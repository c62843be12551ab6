"""Bytes from the network to a picture, refusing what could harm before it is decoded."""

import io
from typing import cast

import numpy as np
from PIL import Image, ImageOps

from omni.types import Picture

MAX_PIXELS = 4096 * 4096
"""about the largest camera still; decoded it takes 50 MB"""
LONGEST_SIDE = 1280
"""of a camera picture: nobody downstream looks at more"""

_FORMATS = ("JPEG", "PNG")


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS, longest_side: int = LONGEST_SIDE) -> Picture:
    """Decode a JPEG or PNG, upright, without alpha, and no larger than anybody downstream looks at.

    Args:
        data: the file's bytes.
        max_pixels: refuse a picture whose header announces more; nothing of it is decoded.
        longest_side: shrink to this many pixels a side. A large JPEG is decoded small in the first place.

    Returns:
        RGB [height, width, 3], contiguous.

    Raises:
        ValueError: not a JPEG or PNG, too large, truncated or damaged; the message says what to send instead.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(_too_large("its header announces far more", max_pixels)) from error
    # Pillow reports damage with whatever its parsers stumble over
    except Exception as error:
        raise ValueError("the picture is neither a whole JPEG nor a whole PNG; send one of these") from error
    width, height = image.size
    if width * height > max_pixels:
        raise ValueError(_too_large(f"this one has {width}×{height}", max_pixels))
    try:
        return _decode(image, longest_side)
    except Exception as error:
        raise ValueError(f"the picture is damaged or cut short ({error}); encode and send it again") from error


def _decode(image: Image.Image, longest_side: int) -> Picture:
    # for JPEG only: decode at 1/2, 1/4 or 1/8, still at least as large as wanted
    image.draft("RGB", (longest_side, longest_side))
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        # transparent parts are seen as on a white page, not as whatever colour hides under them
        image = image.convert("RGBA")
        page = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(page, image)
    # 16-bit greys would clip, not scale, on their way to 8 bits
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image, dtype=np.float32) / 257).astype(np.uint8))
    image = image.convert("RGB")
    image.thumbnail((longest_side, longest_side), Image.Resampling.BILINEAR)
    return cast(Picture, np.array(image, dtype=np.uint8))


def _too_large(found: str, max_pixels: int) -> str:
    return (
        f"the picture may have at most {max_pixels / 1e6:.1f} million pixels, {found}; scale it down and send it again"
    )
