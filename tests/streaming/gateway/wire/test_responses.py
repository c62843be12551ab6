import base64
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from streaming.events import Item, ReplyOptions, ResponseStarted
from streaming.gateway.wire.audio import G711_RATE
from streaming.gateway.wire.fields import Fields, WireError
from streaming.gateway.wire.responses import Answer, read_response
from streaming.gateway.wire.session_object import SessionObject
from tests.streaming.gateway.wire.samples import OPENED, TIMING, ended, speech

_SESSION = SessionObject.opened(OPENED, (), None)
_STARTED = ResponseStarted("resp_1", "item_a1", None, True, None, 1)


def read(**fields: Any) -> tuple[ReplyOptions, list[str]]:
    """The options, and the codes of what will not be done."""
    respond, notes = read_response(Fields(fields, "response"), _SESSION)
    return respond.options, [note.code for note in notes]


def test_what_is_left_out_is_as_the_session_is_set() -> None:
    assert read() == (ReplyOptions(), [])
    assert read(audio={"output": {"voice": "ava", "format": {"type": "audio/pcm", "rate": TIMING.wire_rate}}})[1] == []


def test_what_is_given_counts_for_this_response() -> None:
    options = ReplyOptions("Rhyme.", speaks=False, max_tokens=7, metadata={"a": "b"})
    given = read(instructions="Rhyme.", output_modalities=["text"], max_output_tokens=7, metadata={"a": "b"})
    assert given == (options, [])


def test_another_voice_or_tools_do_not_keep_the_answer_back() -> None:
    options, notes = read(
        instructions="Rhyme.", tools=[{"type": "function", "name": "now"}], audio={"output": {"voice": "joe"}}
    )
    assert options.instructions == "Rhyme."
    assert notes == ["unsupported_tools", "unsupported_value"]


def test_another_voice_is_used_where_the_model_changes_its_voice() -> None:
    changing = replace(_SESSION, can=replace(_SESSION.can, changes_voice=True))
    respond, notes = read_response(Fields({"audio": {"output": {"voice": "joe"}}}, "response"), changing)
    assert (respond.options.voice, notes) == ("joe", ())
    (created, *_) = Answer(replace(_STARTED, voice="joe"), changing, "conv_1").start()
    assert created[1]["response"]["audio"]["output"]["voice"] == "joe"


def test_a_character_is_not_chosen_for_one_response() -> None:
    assert read(prompt={"id": "sid"}) == (ReplyOptions(), ["unsupported_value"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"audio": {"output": {"format": {"type": "audio/pcmu"}}}}, "response.audio.output.format"),
        ({"metadata": {str(key): "" for key in range(17)}}, "response.metadata"),
        ({"metadata": {"a": "b" * 513}}, "response.metadata"),
        ({"max_output_tokens": "many"}, "response.max_output_tokens"),
        ({"voice": "ava"}, "response.voice"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(WireError) as caught:
        read(**fields)
    assert caught.value.param == param


def _sound(messages: Any) -> bytes:
    deltas = [fields["delta"] for name, fields in messages if name == "response.output_audio.delta"]
    return b"".join(base64.b64decode(delta) for delta in deltas)


def test_sound_for_the_telephone_is_complete_when_the_answer_is() -> None:
    answer = Answer(_STARTED, _SESSION.merged(Fields(_pcmu(), "session"), False), "conv_1")
    pcm = np.zeros(TIMING.output_rate // 10, np.float32)
    data = b"".join(_sound(answer.speech(speech("", 0.1 * index, pcm))) for index in range(10))
    data += _sound(answer.end(ended("resp_1", Item("item_a1", "assistant", ()), "completed", "")))
    assert abs(len(data) - G711_RATE) <= 2


def test_no_sound_follows_an_interruption() -> None:
    answer = Answer(_STARTED, _SESSION.merged(Fields(_pcmu(), "session"), False), "conv_1")
    list(answer.speech(speech("", 0.0, np.zeros(TIMING.output_rate // 10, np.float32))))
    assert not _sound(answer.end(ended("resp_1", Item("item_a1", "assistant", ()), "cancelled", "")))


def _pcmu() -> dict[str, Any]:
    return {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}
