"""Which model a configuration asks for: found, loaded and warmed. Slow, so it runs in a thread."""

from pathlib import Path
from typing import Any

from omni.families.nano import load_nano
from omni.model import OmniModel, Phase
from omni.packaged.activity import SileroActivity
from omni.text.chat import Chat
from omni.types import Reply, TurnEnd, Unit
from streaming.config import Config
from streaming.endpoint import EndpointChat

_MAX_WARM_STEPS = 400

_PACKAGED_WHISPER = "tiny.en"
_HUB_WHISPERS = ("base.en", "small.en", "medium.en", "tiny", "base", "small", "medium")
_WHISPER_FILES = ("model.bin", "config.json", "tokenizer.json")


def load(config: Config) -> tuple[OmniModel[Any], SileroActivity]:
    """Load the configured family and voice activity, and let the model speak once, so that no caller waits for that.

    Raises:
        RuntimeError: something is missing or fails; the message says what to do.
    """
    model = load_nano(_endpoint(config), whisper_folder(config.whisper))
    _warm(model)
    return model, SileroActivity()


def _warm(model: OmniModel[Any]) -> None:
    """Hold a short conversation with a model."""
    state = model.open("", None)
    try:
        model.listen([Unit(text="Say hello.")], [state])
        model.begin(state, Reply(max_tokens=16))
        for _ in range(_MAX_WARM_STEPS):
            deltas = [delta for phase in (Phase.THINK, Phase.SPEAK) for delta in model.step(phase, [state])[0]]
            if any(isinstance(delta, TurnEnd) for delta in deltas):
                break
    finally:
        model.close(state)


def _endpoint(config: Config) -> Chat | None:
    if config.llm_url is None or config.llm_model is None:
        return None
    return EndpointChat(config.llm_url, config.llm_model, config.llm_api_key)


def whisper_folder(name: str) -> Path | None:
    """Where the named recogniser lies, fetched from the hub if it has to be; None: it is the packaged one.

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
        return Path(snapshot_download(repository, allow_patterns=list(_WHISPER_FILES)))
    except Exception as error:  # of the network, the disk, the hub: the person can do the same about each
        reason = str(error).partition("\n")[0]
        raise RuntimeError(
            f"the recogniser {name} ({repository} on the model hub) cannot be reached: {reason}; "
            f"give --whisper a folder with {', '.join(_WHISPER_FILES)}, "
            f"or leave it out to use the packaged {_PACKAGED_WHISPER}"
        ) from error
