"""Is somebody speaking? Silero's voice-activity network, one window of every stream in one call."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime

from omni.packaged.files import ModelFile
from omni.timing import Timing
from omni.types import Pcm

FILE = ModelFile(
    "silero_vad",
    "data/silero_vad_16k_op15.onnx",
    "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
    "silero-vad==6.2.3",
)
CONTEXT_SAMPLES = 64
"""of the window before are heard again, as in training"""


@dataclass(slots=True, eq=False)
class ActivityState:
    """What the network remembers of one stream. Its arrays are replaced, never written to."""

    memory: npt.NDArray[np.float32]
    """[2, 128]"""
    context: Pcm
    """[CONTEXT_SAMPLES]"""

    def clone(self) -> "ActivityState":
        """An independent copy."""
        return ActivityState(self.memory, self.context)


class SileroActivity:
    """The network, shared by all streams.

    Raises:
        MissingModelError: the model's package is not installed, or not the one that was tested.
    """

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        # 0.2 ms a window: a second thread would cost more than it gains.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(FILE.verified()), options, providers=["CPUExecutionProvider"])
        self._rate = np.array(Timing().input_rate, np.int64)
        self._window_samples = Timing().window_samples

    def open(self) -> ActivityState:
        """Start a stream."""
        return ActivityState(np.zeros((2, 128), np.float32), np.zeros(CONTEXT_SAMPLES, np.float32))

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
        heard = np.stack(
            [np.concatenate([state.context, window]) for window, state in zip(windows, states, strict=True)]
        )
        memory = np.stack([state.memory for state in states], axis=1)
        speech, memory = self._session.run(None, {"input": heard, "state": memory, "sr": self._rate})
        for row, state in enumerate(states):
            state.memory = memory[:, row].copy()
            state.context = heard[row, -CONTEXT_SAMPLES:].copy()
        return [float(value) for value in speech[:, 0]]
