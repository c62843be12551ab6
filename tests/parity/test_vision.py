"""The vision encoder and its resampler, against the original's."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from omni.configs import VisionConfig, read_resampler, read_vision
from omni.vision.encoder import VisionEncoder, position_buckets, position_ids
from omni.vision.resampler import VisionResampler, position_table
from omni.vision.slicing import Strip
from tests.parity.golden import Golden, Record, assert_close

LIMIT = 5e-5


@pytest.fixture(scope="module")
def vision(golden: Callable[[str], Golden]) -> Golden:
    return golden("vision")


@pytest.fixture(scope="module")
def resampler(golden: Callable[[str], Golden]) -> Golden:
    return golden("resampler")


def strips_of(vision: Golden) -> list[Strip]:
    return [
        Strip(vision.tensors[f"in.pixel_values.{k}"].numpy(), rows, columns)
        for k, (rows, columns) in enumerate(vision.facts["tgt_sizes"])
    ]


def encoder_of(vision: Golden, config: VisionConfig) -> VisionEncoder:
    encoder = VisionEncoder(config)
    weights = vision.weights("vpm.")
    if config.drop_vision_last_layer:
        dropped = f"encoder.layers.{config.n_layers}."
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith(dropped)}
    encoder.load_state_dict(weights, strict=True)
    return encoder.eval()


def test_position_buckets_are_bit_exact(vision: Golden) -> None:
    per_side = read_vision(vision.facts["config"]).positions_per_side
    for n, buckets in vision.facts["position_bucket_of_index"].items():
        assert position_buckets(int(n), per_side).tolist() == buckets, f"{n} patches"
    for k, (rows, columns) in enumerate(vision.facts["tgt_sizes"]):
        assert torch.equal(position_ids(rows, columns, per_side), vision.tensors[f"out.position_ids.{k}"])


def test_vectors_of_patches(vision: Golden, record_property: Record) -> None:
    with torch.inference_mode():
        rows = encoder_of(vision, read_vision(vision.facts["config"]))(strips_of(vision))
    for k, row in enumerate(rows):
        assert_close(row, vision.tensors[f"out.vpm.{k}"], LIMIT, record_property, f"vpm {k}")


def test_vectors_without_the_last_layer(vision: Golden, record_property: Record) -> None:
    config = replace(read_vision(vision.facts["config"]), drop_vision_last_layer=True)
    with torch.inference_mode():
        rows = encoder_of(vision, config)(strips_of(vision))
    expected = {name: tensor for name, tensor in vision.tensors.items() if name.startswith("out.vpm_drop_last.")}
    assert expected
    for name, tensor in expected.items():
        assert_close(rows[int(name.rsplit(".", 1)[1])], tensor, LIMIT, record_property, name)


def test_vectors_for_the_language_model(resampler: Golden, record_property: Record) -> None:
    config = resampler.facts["config"]
    network = VisionResampler(read_resampler(config, read_vision(config)))
    assert network.attn.n_heads == resampler.facts["num_heads"]
    network.load_state_dict(resampler.weights("resampler."), strict=True)
    sizes = [(rows, columns) for rows, columns in resampler.facts["tgt_sizes"]]
    hidden = [resampler.tensors[f"in.hidden.{k}"] for k in range(len(sizes))]
    single = resampler.facts["probe_single"]
    with torch.inference_mode():
        together = network(hidden, sizes)
        alone = network([hidden[single]], [sizes[single]])
    for k, row in enumerate(together):
        assert_close(row, resampler.tensors[f"out.resampler.{k}"], LIMIT, record_property, f"resampler {k}")
    assert_close(alone[0], resampler.tensors["out.resampler_single"], LIMIT, record_property, "resampler alone")


def test_the_position_table(resampler: Golden, record_property: Record) -> None:
    corner = resampler.tensors["out.pos_embed_corner"]
    rows, columns, width = corner.shape
    table = position_table(rows, columns, width, torch.device("cpu"), torch.float32)
    assert_close(table.view_as(corner), corner, LIMIT, record_property, "position table")
