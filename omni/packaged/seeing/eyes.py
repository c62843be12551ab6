"""What can honestly be seen with small models: text (PP-OCR), perhaps the main object (EfficientNet), light, colour.

A still camera costs nothing: an almost unchanged picture gives the previous answer.
"""

import re
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from omni.packaged.files import ModelFile
from omni.packaged.seeing.classifier import Classifier
from omni.types import Picture
from omni.vision.scene import Light, Thumbnail, changed_share, colour_of_centre, has_detail, light_of, thumbnail

_OCR_INSTALL = "rapidocr-onnxruntime==1.4.4"
_DETECTOR = ModelFile(
    "rapidocr_onnxruntime",
    "models/ch_PP-OCRv4_det_infer.onnx",
    "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    _OCR_INSTALL,
)
_READER = ModelFile(
    "rapidocr_onnxruntime",
    "models/ch_PP-OCRv4_rec_infer.onnx",
    "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
    _OCR_INSTALL,
)

_LONGEST_SIDE = 640
"""pixels; larger pictures are shrunk, or a crowded street would take seconds"""
_DETECTOR_SIDE = 480
_SMALLEST_SIDE = 32
"""pixels; nothing to be read below"""
_LONGEST_READING = 100
"""of all lines together, in heights of a line; takes about half a second"""
_SURE_OF_TEXT = 0.9
"""below, letters are often wrong, and a wrong word is worse than none"""
_SURE_OF_OBJECT = 0.55
"""of 200 photographs of ImageNet's classes it names 160 at this, 94 % rightly (all of them: 87 %); of other things,
a map was called a cauliflower at .52 and a chessboard a crossword at .48"""
_STILL = 0.02
"""share of changed cells up to which a picture counts as the previous one"""
_ANOTHER_SCENE = 0.6
"""share of changed cells from which nothing moved: the camera looks elsewhere"""
_SIGN_WORDS = 8
"""more words than these are rather a page or a screen than a sign"""
_LONGEST_TEXT = 300
"""characters of text that are passed on"""


_ZERO_AMONG_LETTERS = re.compile(r"(?<=[A-Za-z])0(?=([A-Za-z]))")


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What one picture shows."""

    lines: tuple[str, ...]
    """text in reading order"""
    guess: str | None
    """name of the main object, when the classifier is fairly sure"""
    light: Light
    colour: str | None
    """of the middle, when one colour fills most of it"""
    moving: bool
    """part of the scene changed since the picture before"""
    grey: Thumbnail = field(repr=False)
    """to compare the next picture with"""

    @property
    def description(self) -> str:
        """Plain English that reads on after "The camera shows: "."""
        text = " ".join(self.lines)[:_LONGEST_TEXT].replace('"', "'")
        if text and self.guess and "sign" not in self.guess:
            said = [f'text that says "{text}", on what may be {_with_article(self.guess)}']
        elif text:
            carrier = "a sign" if len(text.split()) <= _SIGN_WORDS else "text"
            said = [f'{carrier} that says "{text}"']
            if self.guess:
                said.append(f"It may be {_with_article(self.guess)}")
        elif self.guess:
            said = [f"perhaps {_with_article(self.guess)}, and no text"]
        else:
            said = ["no text, and nothing that can be named"]
        light = f"The light is {self.light}"
        said.append(f"{light}, and the middle is mostly {self.colour}" if self.colour else light)
        if self.moving:
            said.append("Something is moving")
        return ". ".join(said) + "."


class Eyes:
    """Looks at pictures. One thread's object; models are loaded at the first picture, or by warm()."""

    def __init__(self) -> None:
        self._models: tuple[_TextReader, Classifier] | None = None

    def warm(self) -> None:
        """Load the models now (one to three seconds).

        Raises:
            MissingModelError: a package is not installed, or is another version.
        """
        if self._models is None:
            self._models = _TextReader(), Classifier()

    def look(self, image: Picture, before: Sight | None) -> Sight:
        """See what is in a picture.

        Args:
            image: RGB, any size; what is over 640 pixels a side is shrunk.
            before: what the same camera showed last; nearly the same picture is not looked at again.

        Raises:
            ValueError: an empty picture, or not RGB.
            MissingModelError: as warm().
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"a picture is RGB bytes [height, width, 3], not {image.dtype} {image.shape}")
        grey = thumbnail(image)
        changed = changed_share(before.grey, grey) if before else 1.0
        if before and changed <= _STILL:
            return replace(before, moving=False) if before.moving else before
        self.warm()
        assert self._models
        reader, classifier = self._models
        image = _shrink(image)
        name, probability = classifier.guess(image)
        return Sight(
            lines=reader.read(image) if has_detail(image) else (),
            guess=name if probability >= _SURE_OF_OBJECT else None,
            light=light_of(grey),
            colour=colour_of_centre(image),
            moving=changed < _ANOTHER_SCENE,
            grey=grey,
        )


class _TextReader:
    """PP-OCR through rapidocr, which is asked for detection and recognition only."""

    def __init__(self) -> None:
        detector, reader = _DETECTOR.verified(), _READER.verified()
        # here, not above: it brings OpenCV, which a call without a camera need not wait for
        from rapidocr_onnxruntime import RapidOCR  # noqa: PLC0415

        self._engine = RapidOCR(
            det_model_path=str(detector),
            rec_model_path=str(reader),
            det_limit_side_len=_DETECTOR_SIDE,
            det_limit_type="max",
            use_cls=False,
            intra_op_num_threads=1,
            inter_op_num_threads=1,
        )

    def read(self, image: Picture) -> tuple[str, ...]:
        """Lines of text from top to bottom, left to right; of much text, the largest."""
        if min(image.shape[:2]) < _SMALLEST_SIDE:
            return ()
        pixels = np.ascontiguousarray(image[:, :, ::-1])
        boxes, _ = self._engine.text_det(pixels)
        if boxes is None or not len(boxes):
            return ()
        crops = self._engine.get_crop_img_list(pixels, self._engine.sorted_boxes(boxes))
        found, _ = self._engine.text_rec(_affordable(crops))
        lines = (_letters(text.strip()) for text, sure in found if sure >= _SURE_OF_TEXT)
        return tuple(line for line in lines if line)


def _letters(line: str) -> str:
    # the reader's commonest slip: "Ro0m" for "Room"
    return _ZERO_AMONG_LETTERS.sub(lambda zero: "O" if zero[1].isupper() else "o", line)


def _affordable(crops: list[Picture]) -> list[Picture]:
    """The tallest lines, in their order: recognition takes time by the length of a line in its own heights."""
    left, kept = float(_LONGEST_READING), set[int]()
    for index in sorted(range(len(crops)), key=lambda index: -len(crops[index])):
        left -= crops[index].shape[1] / len(crops[index])
        if kept and left < 0:
            break
        kept.add(index)
    return [crops[index] for index in sorted(kept)]


def _shrink(image: Picture) -> Picture:
    height, width = image.shape[:2]
    scale = _LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def _with_article(name: str) -> str:
    # "sunglasses" and "jeans" take none; "bus", "lens" and "compass" do
    if name.endswith("s") and not name.endswith(("ss", "us", "is", "lens")):
        return name
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
