from dataclasses import replace
from typing import Any

import pytest

from omni.types import Voice
from streaming.events import Settings, TurnDetection
from streaming.gateway.wire.fields import Fields, WireError
from streaming.gateway.wire.session_object import SessionObject
from tests.cast import Cast
from tests.streaming.gateway.wire.samples import OPENED


def opened() -> SessionObject:
    return SessionObject.opened(OPENED, ("gpt-realtime",), None)


def merged(session: SessionObject, has_spoken: bool = False, **changes: Any) -> SessionObject:
    return session.merged(Fields(changes, "session"), has_spoken)


def with_turns(session: SessionObject, **turns: Any) -> SessionObject:
    return merged(session, audio={"input": {"turn_detection": turns}})


def test_an_update_of_nothing_changes_nothing() -> None:
    nothings: list[dict[str, Any]] = [{}, {"type": "realtime"}, {"audio": {}}, {"audio": {"input": {}, "output": {}}}]
    for changes in nothings:
        assert merged(opened(), **changes).render() == opened().render()


def test_only_what_is_named_changes() -> None:
    session = merged(opened(), instructions="Sing.", max_output_tokens=50)
    session = merged(session, output_modalities=["text"])
    session = with_turns(session, type="server_vad", silence_duration_ms=700)
    session = with_turns(session, type="server_vad", threshold=0.7)
    assert session.settings == Settings(
        "Sing.", speaks=False, max_tokens=50, turn_detection=TurnDetection(threshold=0.7, silence_s=0.7)
    )


def test_empty_values_clear() -> None:
    session = merged(opened(), max_output_tokens=50, audio={"output": {"voice": "joe"}})
    session = merged(
        session,
        instructions="",
        max_output_tokens=None,
        tools=[],
        audio={"input": {"turn_detection": None, "transcription": None}, "output": {"voice": None}},
    )
    assert session.settings == Settings("", turn_detection=None, transcribes=False)
    assert merged(session, instructions=None).settings.instructions == ""
    assert session.notes == ()


def test_nothing_begins_with_instructions_that_the_model_cannot_read() -> None:
    event = replace(OPENED, capabilities=replace(OPENED.capabilities, max_text_bytes=20))
    assert SessionObject.begun(event, (), None, {"instructions": "x" * 20}).settings.instructions == "x" * 20
    with pytest.raises(WireError, match="20 bytes") as caught:
        SessionObject.begun(event, (), None, {"instructions": "é" * 11})
    assert (caught.value.code, caught.value.param) == ("string_above_max_length", "session.instructions")


def test_an_update_with_one_wrong_field_changes_nothing() -> None:
    session = opened()
    with pytest.raises(WireError):
        merged(session, instructions="Sing.", output_modalities=["video"])
    assert session.settings.instructions == "Be kind."


def test_the_model_may_be_named_but_not_changed() -> None:
    for name in ("nano", "gpt-realtime"):
        assert merged(opened(), model=name).model == "nano"
    with pytest.raises(WireError, match="open another session"):
        merged(opened(), model="gpt-5")


def test_the_first_name_that_a_client_gives_the_model_is_taken_and_no_other() -> None:
    session = merged(SessionObject.opened(OPENED, (), None), model="gpt-realtime")
    assert session.render()["model"] == OPENED.capabilities.name
    merged(session, model="gpt-realtime")
    with pytest.raises(WireError) as caught:
        merged(session, model="another")
    assert caught.value.code == "model_change_refused"


def test_a_voice_of_openai_gets_one_of_ours_always_the_same() -> None:
    voices = {name: merged(opened(), audio={"output": {"voice": name}}).voice for name in ("alloy", "ash", "marin")}
    assert set(voices.values()) <= set(OPENED.voices)
    assert merged(opened(), audio={"output": {"voice": "ash"}}).voice == voices["ash"]
    assert merged(opened(), audio={"output": {"voice": {"id": "joe"}}}).voice == "joe"


def test_a_voice_that_is_named_wrongly_is_not_the_default() -> None:
    for voice, code in (
        ({"name": "joe"}, "unknown_parameter"),
        ({}, "missing_required_parameter"),
        (7, "invalid_type"),
    ):
        with pytest.raises(WireError) as caught:
            merged(opened(), audio={"output": {"voice": voice}})
        assert caught.value.code == code


def test_the_default_voice_by_name_is_no_change_after_speech() -> None:
    assert merged(opened(), has_spoken=True, audio={"output": {"voice": "ava"}}).voice == "ava"


def test_voices_are_looked_up_as_they_are_now_and_one_in_use_stays() -> None:
    cast = Cast(OPENED.capabilities)
    session = SessionObject.opened(OPENED, (), None, cast)
    with pytest.raises(WireError, match="Voices: ava, joe") as caught:
        merged(session, audio={"output": {"voice": "Ann"}})
    assert (caught.value.code, caught.value.param) == ("voice_not_found", "session.audio.output.voice")
    cast.made["voice_1"] = Voice("Ann")
    for named in ("Ann", "voice_1", {"id": "voice_1"}):
        assert merged(session, audio={"output": {"voice": named}}).voice == "Ann"
    session = merged(session, audio={"output": {"voice": "Ann"}})
    cast.made.clear()
    assert merged(session, has_spoken=True, audio={"output": {"voice": "Ann"}}).voice == "Ann"


def test_the_pace_is_kept_and_shown() -> None:
    session = merged(opened(), audio={"output": {"speed": 0.5}})
    assert session.settings.speed == session.render()["audio"]["output"]["speed"] == 0.5
    assert merged(session, audio={"output": {"voice": "joe"}}).settings.speed == 0.5
    assert merged(session, audio={"output": {"speed": None}}).settings.speed == 1.0
    for speed in (0.2, 1.6, float("nan")):
        with pytest.raises(WireError, match=r"between 0\.25 and 1\.5"):
            merged(opened(), audio={"output": {"speed": speed}})


def test_ways_to_address_the_model_are_shown_where_there_is_a_choice() -> None:
    assert not {"mode", "language"} & opened().render().keys()
    can = replace(OPENED.capabilities, modes=("omni", "audio_assistant"), languages=("en", "zh"))
    session = SessionObject.opened(replace(OPENED, capabilities=can), (), None)
    assert (session.render()["mode"], session.render()["language"]) == ("omni", "en")
    session = merged(session, mode="audio_assistant", language="zh")
    assert (session.settings.mode, session.settings.language) == ("audio_assistant", "zh")
    assert (session.render()["mode"], session.render()["language"]) == ("audio_assistant", "zh")
    assert merged(session, mode=None).settings.mode is None
    with pytest.raises(WireError, match="'omni', 'audio_assistant'"):
        merged(session, mode="singing")
    with pytest.raises(WireError, match="no choice of mode"):
        merged(opened(), mode="omni")


def test_tools_are_declined_and_the_rest_holds() -> None:
    session = merged(opened(), instructions="Sing.", tools=[{"type": "function", "name": "now"}], tool_choice="auto")
    assert session.settings.instructions == "Sing."
    assert [note.code for note in session.notes] == ["unsupported_tools"]
    assert session.render()["tools"] == []
    assert merged(opened(), tools=[], tool_choice="auto").notes == ()


def test_formats_of_the_telephone_are_kept_and_shown() -> None:
    session = merged(opened(), audio={"input": {"format": {"type": "audio/pcmu"}}})
    assert (session.input_format, session.output_format) == ("audio/pcmu", "audio/pcm")
    assert session.render()["audio"]["input"]["format"] == {"type": "audio/pcmu"}


def test_a_voice_that_is_not_ready_is_not_said_to_be_missing() -> None:
    cast = Cast(OPENED.capabilities)
    cast.waiting["Ann"] = "it is being prepared for this model; try again in a minute"
    with pytest.raises(WireError, match=r"being prepared .* try again in a minute\. Until then .*: ava, joe") as caught:
        merged(SessionObject.opened(OPENED, (), None, cast), audio={"output": {"voice": "Ann"}})
    assert (caught.value.code, caught.value.param) == ("voice_not_ready", "session.audio.output.voice")
