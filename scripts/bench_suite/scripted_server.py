"""The real gateway in a process of its own, with a model that costs nothing: what is measured is the gateway alone.

python -m scripts.bench_suite.scripted_server --port P. Voice activity is the real one unless --loudness.
"""

import argparse
import asyncio
import gc
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiohttp import web

from omni.model import Capabilities, Mark, Phase
from omni.timing import Timing
from omni.types import Delta, Pcm, Reply, SpeechDelta, TextDelta, Transcript, TurnEnd, Unit, Voice, Word
from streaming.config import Config
from streaming.gateway.listening import keep_what_is_loaded, listening
from streaming.gateway.media import ActivityModel
from streaming.gateway.server import PATIENCE_S, Gateway
from streaming.tdm.clock import SystemClock

PIECE_S = 0.2
ANSWER = ("This", "is", "what", "I", "say", "to", "everything", "and", "to", "everybody.")
"""one word a piece: two seconds"""
LOUD = 0.02


@dataclass(slots=True)
class SteadyState:
    """How many pieces of the answer were spoken; None: not answering."""

    n_spoken: int | None = None
    thought: bool = False


class SteadyModel:
    """OmniModel that says the same to everything, at once, and keeps none of what it hears."""

    def __init__(self) -> None:
        self.timing = Timing()
        self.capabilities = Capabilities("steady", (Voice("plain"),), sees=True, transcribes=True, max_batch=64)
        self._pcm: Pcm = np.full(round(PIECE_S * self.timing.output_rate), 0.1, np.float32)

    def prepare_voice(self, name: str, reference: Pcm) -> Voice:
        return Voice(name)

    def open(
        self, instructions: str, voice: Voice | None, mode: str | None = None, language: str | None = None
    ) -> SteadyState:
        return SteadyState()

    def listen(self, units: Sequence[Unit], states: Sequence[SteadyState]) -> list[list[Delta]]:
        return [[Transcript("Hello", 0.9)] if unit.audio is not None else [] for unit in units]

    def begin(self, state: SteadyState, reply: Reply) -> None:
        state.n_spoken, state.thought = 0, False

    def step(self, phase: Phase, states: Sequence[SteadyState]) -> list[list[Delta]]:
        return [self._think(state) if phase is Phase.THINK else self._speak(state) for state in states]

    def _think(self, state: SteadyState) -> list[Delta]:
        if state.thought:
            return []
        state.thought = True
        return [TextDelta(" ".join(ANSWER), last=True)]

    def _speak(self, state: SteadyState) -> list[Delta]:
        n = state.n_spoken
        if n is None:
            return []
        if n == len(ANSWER):
            state.n_spoken = None
            return [TurnEnd(n_tokens=n)]
        state.n_spoken = n + 1
        return [SpeechDelta(self._pcm, (Word(f" {ANSWER[n]}" if n else ANSWER[n], 0.0),))]

    def mark(self, state: SteadyState) -> Mark:
        return state.n_spoken, state.thought

    def rewind(self, state: SteadyState, mark: Mark) -> None:
        state.n_spoken, state.thought = mark

    def truncate(self, state: SteadyState, heard_s: float) -> None:
        state.n_spoken = None

    def close(self, state: SteadyState) -> None:
        """It holds nothing."""


class LoudnessModel:
    """Voice activity without a network: whatever is loud is speech."""

    def open(self) -> None:
        return None

    def probabilities(self, windows: list[Pcm], states: list[None]) -> list[float]:
        return [float(np.abs(window).max() > LOUD) for window in windows]


async def serve(options: argparse.Namespace) -> None:
    """Until SIGTERM."""
    gateway = Gateway(
        Config(port=options.port, max_sessions=options.max_sessions, resume_within_s=options.resume_within_s),
        None,
        SystemClock(),
        options.patience_s,
    )
    gateway.app.router.add_get("/tasks", _count_tasks)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with listening(gateway, "127.0.0.1", options.port):
        gateway.start(SteadyModel(), LoudnessModel() if options.loudness else _silero())
        keep_what_is_loaded()
        await stop.wait()


async def _count_tasks(_request: web.Request) -> web.Response:
    """For the bench: how many tasks the event loop holds, and nothing is kept that could go."""
    gc.collect()
    return web.Response(text=str(len(asyncio.all_tasks())))


def _silero() -> ActivityModel[Any]:
    from omni.packaged.activity import SileroActivity  # noqa: PLC0415  who asks for loudness needs no models

    return SileroActivity()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-sessions", type=int, default=4)
    parser.add_argument("--patience-s", type=float, default=PATIENCE_S)
    parser.add_argument("--resume-within-s", type=float, default=0.0)
    parser.add_argument("--loudness", action="store_true", help="voice activity is whatever is loud")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
