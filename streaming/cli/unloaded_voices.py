"""The voices that a server would have, told without loading its model, which for a checkpoint takes minutes."""

from pathlib import Path

from omni.model import Capabilities
from omni.packaged.speaking.voices import BUILT_IN
from omni.types import Voice
from streaming.company.voices import Voices
from streaming.config import NANO, Config
from streaming.gateway.libraries import VOICES

RECORDINGS = "assets/ref_audios"
"""where a checkpoint has voices of its own: omni.checkpoint.VOICES, which only torch can import"""


def unloaded(config: Config) -> Voices:
    """All voices by their names: the model's own, of a checkpoint those of a folder, and what people made. Blocks."""
    own = BUILT_IN if config.model == NANO else _recorded(Path(config.model))
    voices = Voices(config.data_folder / VOICES, Capabilities(config.model, own, sees=False, transcribes=False))
    voices.look()
    return voices


def untold(config: Config) -> str | None:
    """What is to be said of a model whose own voices unloaded() leaves out; None: it has them all."""
    if config.model == NANO or Path(config.model).is_dir():
        return None
    return f"the voices of {config.model} itself are not listed: they are read when it is loaded"


def _recorded(folder: Path) -> tuple[Voice, ...]:
    return tuple(Voice(path.stem) for path in sorted((folder / RECORDINGS).glob("*.wav")))
