"""What one client can make the server hold is bounded, and the others notice nothing of it."""

from dataclasses import replace

from streaming.commands import AppendAudio, Commit, CreateItem, DeleteItem, Respond, Update
from streaming.events import Fault, Item, ReplyOptions, Settings, TextPart
from streaming.tdm.conversation import MAX_REPLAYED
from streaming.tdm.dialogue import text_of
from streaming.tdm.pipeline import MAX_JOBS
from tests.fakes import TIMING, Client, ScriptedModel, Stage, say


def typed(text: str, item_id: str = "item_typed") -> CreateItem:
    return CreateItem(Item(item_id, "user", (TextPart(text),)))


def last_said(client: Client) -> str:
    return text_of(client.session.items[-1].parts).strip()


async def test_a_client_that_asks_for_more_than_the_model_can_do_is_told_and_the_others_notice_nothing() -> None:
    stage = Stage()
    flooding, other = await stage.join("a"), await stage.join("b")
    for index in range(2 * MAX_JOBS):
        await flooding.session.handle(typed("word", f"item_{index}"))
    faults = [event for event in flooding.events if isinstance(event, Fault)]
    assert {fault.code for fault in faults} == {"rate_limit_exceeded"}
    await other.session.handle(typed("hello"))
    await other.session.handle(Respond())
    await stage.wait(2.0, other)
    assert last_said(other) == "You said hello ."
    await flooding.do(typed("and now"))
    assert [event for event in flooding.events if isinstance(event, Fault)] == faults
    assert last_said(flooding) == "and now"


async def test_a_long_conversation_is_told_anew_from_its_newest_items() -> None:
    stage = Stage()
    client = await stage.join()
    for index in range(MAX_REPLAYED + 10):
        await client.do(typed(str(index), f"item_{index}"))
    await client.do(DeleteItem("item_0"))
    assert stage.model.states[-1].typed == [str(index) for index in range(10, MAX_REPLAYED + 10)]


async def test_sound_that_a_slow_engine_did_not_take_is_told_once_a_turn() -> None:
    stage = Stage()
    client = await stage.join(settings=Settings(turn_detection=None))
    stage.steps_per_packet = 0
    for _ in range(70):
        await client.session.handle(AppendAudio(say("word " * 5)[: TIMING.unit_samples]))
    await client.session.handle(Commit())
    stage.steps_per_packet = None
    await stage.run()
    (fault,) = client.of(Fault)
    assert isinstance(fault, Fault)
    assert fault.code == "sound_dropped"
    await stage.hear((client, say("short")))
    await client.do(Commit())
    assert client.of(Fault) == [fault]


async def test_text_that_the_model_cannot_read_at_once_is_refused_before_it_stands_in_the_conversation() -> None:
    model = ScriptedModel()
    model.capabilities = replace(model.capabilities, max_text_bytes=20)
    stage = Stage(model)
    client = await stage.join()
    await client.do(typed("twenty bytes at most"))
    await client.do(typed("twenty letters: 五六七八", "item_long"))
    await client.do(Update(Settings("instructions that are far too long")))
    await client.do(Respond(ReplyOptions(instructions="and these here as well")))
    faults = [event.code for event in client.events if isinstance(event, Fault)]
    assert faults == ["string_above_max_length"] * 3
    assert [item.id for item in client.session.items] == ["item_typed"]
    await client.do(Respond())
    await stage.wait(2.0, client)
    assert last_said(client) == "You said twenty bytes at most ."
