"""Nano's voices: how like their references shaped ones are, how well they are understood, what they cost."""

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr

from omni.packaged.hearing.recogniser import Recogniser
from omni.packaged.speaking.likeness import Likeness
from omni.packaged.speaking.shaping import Shaping
from omni.packaged.speaking.synthesizer import Synthesizer
from omni.timing import Timing
from omni.types import Pcm, Voice
from scripts.bench_suite.answers import wer
from scripts.bench_suite.material import Material
from scripts.bench_suite.references import INPUT_RATE, TO_GET, Reference, references
from scripts.bench_suite.report import Findings, Row

WON_AIM, WORSE_AIM, PREPARE_AIM_S = 80, 5, 10
OUTPUT_RATE = Timing().output_rate
N_SENTENCES = 16
ANSWER_S, PART_S = 300, 30
FEWEST = 3


@dataclass(frozen=True, slots=True)
class Models:
    """What speaks, what is shaped, and what listens."""

    synthesizer: Synthesizer
    shaping: Shaping
    likeness: Likeness
    recogniser: Recogniser


def measure(material: Material, known: Sequence[Reference] | None = None) -> Findings:
    """Every reference that this machine has; what it lacks is told, and does not fail."""
    known = references() if known is None else known
    lacking = [reference.name for reference in known if not reference.available]
    if lacking:
        print(f"voices: without {', '.join(lacking)}; to have all: {TO_GET}", file=sys.stderr)
    found = [reference for reference in known if reference.available]
    if len(found) < FEWEST:
        print("voices: skipped, too few references", file=sys.stderr)
        return Findings()
    synthesizer = Synthesizer()
    models = Models(synthesizer, Shaping(synthesizer), Likeness(), Recogniser())
    texts = [question.text for question in material.questions[:N_SENTENCES]]
    built_in = {voice.name: _judged(models, voice, texts) for voice in synthesizer.voices}
    results, voices = [], []
    for reference in found:
        voice, wanted, result = _shaped(models, reference, texts, built_in)
        print(f"voices: {result}", file=sys.stderr)
        voices.append((voice, wanted))
        results.append(result)
    drift = _drift(models, *voices[0], texts)
    errors = {name: error for name, (_, error) in built_in.items()}
    details = {"references": results, "lacking": lacking, "built_in_word_error_rate": errors, "drift": drift}
    return Findings(
        [*_rows(results, errors), *_switching(models, voices[0][0]), *_drift_rows(drift)], {"voices": details}
    )


def _judged(models: Models, voice: Voice, texts: Sequence[str]) -> tuple[Pcm, float]:
    """The voice's print, and the word error rate of what it says, in per cent."""
    sounds = [_said(models, voice, text) for text in texts]
    heard = []
    for sound in sounds:
        utterance = models.recogniser.open()
        utterance.add(sound)
        heard.append(utterance.transcribe())
    return models.likeness.print_of(np.concatenate(sounds)), 100 * wer(texts, heard)


def _said(models: Models, voice: Voice, text: str) -> Pcm:
    pcm = models.synthesizer.speak(text, voice).pcm
    return np.asarray(soxr.resample(pcm, OUTPUT_RATE, INPUT_RATE), np.float32)


def _shaped(
    models: Models, reference: Reference, texts: Sequence[str], built_in: dict[str, tuple[Pcm, float]]
) -> tuple[Voice, Pcm, dict[str, Any]]:
    """A voice made from one clip; the print of another clip; how like it, in words that it was not made with."""
    clip, other = reference.clips()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    voice = models.shaping.voice(reference.name, clip)
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    wanted = models.likeness.print_of(other)
    best = max(built_in, key=lambda name: float(wanted @ built_in[name][0]))
    print_, error = _judged(models, voice, texts)
    return (
        voice,
        wanted,
        {
            "reference": reference.name,
            "best_built_in": best,
            "before": round(float(wanted @ built_in[best][0]), 3),
            "after": round(float(wanted @ print_), 3),
            "itself": round(float(wanted @ models.likeness.print_of(clip)), 3),
            "word_error_rate_before": round(built_in[best][1], 1),
            "word_error_rate_after": round(error, 1),
            "seconds": round(took_s, 1),
            "processor_seconds": round(cpu_s, 1),
        },
    )


def _rows(results: Sequence[dict[str, Any]], errors: dict[str, float]) -> list[Row]:
    n = len(results)
    won = sum(result["after"] > result["before"] for result in results)
    worse = [result["word_error_rate_after"] - result["word_error_rate_before"] for result in results]

    def middle(name: str) -> float:
        return float(statistics.median(result[name] for result in results))

    return [
        Row("similarity to the reference: best built-in voice, median", middle("before"), "", n, better="higher"),
        Row("… voice shaped towards it, median", middle("after"), "", n, better="higher"),
        Row("… another clip of the same speaker, median", middle("itself"), "", n, better="higher"),
        Row("references that the shaped voice is more like", 100 * won / n, "%", n, WON_AIM, "higher"),
        Row("word error rate of built-in voices, worst", max(errors.values()), "%", len(errors)),
        Row("word error rate of shaped voices, median", middle("word_error_rate_after"), "%", n),
        Row("… more than the best built-in one's, worst", max(worse), "points", n, WORSE_AIM),
        Row("making a voice, median", middle("seconds"), "s", n, PREPARE_AIM_S),
        Row("… processor time, median", middle("processor_seconds"), "s", n),
    ]


def _switching(models: Models, voice: Voice) -> list[Row]:
    """What the first clause in another voice takes, beside one in the same voice as before."""
    clause = "The largest ocean is the Pacific."

    def took_ms(spoken_in: Voice) -> float:
        began_s = time.perf_counter()
        models.synthesizer.speak(clause, spoken_in)
        return 1_000 * (time.perf_counter() - began_s)

    own = models.synthesizer.voices[0]
    first, again, plain = [], [], []
    for _ in range(9):
        first.append(took_ms(voice))
        again.append(took_ms(voice))
        plain.append((took_ms(own), took_ms(own))[1])
    return [
        Row("a clause in a built-in voice", statistics.median(plain), "ms", len(plain)),
        Row("… in a shaped voice", statistics.median(again), "ms", len(again)),
        Row("… in a shaped voice, right after another", statistics.median(first), "ms", len(first)),
    ]


def _drift(models: Models, voice: Voice, wanted: Pcm, texts: Sequence[str]) -> list[float]:
    """Similarity to the reference of each half minute of an answer of five minutes."""
    pieces: list[Pcm] = []
    while sum(map(len, pieces)) < ANSWER_S * INPUT_RATE:
        pieces.append(_said(models, voice, texts[len(pieces) % len(texts)]))
    answer = np.concatenate(pieces)
    size = PART_S * INPUT_RATE
    parts = [answer[at : at + size] for at in range(0, ANSWER_S * INPUT_RATE, size)]
    return [round(float(wanted @ models.likeness.print_of(part)), 3) for part in parts]


def _drift_rows(drift: Sequence[float]) -> list[Row]:
    half = len(drift) // 2
    change = statistics.mean(drift[half:]) - statistics.mean(drift[:half])
    return [
        Row("similarity over a five-minute answer: second half less first", change, "", len(drift)),
        Row("… highest less lowest half minute", max(drift) - min(drift), "", len(drift)),
    ]
