"""Configuration, read, checked and frozen at the door (law 15): flags over environment over file over defaults.

Every field of Config is a flag (`--max-sessions`), an environment variable (`OMNI_MAX_SESSIONS`) and a key of the
TOML file (`max_sessions`). No other module reads the environment. Imports little beside the standard library, because
the command line reads it before anything heavy is loaded.
"""

import argparse
import dataclasses
import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from streaming.ice import read_ice_servers
from streaming.keys import read_keys

PREFIX = "OMNI_"
FILE_VARIABLE = "OMNI_CONFIG"
NANO = "nano"
"""the family that needs no checkpoint"""
MODES = ("omni", "audio_assistant", "audio_roleplay", "voice_cloning", "default")
LANGUAGES = ("zh", "en")
DATA_DIR = "~/.local/share/omni-live"
LOG_LEVELS = ("debug", "info", "warning", "error")
INSTALL = "run in the project's folder: .venv/bin/pip install -c constraints.txt -e '.[{}]'"
"""what to do about missing packages of an extra"""
INSTALL_CHECKPOINTS = INSTALL.format("minicpm-o")
"""… of what a model that is read from a checkpoint needs beside the default's packages"""

_SECRET = "hidden"

_RELEASED = "openbmb/MiniCPM-o-2_6"
_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")

_OF_NANO = ("whisper", "llm_url", "llm_model", "llm_api_key")
_OF_CHECKPOINTS = ("revision", "device", "mode", "language", "max_slices")


class ConfigError(ValueError):
    """The configuration cannot be used. The message names the key and what it may be."""


def _option(default: Any, text: str, *, group: str, secret: bool = False) -> Any:
    return dataclasses.field(default=default, metadata={"help": text, "group": group, "secret": secret})


@dataclass(frozen=True, slots=True)
class Config:
    """What the person who starts the server may choose. Seconds where a name ends in _s."""

    host: str | None = _option(
        None,
        "address to listen on; 0.0.0.0 for every network (default 127.0.0.1; every network with TLS, and then with a "
        "key that is made if none is given)",
        group="server",
    )
    port: int = _option(8000, "port to listen on; 0 takes a free one", group="server")
    tls: bool = _option(
        False, "speak https, which phones need to call: with a certificate that is made and kept", group="server"
    )
    tls_cert: str | None = _option(None, "file with a certificate of your own and its chain, as PEM", group="server")
    tls_key: str | None = _option(None, "file with the private key of --tls-cert, as PEM", group="server")
    data_dir: str | None = _option(
        None, f"folder for what the server makes and keeps (default {DATA_DIR})", group="data"
    )
    max_sessions: int = _option(4, "conversations at the same time; more are told to try later", group="server")
    max_session_s: float = _option(3600.0, "longest conversation, in seconds", group="server")
    resume_within_s: float = _option(
        30.0, "a call whose connection broke waits so many seconds for its client; 0: not at all", group="server"
    )
    idle_timeout_s: float = _option(300.0, "a client that sends nothing for so many seconds is let go", group="server")
    api_keys: tuple[str, ...] = _option(
        (),
        "keys that clients must present, each with limits if need be, such as KEY:name=ann:sessions=2:minutes=60 "
        "(calls at the same time, minutes a day); none: open",
        group="server",
        secret=True,
    )
    allowed_origins: tuple[str, ...] = _option(
        (),
        "further web origins whose pages may connect, such as https://example.org; "
        "a server without keys also answers to their names",
        group="server",
    )
    ice_servers: str = _option(
        "",
        "STUN and TURN servers for calls through firewalls, as the JSON list that RTCPeerConnection takes: "
        '[{"urls": "turn:HOST", "username": "...", "credential": "..."}]',
        group="server",
        secret=True,
    )
    model: str = _option(
        NANO,
        f"{NANO}, or a MiniCPM-o checkpoint: its folder, or its name on the model hub, such as {_RELEASED}",
        group="engine",
    )
    revision: str | None = _option(None, "branch, tag or commit of a --model on the hub", group="engine")
    offline: bool = _option(False, "ask no hub: take what its cache on this machine holds", group="engine")
    device: str = _option(
        "auto", "where a checkpoint runs: auto (a GPU if there is one), cpu, cuda, or cuda:1 and so on", group="engine"
    )
    mode: str = _option("omni", f"what a checkpoint is told to be: {', '.join(MODES)}", group="engine")
    language: str = _option("en", f"language in which it is told so: {', '.join(LANGUAGES)}", group="engine")
    max_slices: int = _option(
        1,
        "parts in which a checkpoint looks closely at each camera picture, up to 9: "
        "more show small print, and take 64 tokens a second each",
        group="engine",
    )
    whisper: str = _option(
        "tiny.en",
        "recogniser: tiny.en is packaged; base.en, small.en, medium.en, and tiny, base, small, medium, which know "
        "more languages than English, come from the hub; or a folder with one",
        group="engine",
    )
    llm_url: str | None = _option(
        None, "an OpenAI-compatible endpoint as the language model, such as http://127.0.0.1:11434/v1", group="engine"
    )
    llm_model: str | None = _option(None, "model to ask for at --llm-url", group="engine")
    llm_api_key: str | None = _option(None, "key for --llm-url", group="engine", secret=True)
    log_level: str = _option("info", f"least severe message shown: {', '.join(LOG_LEVELS)}", group="log")
    log_json: bool = _option(False, "one JSON object a line instead of text", group="log")

    def __post_init__(self) -> None:
        """Check every value, alone and against the others.

        Raises:
            ConfigError: a value is out of range, unknown, or makes no sense beside another.
        """
        _check_model(self.model)
        _one_of("mode", self.mode, MODES)
        _one_of("language", self.language, LANGUAGES)
        _require(bool(_DEVICE.fullmatch(self.device)), "device", self.device, "auto, cpu, cuda or cuda:N")
        _require(1 <= self.max_slices <= 9, "max_slices", self.max_slices, "1 to 9")
        self._check_company()
        _one_of("log_level", self.log_level, LOG_LEVELS)
        _require(0 <= self.port <= 65_535, "port", self.port, "0 to 65535")
        _require(self.max_sessions >= 1, "max_sessions", self.max_sessions, "1 or more")
        _require(self.max_session_s > 0, "max_session_s", self.max_session_s, "more than 0 seconds")
        _require(self.resume_within_s >= 0, "resume_within_s", self.resume_within_s, "0 seconds or more")
        _require(self.idle_timeout_s > 0, "idle_timeout_s", self.idle_timeout_s, "more than 0 seconds")
        try:
            read_keys(self.api_keys)
        except ValueError as error:
            raise ConfigError(f"api_keys: {error}") from error
        try:
            read_ice_servers(self.ice_servers)
        except ValueError as error:
            raise ConfigError(f"ice_servers: {error}") from error
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigError("tls_cert and tls_key belong together: name both files, or neither")
        for origin in self.allowed_origins:
            _require(_is_origin(origin), "allowed_origins", origin, "scheme://host[:port] without a path")
        if self.llm_url is None and (self.llm_model or self.llm_api_key):
            raise ConfigError("llm_model and llm_api_key need llm_url: which endpoint is meant?")
        if self.llm_url is not None:
            url = urlsplit(self.llm_url)
            _require(url.scheme in {"http", "https"} and bool(url.netloc), "llm_url", self.llm_url, "an http(s) URL")
            if not self.llm_model:
                raise ConfigError("llm_url needs llm_model: the name of a model that the endpoint serves")

    def _check_company(self) -> None:
        """An option that the model in use would not heed is a misunderstanding, and is said so."""
        foreign, owner = (_OF_CHECKPOINTS, "a checkpoint") if self.model == NANO else (_OF_NANO, NANO)
        for field in dataclasses.fields(self):
            if field.name in foreign and getattr(self, field.name) != field.default:
                raise ConfigError(
                    f"{field.name} is an option of {owner}, and model is {self.model}; leave it out, or change model"
                )
        if self.revision is not None and self.folder is not None:
            raise ConfigError(f"revision is of a model on the hub, and {self.model} is a folder; leave it out")

    @property
    def secure(self) -> bool:
        """The server speaks https."""
        return self.tls or self.tls_cert is not None

    @property
    def listens_on(self) -> str:
        """The address to listen on."""
        return self.host or ("0.0.0.0" if self.secure else "127.0.0.1")

    @property
    def data_folder(self) -> Path:
        """Where the server keeps what it makes. It need not exist yet."""
        return Path(self.data_dir or DATA_DIR).expanduser()

    @property
    def folder(self) -> Path | None:
        """The folder that model names; None: it is nano, or on the hub."""
        folder = Path(self.model).expanduser()
        return folder if self.model != NANO and folder.is_dir() else None

    def as_toml(self) -> str:
        """The configuration as a file that `--config` reads, a comment a key; secrets are not shown."""
        lines = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            lines.append(f"# {field.metadata['help']}")
            if value is None or (field.metadata["secret"] and value):
                lines.append(f"# {field.name} = {_SECRET if value else 'not set'}")
            else:
                # JSON's strings, numbers, booleans and lists are also TOML's
                lines.append(f"{field.name} = {json.dumps(value)}")
        return "\n".join(lines) + "\n"


def nearest_flag(word: str, known: Iterable[str]) -> str:
    """What a person who typed an unknown flag may have meant, as the end of a sentence; "" if nothing is near.

    Args:
        word: what was typed.
        known: the flags of the command in question, such as --port.
    """
    typed = word.partition("=")[0]
    near = difflib.get_close_matches(typed, list(known), n=3, cutoff=0.75)
    if not near:
        return ""
    # two letters that changed places (--modle) are likelier than one too many (--mode)
    return f"; did you mean {max(near, key=lambda flag: sorted(flag) == sorted(typed))}?"


def add_flags(parser: argparse.ArgumentParser, groups: Iterable[str]) -> None:
    """Give a command the flags of some groups ("server", "engine", "log"), and --config and --print-config.

    A flag that is not used leaves no attribute behind, so that `load` can tell it from one that repeats a default.
    """
    parser.add_argument("--config", metavar="FILE", help=f"TOML file with any of these options (or {FILE_VARIABLE})")
    parser.add_argument("--print-config", action="store_true", help="print what would be used, and stop")
    for field in dataclasses.fields(Config):
        if field.metadata["group"] not in groups:
            continue
        flag = "--" + field.name.replace("_", "-")
        shown = field.default if field.default not in (None, "", (), False) else None
        text = field.metadata["help"] + (f" (default {shown})" if shown is not None else "")
        common: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS, "help": text}
        if isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, **common)
        elif isinstance(field.default, tuple):
            parser.add_argument(flag, nargs="+", metavar=field.name[:-1].upper(), **common)
        else:
            parser.add_argument(flag, metavar=field.name.rsplit("_", 1)[-1].upper(), **common)


def load(flags: Mapping[str, Any], environment: Mapping[str, str]) -> Config:
    """Merge the four sources.

    Args:
        flags: what the command line gave, by field name; "config" names the file; other names are ignored.
        environment: usually os.environ.

    Raises:
        ConfigError: an unknown key, an unreadable file, or a value that is not what its key takes.
    """
    names = [field.name for field in dataclasses.fields(Config)]
    path = flags.get("config") or environment.get(FILE_VARIABLE)
    values = _from_file(Path(path), names) if path else {}
    values |= _from_environment(environment, names)
    # where the system has a place of its own for data; a relative path there means nothing, says its specification
    if Path(shared := environment.get("XDG_DATA_HOME", "")).is_absolute():
        values.setdefault("data_dir", (str(Path(shared, "omni-live")), "XDG_DATA_HOME"))
    values |= {name: (flags[name], f"--{name.replace('_', '-')}") for name in names if name in flags}
    types = get_type_hints(Config)
    return Config(**{name: _convert(types[name], value, source) for name, (value, source) in values.items()})


def _from_file(path: Path, names: list[str]) -> dict[str, tuple[Any, str]]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    for key in content:
        if key not in names:
            raise ConfigError(f"{path}: unknown key {key!r}{_nearest(key, names)}")
    return {key: (value, f"{key} in {path}") for key, value in content.items()}


def _from_environment(environment: Mapping[str, str], names: list[str]) -> dict[str, tuple[Any, str]]:
    variables = {PREFIX + name.upper(): name for name in names}
    for variable in environment:
        if variable.startswith(PREFIX) and variable not in variables and variable != FILE_VARIABLE:
            raise ConfigError(f"unknown environment variable {variable}{_nearest(variable, [*variables])}")
    return {name: (environment[variable], variable) for variable, name in variables.items() if variable in environment}


def _nearest(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"


def _convert(kind: Any, value: Any, source: str) -> Any:
    """Make a value of a field's type from what a flag, a variable or the file holds."""
    wrong = ConfigError(f"{source}: {value!r} is not {_NAMES[kind]}")
    if kind == tuple[str, ...]:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise wrong
        # a flag may repeat and may hold commas, so one rule serves flags, variables and the file
        texts = tuple(text.strip() for part in parts for text in part.split(",") if text.strip())
        if parts and not texts:  # such as a shell's variable that was never set: a server so begun would be open
            raise ConfigError(f"{source} is there but names nothing; leave it out, or say what it should be")
        return texts
    if kind is bool:
        known = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in known:
            return known[value.lower()]
        raise wrong
    if kind in (int, float):
        try:
            if isinstance(value, bool) or (kind is int and isinstance(value, float)):
                raise wrong
            return kind(value)
        except (TypeError, ValueError):
            raise wrong from None
    if not isinstance(value, str):
        raise wrong
    return value or (None if kind == str | None else value)


_NAMES: dict[Any, str] = {
    str: "a text",
    str | None: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple[str, ...]: "a list of texts",
}


def _check_model(model: str) -> None:
    """Whether a model's name can be meant seriously; whether the hub knows it is found out when it is asked."""
    path = Path(model).expanduser()
    if model == NANO or (model and path.is_dir()):
        return
    if path.is_file():
        raise ConfigError(f"model: {model} is a file; name the folder that holds the whole checkpoint")
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        beside = [one.name for one in path.parent.glob("*") if one.is_dir()]
        near = difflib.get_close_matches(path.name, beside, n=1)
        hint = f"; did you mean {path.with_name(near[0])}?" if near else "; check the path"
        raise ConfigError(f"model: there is no folder {model}{hint}")
    if not _HUB_NAME.fullmatch(model):
        hint = _nearest(model, [NANO, _RELEASED])
        raise ConfigError(f"model: {model!r} is not {NANO}, no folder, and no OWNER/NAME on the model hub{hint}")


def _one_of(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{key}: {value!r} is unknown{_nearest(value, list(known))}")


def _require(holds: bool, key: str, value: object, allowed: str) -> None:
    if not holds:
        raise ConfigError(f"{key}: {value!r} is out of range; it takes {allowed}")


def _is_origin(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and text == f"{parts.scheme}://{parts.netloc}"
