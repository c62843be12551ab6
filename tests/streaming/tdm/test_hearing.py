"""The ear alone, before an engine that answers when it is told to."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from omni.types import Delta, Transcript, Unit
from streaming.company.catalogue import BuiltIn
from streaming.events import AudioPart, Event, Fault, Item, TextPart, UserTranscript
from streaming.tdm.clock import ManualClock, settle
from streaming.tdm.conversation import Conversation, opening_settings
from streaming.tdm.hearing import ONSET, Hearing, UserTurn
from streaming.tdm.jobs import Done, Failed, Job, Listen, MarkState, Rewind
from tests.fakes import TIMING, ScriptedModel

SHADE = np.full((2, 2, 3), 7, np.uint8)
HALF = Unit(audio=np.zeros(TIMING.input_rate // 2, np.float32))


class Ear:
    """A Hearing, the jobs it gives, and what it tells the client and its owner."""

    def __init__(self, transcribes: bool = True) -> None:
        self.timing, self.capabilities = TIMING, ScriptedModel(transcribes=transcribes).capabilities
        self.jobs: list[Job] = []
        self.events: list[Event] = []
        self.heard: list[UserTurn] = []
        settings = opening_settings(self.capabilities)
        catalogue = BuiltIn(self.capabilities)
        self.talk = Conversation("s", self, ManualClock(), self, settings, catalogue)
        self.hearing = Hearing(self.talk, self.heard.append)

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def cancel(self, session_id: str, before_turn: int) -> None:
        pass

    def send(self, event: Event) -> None:
        self.events.append(event)

    async def drain(self) -> None:
        pass

    @property
    def works(self) -> list[object]:
        return [job.work.unit if isinstance(job.work, Listen) else job.work for job in self.jobs]

    async def answer(self, *deltas: Delta, error: str | None = None) -> None:
        """The engine has listened to the oldest unit that waits."""
        job = next(job for job in self.jobs if isinstance(job.work, Listen))
        self.jobs.remove(job)
        self.talk.pipeline.deliver(Failed(job, error) if error else Done(job, tuple(deltas)))
        await settle()

    def add_item(self, parts: Sequence[AudioPart | TextPart]) -> UserTurn:
        self.talk.dialogue.add(Item("u", "user", tuple(parts)))
        return UserTurn("u", overlaps=False)


async def test_a_turn_is_marked_once_before_its_first_unit_and_can_be_taken_back() -> None:
    ear, user = Ear(), UserTurn("u", overlaps=False)
    assert ear.hearing.unlisten(user) == ()
    assert ear.works == []  # a mark of the turn before is not to be gone back to
    ear.hearing.listen(user, HALF)
    ear.hearing.listen(user, HALF)
    assert ear.works == [MarkState(ONSET), HALF, HALF]
    assert (user.n_pending, user.duration_s) == (2, 1.0)
    assert ear.hearing.unlisten(user) == (HALF, HALF)
    assert ear.works[3:] == [Rewind(ONSET)]
    assert (user.given, user.duration_s, ear.talk.recent.of("u")) == (False, 0.0, ())
    ear.hearing.listen(user, HALF)
    assert ear.works[4:] == [MarkState(ONSET), HALF]


async def test_what_was_seen_last_before_a_turn_belongs_to_it_unless_it_has_a_picture() -> None:
    ear = Ear()
    seen = [Unit(image=SHADE + shade) for shade in range(3)]
    for unit in seen[:2]:
        ear.hearing.glance(unit)
    for name, units in (("a", [HALF, HALF]), ("b", [HALF])):
        for unit in units:
            ear.hearing.listen(UserTurn(name, overlaps=False, given=unit is not units[0]), unit)
    assert ear.talk.recent.of("a") == (seen[1], HALF, HALF)
    assert ear.talk.recent.of("b") == (HALF,)
    ear.hearing.glance(seen[2])
    shown = replace(HALF, image=SHADE)
    ear.hearing.listen(UserTurn("c", overlaps=False), shown)
    ear.hearing.listen(UserTurn("d", overlaps=False), HALF)
    assert (ear.talk.recent.of("c"), ear.talk.recent.of("d")) == ((shown,), (HALF,))


async def test_the_words_are_written_down_once_all_of_them_are_known() -> None:
    ear = Ear()
    user = ear.add_item([AudioPart(None, 9.0), TextPart("look"), AudioPart(None, 9.0)])
    for _ in range(2):
        ear.hearing.listen(user, HALF)
    await ear.answer(Transcript("good", 0.2))
    ear.hearing.write_down(user)
    assert ear.events == []
    await ear.answer(Transcript("good morning", 0.9))
    assert (user.text, user.finished, user.n_pending, ear.heard) == ("good morning", 0.9, 0, [user, user])
    ear.hearing.write_down(user)
    parts = (AudioPart("good morning", 1.0), TextPart("look"), AudioPart("", 0.0))
    assert ear.talk.dialogue.get("u").parts == parts
    assert ear.events == [UserTranscript("u", "good morning", True, 1.0)]
    assert ear.talk.recent.of("u") == ()


async def test_sound_is_kept_where_no_words_stand_for_it() -> None:
    for transcribes, error in ((False, None), (True, "no memory")):
        ear = Ear(transcribes)
        user = ear.add_item([AudioPart(None, 0.5)])
        ear.hearing.listen(user, HALF)
        await ear.answer(error=error)
        ear.hearing.write_down(user)
        assert ear.talk.recent.of("u") == (HALF,)
        assert user.failed is (error is not None)
        assert len([event for event in ear.events if isinstance(event, UserTranscript)]) == int(transcribes)


async def test_a_turn_whose_item_was_deleted_meanwhile_is_not_told_of() -> None:
    ear = Ear()
    user = ear.add_item([AudioPart(None, 0.5)])
    ear.hearing.listen(user, HALF)
    ear.talk.dialogue.delete("u")
    await ear.answer(Transcript("hello", 0.9))
    ear.hearing.write_down(user)
    assert (ear.events, ear.talk.recent.of("u"), len([*ear.talk.dialogue])) == ([], (), 0)


async def test_a_unit_that_the_model_failed_to_hear_is_told_and_counts_no_longer() -> None:
    ear, user = Ear(), UserTurn("u", overlaps=False)
    ear.hearing.listen(user, HALF)
    await ear.answer(error="no memory")
    assert (user.failed, user.n_pending, ear.heard, ear.talk.unfit) == (True, 0, [user], True)
    (fault,) = ear.events
    assert isinstance(fault, Fault)
    assert "no memory" in fault.message


async def test_nobody_is_called_once_the_client_is_gone() -> None:
    ear, user = Ear(), UserTurn("u", overlaps=False)
    ear.hearing.listen(user, HALF)
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    ear.talk.pipeline.close()
    await settle()
    assert (ear.heard, ear.events, faults) == ([], [], [])
