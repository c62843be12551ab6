"""Nothing of one user ever reaches another: every user is marked, by words, by a tone and by ids, and all call at once.

They type and speak, make mistakes, lose their connections and come back, ask for what belongs to others, and the
model stumbles. What each of them was ever sent is then searched for the marks of the others.
"""

import asyncio
import base64
import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
import orjson
import pytest

from omni.types import Delta, Pcm, Reply, SpeechDelta, Transcript, TurnEnd, Unit, Word
from streaming.config import Config
from tests.fakes import TIMING, ScriptedModel, ScriptedState, silence
from tests.grammar import check
from tests.streaming.gateway.place import RATE, Peer, Place, encoded, serving

N_USERS = 8
ROUNDS = 3
PIECE_S = 0.3
"""of an answer's sound, at most"""


def tone(hz: int, seconds: float, rate: int) -> Pcm:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def spectrum(pcm: Pcm, rate: int) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]:
    """Frequencies and their power."""
    return np.fft.rfftfreq(len(pcm), 1 / rate), np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))) ** 2


def loudest_hz(pcm: Pcm, rate: int) -> int:
    frequencies, power = spectrum(pcm, rate)
    return round(float(frequencies[power.argmax()]) / 50) * 50


class Parrot(ScriptedModel):
    """Says what was typed, names the tone that it heard, and plays back the very sound; many sessions in one step."""

    def __init__(self) -> None:
        super().__init__(max_batch=4)
        self.widest = 0

    def step(self, phase: Any, states: Sequence[ScriptedState]) -> list[list[Delta]]:
        self.widest = max(self.widest, len(states))
        return super().step(phase, states)

    def _listen(self, unit: Unit, state: ScriptedState) -> list[Delta]:
        if unit.text is not None and unit.role == "user":
            state.typed.append(unit.text)
        if unit.audio is None:
            return []
        state.audio = np.concatenate([state.audio, unit.audio])
        sounding = self._sounding(state)
        return [Transcript(f"{loudest_hz(sounding, TIMING.input_rate)}Hz", 0.9)] if len(sounding) else []

    def begin(self, state: ScriptedState, reply: Reply) -> None:
        heard = self._sounding(state)
        named = [f"{loudest_hz(heard, TIMING.input_rate)}Hz"] if len(heard) else []
        state.to_think = [*state.instructions.split(), *" ".join(state.typed).split(), *named]
        state.reply, state.to_speak, state.typed = reply, [], []
        state.__dict__["echo"] = heard
        state.audio = np.zeros(0, np.float32)

    def _speak(self, state: ScriptedState) -> list[Delta]:
        deltas: list[Delta] = []
        if state.to_speak:
            heard: Pcm = state.__dict__["echo"][: round(PIECE_S * TIMING.input_rate)]
            n = len(heard) * TIMING.output_rate // TIMING.input_rate
            at = np.arange(n) * TIMING.input_rate / TIMING.output_rate
            pcm = np.interp(at, np.arange(len(heard)), heard).astype(np.float32)
            words = tuple(Word(f" {word}", 0.05 * index) for index, word in enumerate(state.to_speak))
            deltas.append(SpeechDelta(pcm, words))
            state.to_speak = []
        if not state.to_think and state.reply is not None:
            state.reply = None
            deltas.append(TurnEnd("completed", 1))
        return deltas

    @staticmethod
    def _sounding(state: ScriptedState) -> Pcm:
        loud = np.flatnonzero(np.abs(state.audio) > 0.1)
        # its edges are left out, where a tone that begins is no tone yet
        return state.audio[loud[0] + 800 : loud[-1] - 800] if len(loud) > 3_200 else np.zeros(0, np.float32)


class User:
    """One person with a mark, who is clumsy, curious and badly connected."""

    def __init__(self, number: int, http: aiohttp.ClientSession, place: Place) -> None:
        self.mark = f"mark{chr(ord('a') + number) * 4}"
        self.hz = 400 + 100 * number
        self.traces: list[list[dict[str, Any]]] = []
        """what came, by call; over however many connections"""
        self.n_told = self.n_heard = 0
        self.by_hand = number % 2 == 1
        self._http = http
        self._place = place
        self._chance = random.Random(number)
        self._headers = {"Authorization": f"Bearer sekret-{number}"}

    async def live(self, others: "list[User]") -> None:
        """Several conversations, with a break in each."""
        for _ in range(2):
            self.traces.append([])
            async with self._connection() as peer:
                await self._begin(peer)
                await self._round(peer, others)
                await self._vanish(peer)
            async with self._connection("?resume=1") as peer:
                await peer.send("session.resume", **self.whereabouts())
                for _ in range(ROUNDS - 1):
                    await self._round(peer, others)

    def whereabouts(self) -> dict[str, Any]:
        """What a client knows that wants to go on with its call."""
        # somebody else may ask for it in the moment before another call has begun
        trace = next(trace for trace in reversed(self.traces) if trace)
        offers = [event for event in trace if event["type"] in {"session.created", "session.resumed"}]
        return {"resume_token": offers[-1]["omni"]["resume_token"], "last_event_seq": trace[-1]["server_event_seq"]}

    def ids(self, of: str) -> set[str]:
        """Ids of one kind that this user was told."""
        return {value for name, value in leaves(self.events()) if name == of and isinstance(value, str)}

    def events(self) -> list[dict[str, Any]]:
        return [event for trace in self.traces for event in trace if event["type"] != "error"]

    @contextlib.asynccontextmanager
    async def _connection(self, query: str = "") -> Any:
        address = self._place.realtime + query
        async with self._http.ws_connect(address, headers=self._headers, max_msg_size=0) as socket:
            peer = Peer(socket)
            peer.events = self.traces[-1]
            yield peer

    async def _begin(self, peer: Peer) -> None:
        await peer.until("session.created")
        audio = {"input": {"turn_detection": None}} if self.by_hand else {}
        await peer.send("session.update", session={"instructions": self.mark, "audio": audio})
        await peer.until("session.updated")

    async def _round(self, peer: Peer, others: "list[User]") -> None:
        for mischief in self._chance.sample((self._blunder, self._pry, self._stumble), 2):
            await mischief(peer, self._chance.choice(others))
        answer = await peer.ask(f"{self.mark}?")
        # when the model has stumbled, there may be no answer, or one that repeats what was said before
        assert set(answer.split()) <= {self.mark, f"{self.mark}?", f"{self.hz}Hz"}
        self.n_told += bool(answer)
        await self._speak(peer)

    async def _speak(self, peer: Peer) -> None:
        sound = np.concatenate((tone(self.hz, 0.6, RATE), silence(0.9, RATE)))
        for packet in np.split(sound, range(RATE // 50, len(sound), RATE // 50)):
            await peer.send("input_audio_buffer.append", audio=encoded(packet))
            await asyncio.sleep(0.001)
        if self.by_hand:
            await peer.send("input_audio_buffer.commit")
            await peer.send("response.create")
        done = await peer.until("response.done")
        self.n_heard += done["response"]["status"] == "completed"

    async def _vanish(self, peer: Peer) -> None:
        transport = peer.socket._conn.transport if peer.socket._conn else None
        assert isinstance(transport, asyncio.Transport)
        transport.abort()

    async def _blunder(self, peer: Peer, _: "User") -> None:
        for frame in ("{", '{"type": "no.such"}', '{"type": "input_audio_buffer.append", "audio": "?"}'):
            await peer.socket.send_str(frame)
            assert (await self._refusal(peer)).startswith(("invalid_", "missing_"))

    async def _pry(self, peer: Peer, other: "User") -> None:
        """Ask for what is another's, by its right id and with its right token."""
        for item_id in [*other.ids("item_id")][:2]:
            for wish in ("retrieve", "delete", "truncate"):
                position = {"content_index": 0, "audio_end_ms": 0} if wish == "truncate" else {}
                await peer.send(f"conversation.item.{wish}", item_id=item_id, **position)
                assert await self._refusal(peer) == "item_not_found"
        for response_id in [*other.ids("response_id")][:1]:
            await peer.send("response.cancel", response_id=response_id)
            assert await self._refusal(peer) == "response_cancel_not_active"
        if other.traces and other.traces[-1]:
            async with self._connection("?resume=1") as thief:
                thief.events = []
                await thief.send("session.resume", **other.whereabouts())
                await thief.closed()
            assert [event["type"] for event in thief.events] == ["error"]

    async def _stumble(self, _peer: Peer, _other: "User") -> None:
        if self._chance.random() < 0.4:
            self._place.model.fail = RuntimeError("the model stumbled")

    @staticmethod
    async def _refusal(peer: Peer) -> str:
        """Why the latest message was refused; that the model has stumbled may be said at any time."""
        while (code := (await peer.until("error"))["error"]["code"]) == "model_error":
            pass
        return str(code)


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value in JSON, with the name of its field."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, name)
    else:
        yield name, value


def sound_of(events: Sequence[dict[str, Any]]) -> Pcm:
    pcm = b"".join(base64.b64decode(one["delta"]) for one in events if one["type"] == "response.output_audio.delta")
    return (np.frombuffer(pcm, "<i2") / np.float32(32_768)).astype(np.float32)


@pytest.fixture(scope="module")
def users() -> list[User]:
    """Everybody, after they have called."""
    return asyncio.run(all_call())


async def all_call() -> list[User]:
    keys = tuple(f"sekret-{number}" for number in range(N_USERS))
    model = Parrot()
    async with (
        serving(Config(api_keys=keys, max_sessions=3 * N_USERS), model) as place,
        aiohttp.ClientSession() as http,
        asyncio.timeout(60),
    ):
        everybody = [User(number, http, place) for number in range(N_USERS)]
        await asyncio.gather(*(user.live([one for one in everybody if one is not user]) for user in everybody))
        await place.empty()
    assert model.widest > 1, "nothing was computed together, so nothing could have been mixed up"
    return everybody


def test_everybody_was_answered_and_in_order(users: list[User]) -> None:
    for user in users:
        assert user.n_told and user.n_heard >= ROUNDS
        for trace in user.traces:
            check(trace)


def test_nobody_was_sent_anothers_words(users: list[User]) -> None:
    for user in users:
        told = orjson.dumps(user.traces).decode()
        assert told.count(user.mark) > 10
        assert f"{user.hz}Hz" in told
        for other in users:
            assert other is user or (other.mark not in told and f"{other.hz}Hz" not in told)


def test_nobody_heard_anothers_sound(users: list[User]) -> None:
    for user in users:
        frequencies, power = spectrum(sound_of(user.events()), RATE)
        mine = power[np.abs(frequencies - user.hz) < 40].sum()
        assert mine > 0
        for other in users:
            if other is not user:
                assert power[np.abs(frequencies - other.hz) < 40].sum() < 0.005 * mine


def test_no_id_was_told_to_two(users: list[User]) -> None:
    kinds = ("id", "item_id", "response_id", "event_id", "previous_item_id", "resume_token", "conversation_id")
    told = [set().union(*(user.ids(kind) for kind in kinds)) for user in users]
    assert all(len(ids) > 50 for ids in told)
    assert len(set().union(*told)) == sum(map(len, told))
