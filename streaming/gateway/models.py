"""Which model a configuration asks for: found, loaded and warmed. Slow, so it runs in a thread."""

from pathlib import Path
from typing import Any, cast

import numpy as np

from omni.families.nano.family import load_nano
from omni.model import OmniModel, Phase
from omni.packaged.activity import SileroActivity
from omni.text.chat import Chat
from omni.text.template import Language, Mode
from omni.types import Reply, SpeechDelta, TurnEnd, Unit
from streaming.config import INSTALL_CHECKPOINTS, NANO, Config
from streaming.endpoint import EndpointChat

_MAX_WARM_STEPS = 400
_WARM_PIECES = 3
"""of speech; by the third everything has run once that an answer needs, and a random model never ends"""
_WARM_TOKENS = 16

_PACKAGED_WHISPER = "tiny.en"
_HUB_WHISPERS = ("base.en", "small.en", "medium.en", "tiny", "base", "small", "medium")
_WHISPER_FILES = ("model.bin", "config.json", "tokenizer.json")


class DeviceError(RuntimeError):
    """There is no such device. The message says which there are."""


def load(config: Config) -> tuple[OmniModel[Any], SileroActivity]:
    """Load the configured family and voice activity, and let the model speak once, so that no caller waits for that.

    Raises:
        RuntimeError: something is missing or fails; the message says what to do.
    """
    if config.model == NANO:
        whisper = whisper_folder(config.whisper, offline=config.offline)
        model: OmniModel[Any] = load_nano(_endpoint(config), whisper)
    else:
        model = _load_checkpoint(config)
    warm(model)
    return model, SileroActivity()


def _load_checkpoint(config: Config) -> OmniModel[Any]:
    try:
        # the default runs without torch, which these need
        from omni.checkpoint import CheckpointError, find  # noqa: PLC0415
        from omni.families.minicpm_o.family import load_minicpm_o  # noqa: PLC0415
    except ImportError as error:
        raise RuntimeError(
            f"{config.model} needs packages that are not installed ({error}); {INSTALL_CHECKPOINTS}"
        ) from error
    device = device_of(config.device)
    try:
        checkpoint = find(config.model, revision=config.revision, offline=config.offline)
        # checked by Config: both are among the values that their types list
        mode, language = cast(Mode, config.mode), cast(Language, config.language)
        return load_minicpm_o(checkpoint, device=device, mode=mode, language=language, max_slices=config.max_slices)
    except CheckpointError as error:
        raise RuntimeError(str(error)) from error
    except ValueError as error:  # of a voice or a token, which know no file
        raise RuntimeError(f"{config.model} cannot be used: {error}") from error


def device_of(device: str) -> str:
    """The device that the option asks for, as torch names it; auto takes a GPU if torch can use one.

    Raises:
        DeviceError: there is no such GPU.
    """
    import torch  # noqa: PLC0415  (the default runs without it)

    n = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if n else "cpu"
    known = ["cpu", *(["cuda"] if n else []), *(f"cuda:{index}" for index in range(n))]
    if device not in known:
        built = "nvidia-smi must find the GPU, and torch be built for it (https://pytorch.org/get-started/locally)"
        raise DeviceError(
            f"torch {torch.__version__} finds no {device} on this machine: --device takes auto, {', '.join(known)}"
            + ("" if n else f"; for cuda, {built}")
        )
    return device


def warm(model: OmniModel[Any]) -> None:
    """Hold a short conversation with a model: it hears silence, sees black, reads a line, and begins to answer."""
    state = model.open("", None)
    silence = np.zeros(model.timing.unit_samples, np.float32)
    black = np.zeros((480, 640, 3), np.uint8) if model.capabilities.sees else None
    n_pieces = 0
    try:
        model.listen([Unit(audio=silence, image=black)], [state])
        model.listen([Unit(text="Say hello.")], [state])
        model.begin(state, Reply(max_tokens=_WARM_TOKENS))
        for _ in range(_MAX_WARM_STEPS):
            deltas = [delta for phase in (Phase.THINK, Phase.SPEAK) for delta in model.step(phase, [state])[0]]
            n_pieces += sum(isinstance(delta, SpeechDelta) for delta in deltas)
            if n_pieces >= _WARM_PIECES or any(isinstance(delta, TurnEnd) for delta in deltas):
                break
    finally:
        model.close(state)


def _endpoint(config: Config) -> Chat | None:
    if config.llm_url is None or config.llm_model is None:
        return None
    return EndpointChat(config.llm_url, config.llm_model, config.llm_api_key)


def whisper_folder(name: str, *, offline: bool = False) -> Path | None:
    """Where the named recogniser lies, fetched from the hub if it has to be; None: it is the packaged one.

    Args:
        name: packaged, of the hub, or a folder.
        offline: take what the hub's cache holds, and ask nobody.

    Raises:
        RuntimeError: there is none of this name, or the hub cannot be reached.
    """
    if name == _PACKAGED_WHISPER:
        return None
    if Path(name).is_dir():
        return Path(name)
    if name not in _HUB_WHISPERS:
        known = ", ".join((_PACKAGED_WHISPER, *_HUB_WHISPERS))
        raise RuntimeError(f"there is no recogniser {name}: --whisper takes {known}, or a folder that exists")
    # half a second of imports that the packaged recogniser does not need
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    repository = f"Systran/faster-whisper-{name}"
    try:
        return Path(snapshot_download(repository, allow_patterns=list(_WHISPER_FILES), local_files_only=offline))
    except Exception as error:  # of the network, the disk, the hub: the person can do the same about each
        reason = str(error).partition("\n")[0]
        raise RuntimeError(
            f"the recogniser {name} ({repository} on the model hub) cannot be reached: {reason}; "
            f"give --whisper a folder with {', '.join(_WHISPER_FILES)}, "
            f"or leave it out to use the packaged {_PACKAGED_WHISPER}"
        ) from error
