"""What a model that never says what it heard still knows when its state is made anew, or when it failed."""

import random
from itertools import groupby

import numpy as np
import pytest

from streaming.commands import (
    AppendImage,
    Cancel,
    Command,
    CreateItem,
    DeleteItem,
    Respond,
    Update,
)
from streaming.events import (
    AudioPart,
    Fault,
    Item,
    Settings,
    TextPart,
)
from streaming.tdm.conversation import SPEECH_GONE
from streaming.tdm.recent import MAX_SOUND_S
from tests.fakes import WORD_S, ended, noise, say, silence
from tests.wordless import LONG, PICTURE, ask, brief, history, scene

pytestmark = pytest.mark.usefixtures("traces_keep_the_grammar")

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
