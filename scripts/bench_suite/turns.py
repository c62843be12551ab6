"""One spoken question to the server and what came of it."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from omni.types import Pcm
from scripts.bench_suite.client import AUDIO_DELTA, RATE, Answer, Caller, call, server_vad
from scripts.bench_suite.speakers import Utterance

LEAD_IN_S = 0.5
"""quiet before the question: the server hears the room first"""
ANSWER_TIMEOUT_S = 30.0
AUDIBLE = 10 ** (-50 / 20)
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer. Latencies are seconds from the true end of the question."""

    speaker: str
    question: str
    understood: str
    answer: str
    latency_s: float | None
    """to the first audio delta at the client; None: no answer came"""
    audible_latency_s: float | None
    """to the first sample of it that can be heard, if it is played at once"""
    server_latency_s: float | None
    """the same moment as the server measured it"""
    server_first_audio_s: float | None
    """end of turn decided to first audio"""
    n_commits: int
    """how many turns the server made of the utterance"""
    early: bool
    """sound of an answer arrived before the speaker had finished"""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


async def ask(
    url: str, utterance: Utterance, silence_ms: int, *, whole: bool, seed: int, instructions: str | None = None
) -> tuple[Turn, Answer | None]:
    """Ask in a session of its own. whole: listen to the answer's end instead of hanging up at its first sound."""
    session = server_vad(silence_ms)
    if instructions is not None:
        session["instructions"] = instructions
    async with call(url, session, seed) as caller:
        await asyncio.sleep(LEAD_IN_S)
        spoken = caller.microphone.say(utterance)
        try:
            await caller.wait_for(lambda e: e.type == AUDIO_DELTA and e.at_s > spoken.end_s, ANSWER_TIMEOUT_S)
            # the server reports its own measurement and the transcript right after the first sound
            await caller.wait_for(lambda e: e.type == "omni.turn_measured", 2)
            await caller.wait_for(lambda e: e.type == TRANSCRIBED, 2)
            if whole:
                await caller.wait_for(lambda e: e.type == "response.done" and e.at_s > spoken.end_s, ANSWER_TIMEOUT_S)
        except TimeoutError:
            pass  # what did not come is missing in the turn, and counts
        return _turn(caller, utterance, spoken.end_s)


def _turn(caller: Caller, utterance: Utterance, end_s: float) -> tuple[Turn, Answer | None]:
    events = caller.events
    audio = [event for event in events if event.type == AUDIO_DELTA]
    after = [event for event in audio if event.at_s > end_s]
    answer = caller.answers.get(after[0].data["response_id"]) if after else None
    latency_s = after[0].at_s - end_s if after else None
    measured = next((event.data for event in events if event.type == "omni.turn_measured"), {})
    turn = Turn(
        speaker=utterance.speaker,
        question=utterance.text,
        understood=" ".join(event.data["transcript"].strip() for event in events if event.type == TRANSCRIBED),
        answer=answer.transcript.strip() if answer else "",
        latency_s=latency_s,
        audible_latency_s=latency_s + _first_audible_s(answer.pcm) if latency_s is not None and answer else None,
        server_latency_s=_seconds(measured.get("turn_latency_ms")),
        server_first_audio_s=_seconds(measured.get("first_audio_ms")),
        n_commits=sum(event.type == "input_audio_buffer.committed" for event in events),
        early=any(event.at_s <= end_s for event in audio),
    )
    return turn, answer


def _first_audible_s(deltas: list[Pcm]) -> float:
    pcm = np.concatenate(deltas)
    loud = np.flatnonzero(np.abs(pcm) > AUDIBLE)
    return int(loud[0]) / RATE if len(loud) else 0.0


def _seconds(value_ms: float | None) -> float | None:
    return None if value_ms is None else value_ms / 1_000
