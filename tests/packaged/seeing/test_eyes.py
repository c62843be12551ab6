import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from omni.packaged.seeing.eyes import Eyes, Sight
from omni.types import Picture
from omni.vision.scene import thumbnail

loads_models = pytest.mark.models


@pytest.fixture(scope="module")
def eyes() -> Eyes:
    return Eyes()


def _sign(
    text: str, size: int = 80, ground: str = "white", ink: str = "black", side: tuple[int, int] = (640, 480)
) -> Picture:
    image = Image.new("RGB", side, ground)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(image).multiline_text((side[0] // 2, side[1] // 2), text, font=font, fill=ink, anchor="mm")
    return np.asarray(image)


def _sight(**fields: object) -> Sight:
    plain = {"lines": (), "guess": None, "light": "dim", "colour": None, "moving": False, "grey": thumbnail(_sign(""))}
    return Sight(**(plain | fields))  # type: ignore[arg-type]


@loads_models
@pytest.mark.parametrize("text", ["EXIT", "Room 204", "OPEN\nDAILY"])
@pytest.mark.parametrize(("ground", "ink"), [("white", "black"), ("navy", "white")])
def test_a_sign_is_read(eyes: Eyes, text: str, ground: str, ink: str) -> None:
    sight = eyes.look(_sign(text, ground=ground, ink=ink), None)
    assert " ".join(sight.lines).replace(" ", "").lower() == text.replace("\n", "").replace(" ", "").lower()
    assert sight.description.startswith('a sign that says "')


@loads_models
def test_text_is_read_in_order(eyes: Eyes) -> None:
    image = Image.new("RGB", (640, 480), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(48)
    for place, word in {(60, 60): "ONE", (380, 60): "TWO", (60, 200): "THREE", (380, 200): "FOUR"}.items():
        draw.text(place, word, font=font, fill="black")
    assert eyes.look(np.asarray(image), None).lines == ("ONE", "TWO", "THREE", "FOUR")


@loads_models
def test_a_large_picture_is_read_too(eyes: Eyes) -> None:
    assert eyes.look(_sign("EXIT", 400, side=(3000, 2000)), None).lines == ("EXIT",)


@loads_models
def test_of_much_text_the_largest_is_read(eyes: Eyes) -> None:
    image = Image.new("RGB", (640, 480), "white")
    draw = ImageDraw.Draw(image)
    draw.text((40, 20), "WELCOME", font=ImageFont.load_default(90), fill="black")
    for row in range(18):
        draw.text(
            (10, 140 + row * 18),
            "all the small print that nobody ever reads " * 2,
            font=ImageFont.load_default(13),
            fill="black",
        )
    sight = eyes.look(np.asarray(image), None)
    assert "WELCOME" in sight.lines[0]
    assert len(sight.lines) < 12


@loads_models
@pytest.mark.parametrize("kind", ["white", "black", "gradient", "noise"])
def test_nothing_is_invented(eyes: Eyes, kind: str) -> None:
    picture = {
        "white": np.full((480, 640, 3), 255, dtype=np.uint8),
        "black": np.zeros((480, 640, 3), dtype=np.uint8),
        "gradient": np.tile(np.linspace(0, 255, 640).astype(np.uint8)[None, :, None], (480, 1, 3)),
        "noise": np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8),
    }[kind]
    sight = eyes.look(picture, None)
    assert sight.lines == ()
    assert sight.guess is None
    assert sight.description.startswith("no text, and nothing that can be named.")


@loads_models
def test_the_main_object_is_guessed(eyes: Eyes) -> None:
    image = Image.new("RGB", (640, 480), "white")
    draw = ImageDraw.Draw(image)
    filled = np.random.default_rng(0).random((15, 15)) < 0.2
    for y, x in np.ndindex(15, 15):
        place = 96 + x * 30, 15 + y * 30
        draw.rectangle(
            [*place, place[0] + 30, place[1] + 30], outline="black", fill="black" if filled[y, x] else "white"
        )
    assert eyes.look(np.asarray(image), None).guess == "crossword"


@loads_models
@pytest.mark.parametrize("side", [(1, 1), (20, 20), (33, 2000), (2000, 33)])
def test_odd_sizes_are_looked_at(eyes: Eyes, side: tuple[int, int]) -> None:
    assert eyes.look(_sign("", side=side), None).light == "bright"


@loads_models
def test_a_still_camera_is_not_looked_at_again(eyes: Eyes) -> None:
    first = eyes.look(_sign("EXIT"), None)
    noisy = np.clip(_sign("EXIT") + np.random.default_rng(0).normal(0, 6, (480, 640, 3)), 0, 255).astype(np.uint8)
    assert eyes.look(noisy, first) is first


@loads_models
def test_movement_is_seen_and_passes(eyes: Eyes) -> None:
    room = _sign("")
    first = eyes.look(room, None)
    assert not first.moving
    waving = room.copy()
    waving[100:300, 100:300] = (90, 60, 200)
    second = eyes.look(waving, first)
    assert second.moving
    assert "Something is moving." in second.description
    assert not eyes.look(waving, second).moving


@loads_models
def test_another_scene_is_no_movement(eyes: Eyes) -> None:
    assert not eyes.look(_sign("", ground="black"), eyes.look(_sign(""), None)).moving


@pytest.mark.parametrize("picture", [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3))])
def test_what_is_no_picture_is_refused(picture: Picture) -> None:
    with pytest.raises(ValueError, match="RGB bytes"):
        Eyes().look(picture, None)


@pytest.mark.parametrize(
    ("sight", "description"),
    [
        (
            _sight(lines=("EXIT",), guess="street sign", light="bright"),
            'a sign that says "EXIT". It may be a street sign. The light is bright.',
        ),
        (
            _sight(guess="airliner", colour="blue"),
            "perhaps an airliner, and no text. The light is dim, and the middle is mostly blue.",
        ),
        (_sight(guess="sunglasses"), "perhaps sunglasses, and no text. The light is dim."),
        (
            _sight(guess="minibus", moving=True),
            "perhaps a minibus, and no text. The light is dim. Something is moving.",
        ),
        (
            _sight(lines=('He said "go"', "and so we all went home again")),
            "text that says \"He said 'go' and so we all went home again\". The light is dim.",
        ),
        (
            _sight(lines=("FINE BEER",), guess="beer bottle"),
            'text that says "FINE BEER", on what may be a beer bottle. The light is dim.',
        ),
        (_sight(light="dark"), "no text, and nothing that can be named. The light is dark."),
    ],
)
def test_sights_are_told_in_plain_english(sight: Sight, description: str) -> None:
    assert sight.description == description


def test_a_wall_of_text_is_cut() -> None:
    assert len(_sight(lines=("word " * 10_000,)).description) < 400
