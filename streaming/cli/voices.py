"""omni voices: list, add, preview and remove them from the command line. What is added here all callers may use."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from omni.model import OmniModel
from omni.packaged.activity import SileroActivity
from omni.timing import Timing
from streaming.cli import speech as speech_command
from streaming.cli.flags import CommandError
from streaming.cli.unloaded_voices import unloaded, untold
from streaming.company.catalogue import same_name
from streaming.company.voice_making import (
    MAX_BYTES,
    Made,
    Recording,
    VoiceMaker,
    check_recording,
    several_speakers,
    similarity_object,
)
from streaming.company.voices import Entry, VoiceError, Voices, Wish
from streaming.config import Config
from streaming.files import FileError
from streaming.gateway.libraries import VOICES
from streaming.gateway.media import probabilities_of

Load = Callable[[Config], OmniModel[Any]]


def run(config: Config, arguments: argparse.Namespace, load: Load) -> None:
    """Do what the arguments say, and print it.

    Args:
        config: where the voices are kept, and which model they are for.
        arguments: of the command.
        load: gives that model, warm; takes its time.

    Raises:
        CommandError, FileError, OSError: it cannot be done; the message says why.
        RuntimeError: the model cannot be had.
    """
    given = arguments
    match given.action:
        case "list":
            _list(config, as_json=given.json)
        case "add":
            try:
                _add(config, given, load)
            except VoiceError as error:
                raise CommandError(_as_line(error)) from error
        case "preview":
            # as omni say, with words of its own
            spoken = speech_command.run(config, given, load)
            print(f"{given.voice} says it in {given.out} ({spoken.length_s:.1f} s)")
        case "remove":
            library = unloaded(config)
            entry = _found(library, given.voice)
            library.remove(entry.id)
            print(f"{entry.name} is removed")


def _found(library: Voices, wanted: str) -> Entry:
    """What was made here, by its id or its name, whoever it belongs to: the command line is of who runs the server."""
    entries = library.kept()
    found = [entry for entry in entries if entry.id == wanted]
    found = found or [entry for entry in entries if same_name(entry.name, wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(f"several are called {wanted}: say which by its id, {' or '.join(one.id for one in found)}")
    if any(same_name(entry.name, wanted) for entry in library.built_in):
        raise CommandError(f"{wanted} is built in and cannot be removed")
    raise CommandError(f"there is no voice {wanted} that was made here; omni voices list shows them")


# ---------------------------------------------------------------- list


def _list(config: Config, *, as_json: bool) -> None:
    library = unloaded(config)
    if remark := untold(config):
        print(remark, file=sys.stderr)
    if as_json:
        print(json.dumps([_as_dict(entry) for entry in (*library.built_in, *library.kept())], indent=2))
        return
    rows: list[Sequence[str]] = [("NAME", "ID", "LANGUAGE", "LENGTH", "MADE", "WHOSE", "FOR")]
    rows += [_row(entry) for entry in (*library.built_in, *library.kept()) if entry.built_in or entry.record]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    for entry in library.kept():
        if entry.record is None:
            print(f"damaged and left out: {entry.problem}", file=sys.stderr)
        elif any(same_name(entry.name, own.name) for own in library.built_in):
            # of a time when another model had other names
            print(f"two are called {entry.name}: {entry.id} means the one that was made here", file=sys.stderr)


def _row(entry: Entry) -> Sequence[str]:
    record = entry.record
    if record is None:
        return entry.name, "-", entry.language, "-", "-", "built in", "everybody"
    whose = record.speaker or {"self": "their own", "given": "-", "synthetic": "nobody's"}[record.consent]
    users = "everybody" if record.shared else "the host" if record.owner is None else f"account {record.owner[:12]}"
    made = datetime.fromtimestamp(record.created_at).strftime("%Y-%m-%d")
    return entry.name, entry.id, entry.language, f"{record.seconds:.0f} s", made, whose, users


def _as_dict(entry: Entry) -> dict[str, Any]:
    if entry.record is not None:
        return asdict(entry.record)
    if entry.built_in:
        return {"id": entry.id, "name": entry.name, "language": entry.language, "built_in": True}
    return {"id": entry.id, "error": entry.problem}


# ---------------------------------------------------------------- add


def _add(config: Config, given: argparse.Namespace, load: Load) -> None:
    if given.consent == "given" and not given.speaker:
        raise CommandError('say whose voice it is: --speaker "NAME"')
    wish = Wish(given.name, given.consent, given.speaker or "", given.voice_language, shared=True)
    # what can be refused is, before a model is loaded for minutes
    unloaded(config).of(None).record_of(wish)
    recording = _recording(given.recording)
    model = load(config)
    library = Voices(config.data_folder / VOICES, model.capabilities)
    library.look()
    made = VoiceMaker(model).make(library.of(None).record_of(wish), recording)
    entry = library.add(made.record, made.reference, made.voice)
    print(f"{entry.name} is kept as {entry.id}, for everybody who calls this server")
    print(_findings(made))
    if similarity := similarity_object(made.voice):
        print(
            f"similarity to the recording: {similarity['after']:.2f}, where the most similar of the model's own voices "
            f"has {similarity['before']:.2f} (two recordings of one person have more than 0.8)"
        )


def _recording(path: Path) -> Recording:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(
                f"{path} has more than {MAX_BYTES // 2**20} MB: cut it, ten seconds of one voice are enough"
            )
        data = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    hear = partial(probabilities_of, SileroActivity(), timing=Timing())
    try:
        return check_recording(data, hear, several_speakers)
    except VoiceError as error:
        raise FileError(f"{path}: {_as_line(error)}") from error


def _as_line(error: VoiceError) -> str:
    """What is wrong, as the end of a line; over HTTP it is a sentence."""
    text = str(error)
    return (text[:1].lower() + text[1:]).removesuffix(".")


def _findings(made: Made) -> str:
    checks = made.checks
    return (
        f"{checks.speech_s:.1f} s of speech; {checks.trimmed_before_s:.1f} s of silence cut off before it and "
        f"{checks.trimmed_after_s:.1f} s after it; {checks.above_noise_db:.0f} dB above the noise"
    )
