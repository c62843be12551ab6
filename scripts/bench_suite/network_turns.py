"""Conversations with the MiniCPM-o family as the engine holds them: quantum by quantum, without a server around it."""

import statistics
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from torch import nn

from omni.audio.encoder import ENCODED_PER_S
from omni.families.minicpm_o.family import MiniCpmO
from omni.families.minicpm_o.network import Network
from omni.families.minicpm_o.state import State
from omni.model import Phase
from omni.timing import Timing
from omni.types import Pcm, Picture, Reply, SpeechDelta, TurnEnd, Unit, Voice
from omni.vision.slicing import strips
from scripts.bench_suite.bounds import Bounds, Stopwatch, matmul_flops, weight_bytes
from scripts.bench_suite.report import Findings, Row, spread

TIMING = Timing()
REFERENCE_S = 5
_UNITS = 3
"""of a user's turn"""
_MAX_STEPS = 2_000
_MAX_TOKENS = 100
_WIDTH, _HEIGHT = 640, 480
"""of the camera's pictures"""


@dataclass(slots=True)
class Turn:
    """One answer, in seconds of computing."""

    first_audio_s: float | None = None
    """from begin() to the first sound; None: it never sounded"""
    steps_s: dict[str, list[float]] = field(default_factory=lambda: {"THINK": [], "SPEAK": []})
    sound_s: float = 0.0
    held: dict[str, int] = field(default_factory=dict)
    """bytes of the session's memory, each part at its largest"""

    @property
    def computed_s(self) -> float:
        """Writing and speaking together."""
        return sum(map(sum, self.steps_s.values()))


def opening(model: MiniCpmO, watch: Stopwatch, n: int) -> list[Row]:
    """How long it takes to make a voice, and to open sessions with it."""
    reference = sound(REFERENCE_S)
    voices: list[Voice] = []
    prepare_s: list[float] = []
    first_s: list[float] = []
    again_s: list[float] = []
    for _ in range(n + 1):
        voice, spent_s = watch.run(lambda: model.prepare_voice("bench", reference))
        voices.append(voice)
        prepare_s.append(spent_s)
    for voice in voices:
        for times_s in (first_s, again_s):
            state, spent_s = watch.run(partial(model.open, "", voice))
            times_s.append(spent_s)
            model.close(state)
    named = (
        (f"a voice of {REFERENCE_S} s prepared", prepare_s),
        ("a session opened with a new voice", first_s),
        ("a session opened with the same voice again", again_s),
    )
    return [Row(name, 1_000 * statistics.median(times_s[1:]), "ms", n) for name, times_s in named]


def listening(
    model: MiniCpmO, network: Network, watch: Stopwatch, bounds: Bounds, *, n: int, aim_ms: float | None
) -> list[Row]:
    """How long one unit takes, at the same place of a conversation every time; the aim is for one with a picture."""
    state = model.open("", None)
    model.listen([Unit(audio=sound(1), image=picture(0))], [state])
    mark, n_before = model.mark(state), state.cache.length
    rows = []
    for name, image, aim in (("sound alone", None, None), ("sound and a picture", picture(1), aim_ms)):
        act, times_s = partial(model.listen, [Unit(audio=sound(1), image=image)], [state]), []
        for _ in range(n + 1):
            model.rewind(state, mark)
            times_s.append(watch.run(act)[1])
        least_ms = 1_000 * least_unit_s(network, bounds, state.cache.length - n_before, image)
        rows.append(Row(f"a unit of {name}", 1_000 * statistics.median(times_s[1:]), "ms", n, aim, bound=least_ms))
    model.close(state)
    return rows


def least_unit_s(network: Network, bounds: Bounds, n_tokens: int, image: Picture | None) -> float:
    """The least time for a unit: every weight that it needs read once, every product computed once."""
    layers, frames = network.llm.model.layers, ENCODED_PER_S * TIMING.unit_ms // 1_000
    needed: list[tuple[nn.Module, int]] = [(layers, n_tokens)]
    needed += [(part, frames) for name, part in network.parts.items() if name in {"apm.", "audio_projection_layer."}]
    if image is not None:
        n_patches = sum(strip.rows * strip.columns for strip in strips(image, network.config.slices, 1))
        needed += [(part, n_patches) for name, part in network.parts.items() if name in {"vpm.", "resampler."}]
    n_flops = sum(matmul_flops(part, n_positions) for part, n_positions in needed)
    return bounds.least_s(weight_bytes(*(part for part, _ in needed)), n_flops)


def turns(model: MiniCpmO, watch: Stopwatch, *, n: int, enough_s: float, aim_ms: float | None) -> Findings:
    """Hold a conversation of n turns, in one session, and measure how it is answered.

    Answers are interrupted after enough_s of sound: those of random weights would go on and on.

    Raises:
        RuntimeError: no answer sounded, or one did not end.
    """
    state = model.open("", None)
    hold_turn(model, state, watch, enough_s)  # warm
    held = [hold_turn(model, state, watch, enough_s) for _ in range(n)]
    first_s = [turn.first_audio_s for turn in held if turn.first_audio_s is not None]
    if not first_s:
        raise RuntimeError(f"none of {n} answers had a sound: this model has nothing to say, or something is wrong")
    sound_s = sum(turn.sound_s for turn in held)
    steps_s = [step_s for turn in held for times_s in turn.steps_s.values() for step_s in times_s]
    rows = [
        *spread("first audio after the end of a turn", first_s, aim_ms, None),
        Row("real-time factor: writing and speaking", sum(turn.computed_s for turn in held) / sound_s, "×", n),
        Row("longest quantum, for which an interruption may have to wait", 1_000 * max(steps_s), "ms", len(steps_s)),
        Row("a session: LLM cache, each token", state.cache.nbytes / state.cache.capacity / 1_024, "KiB", 1),
        Row("a session: tokens held at the end", state.cache.length, "", 1),
        *(Row(f"a session: {part}", max(turn.held[part] for turn in held) / 2**20, "MiB", n) for part in held[0].held),
    ]
    model.close(state)
    return Findings(rows, {"network_turns": held})


def hold_turn(model: MiniCpmO, state: State, watch: Stopwatch, enough_s: float) -> Turn:
    """Take a user's turn of some seconds into a session, and answer it, to the end or until enough_s of it sounded.

    Raises:
        RuntimeError: the answer neither sounds nor ends.
    """
    for number in range(_UNITS):
        model.listen([Unit(audio=sound(1), image=picture(number))], [state])
    turn = Turn(held=weighed(state))
    _, begin_s = watch.run(lambda: model.begin(state, Reply(max_tokens=_MAX_TOKENS)))
    for _ in range(_MAX_STEPS):
        for phase in (Phase.THINK, Phase.SPEAK):
            rows, step_s = watch.run(partial(model.step, phase, [state]))
            turn.steps_s[phase.name].append(step_s)
            turn.held = {part: max(size, turn.held[part]) for part, size in weighed(state).items()}
            for delta in rows[0]:
                if isinstance(delta, SpeechDelta) and len(delta.pcm):
                    turn.first_audio_s = turn.first_audio_s or begin_s + turn.computed_s
                    turn.sound_s += len(delta.pcm) / TIMING.output_rate
                elif isinstance(delta, TurnEnd):
                    return turn
        if turn.sound_s >= enough_s:
            model.truncate(state, turn.sound_s)
            return turn
    raise RuntimeError(f"an answer did not end in {_MAX_STEPS} steps")


def weighed(state: State) -> dict[str, int]:
    """Bytes that a session holds, by part, room that is reserved included."""
    speech = state.answer.speech if state.answer else None
    vocoder = speech.vocoder.held if speech else None
    return {
        "LLM cache": state.cache.nbytes,
        "hearing": state.audio.cache.nbytes if state.audio.cache else 0,
        "talker": speech.talker.cache.nbytes if speech else 0,
        "vocoder": 0 if vocoder is None else vocoder.nbytes,
    }


def sound(seconds: int) -> Pcm:
    """Something that rings like a voice: a falling tone with overtones, in a little noise [S] at input_rate."""
    place_s = np.arange(seconds * TIMING.input_rate) / TIMING.input_rate
    tone = sum(np.sin(2 * np.pi * (140 * k * place_s - 5 * k * place_s**2)) / k for k in range(1, 12))
    noise = np.random.default_rng(0).standard_normal(len(place_s))
    return (0.05 * tone + 0.002 * noise).astype(np.float32)


def picture(number: int) -> Picture:
    """A picture of coloured noise, another one for every number."""
    return np.random.default_rng(number).integers(0, 256, (_HEIGHT, _WIDTH, 3), np.uint8)
