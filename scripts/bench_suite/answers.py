"""Held-out questions asked aloud: share answered correctly, and whether the answers can be understood by ear."""

import re
from collections.abc import Sequence

import jiwer
import numpy as np
import soxr

from omni.packaged.hearing.recogniser import Recogniser
from omni.packaged.language.prompt import STATIC
from omni.timing import Timing
from scripts.bench_suite.client import RATE, Answer
from scripts.bench_suite.material import Material, Question
from scripts.bench_suite.report import Findings, Row
from scripts.bench_suite.server import Server
from scripts.bench_suite.speakers import Speaker, utter
from scripts.bench_suite.turns import ask

CORRECT_AIM, WER_AIM = 50.0, 10.0
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
SAME = {"colour": "color", "favourite": "favorite"} | {word: str(number) for number, word in enumerate(NUMBERS)}
"""spellings between which an ear cannot choose"""


async def measure(server: Server, material: Material, voices: Sequence[Speaker], silence_ms: int) -> Findings:
    """Every held-out question once, the voices in turn; each in a session of its own."""
    details, spoken = [], []
    for seed, question in enumerate(held_out(material.questions)):
        utterance = utter(voices[seed % len(voices)], question.text)
        turn, answer = await ask(server.realtime_url, utterance, silence_ms, whole=True, seed=seed)
        details.append(turn.as_dict() | {"id": question.id, "correct": question.accepts(turn.answer)})
        if answer is not None and answer.transcript.strip():
            spoken.append(answer)
    n = len(details)
    understood = wer([d["question"] for d in details], [d["understood"] for d in details])
    heard = transcribed(spoken)
    clear = [d for d in details if wer([d["question"]], [d["understood"]]) == 0]
    rows = [
        Row(
            "held-out questions answered correctly",
            100 * sum(d["correct"] for d in details) / n,
            "%",
            n,
            CORRECT_AIM,
            "higher",
        ),
        Row(
            "the same, of those understood word for word",
            100 * sum(d["correct"] for d in clear) / max(1, len(clear)),
            "%",
            len(clear),
            better="higher",
        ),
        Row("word error rate of the questions as understood", 100 * understood, "%", n),
    ]
    if spoken:
        said = [answer.transcript for answer in spoken]
        rows.append(Row("word error rate of the answers heard back", 100 * wer(said, heard), "%", len(said), WER_AIM))
    return Findings(
        rows,
        {
            "answers": details,
            "heard_back": [{"said": a.transcript, "heard": h} for a, h in zip(spoken, heard, strict=True)],
        },
    )


def held_out(questions: Sequence[Question]) -> list[Question]:
    """Those that the packaged prompt does not give away as an example."""
    shown = {_plain(message.text) for message in STATIC}
    return [question for question in questions if _plain(question.text) not in shown]


def wer(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Word error rate over all pairs together. Case, punctuation and the spellings in SAME do not count."""
    return float(jiwer.wer([_plain(text) for text in references], [_plain(text) for text in hypotheses]))


def _plain(text: str) -> str:
    return " ".join(SAME.get(word, word) for word in re.findall(r"[a-z0-9']+", text.lower()))


def transcribed(answers: Sequence[Answer]) -> list[str]:
    """What Whisper tiny.en hears in each answer's sound."""
    recogniser = Recogniser()
    heard = []
    for answer in answers:
        utterance = recogniser.open()
        pcm = np.concatenate(answer.pcm)
        utterance.add(soxr.resample(pcm, RATE, Timing().input_rate).astype(np.float32))
        heard.append(utterance.transcribe())
    return heard
