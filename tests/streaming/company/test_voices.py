"""Whose voices are whose, what they are called, and what comes and goes while a server runs."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omni.model import Capabilities
from omni.types import Voice
from streaming.company import voices
from streaming.company.voice_files import Family
from streaming.company.voices import Entry, Shelf, VoiceError, Voices, Wish
from tests.recordings import RATE, hum

CAN = Capabilities("scripted", (Voice("plain"), Voice("other")), sees=False, transcribes=True, makes_voices="clones")


@pytest.fixture
def library(tmp_path: Path) -> Voices:
    return Voices(tmp_path / "voices", CAN)


def add(shelf: Shelf, library: Voices, name: str, **wish: Any) -> Entry:
    record = shelf.record_of(Wish(**{"name": name, "consent": "self", **wish}))
    return library.add(record, (hum(4.0), RATE), Voice(name, state={"of": np.ones(3, np.float32)}))


def test_a_new_voice_is_there_for_who_made_it_and_for_another_server(library: Voices, tmp_path: Path) -> None:
    ann = library.of("ann")
    assert ann.voices() == ("plain", "other")
    made = add(ann, library, "  My   voice ", language="de")
    assert ann.voices() == ("plain", "other", "My voice")
    voice = ann.voice("my VOICE")
    assert voice is not None
    assert voice is ann.voice(made.id) is ann.voice("My voice")  # the same, so that a model may know it again
    assert (voice.name, voice.language, voice.state["of"].tolist()) == ("My voice", "de", [1, 1, 1])
    again = Voices(tmp_path / "voices", CAN)
    again.look()
    assert again.of("ann").voices() == ("plain", "other", "My voice")


def test_nothing_of_one_account_is_another_s(library: Voices) -> None:
    shelves = {owner: library.of(owner) for owner in ("ann", "ben", None)}
    made = {owner: add(shelf, library, "Mine") for owner, shelf in shelves.items()}  # names are each account's own
    for owner, shelf in shelves.items():
        assert [entry.id for entry in shelf.list() if not entry.built_in] == [made[owner].id]
        voice = shelf.voice("Mine")
        assert voice is made[owner].voice
        for other, entry in made.items():
            if other != owner:
                assert shelf.voice(entry.id) is None
                with pytest.raises(VoiceError) as refused:
                    shelf.remove(entry.id)
                # as if it were not there
                assert (refused.value.code, str(refused.value)) == (
                    "voice_not_found",
                    f"There is no voice {entry.id!r}; look at the list.",
                )
    assert len(library.kept()) == 3


def test_a_shared_voice_is_everybody_s_to_use_and_one_s_to_remove(library: Voices) -> None:
    ann, ben = library.of("ann"), library.of("ben")
    made = add(ann, library, "Choir", shared=True)
    assert ben.voice("choir") is made.voice
    assert (ann.mine(made), ben.mine(made)) == (True, False)
    with pytest.raises(VoiceError, match="somebody else's") as refused:
        ben.remove(made.id)
    assert refused.value.code == "voice_not_yours"
    ann.remove(made.id)
    assert ben.voice("choir") is None
    with pytest.raises(VoiceError, match="built in") as refused:
        ann.remove("plain")
    assert refused.value.code == "voice_not_yours"


def test_a_name_means_one_s_own_first_then_a_built_in_one_then_what_others_share(
    library: Voices, tmp_path: Path
) -> None:
    ann, ben = library.of("ann"), library.of("ben")
    later = Voices(tmp_path / "voices", replace(CAN, voices=(Voice("plain"), Voice("Solo"))))
    own = add(ann, library, "Solo")
    shared = add(ben, library, "Solo", shared=True)
    later.look()
    found = [later.of(owner).find("solo") for owner in ("ann", "ben", "cy")]
    assert [entry.id if entry else None for entry in found] == [own.id, shared.id, "Solo"]
    assert later.of("cy").voice(shared.id) is not None
    assert later.of("ann").voices().count("Solo") == 1


@pytest.mark.parametrize(
    ("wish", "code", "param"),
    [
        ({"name": " "}, "name_missing", "name"),
        ({"name": "x" * 61}, "invalid_name", "name"),
        ({"name": "a\x00b"}, "invalid_name", "name"),
        ({"name": "voice_0123456789abcdef"}, "invalid_name", "name"),
        ({"name": "Plain"}, "name_taken", "name"),
        ({"name": "mine"}, "name_taken", "name"),
        ({"name": "Heart"}, "name_taken", "name"),  # of nano, which may serve this folder tomorrow
        ({"consent": ""}, "consent_missing", "consent"),
        ({"consent": "yes"}, "consent_missing", "consent"),
        ({"consent": "given"}, "consent_missing", "speaker"),
        ({"consent": "given", "speaker": "x" * 61}, "invalid_name", "speaker"),
        ({"language": "english please"}, "invalid_language", "language"),
        ({"language": "../.."}, "invalid_language", "language"),
    ],
)
def test_what_is_told_of_a_voice_is_checked(library: Voices, wish: dict[str, str], code: str, param: str) -> None:
    shelf = library.of(None)
    add(shelf, library, "Mine")
    with pytest.raises(VoiceError) as refused:
        shelf.record_of(Wish(**{"name": "New", "consent": "self", **wish}))  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.param) == (code, param)


def test_no_account_gives_its_voice_to_the_clients_of_others(library: Voices) -> None:
    ann = library.of("ann")
    with pytest.raises(VoiceError, match="another name") as refused:
        ann.record_of(Wish("Alloy", "self", shared=True))
    assert (refused.value.code, refused.value.param) == ("name_taken", "name")
    assert ann.record_of(Wish("Alloy", "self")).name == "Alloy"  # to its own it may
    assert library.of(None).record_of(Wish("Alloy", "self", shared=True)).shared  # and who runs the server to all


def test_a_voice_of_nobody_needs_no_speaker(library: Voices) -> None:
    assert library.of(None).record_of(Wish("Robot", "synthetic")).speaker is None


def test_there_is_an_end_to_the_voices_of_one_account(library: Voices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "MOST", 2)
    ann = library.of("ann")
    for name in ("one", "two"):
        add(ann, library, name)
    with pytest.raises(VoiceError) as refused:
        add(ann, library, "three")
    assert refused.value.code == "too_many_voices"
    assert add(library.of("ben"), library, "three")


def test_what_another_program_adds_and_removes_is_seen(library: Voices, tmp_path: Path) -> None:
    other = Voices(tmp_path / "voices", CAN)
    made = add(other.of(None), other, "Added", shared=True)
    assert library.of("ann").voices() == ("plain", "other")  # nothing is read until somebody looks,
    assert library.of("ann").voice("Added") is not None  # or asks for what is not known
    voice = library.of("ann").voice("Added")
    library.look()
    assert library.of("ann").voice("Added") is voice  # what has not changed is not read again
    other.of(None).remove(made.id)
    library.look()
    assert library.of("ann").voice("Added") is None


def test_two_programs_cannot_give_one_account_the_same_name(library: Voices, tmp_path: Path) -> None:
    other = Voices(tmp_path / "voices", CAN)
    add(other.of(None), other, "Twin")
    with pytest.raises(VoiceError) as refused:
        library.add(library.of(None).record_of(Wish("Twin", "self")), (hum(4.0), RATE), Voice("Twin"))
    assert refused.value.code == "name_taken"


def test_damage_costs_one_voice_and_is_told_to_whoever_runs_the_server(library: Voices, tmp_path: Path) -> None:
    ann = library.of("ann")
    broken, whole = add(ann, library, "Broken"), add(ann, library, "Whole")
    (tmp_path / "voices" / broken.id / "voice.json").write_text("{")
    library.look()
    assert ann.voices() == ("plain", "other", "Whole")  # whose it was nobody knows
    host = library.of(None)
    (entry,) = [entry for entry in host.list() if not entry.built_in]
    assert (entry.id, entry.voice, host.mine(entry)) == (broken.id, None, True)
    assert "voice.json" in (entry.problem or "")
    host.remove(broken.id)
    assert [entry.id for entry in library.kept()] == [whole.id]


def test_a_state_that_is_gone_waits_to_be_made_anew(library: Voices, tmp_path: Path) -> None:
    made = add(library.of(None), library, "Mine")
    (tmp_path / "voices" / made.id / "scripted.safetensors").write_bytes(b"junk")
    library.look()
    (entry,) = library.unprepared()
    assert entry.voice is None
    assert "prepared" in (entry.problem or "")
    assert library.of(None).voices() == ("plain", "other")
    assert len(library.reference(entry)[0]) == 4 * RATE
    library.prepared(entry, Voice("Mine", state={"of": np.zeros(2, np.float32)}))
    assert not library.unprepared()
    assert library.of(None).voices() == ("plain", "other", "Mine")


def test_a_voice_that_this_model_cannot_be_given_is_not_tried_again(library: Voices, tmp_path: Path) -> None:
    made = add(library.of(None), library, "Mine")
    other = Voices(tmp_path / "voices", replace(CAN, name="another"))
    other.look()
    (entry,) = other.unprepared()
    other.unfit(entry, "it is too short")
    other.look()
    assert not other.unprepared()
    assert [(entry.id, entry.problem) for entry in other.kept()] == [(made.id, "it is too short")]


def test_what_was_removed_while_it_was_prepared_stays_removed(library: Voices, tmp_path: Path) -> None:
    made = add(library.of(None), library, "Mine")
    library.of(None).remove(made.id)
    library.prepared(made, Voice("Mine"))
    assert library.kept() == []
    assert list((tmp_path / "voices").iterdir()) == []


def test_a_model_with_no_voices_but_its_own_keeps_the_others_for_one_that_has(library: Voices, tmp_path: Path) -> None:
    add(library.of(None), library, "Mine")
    other = Voices(tmp_path / "voices", replace(CAN, makes_voices=None))
    other.look()
    assert other.of(None).voices() == ("plain", "other")
    assert not other.unprepared()
    assert "own voices only" in (other.kept()[0].problem or "")


def test_a_folder_that_cannot_be_read_leaves_what_is_known(library: Voices, tmp_path: Path) -> None:
    add(library.of(None), library, "Mine")
    folder = tmp_path / "voices"
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("no folder")
    library.look()
    assert library.of(None).voices() == ("plain", "other", "Mine")
    folder.unlink()
    library.look()
    assert library.of(None).voices() == ("plain", "other")
    shutil.rmtree(tmp_path / "elsewhere")


def test_the_family_is_named_by_what_it_can(library: Voices) -> None:
    assert library.family == Family("scripted", "")


def test_what_cannot_be_read_once_it_was_prepared_is_given_up(library: Voices, monkeypatch: pytest.MonkeyPatch) -> None:
    made = add(library.of(None), library, "Mine")
    monkeypatch.setattr("streaming.company.voice_files.read_state", lambda *_: None)
    library.prepared(made, Voice("Mine"))
    assert not library.unprepared()
    assert "cannot be read" in (library.kept()[0].problem or "")


def test_who_may_not_wait_does_not_wait_for_another_who_looks(library: Voices, tmp_path: Path) -> None:
    other = Voices(tmp_path / "voices", CAN)
    add(other.of(None), other, "Added")
    with library._looking:
        assert library.of(None).voice("Added") is None  # and not a wait for ever
    assert library.of(None).voice("Added") is not None


def test_a_name_that_nobody_knows_costs_a_call_nothing(library: Voices, monkeypatch: pytest.MonkeyPatch) -> None:
    add(library.of(None), library, "Mine")
    monkeypatch.setattr("streaming.company.voice_files.ids", lambda _: pytest.fail("it is asked on the event loop"))
    assert library.of(None).voice("alloy") is None  # nothing came or went since the last look


def test_what_one_thread_goes_through_no_other_changes(library: Voices) -> None:
    made = add(library.of(None), library, "Mine")
    read = library._kept
    library.unfit(made, "it is too short")
    assert made.id in read
