"""Speaking over an answer: how soon it is silent, whether the history ends there, and what a cough does."""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from scripts.bench_suite.client import AUDIO_DELTA, RATE, SPEECH_STARTED, Answer, Caller, call, server_vad
from scripts.bench_suite.material import Material
from scripts.bench_suite.report import Findings, Row, spread
from scripts.bench_suite.server import Server
from scripts.bench_suite.speakers import Speaker, Utterance, cough, utter

SILENCE_AIM_MS = 250.0
TOLERANCE_S = 0.3
"""between where a word is said to start and where the loudspeaker was stopped"""
DELTA_S = 0.2
"""a transcript delta names words that start within this long after its position"""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Something that was said over an answer. Times are seconds from the onset of what was said over it."""

    said_over: str
    after_s: float
    """how much of the answer had been played"""
    started_s: float | None
    """to speech_started at the client"""
    last_audio_s: float | None
    """to the last audio delta of the answer"""
    silence_s: float
    """to the last sample of the answer that the loudspeaker played"""
    status: str | None
    heard_s: float
    sent_s: float
    transcript: str
    history: str | None
    """what the conversation keeps of the answer"""
    history_matches: bool | None


async def measure(
    server: Server, material: Material, voices: Sequence[Speaker], silence_ms: int, trials: int
) -> Findings:
    """Interruptions at seeded random moments, then coughs and backchannels."""
    rng = random.Random(20)
    stops = [utter(voices[i % len(voices)], text) for i, text in enumerate(material.interruptions)]
    noises = [cough(seed) for seed in range(2)] + [
        utter(voices[i % len(voices)], text) for i, text in enumerate(material.backchannels)
    ]
    found: dict[str, list[Overlap]] = {"interruptions": [], "noises": []}
    for kind, utterances, count in (("interruptions", stops, trials), ("noises", noises, len(noises))):
        for trial in range(count):
            question = utter(voices[trial % len(voices)], material.long_answers[trial % len(material.long_answers)])
            over = utterances[trial % len(utterances)]
            overlap = await _overlap(
                server.realtime_url,
                question,
                over,
                after_s=rng.uniform(0.3, 1.5),
                silence_ms=silence_ms,
                seed=trial,
            )
            if overlap is not None:
                found[kind].append(overlap)
    return _summarised(found, trials, len(noises))


async def _overlap(
    url: str, question: Utterance, over: Utterance, *, after_s: float, silence_ms: int, seed: int
) -> Overlap | None:
    """One trial; None: there was no answer, or it was over before it could be interrupted."""
    async with call(url, server_vad(silence_ms), seed) as caller:
        await asyncio.sleep(0.5)
        asked = caller.microphone.say(question)
        try:
            first = await caller.wait_for(lambda e: e.type == AUDIO_DELTA and e.at_s > asked.end_s, 30)
        except TimeoutError:
            return None
        answer = caller.answers[first.data["response_id"]]
        await asyncio.sleep(max(0.0, first.at_s + after_s - time.monotonic()))
        if caller.loudspeaker.playing(time.monotonic()) is None:
            return None
        over_spoken = caller.microphone.say(over)
        with suppress(TimeoutError):  # neither cancelled nor completed: the status says so
            await caller.wait_for(lambda e: _ends(e.type, e.data, answer) and e.at_s > over_spoken.onset_s, 20)
        await asyncio.sleep(max(0.0, min(caller.loudspeaker.silent_from_s() - time.monotonic(), 15.0)))
        return await _observed(caller, answer, over, over_spoken.onset_s, first.at_s)


def _ends(type_: str, data: dict[str, Any], answer: Answer) -> bool:
    return type_ == "response.done" and data["response"]["id"] == answer.response_id


async def _observed(caller: Caller, answer: Answer, over: Utterance, onset_s: float, first_s: float) -> Overlap:
    started = [e.at_s for e in caller.events if e.type == SPEECH_STARTED and e.at_s > onset_s]
    segments = [segment for segment in caller.loudspeaker.segments if segment.item_id == answer.item_id]
    silent_s = max(segment.start_s + segment.duration_s for segment in segments)
    heard_s = caller.loudspeaker.heard_s(answer.item_id, time.monotonic())
    history = None
    if answer.status == "cancelled":
        history = await _history(caller, answer.item_id, heard_s)
    return Overlap(
        said_over=over.text,
        after_s=onset_s - first_s,
        started_s=started[0] - onset_s if started else None,
        last_audio_s=answer.last_audio_s - onset_s if answer.last_audio_s else None,
        silence_s=silent_s - onset_s,
        status=answer.status,
        heard_s=heard_s,
        sent_s=sum(len(pcm) for pcm in answer.pcm) / RATE,
        transcript=answer.transcript,
        history=history,
        history_matches=None if history is None else ends_where_heard(history, answer.pieces, heard_s),
    )


async def _history(caller: Caller, item_id: str, heard_s: float) -> str:
    """Truncate as the official clients do, then ask what the conversation keeps."""
    after = len(caller.events)
    await caller.send(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=round(heard_s * 1_000)
    )
    await caller.send("conversation.item.retrieve", item_id=item_id)
    shown = await caller.wait_for(lambda e: e.type == "conversation.item.retrieved", 5, after)
    return "".join(part.get("transcript") or part.get("text") or "" for part in shown.data["item"]["content"])


def ends_where_heard(history: str, pieces: Sequence[tuple[float, str]], heard_s: float) -> bool:
    """Whether a kept text has all that surely was heard and nothing that surely was not.

    Args:
        pieces: (position in the answer in seconds, text of the words that start within DELTA_S of it).
    """
    surely = "".join(text for at_s, text in pieces if at_s + DELTA_S + TOLERANCE_S <= heard_s).split()
    possibly = "".join(text for at_s, text in pieces if at_s <= heard_s + TOLERANCE_S).split()
    kept = history.split()
    return kept[: len(surely)] == surely and possibly[: len(kept)] == kept


def _summarised(found: dict[str, list[Overlap]], trials: int, n_noises: int) -> Findings:
    stops, noises = found["interruptions"], found["noises"]
    rows = spread(
        "barge-in: speech to speech_started", [s.started_s for s in stops if s.started_s is not None], None, None
    )
    rows += spread(
        "barge-in: speech to last audio received",
        [max(0.0, s.last_audio_s) for s in stops if s.last_audio_s is not None],
        None,
        None,
    )
    rows += spread("barge-in: speech to silence at the client", [s.silence_s for s in stops], SILENCE_AIM_MS, None)
    n = len(stops)
    rows += [
        Row("barge-in: answers too short to interrupt", trials - n, "", trials),
        Row(
            "barge-in: interruptions that stopped the answer",
            sum(s.status == "cancelled" for s in stops),
            "",
            n,
            n,
            "higher",
        ),
        Row(
            "barge-in: histories that end where the sound ended",
            sum(s.history_matches is True for s in stops),
            "",
            n,
            n,
            "higher",
        ),
        Row(
            "coughs and backchannels: answer went on to its end",
            sum(s.status == "completed" for s in noises),
            "",
            len(noises),
            len(noises),
            "higher",
        ),
    ]
    return Findings(rows, {kind: [asdict(overlap) for overlap in overlaps] for kind, overlaps in found.items()})
