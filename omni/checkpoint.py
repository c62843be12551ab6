"""Finds, verifies and reads a released checkpoint: a folder, or a name on the Hugging Face hub.

The only file that opens weights. Only numbers are read: no code that lies beside them is ever run.
"""

import hashlib
import json
import pickle
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from omni.configs import ConfigError, MiniCpmOConfig
from omni.shapes import Shape, Shapes, minicpm_o, unread

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PREPROCESSOR = "preprocessor_config.json"
VOCODER = "assets/Vocos.pt"
TALKER_VOCABULARY = "assets/chattts_tokenizer"
VOICES = "assets/ref_audios"

AGAIN = "download it again, all files from one revision"

_WANTED = ["*.json", "*.txt", "*.safetensors", VOCODER, f"{TALKER_VOCABULARY}/*", f"{VOICES}/*"]
"""of a hub repository; its *.py files are left where they are"""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class CheckpointError(RuntimeError):
    """A checkpoint cannot be found, or is not what it should be. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Report:
    """How the tensors of a checkpoint differ from the table."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: tuple[tuple[str, Shape, Shape], ...]
    """name, shape found, shape expected"""

    @property
    def ok(self) -> bool:
        """Nothing differs."""
        return not (self.missing or self.unexpected or self.misshaped)

    def __str__(self) -> str:
        """What differs, a few names of each kind."""
        shapes = [f"{name} is {list(found)} and should be {list(wanted)}" for name, found, wanted in self.misshaped]
        kinds = (("missing", self.missing), ("unexpected", self.unexpected), ("misshaped", shapes))
        return "; ".join(f"{len(names)} {kind}: {_some(names)}" for kind, names in kinds if names) or "complete"


def compare(found: Shapes, expected: Shapes, optional: Collection[str] = ()) -> Report:
    """Hold the tensors found against the table; optional ones may be absent, or present beyond it."""
    return Report(
        missing=tuple(name for name in expected if name not in found and name not in optional),
        unexpected=tuple(name for name in found if name not in expected and name not in optional),
        misshaped=tuple(
            (name, found[name], shape) for name, shape in expected.items() if name in found and found[name] != shape
        ),
    )


def find(
    model: str, *, revision: str | None = None, offline: bool = False, cache_folder: Path | None = None
) -> "Checkpoint":
    """Find a checkpoint by its folder, or by its name on the hub, fetching what the hub's cache lacks.

    Args:
        model: a folder, or OWNER/NAME.
        revision: branch, tag or commit on the hub.
        offline: take what the cache holds, and ask nobody.
        cache_folder: in place of the hub's own.

    Raises:
        CheckpointError: there is none, or the hub does not hand it out.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return Checkpoint(folder)
    if model.count("/") != 1 or model.startswith((".", "/", "~")):
        raise CheckpointError(f"{model} is no folder, and no OWNER/NAME on the model hub; check the path")
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415  (a folder needs no hub)
    except ImportError as error:
        raise CheckpointError(
            f"fetching {model} needs the package huggingface-hub; "
            "run in the project's folder: .venv/bin/pip install -c constraints.txt huggingface-hub"
        ) from error
    try:
        # its description first: what cannot be used is not worth 16 GB of download
        for wanted in (["config.json"], _WANTED):
            path = snapshot_download(
                model, revision=revision, cache_dir=cache_folder, local_files_only=offline, allow_patterns=wanted
            )
            _refuse_packed(Path(path))
    except CheckpointError:
        raise
    except Exception as error:  # of the network, the disk, the hub: the person can do the same about each
        reason = None if offline else refusal(error)
        raise CheckpointError(absent(model, revision, reason, cache_folder)) from error
    return Checkpoint(Path(path))


def absent(model: str, revision: str | None, reason: str | None, cache_folder: Path | None = None) -> str:
    """What is to be said of a model that is no folder and not in the hub's cache: where it was looked for, what to do.

    Args:
        model: OWNER/NAME.
        revision: branch, tag or commit on the hub.
        reason: why the hub does not hand it out; None: it was not asked.
        cache_folder: in place of the hub's own.
    """
    from huggingface_hub import constants  # noqa: PLC0415

    which = f"{model}, revision {revision}," if revision else model
    here = f"{which} is no folder here, and not in the hub's cache ({cache_folder or constants.HF_HUB_CACHE})"
    by_hand = f"where there is a network, `hf download {model} --local-dir DIR` makes a folder that --model can name"
    if reason is None:
        return f"{here}; check the path, leave --offline out, or {by_hand}"
    return f"{here}, and the model hub does not hand it out: {reason}; check the name, or {by_hand}"


def refusal(error: BaseException) -> str:
    """Why the hub handed nothing out, in a line without its program's names."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError  # noqa: PLC0415

    if isinstance(error, RepositoryNotFoundError):
        return "it knows no such model, or shows it only to those who ask (`hf auth login`)"
    if isinstance(error, RevisionNotFoundError):
        return "it knows no such revision"
    # the innermost says what failed; the others tell of their callers
    while error.__cause__ is not None:
        error = error.__cause__
    return f"it gives no answer ({str(error).strip().partition(chr(10))[0]})"


class Checkpoint:
    """A folder in the released layout: config.json, one or more safetensors files, and the vocoder's file.

    Nothing is read until it is asked for, and tensors are mapped from the file, never held twice.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def config(self) -> MiniCpmOConfig:
        """Dimensions, from config.json; the depth of the vision encoder as the weights have it.

        Raises:
            CheckpointError: the file is missing or wrong, or its weights are packed in a way that is not read yet.
        """
        path = self.folder / "config.json"
        if not path.is_file():
            raise CheckpointError(f"{self.folder} has no config.json; name the folder that holds the whole checkpoint")
        _refuse_packed(self.folder)
        source = _json(path)
        preprocessor = self.folder / PREPROCESSOR
        slices = source.get("slice_config") or {}
        if preprocessor.is_file() and isinstance(slices, Mapping):
            # how pictures are cut and normalised is said there in full
            source["slice_config"] = {**slices, **_json(preprocessor)}
        try:
            config = MiniCpmOConfig.from_json(source)
        except ConfigError as error:
            raise CheckpointError(f"{path}: {error}") from error
        # Ports disagree about the switch, and a dropped layer has no weights: what is there decides.
        if config.vision and not config.vision.drop_vision_last_layer:
            last = f"vpm.encoder.layers.{config.vision.num_hidden_layers - 1}."
            if not any(name.startswith(last) for name in self.shapes):
                config = replace(config, vision=replace(config.vision, drop_vision_last_layer=True))
        return config

    @cached_property
    def files(self) -> Mapping[str, Path]:
        """Which file holds which tensor, by the index or by the single file's header.

        Raises:
            CheckpointError: there are no weights, or the index names a file that is not there.
        """
        index = self.folder / INDEX
        if not index.is_file():
            single = self.folder / SINGLE
            if not single.is_file():
                raise CheckpointError(f"{self.folder} has neither {INDEX} nor {SINGLE}; download the checkpoint again")
            return dict.fromkeys(_header(single), single)
        names = _json(index).get("weight_map")
        if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
            raise CheckpointError(f"{index} has no weight_map of names to files; download it again")
        for name in sorted(set(names.values())):
            # A name with a path in it would let an index point out of its folder.
            if Path(name).name != name or not (self.folder / name).is_file():
                raise CheckpointError(f"{index} names {name}, which is not in {self.folder}; download it again")
        return {tensor: self.folder / name for tensor, name in names.items()}

    @cached_property
    def shapes(self) -> Shapes:
        """Every tensor's shape, from the headers alone.

        Raises:
            CheckpointError: a file is cut short, or lacks a tensor that the index promises.
        """
        shapes: dict[str, Shape] = {}
        for path in sorted(set(self.files.values())):
            shapes.update(_header(path))
        if absent := [name for name in self.files if name not in shapes]:
            raise CheckpointError(f"{self.folder}: the index promises tensors that no file has: {_some(absent)}")
        return shapes

    @property
    def nbytes(self) -> int:
        """Size of the weights on the disk."""
        return sum(path.stat().st_size for path in set(self.files.values()))

    def report(self) -> Report:
        """Hold the tensors against the table that config.json implies."""
        expected = minicpm_o(self.config)
        optional = unread(expected, self.config) | unread(self.shapes, self.config)
        return compare(self.shapes, expected, optional)

    def verify(self) -> int:
        """Compare the files' SHA-256 with the names that the hub's cache gave them. Reads every byte.

        Returns:
            how many files were compared: none in a folder of one's own, which carries no checksums.

        Raises:
            CheckpointError: a file is not what the hub handed out.
        """
        n_compared = 0
        for path in sorted({*self.files.values(), self.folder / VOCODER}):
            expected = path.resolve().name
            if not (_SHA256.fullmatch(expected) and path.is_file()):
                continue
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != expected:
                raise CheckpointError(
                    f"{path} is damaged (SHA-256 {found}); delete {path.resolve()} and fetch it again"
                )
            n_compared += 1
        return n_compared

    def texts(self, folder: str = "") -> Mapping[str, str]:
        """The JSON and text files beside the weights, by name; the index of the weights is left out.

        Args:
            folder: one below the checkpoint's own, such as TALKER_VOCABULARY.

        Raises:
            CheckpointError: the folder is missing, or a file in it is no UTF-8.
        """
        where = self.folder / folder
        if not where.is_dir():
            raise CheckpointError(f"{self.folder} has no {folder}; download it, or name the folder that has it")
        paths = [path for path in sorted(where.iterdir()) if path.suffix in {".json", ".txt"} and path.name != INDEX]
        return {path.name: _text(path) for path in paths}

    def sounds(self) -> Mapping[str, bytes]:
        """The voices that come with the checkpoint, each a whole WAV file, by the file's name without its ending."""
        return {path.stem: path.read_bytes() for path in sorted((self.folder / VOICES).glob("*.wav"))}

    def load(self, module: nn.Module, prefix: str, *, device: torch.device | str, dtype: torch.dtype) -> None:
        """Give a module, built on the meta device, its weights: mapped from the file, straight to device and dtype.

        On the CPU, in the dtype of the file, the weights stay in the file's pages, and nothing is copied at all.

        Args:
            module: its state dict names what is loaded.
            prefix: what precedes those names in the checkpoint, with its dot.
            device: where the weights go.
            dtype: what they become.

        Raises:
            CheckpointError: names or shapes differ from the module's, apart from those that nobody reads.
        """
        wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        found = {name.removeprefix(prefix): shape for name, shape in self.shapes.items() if name.startswith(prefix)}
        ignored = {name.removeprefix(prefix) for name in unread(self.shapes, self.config)} - wanted.keys()
        if not (report := compare(found, wanted, ignored)).ok:
            raise CheckpointError(f"{self.folder} does not fit the part {prefix[:-1]!r}: {report}; {AGAIN}")
        by_file = defaultdict(list)
        for name in wanted:
            by_file[self.files[prefix + name]].append(name)
        state = {}
        for path, names in by_file.items():
            try:
                with safe_open(path, "pt", device=str(device)) as file:
                    for name in names:
                        state[name] = file.get_tensor(prefix + name).to(dtype)
            except (OSError, SafetensorError) as error:
                raise CheckpointError(f"{path} cannot be read: {error}; download it again") from error
        _assign(module, state)

    def load_vocoder(self, module: nn.Module, *, device: torch.device | str) -> None:
        """Give the vocoder, built on the meta device, its weights in float32.

        Raises:
            CheckpointError: the file is missing, holds more than tensors, or does not fit.
        """
        path = self.folder / VOCODER
        if not path.is_file():
            raise CheckpointError(f"{self.folder} has no {VOCODER}, without which nothing can be heard; download it")
        try:
            state = torch.load(path, map_location=device, weights_only=True)
            shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError) as error:
            raise CheckpointError(f"{path} is no state dict of tensors alone; download it again") from error
        wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        if not (report := compare(shapes, wanted)).ok:
            raise CheckpointError(f"{path} does not fit the vocoder: {report}; download it again")
        _assign(module, {name: tensor.float() for name, tensor in state.items()})


def _assign(module: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    module.load_state_dict(state, strict=True, assign=True)
    module.requires_grad_(False).eval()
    if forgotten := [name for name, buffer in module.named_buffers() if buffer.is_meta]:
        raise CheckpointError(
            f"no checkpoint holds the buffers {_some(forgotten)}: the module must compute them itself"
        )


def _refuse_packed(folder: Path) -> None:
    """Say of int4 and its like what can be used instead, from the JSON files alone."""
    config, index = folder / "config.json", folder / INDEX
    packed = config.is_file() and _json(config).get("quantization_config")
    names = _json(index).get("weight_map") if index.is_file() else None
    if packed or (isinstance(names, dict) and any(name.endswith(".qweight") for name in names)):
        raise CheckpointError(
            f"{folder} holds weights packed to a few bits (int4 or the like): not yet supported; "
            "use openbmb/MiniCPM-o-2_6 itself"
        )


def _header(path: Path) -> dict[str, Shape]:
    """Names and shapes in a safetensors file: the length of a JSON header (64 bits), the header, the numbers."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size:
            raise CheckpointError(f"{path} is cut short, or no safetensors file; download it again")
        try:
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            end = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
            shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is no safetensors file: {error!r}; download it again") from error
    if end != size:
        raise CheckpointError(f"{path} has {size} bytes, and its header speaks of {end}; download it again")
    return shapes


def _json(path: Path) -> dict[str, Any]:
    try:
        source = json.loads(_text(path))
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be read: {error}; download it again") from error
    if not isinstance(source, dict):
        raise CheckpointError(f"{path} holds no JSON object; download it again")
    return source


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}; download it again") from error


def _some(names: Collection[str]) -> str:
    shown = list(names)[:4]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")
