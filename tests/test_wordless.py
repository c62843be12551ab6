"""Whole conversations with a model that answers speech and never says what it heard: there are no words to go by."""

import random
from dataclasses import replace
from itertools import groupby

import numpy as np
import orjson
import pytest

from streaming.commands import (
    AppendImage,
    Cancel,
    Clear,
    Command,
    Commit,
    CreateItem,
    DeleteItem,
    Heard,
    Respond,
    TruncateItem,
    Update,
)
from streaming.events import (
    AudioPart,
    Cleared,
    Fault,
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
from streaming.tdm.conversation import SPEECH_GONE, WORDLESS_SILENCE_S
from streaming.tdm.recent import MAX_SOUND_S
from tests.fakes import WORD_S, Client, ScriptedModel, Stage, ended, noise, read, say, silence

pytestmark = pytest.mark.usefixtures("traces_keep_the_grammar")

LONG = "one two three four five six seven eight nine ten eleven twelve"
PICTURE = np.zeros((4, 4, 3), np.uint8)


def scene(**model: object) -> Stage:
    return Stage(ScriptedModel(transcribes=False, **model))  # type: ignore[arg-type]


async def ask(stage: Stage, client: Client, text: str, wait_s: float = 4.0) -> None:
    """A question by voice, and time for its answer."""
    await stage.hear((client, np.concatenate([silence(0.4), say(text)])))
    await stage.wait(wait_s)


def history(stage: Stage) -> list[tuple[str, str]]:
    """The conversation as the model knows it."""
    return [(role, text.strip()) for role, text in stage.model.states[0].history]


def brief(client: Client) -> Update:
    """Other instructions; all else stays."""
    (opened,) = client.of(Opened)
    assert isinstance(opened, Opened)
    return Update(replace(opened.settings, instructions="be brief"))


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


# ------------------------------------------------------------ a state that is made anew


@pytest.mark.parametrize(
    "command",
    [
        Update(Settings(instructions="be brief")),
        Update(Settings(voice="other")),
        CreateItem(Item("item_0", "system", (TextPart("zeroth"),)), after="root"),
    ],
    ids=["instructions", "voice", "history"],
)
async def test_what_was_said_by_voice_is_remembered_by_a_state_that_is_made_anew(command: Command) -> None:
    stage = scene()
    client = await stage.join()
    await ask(stage, client, "I am Anna")
    await ask(stage, client, "I live here")
    before = history(stage)
    await client.do(command)
    await client.do(CreateItem(Item("item_1", "user", (TextPart("who am I"),))))
    await client.do(Respond())
    await stage.wait(4.0)
    told = [entry for entry in history(stage) if entry[0] != "system"]
    assert told == [*before, ("user", "who am I"), ("assistant", "You said who am I .")]
    assert stage.model.log.count("open default") + stage.model.log.count("open other") == 2


async def test_the_last_picture_of_a_turn_is_seen_again_in_its_place() -> None:
    stage = scene()
    client = await stage.join()
    for text in ("one two three four five six seven", "eight nine"):
        for word in text.split():
            await client.do(AppendImage(PICTURE))
            await stage.hear((client, say(word)))
        await stage.wait(6.0)
    await client.do(brief(client))
    assert stage.model.states[0].n_images == 2
    assert history(stage)[0] == ("user", "one two three four five six seven")


async def test_what_was_shown_before_a_short_turn_is_seen_again_with_it() -> None:
    stage = scene()
    client = await stage.join()
    await client.do(AppendImage(PICTURE))
    await ask(stage, client, "look there")
    await ask(stage, client, "why that")
    await client.do(brief(client))
    assert stage.model.states[0].n_images == 1
    assert history(stage)[0] == ("user", "look there")


async def test_new_instructions_in_the_middle_of_a_turn_hold_for_its_answer() -> None:
    stage = scene()
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.4), say("one two three four five six")])))
    await client.do(brief(client))
    await ask(stage, client, "seven")
    assert history(stage)[0][1].startswith("one two three four five six")
    assert stage.model.states[0].instructions == "be brief"
    assert len(ended(client)) == 1


async def test_what_is_deleted_is_not_told_again() -> None:
    stage = scene()
    client = await stage.join()
    await ask(stage, client, "a secret")
    await ask(stage, client, "hello")
    await client.do(DeleteItem(client.session.items[0].id))
    assert history(stage)[:2] == [("assistant", "You said a secret ."), ("user", "hello")]


async def test_of_a_long_conversation_the_newest_is_heard_again_and_a_note_stands_for_the_rest() -> None:
    stage = scene(answer=lambda state, text: "yes")
    client = await stage.join()
    n_turns = 4
    text = " ".join(f"w{index}" for index in range(round(MAX_SOUND_S / (n_turns - 1) / WORD_S)))
    for turn in range(n_turns):
        await client.do(CreateItem(Item(f"item_{turn}", "user", (AudioPart(None, 0.0, say(f"t{turn} {text}")),))))
        await client.do(Respond())
        await stage.wait(1.0)
    await client.do(brief(client))
    told = [text for role, text in history(stage) if role == "user"]
    assert told[0] == SPEECH_GONE
    # some of the second turn's beginning had to go as well
    assert text.endswith(told[1].split(" ", 1)[1])
    assert told[2] == f"t2 {text}"
    assert stage.model.states[0].take_turn() == ""


async def test_text_and_several_recordings_of_one_item_are_all_told_again() -> None:
    stage = scene()
    client = await stage.join()
    parts = (TextPart("Listen:"), AudioPart(None, 0.0, say("good")), AudioPart(None, 0.0, say("morning")))
    await client.do(CreateItem(Item("item_1", "user", parts)))
    await client.do(Respond())
    await stage.wait(4.0)
    await client.do(brief(client))
    assert history(stage)[0] == ("user", "Listen: good morning")


# ------------------------------------------------------------ an engine that fails


@pytest.mark.parametrize("n_deaf", [1, 2])
async def test_a_model_that_failed_to_hear_is_made_anew_and_hears_the_turn_again(n_deaf: int) -> None:
    stage = scene()
    client = await stage.join()
    await ask(stage, client, "hello")
    stage.model.n_deaf = n_deaf
    await ask(stage, client, "what did the old man say to the boy", 6.0)
    assert history(stage)[2:] == [
        ("user", "what did the old man say to the boy"),
        ("assistant", "You said what did the old man say to the boy ."),
    ]
    assert client.of(Fault)
    assert ended(client)[-1].status == "completed"


async def test_speech_over_an_answer_that_fails_is_not_lost() -> None:
    stage = scene(answer=lambda state, text: LONG if text == "count" else "fine")
    client = await stage.join()
    await ask(stage, client, "count", 1.5)
    stage.model.n_deaf = 1
    await stage.hear((client, say("stop that please and do something else")))
    await stage.wait(4.0)
    assert history(stage)[2] == ("user", "stop that please and do something else")
    assert [event.status for event in ended(client)] == ["cancelled", "completed"]


async def test_an_answer_that_fails_takes_nothing_of_the_conversation_with_it() -> None:
    stage = scene()
    client = await stage.join()
    await ask(stage, client, "I am Anna")
    stage.model.fail = RuntimeError("out of memory")
    await ask(stage, client, "who am I")
    assert ended(client)[1].status == "failed"
    await ask(stage, client, "again")
    assert [text for role, text in history(stage) if role == "user"] == ["I am Anna", "who am I again"]
    assert ended(client)[2].status == "completed"


async def test_cancelled_answers_leave_the_question_in_the_conversation() -> None:
    stage = scene()
    client = await stage.join()
    await ask(stage, client, "I am Anna", 1.3)
    await client.do(Cancel())
    await client.do(brief(client))
    await ask(stage, client, "who am I")
    assert [text for role, text in history(stage) if role == "user"][-1].endswith("who am I")
    assert "I am Anna" in history(stage)[0][1]


async def test_an_answer_that_is_cancelled_before_it_began_costs_nothing() -> None:
    stage = scene()
    client = await stage.join()
    await ask(stage, client, "I am Anna")
    await client.do(CreateItem(Item("item_1", "user", (TextPart("who am"),))))
    stage.steps_per_packet = 0
    await client.do(Respond())
    await client.do(Cancel())
    stage.steps_per_packet = None
    await ask(stage, client, "I")
    assert stage.model.log.count("open default") == 1
    assert history(stage)[1:3] == [("assistant", "You said I am Anna ."), ("user", "who am I")]
    assert [event.status for event in ended(client)] == ["completed", "cancelled", "completed"]


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happened_a_state_made_anew_knows_the_same_conversation(seed: int) -> None:
    chance = random.Random(seed)
    stage = scene(answer=lambda state, text: " ".join(f"w{index}" for index in range(3 + len(text) % 14)))
    stage.steps_per_packet = chance.choice([None, 1, 2])
    client = await stage.join(lead_s=chance.choice([0.1, 0.3, 1.0]))
    await stage.wait(0.4)
    sounds = [*map(say, ("what is that", "red green blue", "why not", "no stop")), noise(0.1), noise(0.2)]
    for _ in range(10):
        pause_s = chance.choice([0.1, 0.3, 0.5, 0.9, 1.7, 3.0])
        await stage.hear((client, np.concatenate([chance.choice(sounds), silence(pause_s)])))
    stage.steps_per_packet = None
    await stage.wait(8.0)
    assert client.session.idle
    before = joined(history(stage))
    await client.do(brief(client))
    left = stage.model.states[0].take_turn()
    assert joined([*history(stage), ("user", left)]) == before


def joined(entries: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same conversation without turns in which nothing was said; neighbours of one role are one."""
    spoken = [entry for entry in entries if entry[1]]
    groups = groupby(spoken, key=lambda entry: entry[0])
    return [(role, " ".join(text for _, text in group)) for role, group in groups]
