"""Files that the published writer writes, read by ours and by the published reader."""

import struct
from pathlib import Path

import gguf as published
import numpy as np
import numpy.typing as npt
import pytest

from omni.packaged.language import gguf

TYPES = published.GGMLQuantizationType
WEIGHTS = np.random.default_rng(0).standard_normal((3, 2 * gguf.BLOCK)).astype(np.float32)


def written(
    path: Path, alignment: int = 32, **tensors: tuple[npt.NDArray[np.float32], "published.GGMLQuantizationType"]
) -> Path:
    writer = published.GGUFWriter(path, "tiny")
    writer.add_custom_alignment(alignment)
    writer.add_uint32("tiny.layers", 30)
    writer.add_float32("tiny.epsilon", 0.5)
    writer.add_bool("tiny.tied", True)
    writer.add_array("tiny.tokens", ["<s>", "Ġé", ""])
    writer.add_array("tiny.types", [3, 1, -1])
    for name, (values, kind) in tensors.items():
        writer.add_tensor(name, published.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_fields_of_every_kind(tmp_path: Path) -> None:
    file = gguf.read(written(tmp_path / "x.gguf"))
    assert file.fields["general.architecture"] == "tiny"
    assert file.fields["tiny.tied"] is True
    assert (file.integer("tiny.layers"), file.number("tiny.epsilon"), file.number("tiny.layers")) == (30, 0.5, 30.0)
    assert file.strings("tiny.tokens") == ["<s>", "Ġé", ""]
    assert file.integers("tiny.types") == [3, 1, -1]


def test_fields_that_are_not_what_they_must_be_are_named(tmp_path: Path) -> None:
    file = gguf.read(written(tmp_path / "x.gguf"))
    with pytest.raises(ValueError, match=r"tiny\.epsilon is 0\.5, expected a whole"):
        file.integer("tiny.epsilon")
    with pytest.raises(ValueError, match=r"general\.architecture is 'tiny', expected a number"):
        file.number("general.architecture")
    with pytest.raises(ValueError, match="nothing is missing or no array"):
        file.strings("nothing")
    with pytest.raises(ValueError, match=r"tiny\.layers is missing or no array"):
        file.integers("tiny.layers")


@pytest.mark.parametrize("alignment", [32, 256])
def test_tensors_lie_where_the_published_reader_finds_them(tmp_path: Path, alignment: int) -> None:
    kinds = {"plain": TYPES.F32, "four": TYPES.Q4_1, "eight": TYPES.Q8_0}
    path = written(tmp_path / "x.gguf", alignment, **{name: (WEIGHTS, kind) for name, kind in kinds.items()})
    ours = gguf.read(path).tensors
    assert set(ours) == set(kinds)
    for theirs in published.GGUFReader(path).tensors:
        tensor = ours[theirs.name]
        assert tensor.shape == WEIGHTS.shape
        assert tensor.data.tobytes() == theirs.data.tobytes()


def test_records_are_scales_and_levels(tmp_path: Path) -> None:
    path = written(tmp_path / "x.gguf", four=(WEIGHTS, TYPES.Q4_1), eight=(WEIGHTS, TYPES.Q8_0))
    four, eight = (gguf.read(path).tensors[name].data for name in ("four", "eight"))
    assert four.shape == eight.shape == (3, 2)
    plain = (eight["scale"].astype(np.float32)[..., None] * eight["levels"]).reshape(WEIGHTS.shape)
    np.testing.assert_array_equal(plain, published.dequantize(published.quantize(WEIGHTS, TYPES.Q8_0), TYPES.Q8_0))
    # the lower halves of the bytes are the first sixteen weights, the upper ones the others
    levels = np.concatenate([four["levels"] & 15, four["levels"] >> 4], axis=-1)
    plain = levels * four["scale"].astype(np.float32)[..., None] + four["least"].astype(np.float32)[..., None]
    theirs = published.dequantize(published.quantize(WEIGHTS, TYPES.Q4_1), TYPES.Q4_1)
    np.testing.assert_allclose(plain.reshape(WEIGHTS.shape), theirs, rtol=0, atol=1e-6)


def test_other_files_versions_and_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"no such file, but long enough for its header")
    with pytest.raises(ValueError, match="is no GGUF file"):
        gguf.read(path)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 2, 0, 0))
    with pytest.raises(ValueError, match="is GGUF version 2, expected 3"):
        gguf.read(path)
    with pytest.raises(ValueError, match="tensor half has encoding 1; only F32, Q4_1 and Q8_0"):
        gguf.read(written(path, half=(WEIGHTS, TYPES.F16)))
