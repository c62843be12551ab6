"""What the doctor says of a checkpoint."""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import soundfile
import torch
from huggingface_hub import HfApi, constants

from omni.checkpoint import INDEX, TALKER_VOCABULARY, VOCODER, VOICES
from omni.timing import Timing
from streaming.__main__ import main
from streaming.cli import doctor_checkpoint
from streaming.config import Config
from tests.films import tone


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A checkpoint that a test may damage."""
    return shutil.copytree(tiny_folder, tmp_path / "tiny")


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache that is empty, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to the hub\nand a long story")

    monkeypatch.setattr(HfApi, "model_info", unreachable)


def look(model: Path | str, verify: bool = False, **options: Any) -> str:
    config = Config(model=str(model), device="cpu", **options)
    return "\n".join(finding.line() for finding in doctor_checkpoint.look(config, verify=verify))


def bad(model: Path | str) -> list[str]:
    return [line for line in look(model).splitlines() if line.startswith("NO")]


def test_a_whole_checkpoint_is_described_part_by_part(tiny_folder: Path) -> None:
    report = look(tiny_folder)
    assert bad(tiny_folder) == []
    for part in ("hears, sees, speaks", ": complete", "language model", "vocoder: complete", "all 4 calls"):
        assert part in report


def test_the_command_prints_it_and_what_will_run(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--model", str(tiny_folder), "--port", "0", "--mode", "default"])
    printed = capsys.readouterr().out
    assert "torch" in printed
    assert "silero" in printed
    assert "smollm2" not in printed
    assert "told to be default (en)" in printed


def test_without_torch_the_command_says_so(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "streaming.cli.doctor_checkpoint", None)
    assert main(["doctor", "--model", str(tiny_folder), "--port", "0"]) == 1
    assert f"NO  {tiny_folder} cannot be examined" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("config.json", "no config.json"),
        (INDEX, "neither"),
        (VOCODER, "without which nothing can be heard"),
        ("tokenizer.json merges.txt", "neither tokenizer.json"),
        (TALKER_VOCABULARY, "no assets/chattts_tokenizer"),
    ],
)
def test_what_is_missing_is_named(folder: Path, names: str, message: str) -> None:
    for path in (folder / name for name in names.split()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    lines = bad(folder)
    assert len(lines) == 1
    assert message in lines[0]


def test_weights_that_differ_from_the_table_are_named(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] += 1
    (folder / "config.json").write_text(json.dumps(config))
    (line,) = bad(folder)
    assert "missing: llm.model.layers." in line
    assert "download it again" in line


def test_packed_weights_are_not_supported_yet(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {"bits": 4}}))
    assert "not yet supported" in look(folder)


def test_without_voices_it_can_still_speak(folder: Path) -> None:
    shutil.rmtree(folder / VOICES)
    assert bad(folder) == []
    assert "none" in look(folder)


@pytest.mark.parametrize(("sound", "message"), [(b"RIFF", "no sound file"), (None, "0.5 s of speech; give 1 to 30 s")])
def test_a_voice_that_is_none_is_named(folder: Path, sound: bytes | None, message: str) -> None:
    path = folder / VOICES / "default.wav"
    if sound is None:
        soundfile.write(path, tone(0.5, 220), Timing().input_rate)
    else:
        path.write_bytes(sound)
    (line,) = bad(folder)
    assert str(path) in line
    assert message in line
    assert "put another recording in its place, or remove it" in line


def test_checksums_are_compared_on_request(tiny_folder: Path) -> None:
    assert "checksums" not in look(tiny_folder)
    assert "ok  checksums: nothing to compare with" in look(tiny_folder, verify=True)


@pytest.fixture
def cached(tiny_folder: Path, tmp_path: Path) -> Path:
    """The same, as the hub's cache has it under the name someone/tiny; gives the folder of its files."""
    repository = tmp_path / "hub" / "models--someone--tiny"
    snapshot, blobs = repository / "snapshots" / ("a" * 40), repository / "blobs"
    shutil.copytree(tiny_folder, snapshot)
    for folder in (blobs, repository / "refs"):
        folder.mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    for path in snapshot.glob("*.safetensors"):
        blob = blobs / hashlib.sha256(path.read_bytes()).hexdigest()
        path.rename(blob)
        path.symlink_to(blob)
    return snapshot


def test_a_damaged_file_of_the_hub_s_cache_is_found_on_request(cached: Path) -> None:
    assert "not compared; --verify does" in look("someone/tiny")
    blob = next(cached.glob("*.safetensors")).resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x00")
    assert bad("someone/tiny") == []
    assert "is damaged" in look("someone/tiny", verify=True)


def test_a_download_that_was_interrupted_can_go_on(cached: Path) -> None:
    next(cached.glob("*.safetensors")).unlink()
    (line,) = bad("someone/tiny")
    assert "without --offline fetches what is missing" in line


def test_a_model_that_is_too_large_is_said_to_be(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checkpoint, "memory_bytes", lambda: 2**30)
    (line,) = bad(tiny_folder)
    assert "0 calls fit into 1.0 GiB" in line


def test_memory_is_counted_from_the_configuration(tiny_folder: Path) -> None:
    """The language model's cache has two numbers for each layer, key head and width, of four bytes each."""
    config = json.loads((tiny_folder / "config.json").read_text())
    heads = config["num_key_value_heads"] / config["num_attention_heads"]
    token = 2 * config["num_hidden_layers"] * heads * config["hidden_size"] * 4
    assert config["torch_dtype"] == "float32"
    assert f"of {token:,.0f} bytes" in look(tiny_folder)


def test_a_gpu_that_is_not_there_is_said_beside_the_rest(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = Config(model=str(tiny_folder), device="cuda")
    findings = list(doctor_checkpoint.look(config, verify=False))
    assert [finding.good for finding in findings].count(False) == 1
    assert "finds no cuda" in findings[0].text


def test_offline_without_the_model_it_says_how_to_get_it() -> None:
    report = look("a/b", offline=True)
    assert "NO  a/b is no folder here, and not in the hub's cache" in report
    assert "hf download a/b --local-dir DIR" in report


def test_a_hub_that_cannot_be_reached_is_said_so() -> None:
    (line,) = bad("a/b")
    assert "it gives no answer (no route to the hub); check the name, or where there is a network" in line


def test_what_the_hub_has_is_weighed_before_it_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def info(*_: Any, **__: Any) -> SimpleNamespace:
        files = {"model-1.safetensors": 10**9, "model-2.safetensors": 10**9, "README.md": 10**9}
        siblings = [SimpleNamespace(rfilename=name, size=n) for name, n in files.items()]
        return SimpleNamespace(siblings=siblings, config={"model_type": "minicpmo"})

    monkeypatch.setattr(HfApi, "model_info", info)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 10**9))
    report = look("a/b")
    assert "ok  a/b is not on this machine yet; the model hub has 2 files of weights, 2.0 GB" in report
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    assert bad("a/b")


def test_packed_weights_of_the_hub_are_not_fetched_first(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = SimpleNamespace(siblings=[], config={"quantization_config": {"quant_method": "gptq"}})
    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: packed)
    (line,) = bad("a/b-int4")
    assert "not yet supported" in line
