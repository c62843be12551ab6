import numpy as np
import pytest
from PIL import Image, ImageColor, ImageDraw, ImageFont

from omni.types import Picture
from omni.vision.scene import changed_share, colour_of_centre, has_detail, light_of, thumbnail


def _plain(colour: str, width: int = 320, height: int = 240) -> Picture:
    return np.full((height, width, 3), ImageColor.getrgb(colour)[:3], dtype=np.uint8)


@pytest.mark.parametrize(
    ("colour", "word"),
    [
        ("red", "red"),
        ("darkred", "red"),
        ("orange", "orange"),
        ("saddlebrown", "brown"),
        ("gold", "yellow"),
        ("limegreen", "green"),
        ("darkgreen", "green"),
        ("navy", "blue"),
        ("skyblue", "blue"),
        ("purple", "purple"),
        ("hotpink", "pink"),
        ("peachpuff", "beige"),
        ("black", "black"),
        ("grey", "grey"),
        ("white", "white"),
    ],
)
def test_colours_have_the_names_people_use(colour: str, word: str) -> None:
    assert colour_of_centre(_plain(colour)) == word


def test_the_colour_is_that_of_the_middle() -> None:
    picture = _plain("white")
    picture[60:180, 80:240] = (255, 0, 0)
    assert colour_of_centre(picture) == "red"


def test_many_colours_are_none() -> None:
    circle = np.array([ImageColor.getrgb(f"hsl({hue}, 100%, 50%)") for hue in range(360)], dtype=np.uint8)
    assert colour_of_centre(np.tile(np.roll(circle, 15, axis=0), (240, 2, 1))) is None


@pytest.mark.parametrize(("level", "word"), [(10, "dark"), (70, "dim"), (200, "bright")])
def test_light_has_three_words(level: int, word: str) -> None:
    assert light_of(thumbnail(np.full((480, 640, 3), level, dtype=np.uint8))) == word


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 900, 3), (480, 640, 3), (3000, 4000, 3)])
def test_any_size_has_a_thumbnail(shape: tuple[int, int, int]) -> None:
    grey = thumbnail(np.full(shape, 128, dtype=np.uint8))
    assert grey.shape == (24, 32)
    assert np.abs(grey - 128).max() <= 1


def test_noise_is_no_change_and_a_hand_is() -> None:
    rng = np.random.default_rng(0)
    room = _plain("grey", 640, 480)
    noisy = np.clip(room + rng.normal(0, 8, room.shape), 0, 255).astype(np.uint8)
    assert changed_share(thumbnail(room), thumbnail(noisy)) == 0
    waving = noisy.copy()
    waving[100:300, 200:350] = (240, 200, 180)
    assert 0.05 < changed_share(thumbnail(room), thumbnail(waving)) < 0.2
    assert changed_share(thumbnail(room), thumbnail(_plain("black"))) == 1


def test_a_line_of_small_text_is_detail_and_a_gradient_is_none() -> None:
    page = Image.new("RGB", (640, 480), "white")
    assert not has_detail(np.asarray(page))
    ImageDraw.Draw(page).text((300, 200), "exit", font=ImageFont.load_default(18), fill="black")
    assert has_detail(np.asarray(page))
    assert not has_detail(np.tile(np.linspace(0, 255, 640).astype(np.uint8)[None, :, None], (480, 1, 3)))
