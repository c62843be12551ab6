"""Which model a configuration asks for: found, loaded and warmed. Slow, so it runs in a thread."""

from typing import Any

from omni.packaged.activity import SileroActivity

from omni.families.nano import load_nano
from omni.model import OmniModel, Phase
from omni.text.chat import Chat
from omni.types import Reply, TurnEnd, Unit
from streaming.config import Config
from streaming.endpoint import EndpointChat

_MAX_WARM_STEPS = 400


def load(config: Config) -> tuple[OmniModel[Any], SileroActivity]:
    """Load the configured family and voice activity, and let the model speak once, so that no caller waits for that.

    Raises:
        RuntimeError: something is missing or fails; the message says what to do.
    """
    model = load_nano(_endpoint(config))
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
