"""Each stage alone, warm, one after another: compute time over media time; then memory and start-up."""

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import soxr
from PIL import Image, ImageDraw, ImageFont

from omni.packaged.activity import SileroActivity
from omni.packaged.hearing.recogniser import Recogniser
from omni.packaged.language.chat import SmolChat
from omni.packaged.seeing.eyes import Eyes
from omni.packaged.speaking.synthesizer import Synthesizer
from omni.text.chat import Message
from omni.timing import Timing
from omni.types import Pcm, Picture
from scripts.bench_suite.material import Material
from scripts.bench_suite.report import Findings, Row
from scripts.bench_suite.speakers import RATE, Speaker, noise_floor, utter

REPEATS = 5
TIMING = Timing()
TOGETHER = 16
"""windows that a call takes where a hundred sessions each have one every 32 ms, and they gather for 5 ms"""
SPEECH_GOES_ON = 0.35
"""probability from which a window after speech still counts as speech (tdm/turns.py, at its defaults)"""


def measure(material: Material, voices: Sequence[Speaker]) -> Findings:
    """Real-time factors: below 1 keeps up with real time, 0.1 takes a tenth of one core or of two."""
    speech = [_input_pcm(utter(voices[i % len(voices)], q.text).pcm) for i, q in enumerate(material.questions[:6])]
    rows = [
        Row("real-time factor: voice activity, one session", _activity(np.concatenate(speech), 1), "×", REPEATS),
        Row(f"… for each of {TOGETHER} sessions", _activity(np.concatenate(speech), TOGETHER), "×", REPEATS),
        Row("voice activity falls after the last audible sample", 1_000 * _tail_s(speech), "ms", len(speech)),
        Row("real-time factor: recogniser, a question at once", _recogniser(speech), "×", len(speech)),
        *_language_and_speech(),
        Row("real-time factor: eyes, one picture a second", _eyes(), "×", REPEATS),
    ]
    return Findings(rows)


def sign(text: str) -> Picture:
    """A white sign with black letters, 640 × 480."""
    picture = Image.new("RGB", (640, 480), "white")
    ImageDraw.Draw(picture).text((60, 200), text, "black", ImageFont.load_default(64))
    return np.asarray(picture)


def _input_pcm(pcm: Pcm) -> Pcm:
    return np.asarray(soxr.resample(pcm, RATE, TIMING.input_rate), np.float32)


def _median_s(act: Callable[[], object]) -> float:
    act()  # warm
    times = []
    for _ in range(REPEATS):
        began_s = time.perf_counter()
        act()
        times.append(time.perf_counter() - began_s)
    return statistics.median(times)


def _activity(pcm: Pcm, n_sessions: int) -> float:
    """For each of sessions that share the network's calls, and here hear the same."""
    activity = SileroActivity()
    size = TIMING.window_samples
    windows = [pcm[at : at + size] for at in range(0, len(pcm) - size, size)]

    def run() -> None:
        states = [activity.open() for _ in range(n_sessions)]
        for window in windows:
            activity.probabilities([window] * n_sessions, states)

    return _median_s(run) / (len(windows) * TIMING.window_s * n_sessions)


def _tail_s(speech: Sequence[Pcm]) -> float:
    """How long voice activity goes on after the end of speech (median): what turn detection has to know."""
    activity, rng = SileroActivity(), np.random.default_rng(0)
    size, tails = TIMING.window_samples, []
    for pcm in speech:
        quiet = np.zeros(TIMING.input_rate // 2, np.float32)
        room = np.concatenate([quiet, pcm, quiet])
        room += noise_floor(len(room), rng)
        state, last = activity.open(), 0
        for number in range(len(room) // size):
            if activity.probabilities([room[number * size : (number + 1) * size]], [state])[0] >= SPEECH_GOES_ON:
                last = number
        tails.append(((last + 1) * size - len(quiet) - len(pcm)) / TIMING.input_rate)
    return statistics.median(tails)


def _recogniser(speech: Sequence[Pcm]) -> float:
    recogniser = Recogniser()
    factors = []
    for pcm in speech:

        def run(pcm: Pcm = pcm) -> None:
            utterance = recogniser.open()
            utterance.add(pcm)
            utterance.transcribe()

        factors.append(_median_s(run) * TIMING.input_rate / len(pcm))
    return statistics.median(factors)


def _language_and_speech() -> list[Row]:
    """Compute time of writing and of speaking an answer, over how long the answer sounds."""
    chat, synthesizer = SmolChat(), Synthesizer()
    messages = [
        Message("system", "You are a friendly voice assistant. You answer in one or two short sentences."),
        Message("user", "What do you know about the ocean?"),
    ]
    context = chat.open()
    answers: list[str] = []

    def write() -> None:
        context.begin(messages, 48)
        pieces, complete = [], False
        while not complete:
            text, complete = context.read()
            pieces.append(text)
        answers.append("".join(pieces))

    write_s = _median_s(write)
    n_tokens = context.n_tokens()
    voice = synthesizer.voices[0]
    sound_s = len(synthesizer.speak(answers[-1], voice).pcm) / TIMING.output_rate
    speak_s = _median_s(lambda: synthesizer.speak(answers[-1], voice))
    return [
        Row("real-time factor: language model, per second of its speech", write_s / sound_s, "×", REPEATS),
        Row("language model, tokens per second (prefix in cache)", n_tokens / write_s, "", REPEATS),
        Row("real-time factor: synthesizer", speak_s / sound_s, "×", REPEATS),
    ]


def _eyes() -> float:
    eyes = Eyes()
    before = eyes.look(sign("HELLO"), None)
    texts = iter(["OPEN", "CLOSED", "EXIT", "PUSH", "PULL", "STOP", "WAIT"])
    return _median_s(lambda: eyes.look(sign(next(texts)), before)) / (TIMING.unit_ms / 1_000)
