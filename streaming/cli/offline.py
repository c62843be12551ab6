"""One question to a MiniCPM-o checkpoint, with pictures, sound or a video from files, outside of a call: omni chat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np

from omni.audio.clips import CLIP_S
from omni.checkpoint import CheckpointError, find
from omni.families.minicpm_o.chat import VIDEO, Chat, Layout, Message, Part, Wish, system_message
from omni.families.minicpm_o.network import load_network
from omni.nn.sampling import TextSampling
from omni.text.presets import PRESETS, Preset
from omni.text.template import Language, Mode
from omni.timing import Timing
from omni.types import Pcm, SpeechDelta, TextDelta, TurnEnd
from streaming.config import NANO, Config
from streaming.files import FileError, check_place, read_picture, read_sound, read_video, write_sound
from streaming.gateway.models import device_of

Kind = Literal["image", "audio", "video"]

_LONGEST_VIDEO_S = 300
"""of a video with sound: at 94 tokens a second nearly all that the model has room for"""
_MOST_PICTURES = 64
"""of a video without sound: as many as the model was trained to look at"""
_FEW_PICTURES = 16
"""are looked at in two slices each"""
_DEFAULT_MODE = Config().mode
_SHORTEST_S = 0.1
_SHORTEST_VOICE_S = 1.0
_SILENCE = 1e-4
"""no sample of a silent recording is louder"""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks, and with what."""

    question: str | None = None
    media: Sequence[tuple[Kind, Path]] = ()
    """in the order in which the model is to take them"""
    voice: Path | None = None
    """recording of the voice to answer in"""
    preset: str | None = None
    """a name in PRESETS"""
    out: Path | None = None
    """where the speech goes; None: text alone"""


@dataclass(frozen=True, slots=True)
class _Material:
    """What the files held."""

    parts: Sequence[Part]
    voice: Pcm | None
    n_frames: int
    """of a video without sound"""
    filmed: bool
    """there are seconds of video with their sound"""


def chat(config: Config, request: Request, show: Callable[[str], None]) -> str | None:
    """Ask and answer.

    Args:
        config: names the checkpoint, where it runs, and its language.
        request: the question.
        show: takes the text as it is written.

    Returns:
        what is to be said of the answer, if it is not whole.

    Raises:
        ValueError: the request, or a file of it, is wrong; the message says what to do.
        RuntimeError: the checkpoint cannot be used, or has nothing to say.
        OSError: the speech cannot be written.
    """
    timing = Timing()
    preset = None if request.preset is None else PRESETS[request.preset]
    _check(config, request, preset)
    material = _read(request, timing)
    model = _load(config)
    pieces: list[Pcm] = []
    remark: str | None = None
    for delta in model.answer(_conversation(config, request, preset, material), _wish(request, preset, material)):
        match delta:
            case TextDelta(text):
                show(text)
            case SpeechDelta(pcm):
                pieces.append(pcm)
            case TurnEnd("max_tokens", n_tokens):
                remark = f"the answer was cut after {n_tokens} tokens"
    if request.out is not None:
        if not pieces:
            raise RuntimeError(f"nothing was said, and {request.out} is not written; ask again")
        write_sound(request.out, np.concatenate(pieces), timing)
    return remark


def _check(config: Config, request: Request, preset: Preset | None) -> None:
    """Refuse what cannot work before anything large is read."""
    if config.model == NANO:
        raise ValueError(
            f"chat asks a MiniCPM-o checkpoint: name it by --model FOLDER or OWNER/NAME ({NANO} answers to omni play)"
        )
    kinds = [kind for kind, _ in request.media]
    if kinds.count("video") > 1:
        raise ValueError("one video at a time: give its --video once")
    if preset is None:
        if not (request.question or {"audio", "video"} & set(kinds)):
            raise ValueError('ask something: omni chat --model … "question", or a spoken one by --audio')
    else:
        missing = {"sound": "audio" not in kinds, "voice": request.voice is None, "text": not request.question}
        advice = {"sound": "--audio FILE", "voice": "--voice FILE", "text": "the text to read"}
        for need in preset.needs:
            if missing[need]:
                raise ValueError(f"the preset {request.preset} needs {advice[need]}")
        if preset.speaks and request.out is None:
            raise ValueError(f"the preset {request.preset} answers by its voice: add --out ANSWER.wav")
    if request.voice and config.mode == "default" and (preset is None or preset.system is None):
        raise ValueError("--mode default takes no voice: leave out --voice, or choose another mode")
    if request.voice and request.out is None:
        raise ValueError("--voice is what the answer is to sound like: add --out ANSWER.wav, or leave --voice out")
    if request.out is not None:
        check_place(request.out)


def _read(request: Request, timing: Timing) -> _Material:
    parts: list[Part] = []
    n_frames, filmed = 0, False
    for kind, path in request.media:
        match kind:
            case "image":
                parts.append(read_picture(path))
            case "audio":
                parts.append(_audible(path, timing, _SHORTEST_S))
            case "video":
                units = read_video(path, timing, longest_s=_LONGEST_VIDEO_S, most_pictures=_MOST_PICTURES)
                filmed = any(unit.audio is not None for unit in units)
                n_frames = 0 if filmed else len(units)
                parts += units if filmed else [unit.image for unit in units if unit.image is not None]
    voice = None
    if request.voice is not None:
        if not request.voice.exists():
            raise FileError(f"--voice takes a recording of the voice, such as me.wav; there is no file {request.voice}")
        voice = _audible(request.voice, timing, _SHORTEST_VOICE_S)
        if len(voice) > CLIP_S * timing.input_rate:
            raise FileError(f"{request.voice} is longer than {CLIP_S} s: a few seconds of one voice are enough; cut it")
    return _Material(parts, voice, n_frames, filmed)


def _audible(path: Path, timing: Timing, shortest_s: float) -> Pcm:
    pcm = read_sound(path, timing)
    duration_s = len(pcm) / timing.input_rate
    if duration_s < shortest_s:
        raise FileError(f"{path} lasts {duration_s:.2f} s, and {shortest_s} s are the least; record more")
    if np.abs(pcm).max() <= _SILENCE:
        raise FileError(f"{path} is silent: check the microphone, and record it again")
    return pcm


def _load(config: Config) -> Chat:
    try:
        checkpoint = find(config.model, revision=config.revision, offline=config.offline)
        return Chat(*load_network(checkpoint, device_of(config.device)))
    except CheckpointError as error:
        raise RuntimeError(str(error)) from error
    except ValueError as error:  # of a token, which knows no file
        raise RuntimeError(f"{config.model} cannot be used: {error}") from error


def _conversation(config: Config, request: Request, preset: Preset | None, material: _Material) -> list[Message]:
    """The messages, as the model's documentation puts them for each use."""
    # checked by Config: both are among the values that their types list
    mode, language = cast(Mode, config.mode), cast(Language, config.language)
    asked = [request.question] if request.question else []
    before = [] if preset is None else [preset.prompt(language)]
    messages = [Message("user", [*before, *material.parts, *asked])]
    if preset is not None and preset.system is not None:
        mode = preset.system
    # A written question about pictures goes without a system prompt, and so does a task that brings its own.
    if material.voice is not None or material.filmed or (preset is None and mode != _DEFAULT_MODE):
        messages.insert(0, system_message(mode, language, material.voice))
    return messages


def _wish(request: Request, preset: Preset | None, material: _Material) -> Wish:
    """How the answer is drawn, and how the parts of the question lie: by the documentation, for each use."""
    speaks = request.out is not None
    if material.filmed:
        layout = VIDEO
    elif material.n_frames:
        layout = Layout(max_slices=1 if material.n_frames > _FEW_PICTURES else 2, numbered=False)
    else:
        layout = Layout()
    if preset is not None:
        return Wish(layout, TextSampling(temperature=preset.temperature), preset.max_tokens, speaks)
    if material.filmed:
        return Wish(layout, TextSampling(temperature=0.5), 4096, speaks)
    return Wish(layout, speaks=speaks)
