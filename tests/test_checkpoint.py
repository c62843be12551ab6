"""Loading: from a folder, from the hub's cache, strictly, without a copy, and with clear words when it cannot be."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, ClassVar, cast

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from safetensors.torch import save_file
from torch import Tensor, nn

from omni.checkpoint import (
    INDEX,
    SINGLE,
    TALKER_VOCABULARY,
    VOCODER,
    VOICES,
    Checkpoint,
    CheckpointError,
    compare,
    find,
)
from omni.configs import MiniCpmOConfig
from omni.shapes import minicpm_o, vocoder
from omni.speech.vocoder import Vocoder
from omni.text.llm import LanguageModel
from tests.tiny import CONFIG

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def random_tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    shapes = minicpm_o(MiniCpmOConfig.from_json(CONFIG))
    return {name: torch.randn(shape, generator=generator).bfloat16() for name, shape in shapes.items()}


def write(folder: Path, tensors: dict[str, Tensor], config: dict[str, Any] = CONFIG) -> Checkpoint:
    """A checkpoint of two shards and an index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    where = {name: SHARDS[number % 2] for number, name in enumerate(tensors)}
    for shard in SHARDS:
        save_file({name: tensor for name, tensor in tensors.items() if where[name] == shard}, folder / shard)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return Checkpoint(folder)


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    return random_tensors()


@pytest.fixture
def folder(tmp_path: Path, tensors: dict[str, Tensor]) -> Path:
    return write(tmp_path / "model", tensors).folder


def empty_llm(checkpoint: Checkpoint) -> LanguageModel:
    with torch.device("meta"):
        return LanguageModel(checkpoint.config.llm)


def test_shards_are_loaded_by_the_index(folder: Path, tensors: dict[str, Tensor]) -> None:
    checkpoint = find(str(folder))
    assert checkpoint.report().ok
    model = empty_llm(checkpoint)
    checkpoint.load(model, "llm.", device="cpu", dtype=torch.float32)
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, tensors[f"llm.{name}"].float())
    assert not any(parameter.requires_grad for parameter in model.parameters())
    model(model.embed(torch.tensor([[1, 2]])), [0], [model.model.new_cache(2)])


def test_a_single_file_needs_no_index(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    save_file(tensors, tmp_path / SINGLE)
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.report().ok
    assert checkpoint.nbytes == (tmp_path / SINGLE).stat().st_size


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs a list of mapped files")
def test_in_the_file_s_own_dtype_nothing_is_copied(folder: Path) -> None:
    checkpoint = Checkpoint(folder)
    model = empty_llm(checkpoint)
    checkpoint.load(model, "llm.", device="cpu", dtype=torch.bfloat16)
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(".safetensors")]
    mapped = [tuple(int(edge, 16) for edge in line[0].split("-")) for line in maps]
    for parameter in model.parameters():
        assert any(start <= parameter.data_ptr() < end for start, end in mapped)


def test_what_differs_is_reported_by_kind(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    del tensors["llm.model.norm.weight"]
    tensors["llm.extra"] = torch.zeros(1)
    tensors["apm.conv1.bias"] = torch.zeros(9)
    checkpoint = write(tmp_path, tensors)
    report = checkpoint.report()
    assert report.missing == ("llm.model.norm.weight",)
    assert report.unexpected == ("llm.extra",)
    assert report.misshaped == (("apm.conv1.bias", (9,), (8,)),)
    assert str(report) == (
        "1 missing: llm.model.norm.weight; 1 unexpected: llm.extra; "
        "1 misshaped: apm.conv1.bias is [9] and should be [8]"
    )
    with pytest.raises(CheckpointError, match=r"part 'llm': 1 missing: model.norm.weight; 1 unexpected: extra"):
        checkpoint.load(empty_llm(checkpoint), "llm.", device="cpu", dtype=torch.float32)


def test_long_lists_are_shortened() -> None:
    report = compare({}, {f"t{number}": (1,) for number in range(9)})
    assert str(report) == "9 missing: t0, t1, t2, t3 and 5 more"
    assert str(compare({}, {})) == "complete"


def test_what_nobody_reads_may_be_absent(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    del tensors["tts.model.embed_tokens.weight"]
    assert write(tmp_path, tensors).report().ok


def test_a_part_that_is_off_may_be_there_all_the_same(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**CONFIG, "init_audio": False, "init_tts": False}))
    assert Checkpoint(folder).report().ok


@pytest.mark.parametrize("says_dropped", [True, False])
@pytest.mark.parametrize("is_there", [True, False])
def test_the_depth_of_the_vision_encoder(
    tmp_path: Path, tensors: dict[str, Tensor], says_dropped: bool, is_there: bool
) -> None:
    """Dropped where config.json says so, or where there are no weights for the last layer."""
    kept = {
        name: tensor for name, tensor in tensors.items() if is_there or not name.startswith("vpm.encoder.layers.1.")
    }
    checkpoint = write(tmp_path, kept, {**CONFIG, "drop_vision_last_layer": says_dropped})
    assert checkpoint.config.vision
    assert checkpoint.config.vision.n_layers == (2 if is_there and not says_dropped else 1)
    assert checkpoint.report().ok


def test_packed_weights_get_a_clear_not_yet(folder: Path) -> None:
    (folder / "config.json").write_text(
        json.dumps({**CONFIG, "quantization_config": {"bits": 4, "quant_method": "gptq"}})
    )
    with pytest.raises(CheckpointError, match="not yet supported; use openbmb/MiniCPM-o-2_6"):
        _ = Checkpoint(folder).config


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, r"no config\.json"),
        ("config.json", b"{", "cannot be read"),
        ("config.json", b"[]", "no JSON object"),
        ("config.json", b'{"model_type": "qwen2"}', r"reads MiniCPM-o 2\.6"),
        (INDEX, None, "neither"),
        (INDEX, b"{}", "no weight_map"),
        (INDEX, b'{"weight_map": {"a": "../elsewhere.safetensors"}}', "which is not in"),
        (INDEX, b'{"weight_map": {"a": 1}}', "no weight_map"),
        (INDEX, b'{"weight_map": 1}', "no weight_map"),
        (SHARDS[1], None, "which is not in"),
        (SHARDS[1], b"oops", "cut short"),
        (SHARDS[1], (5).to_bytes(8, "little") + b"oops!", "no safetensors file"),
        (SHARDS[1], (2).to_bytes(8, "little") + b"[]", "no safetensors file"),
        (SHARDS[1], (8).to_bytes(8, "little") + b'{"a":{}}', "no safetensors file"),
    ],
)
def test_a_broken_folder_is_named(folder: Path, name: str, content: bytes | None, message: str) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        Checkpoint(folder).report()


def test_a_file_cut_short_is_found_before_it_is_loaded(folder: Path) -> None:
    data = (folder / SHARDS[0]).read_bytes()
    (folder / SHARDS[0]).write_bytes(data[:-10])
    with pytest.raises(CheckpointError, match="header speaks of"):
        _ = Checkpoint(folder).shapes


def test_an_index_that_promises_too_much(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["llm.phantom"] = SHARDS[0]
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"promises tensors that no file has: llm\.phantom"):
        _ = Checkpoint(folder).shapes


def test_a_buffer_that_was_forgotten_is_found(folder: Path) -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(8)
            self.register_buffer("table", torch.zeros(1), persistent=False)

    with torch.device("meta"):
        module = Forgetful()
    checkpoint = Checkpoint(folder)
    checkpoint.__dict__["shapes"] = {
        f"apm.{name}": shape for name, shape in (("norm.weight", (8,)), ("norm.bias", (8,)))
    }
    checkpoint.__dict__["files"] = dict.fromkeys(checkpoint.shapes, folder / SINGLE)
    save_file({name: torch.ones(8) for name in checkpoint.shapes}, folder / SINGLE)
    with pytest.raises(CheckpointError, match="buffers table"):
        checkpoint.load(module, "apm.", device="cpu", dtype=torch.float32)


def empty_vocoder() -> Vocoder:
    with torch.device("meta"):
        return Vocoder(MiniCpmOConfig.from_json(CONFIG).vocos)


def test_the_vocoder_has_a_file_of_its_own(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="without which nothing can be heard"):
        Checkpoint(folder).load_vocoder(empty_vocoder(), device="cpu")
    state = {name: torch.randn(shape) for name, shape in vocoder(MiniCpmOConfig.from_json(CONFIG).vocos).items()}
    (folder / VOCODER).parent.mkdir()
    torch.save(state, folder / VOCODER)
    module = empty_vocoder()
    Checkpoint(folder).load_vocoder(module, device="cpu")
    assert torch.equal(module.state_dict()["head.out.bias"], state["head.out.bias"])
    del state["head.out.bias"]
    torch.save(state, folder / VOCODER)
    with pytest.raises(CheckpointError, match=r"1 missing: head\.out\.bias"):
        Checkpoint(folder).load_vocoder(empty_vocoder(), device="cpu")


class Trap:
    """What a pickle can do to the one who opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


def test_no_code_in_the_vocoder_s_file_is_run(folder: Path, tmp_path: Path) -> None:
    (folder / VOCODER).parent.mkdir()
    torch.save({"head.out.bias": Trap(tmp_path / "sprung")}, folder / VOCODER)
    with pytest.raises(CheckpointError, match="tensors alone"):
        Checkpoint(folder).load_vocoder(empty_vocoder(), device="cpu")
    assert not (tmp_path / "sprung").exists()


def test_the_small_files_beside_the_weights(folder: Path) -> None:
    (folder / "merges.txt").write_text("é Ġ\n", encoding="utf-8")
    (folder / "modeling.py").write_text("raise SystemExit")
    (folder / TALKER_VOCABULARY).mkdir(parents=True)
    (folder / TALKER_VOCABULARY / "vocab.txt").write_text("[PAD]")
    checkpoint = Checkpoint(folder)
    assert checkpoint.texts() == {"config.json": json.dumps(CONFIG), "merges.txt": "é Ġ\n"}
    assert checkpoint.texts(TALKER_VOCABULARY) == {"vocab.txt": "[PAD]"}
    (folder / "merges.txt").write_bytes(b"\xff")
    with pytest.raises(CheckpointError, match=r"merges\.txt cannot be read"):
        checkpoint.texts()
    with pytest.raises(CheckpointError, match="has no assets/elsewhere; download it"):
        checkpoint.texts("assets/elsewhere")


def test_the_voices_beside_the_weights(folder: Path) -> None:
    assert Checkpoint(folder).sounds() == {}
    (folder / VOICES).mkdir(parents=True)
    (folder / VOICES / "default.wav").write_bytes(b"RIFF")
    (folder / VOICES / "notes.txt").write_text("about them")
    assert Checkpoint(folder).sounds() == {"default": b"RIFF"}


def hub_cache(cache: Path, folder: Path) -> None:
    """Lay a folder out as the hub's cache would: files in blobs by checksum, links to them by revision."""
    repository = cache / "models--someone--tiny"
    snapshot = repository / "snapshots" / ("a" * 40)
    for place in (repository / "blobs", repository / "refs", snapshot):
        place.mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    for path in folder.iterdir():
        blob = repository / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
        blob.write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(blob)


def test_the_hub_s_cache_is_used_offline_and_its_checksums_compared(folder: Path, tmp_path: Path) -> None:
    hub_cache(tmp_path / "cache", folder)
    for revision in (None, "main", "a" * 40):
        checkpoint = find("someone/tiny", revision=revision, offline=True, cache_folder=tmp_path / "cache")
        assert checkpoint.report().ok
        assert checkpoint.verify() == len(SHARDS)
    blob = (checkpoint.folder / SHARDS[0]).resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    with pytest.raises(CheckpointError, match="is damaged"):
        checkpoint.verify()


def test_a_folder_of_one_s_own_has_no_checksums_to_compare(folder: Path) -> None:
    assert Checkpoint(folder).verify() == 0


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nobody/nothing", r"no folder here, and not in the hub's cache \(.*check the path, leave --offline out, or"),
        ("no-such-folder", "is no folder"),
        ("./no/such", "is no folder"),
        ("a/b/c", "is no folder"),
    ],
)
def test_a_model_that_is_nowhere(tmp_path: Path, model: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        find(model, offline=True, cache_folder=tmp_path)


class Response:
    """Of a hub that refuses."""

    status_code = 404
    headers: ClassVar[dict[str, str]] = {}
    request = None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RepositoryNotFoundError("404 Client Error", response=cast(Any, Response())), "it knows no such model"),
        (RevisionNotFoundError("404 Client Error", response=cast(Any, Response())), "it knows no such revision"),
        (ConnectionError("[Errno -2] Name or service not known\n…"), r"it gives no answer \(\[Errno -2\] .* known\)"),
    ],
)
def test_a_hub_that_hands_nothing_out_is_said_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        try:
            raise error
        except ConnectionError as cause:
            raise LocalEntryNotFoundError("An error happened … local_files_only=False") from cause

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(CheckpointError, match=f"does not hand it out: {reason}.*hf download nobody/nothing"):
        find("nobody/nothing", cache_folder=tmp_path)
