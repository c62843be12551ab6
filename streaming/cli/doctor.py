"""`omni doctor`: what is installed, which models are found, what will run, and what to do about the rest.

What is said of a checkpoint is in doctor_checkpoint.py, which needs torch; all of this runs without.
"""

import importlib
import importlib.metadata
import json
import os
import pkgutil
import re
import socket
import ssl
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType

import omni.packaged
from omni.packaged import activity
from omni.packaged.files import MissingModelError, ModelFile
from streaming.config import INSTALL, NANO, Config
from streaming.gateway.http import find_page
from streaming.whole_files import obstacle

_DISTRIBUTION = "omni-live"
_CHECKPOINT_EXTRA = "minicpm-o"
_ENOUGH_GB = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    good: bool
    text: str

    def line(self) -> str:
        """For the terminal."""
        return f"{'ok ' if self.good else 'NO '} {self.text}"


def examine(config: Config) -> list[Finding]:
    """Look at everything that a server with this configuration needs, but for the checkpoint, if it runs one."""
    if config.model == NANO:
        return [*_machine(), *_packages(NANO), *_models(), _page(), _data(config), _port(config), *_endpoint(config)]
    # voice activity is the packaged one whatever the family
    packages, models = _packages(NANO, _CHECKPOINT_EXTRA), _found(_declared(activity))
    return [*_machine(), *packages, *models, _page(), _data(config), _port(config)]


def conclusion(config: Config, findings: list[Finding]) -> Finding:
    """What will run, if nothing is missing."""
    if not all(finding.good for finding in findings):
        return Finding(False, "`omni serve` would not work until what is marked NO is put right")
    if config.model != NANO:
        return Finding(True, f"`omni serve` will run {config.model}, told to be {config.mode} ({config.language})")
    chat = f"{config.llm_model} at {config.llm_url}" if config.llm_url else "the packaged chat model"
    return Finding(True, f"`omni serve` will run {config.model} with {chat}, hearing by Whisper {config.whisper}")


def memory_bytes() -> int:
    """Of the machine, whoever uses it."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _machine() -> Iterator[Finding]:
    yield Finding(sys.version_info >= (3, 11), f"Python {sys.version.split()[0]} (3.11 or later is needed)")
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding(True, f"{n_cores} processor cores (2 are enough for one call)")
    total_gb = memory_bytes() / 2**30
    yield Finding(total_gb >= _ENOUGH_GB, f"{total_gb:.1f} GiB of memory ({_ENOUGH_GB:.0f} are needed)")


def _packages(*extras: str) -> Iterator[Finding]:
    """Each requirement of the project and of these extras, as installed."""
    try:
        own = importlib.metadata.distribution(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        yield Finding(False, f"{_DISTRIBUTION} is not installed; {INSTALL.format(','.join(extras))}")
        return
    yield Finding(True, f"{_DISTRIBUTION} {own.version}")
    # by name, the first extra that asks for it; what the project needs without any comes with each of them
    names: dict[str, str] = {}
    for requirement in own.requires or []:
        condition = requirement.partition(";")[2].replace("'", '"')
        for extra in extras:
            if "extra ==" not in condition or f'"{extra}"' in condition:
                names.setdefault(re.split(r"[^\w.-]", requirement, maxsplit=1)[0], extra)
    missing: dict[str, list[str]] = {}
    for name, extra in names.items():
        try:
            yield Finding(True, f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.setdefault(extra, []).append(name)
    for extra, absent in missing.items():
        yield Finding(False, f"not installed: {', '.join(absent)}; {INSTALL.format(extra)}")


def _models() -> Iterator[Finding]:
    """Every model file that a module of omni.packaged declares."""
    files: dict[ModelFile, None] = {}
    for info in pkgutil.walk_packages(omni.packaged.__path__, f"{omni.packaged.__name__}."):
        try:
            module = importlib.import_module(info.name)
        except ImportError as error:
            yield Finding(False, f"{info.name} cannot be loaded: {error}")
        else:
            files |= dict.fromkeys(_declared(module))
    yield from _found(files)


def _found(files: Iterable[ModelFile]) -> Iterator[Finding]:
    for file in files:
        try:
            path = file.verified()
            yield Finding(True, f"{file.install}: {path.name}, {path.stat().st_size / 1e6:.1f} MB, as tested")
        except MissingModelError as error:
            yield Finding(False, str(error))


def _declared(module: ModuleType) -> Iterator[ModelFile]:
    for value in vars(module).values():
        yield from (one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, ModelFile))


def _page() -> Finding:
    folder = find_page()
    return Finding(folder is not None, f"the page: {folder or 'web/index.html is missing; take the whole repository'}")


def _data(config: Config) -> Finding:
    if problem := obstacle(config.data_folder):
        return Finding(False, f"nothing that people make can be kept: {problem}; name another folder with --data-dir")
    return Finding(True, f"what people make is kept in {config.data_folder}")


def _answers(config: Config) -> bool:
    """An Omni server is there already."""
    host = f"[{config.listens_on}]" if ":" in config.listens_on else config.listens_on
    # its certificate may be one that it made itself, and nothing is told to it
    unverified = ssl._create_unverified_context() if config.secure else None
    address = f"{'https' if config.secure else 'http'}://{host}:{config.port}"
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2, context=unverified) as reply:
            return "status" in json.load(reply)
    except (OSError, ValueError):
        return False


def _port(config: Config) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in config.listens_on else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.listens_on, config.port))
        except OSError as error:
            if _answers(config):
                return Finding(True, f"port {config.port} of {config.listens_on} is in use by Omni, which is running")
            reason = error.strerror or str(error)
            return Finding(False, f"port {config.port} of {config.listens_on}: {reason}; choose another with --port")
    return Finding(True, f"port {config.port} of {config.listens_on} is free")


def _endpoint(config: Config) -> Iterator[Finding]:
    """Whether the language model that is served elsewhere answers and knows the model."""
    if config.llm_url is None:
        return
    request = urllib.request.Request(f"{config.llm_url.rstrip('/')}/models")
    if config.llm_api_key:
        request.add_header("Authorization", f"Bearer {config.llm_api_key}")
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            names = [entry["id"] for entry in json.load(reply)["data"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Finding(False, f"{config.llm_url} does not answer as an OpenAI-compatible endpoint: {error}")
        return
    known = config.llm_model in names
    listed = ", ".join(names[:8])
    yield Finding(
        known,
        f"{config.llm_url} serves {config.llm_model}"
        if known
        else f"{config.llm_url} does not list {config.llm_model}; it lists {listed}",
    )
