"""Characters as files: what is written is read again, whatever the texts; what cannot be used is refused in words."""

import io
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from streaming.company import character_form as form
from streaming.company.catalogue import Character
from streaming.company.character_form import CharacterError, checked, from_values, line, parse, portrait, write

WHOLE = Character(
    "ada", "Ada", "You are Ada.\nUser: Hello!\nYou: Hi.", "Good morning.", "wren", "en-GB", "slowly, in a low voice"
)
AWKWARD = st.text(st.sampled_from("ab\"\\'\n\t #=[]{}é\u2028\x85😀"), min_size=1, max_size=60)
ANY = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60)


def usable(text: str) -> bool:
    return bool(text.strip())


@given(AWKWARD | ANY, AWKWARD | ANY, AWKWARD | ANY)
def test_whatever_the_texts_a_written_character_is_read_as_it_was(name: str, who: str, greeting: str) -> None:
    if not usable(name) or not usable(who):
        return
    character = checked(Character("id", name, who, greeting, voice=name))
    assert from_values(parse(write(character)), "id") == character


@given(AWKWARD | ANY)
def test_a_line_is_toml_and_holds_its_text(text: str) -> None:
    last = "\n" if "\n" in text else ""
    assert tomllib.loads(line("key", text)) == {"key": text + last}


def test_long_texts_are_written_over_several_lines_for_people() -> None:
    assert write(WHOLE) == (
        'name = "Ada"\nwho = """\nYou are Ada.\nUser: Hello!\nYou: Hi.\n"""\ngreeting = "Good morning."\n'
        'voice = "wren"\nlanguage = "en-GB"\nstyle = "slowly, in a low voice"\n'
    )


def test_white_space_and_line_ends_are_made_alike() -> None:
    tidy = checked(Character("x", "  Ada \n Byron ", "\r\nYou are Ada.\rHi.\r\n", "", voice=" ", language=""))
    assert tidy == Character("x", "Ada Byron", "You are Ada.\nHi.", "", None, "en")


def test_null_is_as_good_as_absent() -> None:
    values = {"name": "Ada", "who": "You are Ada.", "voice": None, "greeting": None}
    assert from_values(values, "ada") == Character("ada", "Ada", "You are Ada.")


@pytest.mark.parametrize(
    ("values", "code", "param"),
    [
        ({"who": "You are."}, "name_missing", "name"),
        ({"name": "Ada", "who": " \n"}, "who_missing", "who"),
        ({"name": "Ada", "who": "x", "nmae": "Ada"}, "unknown_parameter", "nmae"),
        ({"name": "Ada", "who": 3}, "invalid_type", "who"),
        ({"name": "Ada", "who": "x" * 4_001}, "too_long", "who"),
        ({"name": "Ada", "who": "x", "style": "a\0b"}, "invalid_value", "style"),
        ({"name": "Ada", "who": "x\ud800"}, "invalid_value", "who"),
        ({"name": "Ada", "who": "x", "language": "the queen's"}, "invalid_value", "language"),
        ({"name": "Ada", "who": "x", "id": "ada"}, "unknown_parameter", "id"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_field_that_is_at_fault(
    values: dict[str, object], code: str, param: str
) -> None:
    with pytest.raises(CharacterError) as refused:
        from_values(values, "ada")
    assert (refused.value.code, refused.value.param) == (code, param)


def test_what_is_no_toml_is_refused() -> None:
    with pytest.raises(CharacterError, match=r"no TOML: .*line 2"):
        parse('name = "Ada"\nwho = You')


def test_the_example_in_the_documents_is_a_character() -> None:
    text = (Path(__file__).parents[3] / "docs" / "characters.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0]
    character = from_values(parse(example), "captain")
    assert all(getattr(character, name) for name in form.LONGEST)


def encoded(kind: str, **how: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((1200, 800, 3), (200, 10, 10), np.uint8)).save(file, kind, **how)
    return file.getvalue()


def test_a_portrait_is_small_and_says_nothing_of_where_it_was_taken() -> None:
    exif = Image.Exif()
    exif[0x010F] = "PhoneMaker"
    kept = portrait(encoded("JPEG", exif=exif))
    image = Image.open(io.BytesIO(kept))
    assert (image.format, image.size) == ("JPEG", (341, 512))
    assert b"PhoneMaker" not in kept
    assert not image.getexif()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "invalid_image"),
        (encoded("PNG")[:100], "invalid_image"),
        (b"\x89PNG" + bytes(form.MAX_IMAGE_BYTES), "image_too_large"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(CharacterError) as refused:
        portrait(data)
    assert (refused.value.code, refused.value.param) == (code, "image")
