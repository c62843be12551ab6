"""Whole conversations with a model that answers speech and never says what it heard: there are no words to go by."""

import numpy as np
import orjson
import pytest

from streaming.commands import (
    AppendImage,
    Clear,
    Commit,
    CreateItem,
    Heard,
    Respond,
    TruncateItem,
    Update,
)
from streaming.events import (
    AudioPart,
    Cleared,
    ImagePart,
    Item,
    ItemAdded,
    ItemTruncated,
    Measured,
    Opened,
    OverlapEnded,
    ResponseSpeech,
    ResponseStarted,
    ResponseText,
    Settings,
    TextPart,
    TurnDetection,
)
from streaming.gateway.wire.realtime import RealtimeCodec
from streaming.tdm.conversation import WORDLESS_SILENCE_S
from tests.fakes import WORD_S, Client, ended, noise, read, say, silence
from tests.wordless import LONG, PICTURE, ask, history, scene

pytestmark = pytest.mark.usefixtures("traces_keep_the_grammar")


def users(client: Client) -> list[str | None]:
    """Transcripts of what the user said."""
    parts = (part for item in client.session.items if item.role == "user" for part in item.parts)
    return [part.transcript for part in parts if isinstance(part, AudioPart)]


async def test_a_question_is_answered_and_no_words_of_it_are_promised() -> None:
    stage = scene()
    client = await stage.join()
    await ask(stage, client, "what time is it")
    assert client.kinds == [
        "Opened",
        "SpeechStarted",
        "SpeechStopped",
        "Committed",
        "ItemAdded",
        "ResponseStarted",
        "ResponseSpeech",
        "Measured",
        "ResponseSpeech",
        "ResponseEnded",
    ]
    assert read(client.sound()) == "You said what time is it ."
    (opened,), (added,) = client.of(Opened), client.of(ItemAdded)
    assert isinstance(opened, Opened)
    assert isinstance(added, ItemAdded)
    assert not opened.settings.transcribes
    assert added.item == client.session.items[0]
    assert users(client) == [None]


async def test_the_wire_says_that_there_are_no_transcripts_and_sends_none() -> None:
    stage = scene()
    client = await stage.join()
    await client.do(Update(Settings(transcribes=True)))
    await ask(stage, client, "what time is it")
    codec = RealtimeCodec("sess_1")
    messages = [orjson.loads(frame) for event in client.events for frame in codec.encode(event)]
    sessions = [message["session"] for message in messages if "session" in message]
    assert [session["audio"]["input"]["transcription"] for session in sessions] == [None, None]
    assert messages[0]["omni"]["capabilities"]["transcription"] is False
    assert messages[0]["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 600
    assert not [message for message in messages if "input_audio_transcription" in message["type"]]
    items = [message["item"] for message in messages if message["type"].startswith("conversation.item.")]
    contents = [content for item in items if item["role"] == "user" for content in item["content"]]
    assert contents == [{"type": "input_audio", "transcript": None}] * 2


async def test_silence_alone_ends_a_turn_and_a_pause_in_a_sentence_does_not() -> None:
    stage = scene()
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("what is"), silence(0.45), say("the time")])))
    await stage.wait(4.0)
    assert history(stage) == [("user", "what is the time"), ("assistant", "You said what is the time .")]
    (measured,) = client.of(Measured)
    assert isinstance(measured, Measured)
    assert WORDLESS_SILENCE_S <= measured.turn_latency_s < WORDLESS_SILENCE_S + 0.15
    assert measured.first_audio_s == pytest.approx(0.0, abs=1e-6)


async def test_in_a_short_gap_of_a_sentence_no_answer_is_begun() -> None:
    stage = scene()
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("what is"), silence(0.12), say("the time")])))
    await stage.wait(4.0)
    assert history(stage)[0] == ("user", "what is the time")
    assert stage.model.log.count("begin") == 1


async def test_the_client_may_ask_for_a_shorter_silence() -> None:
    stage = scene()
    client = await stage.join(settings=Settings(turn_detection=TurnDetection(silence_s=0.25)))
    await ask(stage, client, "what time is it")
    (measured,) = client.of(Measured)
    assert isinstance(measured, Measured)
    assert measured.turn_latency_s < 0.4


async def test_a_click_is_no_turn() -> None:
    stage = scene()
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), noise(0.15)])))
    await stage.wait(3.0)
    assert not client.session.items
    assert len(client.of(Cleared)) == 1
    assert not client.of(ResponseStarted)
    await ask(stage, client, "hello")
    assert history(stage)[0] == ("user", "hello")


async def test_a_short_cough_lets_the_answer_go_on() -> None:
    stage = scene(answer=lambda state, text: LONG)
    client = await stage.join()
    await ask(stage, client, "count", 1.8)
    await stage.hear((client, noise(0.2)))
    await stage.wait(5.0)
    (response,) = ended(client)
    assert response.status == "completed"
    assert len(client.of(OverlapEnded)) == 1
    assert history(stage) == [("user", "count"), ("assistant", LONG)]
    assert users(client) == [None]


@pytest.mark.parametrize("words", ["stop please", "no I mean something else altogether"])
async def test_real_speech_interrupts_and_only_what_was_heard_is_kept(words: str) -> None:
    stage = scene(answer=lambda state, text: LONG if text == "count" else "fine")
    client = await stage.join(lead_s=0.2)
    await ask(stage, client, "count", 0.0)
    while not client.of(ResponseSpeech):
        await stage.wait(0.02)
    await stage.wait(1.0)
    await stage.hear((client, say(words)))
    await stage.wait(4.0)
    first, second = ended(client)
    assert (first.status, first.reason, second.status) == ("cancelled", "turn_detected", "completed")
    part = first.item.parts[0]
    assert isinstance(part, AudioPart)
    assert 1.0 <= part.duration_s <= 1.3
    assert abs(len((part.transcript or "").split()) - part.duration_s / WORD_S) <= 0.51
    assert history(stage) == [
        ("user", "count"),
        ("assistant", (part.transcript or "").strip()),
        ("user", words),
        ("assistant", "fine"),
    ]


async def test_an_answer_is_cut_to_what_was_heard() -> None:
    stage = scene()
    client = await stage.join()
    await ask(stage, client, "hello")
    answer = client.session.items[-1].id
    await client.do(Heard(answer, 0.5))
    await client.do(TruncateItem(answer, 0.3))
    (cut,) = client.of(ItemTruncated)
    assert isinstance(cut, ItemTruncated)
    assert cut.text.strip() == "You"
    assert history(stage) == [("user", "hello"), ("assistant", "You")]


async def test_voice_writing_and_pictures_in_one_conversation() -> None:
    stage = scene()
    client = await stage.join()
    await ask(stage, client, "hello")
    await client.do(AppendImage(PICTURE))
    await client.do(CreateItem(Item("item_1", "user", (TextPart("what is this"), ImagePart(PICTURE)))))
    await client.do(Respond())
    await stage.wait(4.0)
    assert history(stage)[2:] == [("user", "what is this"), ("assistant", "You said what is this .")]
    assert stage.model.states[0].n_images == 2


async def test_an_answer_without_a_question() -> None:
    stage = scene(answer=lambda state, text: "Hello, I am here.")
    client = await stage.join()
    await client.do(Respond())
    await stage.wait(3.0)
    assert read(client.sound()) == "Hello, I am here."
    await ask(stage, client, "good")
    assert len(ended(client)) == 2


async def test_a_written_answer_to_a_spoken_question() -> None:
    stage = scene()
    client = await stage.join(settings=Settings(speaks=False))
    await ask(stage, client, "good evening")
    text = "".join(event.text for event in client.of(ResponseText) if isinstance(event, ResponseText))
    assert text.strip() == "You said good evening ."
    assert not client.of(ResponseSpeech)


async def test_push_to_talk() -> None:
    stage = scene()
    client = await stage.join(settings=Settings(turn_detection=None))
    await stage.hear((client, np.concatenate([say("good morning to you all my friends"), silence(1.0)])))
    await client.do(Commit())
    await client.do(Respond())
    await stage.wait(5.0)
    assert read(client.sound()) == "You said good morning to you all my friends ."
    await stage.hear((client, say("a secret")))
    await client.do(Clear())
    await stage.hear((client, say("hello")))
    await client.do(Commit())
    await client.do(Respond())
    await stage.wait(4.0)
    assert history(stage)[2] == ("user", "hello")
    assert users(client) == [None, None]


async def test_turns_without_an_answer_stand_in_the_next_one() -> None:
    stage = scene()
    client = await stage.join(settings=Settings(turn_detection=TurnDetection(creates_response=False)))
    await ask(stage, client, "hello there", 2.0)
    await ask(stage, client, "what time is it", 2.0)
    await client.do(Respond())
    await stage.wait(4.0)
    assert history(stage)[0] == ("user", "hello there what time is it")
