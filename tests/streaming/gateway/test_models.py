"""Finding what a configuration asks for."""

import shutil
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch

from omni.packaged.files import MissingModelError
from omni.packaged.hearing.recogniser import FILES, Recogniser
from streaming.config import Config
from streaming.gateway import models
from tests.fakes import ScriptedModel


def test_the_packaged_recogniser_needs_no_folder() -> None:
    assert models.whisper_folder("tiny.en") is None


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert models.whisper_folder(str(tmp_path)) == tmp_path


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(RuntimeError, match=r"small\.en"):
        models.whisper_folder("enormous")


def test_a_hub_that_cannot_be_reached_is_said_so_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(repository: str, allow_patterns: list[str], local_files_only: bool) -> str:
        raise ConnectionError(f"no route to {repository} for {allow_patterns}")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(RuntimeError, match=r"cannot be reached.*folder.*tiny\.en"):
        models.whisper_folder("base.en")


def test_offline_only_the_hub_s_cache_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def cached(repository: str, allow_patterns: list[str], local_files_only: bool) -> str:
        return f"{repository} {local_files_only}"

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    assert models.whisper_folder("base.en", offline=True) == Path("Systran/faster-whisper-base.en True")


def test_a_folder_without_a_recogniser_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"model\.bin"):
        Recogniser(folder=tmp_path)


@pytest.mark.models
def test_a_recogniser_is_loaded_from_a_folder(tmp_path: Path) -> None:
    for file in FILES:
        (tmp_path / Path(file.path).name).symlink_to(file.verified())
    assert Recogniser(folder=tmp_path).open().transcribe() == ""


@pytest.mark.models
def test_a_checkpoint_is_loaded_and_warm(tiny_folder: Path) -> None:
    model, _ = models.load(Config(model=str(tiny_folder), device="cpu", mode="audio_assistant", language="zh"))
    assert model.capabilities.sees
    assert model.capabilities.voices


def test_a_checkpoint_that_is_damaged_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"has no config\.json; name the folder that holds the whole checkpoint"):
        models.load(Config(model=str(tmp_path), device="cpu"))


@pytest.mark.parametrize(
    ("name", "change", "advice"),
    [
        ("config.json", ('"intermediate_size": 192', '"intermediate_size": 96'), "misshaped.*; download it again, all"),
        ("tokenizer.json", ("{", ""), r"tokenizer\.json.*download it again"),
    ],
)
def test_files_that_do_not_fit_are_named_with_their_folder(
    tiny_folder: Path, tmp_path: Path, name: str, change: tuple[str, str], advice: str
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "tiny")
    (folder / name).write_text((folder / name).read_text().replace(*change, 1))
    with pytest.raises(RuntimeError, match=f"{folder}.*{advice}"):
        models.load(Config(model=str(folder), device="cpu"))


def test_a_checkpoint_that_the_hub_s_cache_lacks_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="leave --offline out, or where there is a network, `hf download"):
        models.load(Config(model="nobody/nothing", device="cpu", offline=True))


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "omni.checkpoint", None)
    with pytest.raises(RuntimeError, match=r"pip install -c constraints\.txt -e '\.\[minicpm-o\]'"):
        models.load(Config(model=str(tmp_path)))


@pytest.mark.parametrize(
    ("asked", "n_gpus", "found"),
    [("auto", 0, "cpu"), ("auto", 2, "cuda"), ("cpu", 2, "cpu"), ("cuda", 1, "cuda"), ("cuda:1", 2, "cuda:1")],
)
def test_auto_takes_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, asked: str, n_gpus: int, found: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    assert models.device_of(asked) == found


@pytest.mark.parametrize(("asked", "n_gpus"), [("cuda", 0), ("cuda:1", 1)])
def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str, n_gpus: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    with pytest.raises(RuntimeError, match=f"finds no {asked} on this machine: --device takes auto, cpu"):
        models.device_of(asked)


def test_without_a_gpu_it_says_what_torch_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(models.DeviceError, match="nvidia-smi must find the GPU, and torch be built for it"):
        models.device_of("cuda")


def test_a_model_that_never_ends_is_warm_soon() -> None:
    """A random one, for instance: it is let go after a few pieces of speech, and its state is closed."""
    model = ScriptedModel(answer=lambda state, text: "on and " * 10_000)
    models.warm(model)
    assert 0 < model.log.count("speak") < 10
    assert model.states == []
