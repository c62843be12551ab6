"""What the commands about characters take, kept apart from what they do: a command line must not wait for that."""

import argparse

from streaming.config import add_flags


def add_say_flags(parser: argparse.ArgumentParser) -> None:
    """Give `omni say` what it takes beside the configuration."""
    parser.add_argument("text", help="what is to be said; - for standard input")
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="where to write it, such as x.mp3; - for standard output"
    )
    parser.add_argument("--voice", metavar="NAME", help="name or id of a voice (default: the model's own)")
    parser.add_argument("--speed", type=float, default=1.0, help="0.25 to 1.5; its pitch stays (default: 1)")
    parser.add_argument("--instructions", default="", metavar="WORDS", help='how it is said: "slowly, in a low voice"')
    formats = ("mp3", "opus", "aac", "flac", "wav", "pcm")
    parser.add_argument("--format", choices=formats, help="in place of what the file's name says")


def add_character_flags(parser: argparse.ArgumentParser) -> None:
    """Give `omni characters` its own commands; which one it was is `action`."""
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
        parsers[name].add_argument("id", help="as list shows it")
    parsers["add"].add_argument("file", metavar="FILE.toml", help="what show prints; - for standard input")
    edit = parsers["edit"]
    edit.add_argument("file", nargs="?", metavar="FILE.toml", help="in place of all that it says now; - as for add")
    edit.add_argument("--set", action="append", metavar="KEY=TEXT", help="name, greeting and so on; may be repeated")
    edit.add_argument("--no-image", action="store_true", help="take its picture away")
    for name in ("add", "edit"):
        parsers[name].add_argument("--image", metavar="PICTURE", help="its picture (JPEG or PNG)")
    for one in parsers.values():
        add_flags(one, ("data",))
