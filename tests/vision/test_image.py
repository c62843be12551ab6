import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from omni.vision.image import decode_image


def _encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _left_red_right_blue(width: int = 64, height: int = 32) -> Image.Image:
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    return image


def _bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header announces a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_colours_and_sides_survive(kind: str) -> None:
    picture = decode_image(_encode(_left_red_right_blue(), kind))
    assert picture.shape == (32, 64, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert np.abs(picture[16, 8].astype(int) - [255, 0, 0]).max() < 8
    assert np.abs(picture[16, 56].astype(int) - [0, 0, 255]).max() < 8


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert decode_image(_encode(Image.new(mode, (10, 20)), kind)).shape == (20, 10, 3)


def test_sixteen_bit_grey_keeps_its_brightness() -> None:
    grey = Image.fromarray(np.full((8, 8), 32_896, dtype=np.uint16))
    assert decode_image(_encode(grey))[4, 4].tolist() == [128, 128, 128]


def test_transparent_parts_are_white() -> None:
    assert decode_image(_encode(Image.new("RGBA", (4, 4), (255, 0, 0, 0))))[0, 0].tolist() == [255, 255, 255]


def test_a_picture_held_sideways_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned a quarter clockwise
    picture = decode_image(_encode(_left_red_right_blue(), "JPEG", exif=exif.tobytes()))
    assert picture.shape == (64, 32, 3)
    assert picture[8, 16, 0] > 200  # what was left is on top now
    assert picture[56, 16, 2] > 200


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_large_pictures_are_shrunk(kind: str) -> None:
    assert decode_image(_encode(Image.new("RGB", (3000, 1500)), kind), longest_side=640).shape == (320, 640, 3)


@pytest.mark.parametrize("side", [5_000, 20_000, 2_000_000])
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    with pytest.raises(ValueError, match=r"million pixels.*scale it down"):
        decode_image(_bomb(side, side))


def test_the_limit_is_the_callers() -> None:
    with pytest.raises(ValueError, match=r"0\.0 million pixels.*64×32"):
        decode_image(_encode(_left_red_right_blue()), max_pixels=64 * 31)


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"GIF89a" + bytes(100), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="send"):
        decode_image(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_cut_short_is_refused(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    data = _encode(noise, kind)
    with pytest.raises(ValueError, match="send it again"):
        decode_image(data[: len(data) // 2])


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["PNG", "JPEG"]), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8))
def test_damage_is_a_value_error_or_a_picture(kind: str, damage: list[tuple[int, int]]) -> None:
    data = bytearray(_encode(_left_red_right_blue(), kind))
    for place, value in damage:
        data[place % len(data)] = value
    try:
        picture = decode_image(bytes(data))
    except ValueError:
        return
    assert picture.ndim == 3
