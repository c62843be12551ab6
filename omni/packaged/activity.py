"""Is somebody speaking? Silero's voice-activity network, one window of every stream in one call.

The packaged graph is built anew without its control flow, for several times as many streams on a core.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime

from omni.packaged.built import built
from omni.packaged.files import ModelFile, checksum
from omni.timing import Timing
from omni.types import Pcm

FILE = ModelFile(
    "silero_vad",
    "data/silero_vad_16k_op15.onnx",
    "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
    "silero-vad==6.2.3",
)
CONTEXT_SAMPLES = 64
"""of the window before are heard again, as in training; as many of its end are heard a second time, backwards"""
_MEMORY = 256
"""numbers that the network keeps from one window to the next"""

_GRAPH_VERSION = 1
"""whoever changes what activity_graph builds changes this"""


@dataclass(slots=True, eq=False)
class ActivityState:
    """What the network remembers of one stream. Its arrays are replaced, never written to."""

    memory: npt.NDArray[np.float32]
    """[_MEMORY]"""
    context: Pcm
    """[CONTEXT_SAMPLES]"""

    def clone(self) -> "ActivityState":
        """An independent copy."""
        return ActivityState(self.memory, self.context)


class SileroActivity:
    """The network, shared by all streams.

    Raises:
        MissingModelError: the model's package is not installed, or not the one that was tested.
        CacheError: the graph cannot be kept.
    """

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        # a call takes less than a millisecond: a second thread, or one that spins between calls, would only cost
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        path = built("activity.onnx", (checksum(FILE.verified()), _GRAPH_VERSION), _graph)
        self._network = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._window_samples = Timing().window_samples

    def open(self) -> ActivityState:
        """Start a stream."""
        return ActivityState(np.zeros(_MEMORY, np.float32), np.zeros(CONTEXT_SAMPLES, np.float32))

    def probabilities(self, windows: Sequence[Pcm], states: Sequence[ActivityState]) -> list[float]:
        """Hear the next window of each stream.

        Args:
            windows: B windows [512] at Timing.input_rate.
            states: B states, one a stream, brought forward.

        Returns:
            B probabilities, 0 to 1, that there is speech in the window.

        Raises:
            ValueError: a window has another length, or there are more windows than states or fewer.
        """
        if len(windows) != len(states):
            raise ValueError(f"{len(windows)} windows for {len(states)} streams; give one to each")
        for window in windows:
            if window.shape != (self._window_samples,):
                raise ValueError(f"a window has shape {window.shape}; voice activity hears [{self._window_samples}]")
        if not windows:
            return []
        last = CONTEXT_SAMPLES + self._window_samples
        heard = np.empty((len(windows), last + CONTEXT_SAMPLES), np.float32)
        for row, (window, state) in enumerate(zip(windows, states, strict=True)):
            heard[row, :CONTEXT_SAMPLES] = state.context
            heard[row, CONTEXT_SAMPLES:last] = window
        # mirrored, without the sample in the mirror
        heard[:, last:] = heard[:, last - 2 : last - 2 - CONTEXT_SAMPLES : -1]
        memory = np.stack([state.memory for state in states])
        speech, memory = self._network.run(["speech", "memory_after"], {"heard": heard, "memory": memory})
        for row, state in enumerate(states):
            state.memory = memory[row].copy()
            state.context = heard[row, last - CONTEXT_SAMPLES : last].copy()
        found: list[float] = speech[:, 0].tolist()
        return found


def _graph() -> bytes:
    # only the first start on a machine needs onnx, which takes long to import
    from omni.packaged.activity_graph import build_graph, read_weights  # noqa: PLC0415

    return build_graph(read_weights(FILE.verified().read_bytes()))
