"""Grids, sizes, placeholders and pixels of sliced pictures, against the original's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from omni.configs import SliceConfig
from omni.text.template import image_placeholder
from omni.vision.slicing import SlicePlan, plan_slices, strips
from tests.parity.golden import Golden, Record, assert_close

LIMIT = 1e-6


@pytest.fixture(scope="module")
def slicing(golden: Callable[[str], Golden]) -> Golden:
    return golden("image_slicing")


def config_of(preprocessor: dict[str, Any]) -> SliceConfig:
    return SliceConfig(
        **{name: preprocessor[name] for name in ("max_slice_nums", "scale_resolution", "patch_size")},
        norm_mean=tuple(preprocessor["norm_mean"]),
        norm_std=tuple(preprocessor["norm_std"]),
    )


def as_row(plan: SlicePlan, patch_size: int, n_queries: int) -> dict[str, Any]:
    def patches(size: tuple[int, int] | None) -> list[int] | None:
        return None if size is None else [size[1] // patch_size, size[0] // patch_size]

    return {
        "grid_cols_rows": None if plan.grid is None else [plan.grid.columns, plan.grid.rows],
        "overview_wh": list(plan.overview),
        "overview_patches_hw": patches(plan.overview),
        "refined_wh": None if plan.refined is None else list(plan.refined),
        "slice_wh": None if plan.slice is None else list(plan.slice),
        "slice_patches_hw": patches(plan.slice),
        "num_slices": plan.n_images - 1,
        "num_features": plan.n_images * n_queries,
    }


def test_every_size_is_planned_as_in_the_original(slicing: Golden) -> None:
    preprocessor = slicing.facts["preprocessor_config"]
    config = config_of(preprocessor)
    for (width, height, limit), expected in zip(
        slicing.facts["cases"], slicing.facts["expected"]["table"], strict=True
    ):
        row = as_row(plan_slices((width, height), config, limit), config.patch_size, preprocessor["image_feature_size"])
        assert {"size": [width, height], "max_slice_nums": limit, **row} == expected


def test_placeholders_are_spelled_as_in_the_original(slicing: Golden) -> None:
    preprocessor = slicing.facts["preprocessor_config"]
    for case in slicing.facts["expected"]["placeholders"]:
        plan = plan_slices(tuple(case["size"]), config_of(preprocessor), case["max_slice_nums"])
        numbered = preprocessor["use_image_id"] if case["use_image_id"] is None else case["use_image_id"]
        image_id = case["image_index"] if numbered else None
        assert image_placeholder(plan.grid, preprocessor["image_feature_size"], image_id) == case["text"]


def test_pixels_are_those_of_the_original(slicing: Golden, record_property: Record) -> None:
    config = config_of(slicing.facts["preprocessor_config"])
    images = zip(slicing.facts["pixel_images"], slicing.facts["expected"]["pixel_cases"], strict=True)
    for k, ((_, _, repeat, limit), expected) in enumerate(images):
        picture = slicing.tensors[f"in.image.{k}"].numpy().repeat(repeat, 0).repeat(repeat, 1)
        pieces = strips(picture, config, limit)
        assert len(pieces) == len(expected)
        for i, (strip, facts) in enumerate(zip(pieces, expected, strict=True)):
            assert [strip.rows, strip.columns] == facts["tgt_size_hw"]
            assert list(strip.pixels.shape) == facts["strip_shape"]
            sampled = torch.from_numpy(strip.pixels[:, ::3, :: facts["column_step"]].copy())
            assert_close(sampled, slicing.tensors[f"out.strip.{k}.{i}"], LIMIT, record_property, f"strip {k}.{i}")
            np.testing.assert_allclose(strip.pixels.mean(dtype=np.float64), facts["mean"], rtol=0, atol=LIMIT)
            np.testing.assert_allclose(np.abs(strip.pixels).mean(dtype=np.float64), facts["mean_abs"], atol=LIMIT)
