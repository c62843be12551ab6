"""The command line: omni serve | play | chat | voices | characters | say | doctor | make-tiny | version."""

import argparse
import asyncio
import json
import os
import re
import shlex
import sys
from collections.abc import Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from omni.text.presets import PRESETS
from streaming.cli.flags import CommandError, Parser, add_character_flags, add_say_flags, add_voice_flags
from streaming.config import INSTALL_CHECKPOINTS, NANO, Config, ConfigError, add_flags, load, nearest_flag

_GROUPS = {
    "serve": ("server", "data", "engine", "log"),
    "play": ("engine", "log"),
    "chat": ("engine", "log"),
    "say": ("data", "engine", "log"),
    "doctor": ("server", "data", "engine"),
}
_OF_WORDS = {
    "chat": "a question",
    "play": "a question",
    "say": "a text",
    **dict.fromkeys(("voices add", "voices preview", "voices remove"), "a name"),
    **dict.fromkeys(("characters show", "characters edit", "characters remove"), "a name"),
}
"""what commands take that may have spaces"""


def main(words: list[str] | None = None) -> int:
    """Run a command; the exit status is 0, 1 for what is wrong here, 2 for what is wrong with the request."""
    try:
        return _run(words)
    except KeyboardInterrupt:
        return 130
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # so says a library that was being loaded just then
            return 130
        raise


def _run(words: list[str] | None) -> int:
    parser, parsers = _parser()
    words = sys.argv[1:] if words is None else words
    command = next((place for place, word in enumerate(words) if word in parsers), 0)
    if command and words[0].startswith("--") and words[0] != "--help":
        return _complain(f"options come after the command: omni {shlex.join(words[command:] + words[:command])}", 2)
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        called = " ".join(filter(None, (arguments.command, getattr(arguments, "action", None))))
        return _complain(f"unknown argument {unknown[0]}{_hint(unknown[0], called, parsers)}", 2)
    if arguments.command is None:
        parser.print_help()
        return 2
    if arguments.command == "version":
        print(_version())
        return 0
    if arguments.command == "make-tiny":
        return _make_tiny(arguments)
    try:
        config = load(vars(arguments), os.environ)
    except ConfigError as error:
        return _complain(error, 2)
    if arguments.print_config:
        print(config.as_toml(), end="")
        return 0
    _tame_threads()
    known = {
        "serve": _serve,
        "play": _play,
        "chat": _chat,
        "voices": _voices,
        "characters": _characters,
        "say": _say,
        "doctor": _doctor,
    }
    return known[arguments.command](config, arguments)


def _hint(word: str, command: str, parsers: Mapping[str, argparse.ArgumentParser]) -> str:
    """What may have been meant by a word that a command, such as "voices add", does not know."""
    if not word.startswith("-"):
        return f"; put {_OF_WORDS[command]} of several words in quotes" if command in _OF_WORDS else ""
    known = parsers[command].format_usage() if command in parsers else ""
    return nearest_flag(word, re.findall(r"--[\w-]+", known))


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser, and those of its commands by name, such as "say" and "voices add"."""
    parser = Parser(
        prog="omni", description="A voice and video assistant that you host yourself: call it from a browser."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    about = {
        "serve": "start the server and print its address when the models are warm",
        "play": "ask by a recording, a picture or a typed line, without a server",
        "chat": "ask a MiniCPM-o checkpoint once, with pictures, sound or a video, outside of a call",
        "say": "read a text out into a sound file, without a server",
        "doctor": "say what is installed, which models are found, and what will run",
    }
    # abbreviations are refused: one that is clear today may be two flags tomorrow
    parsers: dict[str, argparse.ArgumentParser] = {
        name: commands.add_parser(name, help=text, description=text, allow_abbrev=False) for name, text in about.items()
    }
    for name, groups in _GROUPS.items():
        add_flags(parsers[name], groups)
    parsers["doctor"].add_argument(
        "--verify",
        action="store_true",
        help="compare the checksums of a checkpoint from the hub, which reads all of it",
    )
    parsers["version"] = commands.add_parser("version", help="print the version")
    about_tiny = "write a small MiniCPM-o of random weights, to try serve --model with"
    parsers["make-tiny"] = commands.add_parser("make-tiny", help=about_tiny, description=about_tiny, allow_abbrev=False)
    tiny = parsers["make-tiny"]
    tiny.add_argument("folder", type=Path, metavar="DIR", help="a new folder, or an empty one")
    tiny.add_argument("--seed", type=int, default=0, help="of the weights (default: 0)")
    play = parsers["play"]
    play.add_argument("recording", nargs="?", type=Path, metavar="QUESTION.wav", help="what the caller says")
    play.add_argument("--text", help="what the caller types, once the recording is answered if there is one")
    play.add_argument("--image", type=Path, metavar="PICTURE", help="what the caller's camera shows (JPEG or PNG)")
    play.add_argument("--out", type=Path, metavar="ANSWER.wav", help="where to write what the assistant says")
    play.add_argument("--json", action="store_true", help="print the conversation and its timings as JSON")
    _add_chat(parsers["chat"])
    about_voices = "what the assistant can sound like: list, add, preview and remove voices"
    parsers["voices"] = commands.add_parser("voices", help=about_voices, description=about_voices)
    parsers |= {f"voices {name}": one for name, one in add_voice_flags(parsers["voices"]).items()}
    about_characters = "who the assistant can be: list, show, add, edit and remove characters"
    parsers["characters"] = commands.add_parser("characters", help=about_characters, description=about_characters)
    parsers |= {f"characters {name}": one for name, one in add_character_flags(parsers["characters"]).items()}
    add_say_flags(parsers["say"])
    return parser, parsers


def _add_chat(chat: argparse.ArgumentParser) -> None:
    chat.add_argument("question", nargs="?", help="what you ask, or the text for --preset clone-and-read")
    kinds = {"image": "JPEG or PNG; may be repeated", "audio": "a recording; may be repeated", "video": "a video"}
    for kind, about in kinds.items():
        # all in one list: the model takes them in the order in which they are given
        given = partial(_given, kind)
        chat.add_argument(f"--{kind}", dest="media", action="append", type=given, metavar="FILE", help=about)
    chat.add_argument("--voice", type=Path, metavar="VOICE.wav", help="a few seconds of the voice of --out")
    tasks = "; ".join(f"{name}: {preset.about}" for name, preset in PRESETS.items())
    chat.add_argument("--preset", choices=tuple(PRESETS), help=f"a task that the model knows ({tasks})")
    chat.add_argument("--out", type=Path, metavar="ANSWER.wav", help="where to write the answer's speech")


def _given(kind: str, path: str) -> tuple[str, Path]:
    return kind, Path(path)


def _tame_threads() -> None:
    """Before numpy and its kind are loaded: threads that wait must sleep.

    By default they spin, and two OpenMP stages on two cores then slow each other down many times over. OpenBLAS
    (numpy's products, all of them small) can only be told to have none: it doubled the time of recognition.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


def _serve(config: Config, _: argparse.Namespace) -> int:
    from streaming import logs
    from streaming.gateway import models
    from streaming.gateway.listening import serve

    logs.configure(config.log_level, as_json=config.log_json)
    try:
        asyncio.run(serve(config, models.load))
    except RuntimeError as error:
        return _complain(error, 1)
    return 0


def _play(config: Config, arguments: argparse.Namespace) -> int:
    if arguments.recording is None and arguments.text is None:
        return _complain("give a recording, or --text", 2)
    if arguments.text is not None and not arguments.text.strip():
        return _complain("--text is empty: type a question in quotes behind it", 2)
    from omni.timing import Timing
    from omni.vision.image import LONGEST_SIDE
    from streaming import files, logs
    from streaming.gateway import loopback, models

    logs.configure(config.log_level, as_json=config.log_json)
    try:
        if arguments.out is not None:
            files.check_place(arguments.out)
        recording = files.read_sound(arguments.recording, Timing()) if arguments.recording else None
        image = files.read_picture(arguments.image, LONGEST_SIDE) if arguments.image else None
    except (OSError, ValueError) as error:
        file = arguments.recording
        is_word = arguments.text is not None and file is not None and not file.exists()
        return _complain(f"{error}; put a --text of several words in quotes" if is_word else error, 2)
    try:
        model, activity = models.load(config)
    except RuntimeError as error:
        return _complain(error, 1)
    result = asyncio.run(loopback.play(model, activity, recording=recording, image=image, text=arguments.text))
    print(json.dumps(result.as_dict(), indent=2, ensure_ascii=False) if arguments.json else result.as_text())
    try:
        if arguments.out is not None:
            files.write_sound(arguments.out, result.pcm, model.timing)
    except ValueError as error:
        return _complain(error, 2)
    for fault in result.faults:
        _complain(fault, 1)
    return 1 if result.faults or not result.answers else 0


def _chat(config: Config, arguments: argparse.Namespace) -> int:
    from streaming import logs

    try:
        from streaming.cli.offline import Request, chat
    except ImportError as error:
        return _complain(f"chat needs packages that are not installed ({error}); {INSTALL_CHECKPOINTS}", 1)
    logs.configure(config.log_level, as_json=config.log_json)
    given = arguments
    question = (given.question or "").strip() or None
    request = Request(question, given.media or (), given.voice, given.preset, given.out)
    try:
        remark = chat(config, request, partial(print, end="", flush=True))
    except (OSError, ValueError) as error:
        return _complain(error, 2)
    except RuntimeError as error:
        return _complain(error, 1)
    print()
    return 0 if remark is None else _complain(remark, 0)


def _voices(config: Config, arguments: argparse.Namespace) -> int:
    from streaming import logs
    from streaming.cli.voices import run
    from streaming.gateway import models

    # what is damaged is listed, not logged too
    level = config.log_level if arguments.action in {"add", "preview"} else "error"
    logs.configure(level, as_json=config.log_json)
    try:
        run(config, arguments, lambda config: models.load(config)[0])
    except (CommandError, ValueError, OSError) as error:
        return _complain(error, 2)
    except RuntimeError as error:
        return _complain(error, 1)
    return 0


def _say(config: Config, arguments: argparse.Namespace) -> int:
    from streaming import logs
    from streaming.cli.speech import run
    from streaming.gateway import models

    logs.configure(config.log_level, as_json=config.log_json)
    arguments.text = " ".join(arguments.text)
    try:
        spoken = run(config, arguments, lambda config: models.load(config)[0])
    except (CommandError, ValueError, OSError) as error:
        return _complain(error, 2)
    except RuntimeError as error:
        return _complain(error, 1)
    # what is spoken may be on its way through standard output
    print(spoken.as_text(), file=sys.stderr if arguments.out == "-" else sys.stdout)
    return 0


def _characters(config: Config, arguments: argparse.Namespace) -> int:
    from streaming import logs
    from streaming.cli.characters import run

    logs.configure("error", as_json=config.log_json)  # what is damaged is listed, not logged too
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    try:
        run(config, arguments, editor)
    except (CommandError, ValueError, OSError) as error:
        return _complain(error, 2)
    return 0


def _doctor(config: Config, arguments: argparse.Namespace) -> int:
    from streaming.cli.doctor import Finding, conclusion, examine

    findings = examine(config)
    if config.model != NANO:
        try:
            from streaming.cli.doctor_checkpoint import look
        except ImportError as error:
            findings.append(Finding(False, f"{config.model} cannot be examined: {error}"))
        else:
            findings += look(config, verify=arguments.verify)
    findings.append(conclusion(config, findings))
    for finding in findings:
        print(finding.line())
    return 0 if all(finding.good for finding in findings) else 1


def _make_tiny(arguments: argparse.Namespace) -> int:
    try:
        from streaming.tiny.checkpoint import write_tiny
    except ImportError as error:
        return _complain(f"make-tiny needs packages that are not installed ({error}); {INSTALL_CHECKPOINTS}", 1)
    folder: Path = arguments.folder
    try:
        write_tiny(folder, arguments.seed)
    except OSError as error:
        advice = f"cannot write {folder}: {error.strerror}; name a new folder where you may write, or an empty one"
        return _complain(advice if error.strerror else error, 2)
    # as this program was called: the environment that has it need not be on the path
    program = sys.argv[0] if Path(sys.argv[0]).name == "omni" else f"{sys.executable} -m streaming"
    print(f"{folder} is a whole MiniCPM-o, if a small one; try: {program} serve --model {shlex.quote(str(folder))}")
    return 0


def _version() -> str:
    try:
        return f"omni {version('omni-live')}"
    except PackageNotFoundError:
        return "omni (run from a folder, not installed)"


def _complain(problem: Any, status: int) -> int:
    if isinstance(problem, OSError) and problem.strerror:
        problem = f"{problem.filename or 'cannot write all of it'}: {problem.strerror}"
    print(f"omni: {problem}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
