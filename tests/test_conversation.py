"""Whole conversations on a manual clock, with a scripted model."""

import numpy as np
import pytest

from streaming.commands import (
    Heard,
    TruncateItem,
)
from streaming.events import (
    AudioPart,
    Fault,
    ItemTruncated,
    Measured,
    OverlapEnded,
    ResponseSpeech,
    ResponseStarted,
    SpeechStarted,
    UserTranscript,
)
from tests.fakes import WORD_S, ScriptedModel, Stage, ended, history, noise, read, say, silence, transcripts

pytestmark = pytest.mark.usefixtures("traces_keep_the_grammar")

LONG = "one two three four five six seven eight nine ten eleven twelve"


async def test_a_question_is_answered_in_the_order_of_the_protocol() -> None:
    stage = Stage()
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("what time is it")])))
    await stage.wait(4.0)
    assert [kind for kind in client.kinds if kind != "UserTranscript"] == [
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
    assert transcripts(client) == [("user", "what time is it"), ("assistant", "You said what time is it .")]
    assert history(stage) == transcripts(client)
    final = [event for event in client.of(UserTranscript) if isinstance(event, UserTranscript) and event.final]
    assert [event.text for event in final] == ["what time is it"]


async def test_the_answer_is_there_as_soon_as_the_turn_is_over() -> None:
    stage = Stage()
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("hello there")])))
    await stage.wait(2.0)
    (measured,) = client.of(Measured)
    assert isinstance(measured, Measured)
    # True silence of 0.32 s, seen in windows of 32 ms; nothing is left to compute then.
    assert 0.2 < measured.turn_latency_s < 0.45
    assert measured.first_audio_s == pytest.approx(0.0, abs=1e-6)


async def test_an_unfinished_sentence_is_given_time() -> None:
    stage = Stage()
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("tell me and"), silence(0.9), say("then stop")])))
    assert not client.of(ResponseStarted)
    await stage.wait(4.0)
    assert transcripts(client)[0] == ("user", "tell me and then stop")
    assert len(client.of(ResponseStarted)) == 1


async def test_patience_ends_even_an_unfinished_sentence() -> None:
    stage = Stage()
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("tell me and")])))
    await stage.wait(4.0)
    assert transcripts(client)[0] == ("user", "tell me and")


async def test_a_false_end_of_turn_is_rewound() -> None:
    stage = Stage()
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("what is"), silence(0.25), say("the time")])))
    assert "begin" in stage.model.log  # an answer was prepared in the pause
    await stage.wait(4.0)
    assert history(stage) == [("user", "what is the time"), ("assistant", "You said what is the time .")]
    assert len(client.of(ResponseStarted)) == 1
    assert read(client.sound()) == "You said what is the time ."


@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.5, 1.1, 1.9, 2.6])
async def test_an_interruption_stops_the_answer_and_only_what_was_heard_is_kept(after_s: float) -> None:
    stage = Stage(ScriptedModel(answer=lambda state, text: LONG if text == "count" else "fine"))
    client = await stage.join(lead_s=0.2)
    await stage.hear((client, np.concatenate([silence(0.5), say("count")])))
    while not client.of(ResponseSpeech):
        await stage.wait(0.02)
    await stage.wait(after_s)
    await stage.hear((client, say("stop please I want something else")))
    (first, *_) = ended(client)
    assert (first.status, first.reason) == ("cancelled", "turn_detected")
    part = first.item.parts[0]
    assert isinstance(part, AudioPart)
    # The player was stopped by SpeechStarted, about 0.16 s into the interruption.
    assert after_s <= part.duration_s <= after_s + 0.3
    n_heard = len((part.transcript or "").split())
    assert abs(n_heard - part.duration_s / WORD_S) <= 0.51
    assert LONG.startswith((part.transcript or "").strip())
    await stage.wait(3.0)
    assert [text for role, text in transcripts(client) if role == "user"] == [
        "count",
        "stop please I want something else",
    ]
    spoken = [entry for entry in transcripts(client) if entry[1]]
    assert history(stage) == spoken
    assert read(client.sound(ended(client)[1].response_id)) == "fine"


async def test_no_sound_of_an_interrupted_answer_follows() -> None:
    stage = Stage(ScriptedModel(answer=lambda state, text: LONG))
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("count")])))
    await stage.wait(1.0)
    await stage.hear((client, say("no no wait for me")))
    first = ended(client)[0]
    index = client.events.index(first)
    assert not [
        e for e in client.events[index:] if isinstance(e, ResponseSpeech) and e.response_id == first.response_id
    ]
    started = max(i for i, e in enumerate(client.events) if isinstance(e, SpeechStarted))
    assert not [e for e in client.events[started:index] if isinstance(e, ResponseSpeech)]


@pytest.mark.parametrize("sound", [noise(0.3), say("uh-huh"), say("yeah")])
async def test_a_cough_or_uh_huh_does_not_stop_the_answer(sound: np.ndarray) -> None:
    stage = Stage(ScriptedModel(answer=lambda state, text: LONG))
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("count")])))
    await stage.wait(1.0)
    await stage.hear((client, sound))
    await stage.wait(5.0)
    (resumed,) = client.of(OverlapEnded)
    (response,) = ended(client)
    assert response.status == "completed"
    assert isinstance(resumed, OverlapEnded)
    assert transcripts(client) == [("user", "count"), ("assistant", LONG)]
    assert history(stage) == [("user", "count"), ("assistant", LONG)]
    # What was sent before the cough up to the place of going on, and after it, is the whole answer.
    index = client.events.index(resumed)
    before = [
        e for e in client.events[:index] if isinstance(e, ResponseSpeech) and e.at_s + 1e-6 < resumed.resumes_at_s
    ]
    after = [e for e in client.events[index:] if isinstance(e, ResponseSpeech)]
    assert after[0].at_s == pytest.approx(resumed.resumes_at_s)
    cut = round((resumed.resumes_at_s - before[-1].at_s) * 24_000)
    played = np.concatenate([*(e.pcm for e in before[:-1]), before[-1].pcm[:cut], *(e.pcm for e in after)])
    assert len(played) == round(len(LONG.split()) * WORD_S * 24_000)


async def test_noise_alone_is_no_turn() -> None:
    stage = Stage()
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), noise(0.5)])))
    await stage.wait(3.0)
    assert not client.session.items
    assert not client.of(ResponseStarted)
    await stage.hear((client, say("are you there")))
    await stage.wait(3.0)
    assert transcripts(client)[0] == ("user", "are you there")


async def test_two_sessions_at_once_hear_only_their_own() -> None:
    stage = Stage(ScriptedModel(max_batch=4))
    a, b = await stage.join("a"), await stage.join("b")
    await stage.hear(
        (a, np.concatenate([silence(0.5), say("red apples")])), (b, np.concatenate([silence(0.6), say("blue sky")]))
    )
    await stage.wait(4.0)
    assert read(a.sound()) == "You said red apples ."
    assert read(b.sound()) == "You said blue sky ."


async def test_silence_costs_the_model_nothing() -> None:
    stage = Stage()
    await stage.join()
    await stage.wait(30.0)
    assert stage.model.log == ["open default"]


async def test_a_client_that_vanishes_mid_answer_frees_its_state_and_harms_nobody() -> None:
    stage = Stage(ScriptedModel(answer=lambda state, text: LONG))
    a, b = await stage.join("a"), await stage.join("b")
    await stage.hear(
        (a, np.concatenate([silence(0.5), say("count")])), (b, np.concatenate([silence(0.5), say("count")]))
    )
    await stage.wait(0.8)
    await a.session.close("client", "gone")
    del stage.clients["a"]
    await stage.run()
    assert stage.worker.n_sessions == 1
    await stage.wait(4.0)
    assert ended(b)[0].status == "completed"
    assert read(b.sound()) == LONG


async def test_a_slow_client_makes_the_answer_wait() -> None:
    stage = Stage(ScriptedModel(answer=lambda state, text: " ".join([LONG] * 8)))
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("count")])))
    await stage.wait(0.6)
    client.blocked.clear()
    n_events, n_steps = len(client.events), 0
    await stage.wait(20.0)
    n_steps = stage.model.log.count("speak")
    assert len(client.events) <= n_events + 1
    await stage.wait(20.0)
    assert stage.model.log.count("speak") == n_steps
    client.blocked.set()
    await stage.wait(30.0)
    assert ended(client)[0].status == "completed"


async def test_reported_position_decides_what_was_heard() -> None:
    stage = Stage(ScriptedModel(answer=lambda state, text: LONG))
    client = await stage.join(lead_s=1.0)
    await stage.hear((client, np.concatenate([silence(0.5), say("count")])))
    while not client.of(ResponseSpeech):
        await stage.wait(0.02)
    await stage.wait(1.0)
    started = client.of(ResponseStarted)[0]
    assert isinstance(started, ResponseStarted)
    # The player began late: it is only 0.5 s into the answer.
    await client.do(Heard(started.item_id, 0.5))
    await stage.hear((client, say("stop stop stop right now")))
    part = ended(client)[0].item.parts[0]
    assert isinstance(part, AudioPart)
    assert part.duration_s == pytest.approx(0.5 + 0.17, abs=0.06)


async def test_truncate_is_clamped_and_never_an_error() -> None:
    stage = Stage()
    client = await stage.join()
    await stage.hear((client, np.concatenate([silence(0.5), say("hello")])))
    await stage.wait(4.0)
    item = client.session.items[1]
    await client.do(TruncateItem(item.id, 99.0))
    await client.do(TruncateItem(item.id, 0.3))
    beyond, cut = client.of(ItemTruncated)
    assert isinstance(beyond, ItemTruncated)
    assert isinstance(cut, ItemTruncated)
    assert beyond.heard_s == pytest.approx(4 * WORD_S)
    assert beyond.text.strip() == "You said hello ."
    assert cut.heard_s == pytest.approx(0.3)
    assert cut.text.strip() == "You"
    assert history(stage)[-1] == ("assistant", "You")
    assert not client.of(Fault)
