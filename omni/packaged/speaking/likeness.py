"""How alike two voices sound: Resemblyzer's speaker encoder (GE2E, 256 numbers), 6 MB, one thread.

The checkpoint is read as data and built into an ONNX graph once, so that listening needs no torch; nothing of its
package is run. Clips of one speaker lie near .9, those of two near .55.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime

from omni.audio.features import HOP_SAMPLES, N_FFT, hann, mel_filters
from omni.packaged.built import built
from omni.packaged.files import ModelFile, checksum
from omni.packaged.torch_file import read_tensors
from omni.timing import Timing
from omni.types import Pcm

Floats = npt.NDArray[np.float32]

_CHECKPOINT = ModelFile(
    "resemblyzer",
    "pretrained.pt",
    "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
    "resemblyzer==0.1.4",
)
_GRAPH_VERSION = 1
"""whoever changes what likeness_graph builds changes this"""

_N_MELS = 40
WINDOW = 160
"""mel frames that it was trained to hear at once: 1.6 s"""
_STEP = 77
"""frames between the windows of one clip"""
_LEVEL = 10 ** (-30 / 20)
"""root mean square of the speech; the encoder hears power, not decades, so loudness must not differ"""

_FRAME_S = 0.03
_QUIET = 10 ** (-30 / 20)
"""a frame this far below the clip's loud ones is a pause"""
_KEPT_FRAMES = 6
"""of a pause, on each side of speech"""

_FINE_STEP = 40
"""frames between the windows that are asked whose they are"""
_APART = 0.7
"""two halves of a clip less alike than this are two people: of 84 clips of one speaker (recorded and synthetic) the
least was at .81, of clips of two speakers four in five lie below"""
_ROUNDS = 8


class Likeness:
    """Sound to voice prints. May be used on any number of threads at once."""

    def __init__(self) -> None:
        """Load the network.

        Raises:
            MissingModelError: the package is not installed, or is another version.
            CacheError: the graph cannot be kept.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # few voices are made, and what many windows at once need would be held ever after
        options.enable_cpu_mem_arena = False
        path = built("likeness.onnx", (checksum(_CHECKPOINT.verified()), _GRAPH_VERSION), _graph)
        self._network = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def print_of(self, pcm: Pcm) -> Floats:
        """The voice print [256], of length 1, of speech [S] at Timing.input_rate.

        The product of two prints is their similarity: 1 is the same voice. Long pauses do not count.
        """
        return self.prints_of([pcm])[0]

    def prints_of(self, clips: Sequence[Pcm], step: int = _STEP) -> list[Floats]:
        """The same for several clips; step is in mel frames."""
        return [_unit(mean) for mean in self.means_of(clips, step)]

    def means_of(self, clips: Sequence[Pcm], step: int = _STEP) -> list[Floats]:
        """The mean over each clip's windows [256], which points as its print does: shorter the more they differ."""
        windows = [_windows(clip, step) for clip in clips]
        prints = self._run(np.concatenate(windows, axis=1))
        ends = np.cumsum([part.shape[1] for part in windows])
        return [part.mean(axis=0) for part in np.split(prints, ends[:-1])]

    def prints(self, pcm: Pcm, step: int = _STEP) -> Floats:
        """The voice print of each window of 1.6 s [W, 256], at least one; step is in mel frames."""
        return self._run(_windows(pcm, step))

    def _run(self, windows: Floats) -> Floats:
        prints: Floats = self._network.run(None, {"mel": windows})[0]
        return prints

    def several_speakers(self, pcm: Pcm) -> bool:
        """Whether more than one person speaks in a clip [S] at Timing.input_rate, each for a second at least.

        Two people who sound alike go unnoticed; one person is hardly ever taken for two.
        """
        return _halves_alike(self.prints(pcm, _FINE_STEP)) < _APART


def _windows(pcm: Pcm, step: int) -> Floats:
    """Mel frames of each window [160, W, 40]; the last one is filled with silence if three quarters of it are there."""
    mel = mel_power(without_pauses(pcm))
    if len(mel) < WINDOW:
        mel = np.pad(mel, ((0, WINDOW - len(mel)), (0, 0)))
    short = (len(mel) - WINDOW) % step
    if short >= step - WINDOW // 4:
        mel = np.pad(mel, ((0, step - short), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(mel, WINDOW, axis=0)[::step].transpose(2, 0, 1)
    # all at one level: somebody who turns away from the microphone is no other speaker
    power = np.maximum(windows.sum(axis=(0, 2), keepdims=True), 1e-9)
    return np.asarray(windows / power * power.mean(), np.float32)


def mel_power(pcm: Pcm) -> Floats:
    """Power in each mel band, frame by frame [F, 40]: not its logarithm."""
    padded = np.pad(pcm, N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP_SAMPLES]
    spectrum = np.fft.rfft(frames * hann())
    power = spectrum.real**2 + spectrum.imag**2
    return np.asarray(power @ mel_filters(_N_MELS).T, np.float32)


def without_pauses(pcm: Pcm) -> Pcm:
    """Speech at one level, its pauses cut down to 0.36 s. Silence comes back as silence."""
    size = round(_FRAME_S * Timing().input_rate)
    frames = pcm[: len(pcm) // size * size].reshape(-1, size)
    if not len(frames):
        return pcm
    power = np.mean(np.square(frames), axis=1)
    loud = power > np.quantile(power, 0.95) * _QUIET**2
    kept = np.convolve(loud, np.ones(2 * _KEPT_FRAMES + 1), "same") > 0
    level = float(np.sqrt(np.mean(power[loud]))) if loud.any() else 0.0
    return np.asarray(frames[kept].reshape(-1) * (_LEVEL / level if level else 1.0), np.float32)


def _halves_alike(prints: Floats) -> float:
    """Similarity of the two groups that windows [W, 256] fall into, begun with the two that are least alike."""
    alike = prints @ prints.T
    first, second = (prints[index] for index in np.unravel_index(np.argmin(alike), alike.shape))
    for _ in range(_ROUNDS):
        nearer = prints @ first >= prints @ second
        if nearer.all() or not nearer.any():
            break
        first, second = _unit(prints[nearer].mean(axis=0)), _unit(prints[~nearer].mean(axis=0))
    return float(first @ second)


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)


def _graph() -> bytes:
    # only the first start on a machine needs onnx, which takes long to import
    from omni.packaged.speaking.likeness_graph import build_graph  # noqa: PLC0415

    return build_graph(read_tensors(_CHECKPOINT.verified(), "model_state"))
