"""What commands take that have commands of their own, apart from what they do: a command line must not wait for it."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from streaming.config import add_flags

PREVIEW = "Hello! This is how I sound. Ask me anything, and I will tell you what I know."


class CommandError(RuntimeError):
    """What was asked for cannot be done. The message says what to do."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything here does; what may be given is asked for by --help."""

    def error(self, message: str) -> NoReturn:
        """End the program."""
        self.exit(2, f"omni: {message}; {self.prog} --help tells more\n")


def add_say_flags(parser: argparse.ArgumentParser) -> None:
    """Give `omni say` what it takes beside the configuration."""
    parser.add_argument("text", nargs="+", help="what is to be said; - for standard input")
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="where to write it, such as x.mp3; - for standard output"
    )
    parser.add_argument("--voice", metavar="NAME", help="name or id of a voice (default: the model's own)")
    parser.add_argument("--speed", type=float, default=1.0, help="0.25 to 1.5; its pitch stays (default: 1)")
    parser.add_argument("--instructions", default="", metavar="WORDS", help='how it is said: "slowly, in a low voice"')
    formats = ("mp3", "opus", "aac", "flac", "wav", "pcm")
    parser.add_argument("--format", choices=formats, help="in place of what the file's name says")


def add_character_flags(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Give `omni characters` its own commands; which one it was is `action`. Returns their parsers by name."""
    about = {
        "list": "who there is",
        "show": "print one as a file, to be changed and added again",
        "add": "keep a new one, from a TOML file",
        "edit": "change one, in $EDITOR, by --set, or from a file",
        "remove": "remove one, with its picture",
    }
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    parsers = {
        name: actions.add_parser(name, help=text, description=text, allow_abbrev=False) for name, text in about.items()
    }
    for name in ("show", "edit", "remove"):
        parsers[name].add_argument("id", help="id, as list shows it, or a name that no other has")
    parsers["add"].add_argument("file", metavar="FILE.toml", help="what show prints; - for standard input")
    edit = parsers["edit"]
    edit.add_argument("file", nargs="?", metavar="FILE.toml", help="in place of all that it says now; - as for add")
    edit.add_argument("--set", action="append", metavar="KEY=TEXT", help="name, greeting and so on; may be repeated")
    edit.add_argument("--no-image", action="store_true", help="take its picture away")
    for name in ("add", "edit"):
        parsers[name].add_argument("--image", metavar="PICTURE", help="its picture (JPEG or PNG)")
    for name, one in parsers.items():
        # which voices there are, the model says
        add_flags(one, ("data", "engine") if name == "list" else ("data",))
    return parsers


def add_voice_flags(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Give `omni voices` its own commands; which one it was is `action`. Returns their parsers by name."""
    about = {
        "list": "what there is: the model's own voices, and those that were made here",
        "add": "make one from a few seconds of speech, for everybody who calls",
        "preview": "hear one",
        "remove": "remove one, with its recording",
    }
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    parsers = {
        # a voice has a language too, which is not the one that a model is addressed in
        name: actions.add_parser(name, help=text, description=text, allow_abbrev=False, conflict_handler="resolve")
        for name, text in about.items()
    }
    for name, one in parsers.items():
        add_flags(one, ("data", "engine", "log") if name in {"add", "preview"} else ("data", "engine"))
    parsers["list"].add_argument("--json", action="store_true", help="print all that is known of each as JSON")
    add = parsers["add"]
    add.add_argument("name", help="what it is to be called")
    add.add_argument("recording", type=Path, metavar="RECORDING", help="three to thirty seconds of one person's speech")
    add.add_argument(
        "--consent",
        required=True,
        choices=("self", "given", "synthetic"),
        help="who agreed: it is your own voice, somebody else's who was asked, or nobody's",
    )
    add.add_argument("--speaker", metavar="PERSON", help="whose voice it is; needed if consent was given")
    add.add_argument("--language", dest="voice_language", default="en", help="that it speaks (default: en)")
    preview = parsers["preview"]
    preview.add_argument("--out", required=True, metavar="VOICE.wav", help="where to write it")
    preview.add_argument("--text", default=PREVIEW, help="what it says")
    preview.set_defaults(format=None, speed=1.0, instructions="")
    for name in ("preview", "remove"):
        parsers[name].add_argument("voice", help="name or id, as list shows it")
    return parsers
