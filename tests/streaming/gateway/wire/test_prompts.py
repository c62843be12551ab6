"""Characters that a session chooses by "prompt", and what it names of its own beside them."""

from dataclasses import replace
from typing import Any

import pytest
from openai.types.realtime import RealtimeSessionCreateResponse
from pydantic import TypeAdapter

from omni.types import Voice
from streaming.company.catalogue import Character
from streaming.gateway.wire.fields import Fields, WireError
from streaming.gateway.wire.session_object import SessionObject
from tests.cast import Cast
from tests.streaming.gateway.wire.samples import CAPABILITIES, OPENED

SID = Character("sid", "Sid", "You are Sid.", "Ahoy!", "joe", "de", "slowly")
FRIEND = Character("friend", "Friend", "You know {{ name }}, who is {{mood}}.", "Hello {{name}}!", style="as {{mood}}")
MODES, LANGUAGES = ("omni", "audio_roleplay"), ("en", "de")


def opened(*, chooses: bool = False, changes_voice: bool = False) -> SessionObject:
    """A session with a cast to choose from, of a model that has one way to be addressed, or several."""
    can = replace(CAPABILITIES, changes_voice=changes_voice)
    can = replace(can, modes=MODES, languages=LANGUAGES) if chooses else can
    cast = Cast(can)
    cast.characters = {"sid": SID, "friend": FRIEND}
    return SessionObject.opened(replace(OPENED, capabilities=can), (), None, cast)


def merged(session: SessionObject, has_spoken: bool = False, **changes: Any) -> SessionObject:
    return session.merged(Fields(changes, "session"), has_spoken)


def test_a_character_brings_what_it_is() -> None:
    settings = merged(opened(chooses=True), prompt={"id": "sid"}).settings
    assert (settings.instructions, settings.greeting) == ("You are Sid.\nslowly", "Ahoy!")
    assert (settings.voice, settings.mode, settings.language) == ("joe", "audio_roleplay", "de")


def test_what_the_model_has_no_choice_of_is_left_to_it() -> None:
    settings = merged(opened(), prompt={"id": "sid"}).settings
    assert (settings.mode, settings.language) == (None, None)


def test_a_voice_or_language_that_is_not_there_is_the_default() -> None:
    session = opened(chooses=True)
    assert isinstance(session.catalogue, Cast)
    session.catalogue.characters["sid"] = replace(SID, voice="gone", language="xx")
    settings = merged(session, prompt={"id": "sid"}).settings
    assert (settings.voice, settings.language) == (None, None)


def test_what_is_named_beside_a_character_takes_precedence_and_what_was_before_does_not() -> None:
    beside: dict[str, Any] = {"instructions": "Be brief.", "mode": "omni", "audio": {"output": {"voice": "ava"}}}
    session = merged(opened(chooses=True), prompt={"id": "sid"}, **beside)
    settings = session.settings
    assert (settings.instructions, settings.voice, settings.mode) == ("Be brief.", "ava", "omni")
    assert merged(session, prompt={"id": "sid"}).settings == settings, "the same one again"
    other = merged(session, prompt={"id": "friend", "variables": {"name": "Ann", "mood": "glad"}}).settings
    assert (other.instructions, other.voice) == ("You know Ann, who is glad.\nas glad", None)
    assert merged(session, instructions=None).settings.instructions == SID.instructions


def test_no_prompt_takes_away_what_the_character_brought_and_nothing_else() -> None:
    session = merged(opened(chooses=True), prompt={"id": "sid"}, audio={"output": {"voice": "ava", "speed": 1.25}})
    settings = merged(session, prompt=None).settings
    assert (settings.instructions, settings.greeting, settings.mode, settings.language) == ("", None, None, None)
    assert (settings.voice, settings.speed) == ("ava", 1.25)


def test_blanks_are_filled_and_shown_as_they_were_asked_for() -> None:
    asked = {"id": "friend", "version": "2", "variables": {"name": "Ann", "mood": r"\1 {{name}}"}}
    session = merged(opened(), prompt=asked)
    assert session.settings.greeting == "Hello Ann!"
    assert r"who is \1 {{name}}." in session.settings.instructions
    rendered = session.render()
    assert rendered["prompt"] == asked
    TypeAdapter(RealtimeSessionCreateResponse).validate_python(rendered, strict=True)
    assert merged(opened(), prompt={"id": "sid"}).render()["prompt"] == {
        "id": "sid",
        "version": None,
        "variables": None,
    }


@pytest.mark.parametrize(
    ("prompt", "code", "param"),
    [
        ({}, "missing_required_parameter", "id"),
        ({"id": "nobody"}, "prompt_not_found", "id"),
        ({"id": "sid", "name": "Sid"}, "unknown_parameter", "name"),
        ({"id": "sid", "variables": {"name": "Ann"}}, "unknown_parameter", "variables.name"),
        ({"id": "friend", "variables": {"name": "Ann"}}, "missing_required_parameter", "variables.mood"),
        ({"id": "friend", "variables": {"name": "Ann", "mood": 7}}, "invalid_type", "variables.mood"),
        ({"id": "friend", "variables": {"name": "a" * 513, "mood": ""}}, "string_above_max_length", "variables.name"),
    ],
)
def test_what_does_not_fit_is_refused(prompt: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(WireError) as caught:
        merged(opened(), prompt=prompt)
    assert (caught.value.code, caught.value.param) == (code, f"session.prompt.{param}")
    assert len(caught.value.message) > 20


@pytest.mark.parametrize(("who", "greeting"), [("{{a}}" * 1_000, ""), ("You are long.", "{{a}}" * 4)])
def test_many_blanks_cannot_make_a_character_too_long(who: str, greeting: str) -> None:
    session = opened()
    assert isinstance(session.catalogue, Cast)
    session.catalogue.characters["long"] = Character("long", "Long", who, greeting)
    with pytest.raises(WireError, match="too long"):
        merged(session, prompt={"id": "long", "variables": {"a": "b" * 512}})


def test_a_character_that_is_removed_stays_for_who_chose_it() -> None:
    session = merged(opened(), prompt={"id": "sid"})
    assert isinstance(session.catalogue, Cast)
    session.catalogue.characters.clear()
    assert merged(session, prompt={"id": "sid"}, max_output_tokens=7).settings.greeting == "Ahoy!"
    with pytest.raises(WireError):
        merged(opened(), prompt={"id": "gone"})


def test_a_character_with_another_voice_comes_too_late_where_the_voice_stays() -> None:
    with pytest.raises(WireError) as caught:
        merged(opened(), has_spoken=True, prompt={"id": "sid"})
    assert (caught.value.code, caught.value.param) == ("cannot_update_voice", "session.prompt")
    beside = merged(opened(), has_spoken=True, prompt={"id": "sid"}, audio={"output": {"voice": "ava"}})
    assert beside.voice == "ava"
    assert merged(opened(changes_voice=True), has_spoken=True, prompt={"id": "sid"}).voice == "joe"


def test_a_voice_of_the_callers_own_serves_a_character() -> None:
    session = opened()
    assert isinstance(session.catalogue, Cast)
    session.catalogue.made["voice_1"] = Voice("Ann")
    session.catalogue.characters["sid"] = replace(SID, voice="Ann")
    assert merged(session, prompt={"id": "sid"}).voice == "Ann"
