"""The session object from before the GA protocol, all on one level, to today's and back."""

from collections.abc import Mapping
from typing import Any

from streaming.gateway.wire.fields import Fields

_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_SAME = ("model", "instructions", "tools", "tool_choice", "tracing", "prompt", "include")
_OURS = ("mode", "language")
"""fields of our own, where the model has a choice of them"""
_INPUT = {
    "turn_detection": "turn_detection",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
}
_OUTPUT = ("voice", "speed")
_OTHERS = (
    "modalities",
    "input_audio_format",
    "output_audio_format",
    "max_response_output_tokens",
    "temperature",
    "client_secret",
)


def nested(flat: Fields) -> dict[str, Any]:
    """Today's fields for those of a flat session; temperature, which means nothing here, is dropped.

    Raises:
        WireError: a field is unknown, or names a format that there is not. Values are not looked at otherwise.
    """
    flat.only((*_SAME, *_OURS, *_INPUT, *_OUTPUT, *_OTHERS))
    session = {name: flat[name] for name in (*_SAME, *_OURS) if name in flat}
    sound_in = {name: flat[old] for old, name in _INPUT.items() if old in flat}
    sound_out = {name: flat[name] for name in _OUTPUT if name in flat}
    for old, sound in (("input_audio_format", sound_in), ("output_audio_format", sound_out)):
        if named := flat.choice(old, _FORMATS):
            sound["format"] = {"type": _FORMATS[named]}
    spoken = flat.list("modalities")
    if spoken is not None:
        # sound always came with its text, and was listed with it
        session["output_modalities"] = ["audio"] if "audio" in spoken else spoken
    if "max_response_output_tokens" in flat:
        session["max_output_tokens"] = flat["max_response_output_tokens"]
    audio = {name: sound for name, sound in (("input", sound_in), ("output", sound_out)) if sound}
    return {**session, "audio": audio} if audio else session


def flattened(session: Mapping[str, Any]) -> dict[str, Any]:
    """A session object as SessionObject.render() gives it, all on one level."""
    sound_in, sound_out = session["audio"]["input"], session["audio"]["output"]
    return {
        "id": session["id"],
        "object": session["object"],
        **{name: session[name] for name in _SAME},
        **{name: session[name] for name in _OURS if name in session},
        **{old: sound_in[name] for old, name in _INPUT.items()},
        **{name: sound_out[name] for name in _OUTPUT},
        "modalities": old_modalities(session["output_modalities"]),
        "input_audio_format": old_format(sound_in["format"]),
        "output_audio_format": old_format(sound_out["format"]),
        "max_response_output_tokens": session["max_output_tokens"],
        "expires_at": session["expires_at"] or 0,
    }


def old_modalities(today: list[str]) -> list[str]:
    """output_modalities as they were: sound was listed with its text."""
    return ["audio", "text"] if today == ["audio"] else today


def old_format(today: Mapping[str, Any]) -> str:
    """A format object as the one word that it was."""
    return next(old for old, named in _FORMATS.items() if named == today["type"])
