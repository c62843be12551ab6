"""The library of characters: included ones, one's own and others', files that people mend or break."""

import io
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from streaming.company import characters
from streaming.company.catalogue import Character
from streaming.company.character_form import CharacterError
from streaming.company.characters import Characters, Shelf

ADA = Character("", "Ada Byron", "You are Ada.", "Good morning.", "wren", "en", "slowly")


def picture(kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(file, kind)
    return file.getvalue()


@pytest.fixture
def library(tmp_path: Path) -> Characters:
    included = tmp_path / "cast"
    included.mkdir()
    (included / "captain.toml").write_text('name = "Captain"\nwho = "You are a captain."\n')
    (included / "captain.svg").write_text("<svg/>")
    return Characters(tmp_path / "data" / "characters", included)


def ids(shelf: Shelf) -> list[str]:
    return [entry.character.id for entry in shelf.list()]


def code(call: object, *given: object) -> str:
    with pytest.raises(CharacterError) as refused:
        call(*given)  # type: ignore[operator]
    return refused.value.code


def test_a_server_where_nothing_was_made_has_the_included_ones(library: Characters) -> None:
    shelf = library.of(None)
    assert ids(shelf) == ["captain"]
    entry = shelf.entry("captain")
    assert entry is not None
    assert entry.built_in
    assert entry.image is not None
    assert entry.image.suffix == ".svg"
    assert not shelf.mine(entry)
    assert shelf.get("captain") == Character("captain", "Captain", "You are a captain.")


def test_what_is_saved_is_there_for_another_library_of_the_same_folder(library: Characters, tmp_path: Path) -> None:
    saved = library.of("ann").save(ADA, picture())
    assert saved.character == replace(ADA, id="ada-byron")
    again = Characters(tmp_path / "data" / "characters", tmp_path / "cast").of("ann")
    entry = again.entry("ada-byron")
    assert entry == saved
    assert entry.image is not None
    assert Image.open(entry.image).format == "JPEG"
    assert again.mine(entry)
    assert [path.name for path in (tmp_path / "data" / "characters").iterdir()] == ["ada-byron"]


def test_what_is_damaged_is_logged_once(library: Characters, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    library.of(None).save(ADA)
    file = tmp_path / "data" / "characters" / "ada-byron" / "character.toml"
    whole = file.read_text()
    for content in ("name =", "name =", "colour = 3"):
        file.write_text(content)
        assert ids(library.of(None)) == ["captain"]
    assert len(caplog.messages) == 2
    file.write_text(whole)
    assert ids(library.of(None)) == ["captain", "ada-byron"]
    file.write_text("colour = 3")
    assert library.of(None).get("ada-byron") is None
    assert len(caplog.messages) == 3, "it was mended meanwhile"


def test_every_character_has_an_id_of_its_own(library: Characters) -> None:
    shelf = library.of(None)
    names = ["Ada Byron", "Ada. Byron", "Captain", "Łukasz Ünal!", "李白", "杜甫", "A" * 60]
    made = [shelf.save(replace(ADA, name=name)).character.id for name in names]
    assert made == [
        "ada-byron", "ada-byron-2", "captain-2", "ukasz-unal", "character", "character-2", "a" * 40,
    ]  # fmt: skip


def test_one_that_was_made_before_another_of_its_id_was_included_hides_it_from_nobody(
    library: Characters, tmp_path: Path
) -> None:
    captain = replace(ADA, name="Captain", who="You are Ann's captain.")
    before = Characters(tmp_path / "data" / "characters", tmp_path / "nothing")
    assert before.of("ann").save(captain).character.id == "captain"
    ann, ben, host = library.of("ann"), library.of("ben"), library.of(None)
    assert ids(ben) == ids(host) == ["captain"]
    for shelf in (ben, host):
        included = shelf.entry("captain")
        assert included is not None
        assert included.built_in
        assert shelf.entry("included-captain") is None
    assert ids(ann) == ["included-captain", "captain"]
    hers, included = ann.entry("captain"), ann.entry("included-captain")
    assert hers is not None
    assert included is not None
    assert (hers.character.who, ann.mine(hers)) == ("You are Ann's captain.", True)
    assert (included.character.id, included.character.who) == ("included-captain", "You are a captain.")
    assert included.built_in
    assert [entry.character.id for entry in library.everything()] == ["included-captain", "captain"]
    assert ann.change("captain", {"who": "You are hers."}).character.who == "You are hers."
    assert code(ann.remove, "included-captain") == "character_not_yours"
    assert ben.save(replace(ADA, name="Included Captain")).character.id == "included-captain-2"
    ann.remove("captain")
    assert ids(ann) == ["captain"]


def test_two_of_one_owner_have_two_names(library: Characters, tmp_path: Path) -> None:
    ann = library.of("ann")
    ann.save(ADA)
    other = ann.save(replace(ADA, name="Captain"))  # a copy of an included one may keep its name
    assert library.of("ben").save(ADA).character.id == "ada-byron-2"
    for wrong in (replace(ADA, name="ADA byron"), replace(other.character, name="Ada Byron")):
        assert code(ann.save, wrong) == "name_taken"
    assert len(ann.list()) == 3
    # two that have one name already, by hand: each may be changed
    file = tmp_path / "data" / "characters" / other.character.id / "character.toml"
    file.write_text(file.read_text().replace("Captain", "Ada Byron"))
    assert ann.change(other.character.id, {"style": "loudly"}).character.style == "loudly"


def test_one_sees_ones_own_the_hosts_and_the_included_ones(library: Characters) -> None:
    library.of("ann").save(ADA)
    library.of(None).save(replace(ADA, name="Host's"))
    ann, ben, host = library.of("ann"), library.of("ben"), library.of(None)
    assert ids(ann) == ["captain", "ada-byron", "host-s"]
    assert ids(ben) == ids(host) == ["captain", "host-s"]
    assert ben.get("ada-byron") is None
    assert code(ben.remove, "ada-byron") == "character_not_found"
    assert code(ben.remove, "host-s") == "character_not_yours"
    assert code(ann.remove, "captain") == "character_not_yours"
    assert code(ben.save, replace(ADA, id="ada-byron")) == "character_not_found"
    assert ids(ann) == ["captain", "ada-byron", "host-s"]


def test_a_character_is_replaced_and_its_picture_kept_changed_or_dropped(library: Characters) -> None:
    shelf = library.of("ann")
    first = shelf.save(ADA, picture())
    assert first.image is not None
    changed = replace(first.character, name="Ada L.", voice=None)
    kept = shelf.save(changed, keeps_image=True)
    assert (kept.character, kept.owner, kept.image) == (changed, "ann", first.image)
    # somebody may have put another kind of picture there by hand
    (first.image.parent / "image.webp").write_bytes(picture("WEBP"))
    assert shelf.save(changed, picture("JPEG")).image == first.image
    assert shelf.save(changed).image is None
    assert [path.name for path in first.image.parent.iterdir()] == ["character.toml"]


def test_what_is_removed_is_gone(library: Characters, tmp_path: Path) -> None:
    shelf = library.of(None)
    shelf.save(ADA, picture())
    shelf.remove("ada-byron")
    assert ids(shelf) == ["captain"]
    assert not list((tmp_path / "data" / "characters").iterdir())
    assert code(shelf.remove, "ada-byron") == "character_not_found"


@pytest.mark.parametrize("id_", ["../cast", "..", "", "Captain", "a/b", "a" * 300, "a\0", ".hidden"])
def test_an_id_is_no_path(library: Characters, id_: str) -> None:
    assert library.of(None).get(id_) is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"name = ", "no TOML"),
        (b'name = "A"\nwho = "x"\ncolour = "red"', "colour is unknown"),
        (b"\xff\xfe", "UTF-8"),
        (b'name = "A"\nwho = "x"\nowner = 3', "owner must be a text"),
        (b"#" * 70_000, "64 KiB"),
        (None, "cannot be read"),
    ],
)
def test_a_damaged_file_costs_that_character_alone(
    library: Characters, tmp_path: Path, content: bytes | None, why: str
) -> None:
    shelf = library.of(None)
    shelf.save(ADA)
    file = tmp_path / "data" / "characters" / "bad" / "character.toml"
    file.parent.mkdir()
    if content is not None:
        file.write_bytes(content)
    assert ids(shelf) == ["captain", "ada-byron"]
    assert shelf.get("bad") is None
    problems = library.damaged()
    assert list(problems) == ["bad"]
    assert why in problems["bad"]
    assert str(file) in problems["bad"]
    # its name is not given to another, and it can be removed
    assert shelf.save(replace(ADA, name="Bad")).character.id == "bad-2"
    library.remove("bad")
    assert library.damaged() == {}


def test_a_file_put_there_by_hand_is_the_hosts(library: Characters, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "characters" / "by-hand"
    folder.mkdir(parents=True)
    (folder / "character.toml").write_text('name = "By Hand"\nwho = "You are."')
    (folder / "image.png").write_bytes(picture())
    entry = library.of("ann").entry("by-hand")
    assert entry is not None
    assert (entry.owner, entry.image) == (None, folder / "image.png")


def test_one_owner_cannot_fill_the_disk(library: Characters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(characters, "MOST", 2)
    shelf = library.of("ann")
    for name in ("one", "two"):
        shelf.save(replace(ADA, name=name))
    assert code(shelf.save, ADA) == "too_many_characters"
    library.of("ben").save(ADA)


def test_what_is_not_fit_to_be_kept_changes_nothing(library: Characters, tmp_path: Path) -> None:
    shelf = library.of(None)
    saved = shelf.save(ADA, picture())
    assert code(shelf.save, replace(saved.character, who="")) == "who_missing"
    assert code(shelf.save, saved.character, b"no picture") == "invalid_image"
    assert code(shelf.save, replace(ADA, name="Other"), b"no picture") == "invalid_image"
    assert shelf.list()[1:] == [saved]


def test_many_at_once_get_ids_of_their_own(library: Characters) -> None:
    shelf = library.of(None)
    threads = [threading.Thread(target=shelf.save, args=(replace(ADA, name="A" * 40 + str(n)),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids(shelf)) == 9


def test_what_is_saved_is_on_the_disk_before_it_is_said_to_be(
    library: Characters, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = library.of("ann").save(ADA, picture())

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for change in (replace(ADA, name="New"), replace(saved.character, greeting="Hello.")):
        with pytest.raises(OSError, match="No space"):
            library.of("ann").save(change)
    entry = library.of("ann").entry("ada-byron")
    assert entry == saved
    assert ids(library.of("ann")) == ["captain", "ada-byron"]
