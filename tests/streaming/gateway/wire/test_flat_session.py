"""The session object of older clients, there and back."""

import pytest

from omni.model import Capabilities
from omni.types import Voice
from streaming.events import Opened, Settings
from streaming.gateway.wire.fields import Fields, WireError
from streaming.gateway.wire.flat_session import flattened, nested
from streaming.gateway.wire.session_object import SessionObject
from tests.fakes import TIMING

FLAT = {
    "model": "gpt-4o-realtime-preview",
    "modalities": ["audio", "text"],
    "instructions": "Be brief.",
    "voice": "oak",
    "speed": 1.25,
    "input_audio_format": "g711_ulaw",
    "output_audio_format": "pcm16",
    "input_audio_transcription": None,
    "turn_detection": None,
    "temperature": 0.8,
    "max_response_output_tokens": 100,
    "tools": [],
}


def begun(flat: dict[str, object]) -> SessionObject:
    can = Capabilities("nano", (Voice("heart"), Voice("oak")), sees=True, transcribes=True)
    opened = Opened("sess_1", can, TIMING, Settings(), ("heart", "oak"))
    return SessionObject.begun(opened, (), None, nested(Fields(flat)))


def test_every_field_finds_its_place() -> None:
    session = begun(FLAT)
    settings = session.settings
    assert (settings.instructions, settings.voice, settings.max_tokens) == ("Be brief.", "oak", 100)
    assert (settings.speaks, settings.transcribes, settings.turn_detection) == (True, False, None)
    assert (session.input_format, session.output_format) == ("audio/pcmu", "audio/pcm")


def test_what_is_given_comes_back() -> None:
    back = flattened(begun(FLAT).render())
    named = {name: value for name, value in FLAT.items() if name not in {"model", "temperature"}}
    assert {name: back[name] for name in named} == named
    assert back["model"] == "nano"


def test_our_own_fields_are_there_where_the_model_has_a_choice() -> None:
    can = Capabilities("some", (Voice("heart"),), sees=True, transcribes=True, modes=("omni", "other"))
    opened = Opened("sess_1", can, TIMING, Settings(), ("heart",))
    session = SessionObject.begun(opened, (), None, nested(Fields({"mode": "other"})))
    assert flattened(session.render())["mode"] == "other"
    assert "mode" not in flattened(begun({}).render())


def test_what_is_not_named_stays_as_it_is() -> None:
    assert nested(Fields({})) == {}
    assert begun({"modalities": ["text"]}).settings.speaks is False


@pytest.mark.parametrize("flat", [{"audio": {}}, {"input_audio_format": "mp3"}, {"modalities": "audio"}])
def test_what_is_wrong_is_said(flat: dict[str, object]) -> None:
    with pytest.raises(WireError):
        nested(Fields(flat))
