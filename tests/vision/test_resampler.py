"""The cross-attention against torch's own, and places against their formula."""

import math

import pytest

torch = pytest.importorskip("torch", reason="MiniCPM-o needs torch: pip install -e '.[minicpm-o]'")

from omni.vision.resampler import CrossAttention, position_table  # noqa: E402


def test_attention_is_torchs_with_shared_queries_projected_once() -> None:
    torch.manual_seed(3)
    ours, theirs = CrossAttention(16, 4), torch.nn.MultiheadAttention(16, 4, batch_first=True)
    torch.nn.init.normal_(ours.in_proj_bias)
    theirs.load_state_dict(ours.state_dict())
    queries, keys, values = torch.randn(5, 16), torch.randn(2, 7, 16), torch.randn(2, 7, 16)
    seen = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    with torch.no_grad():
        expected, _ = theirs(queries.expand(2, -1, -1), keys, values, key_padding_mask=~seen)
        found = ours(queries, keys, values, seen[:, None, None])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 5), (2, 71)])
def test_a_place_tells_its_column_then_its_row(rows: int, columns: int) -> None:
    table = position_table(rows, columns, 8, torch.device("cpu"), torch.float32)
    assert table.shape == (rows * columns, 8)
    row, column = rows - 1, columns - 1
    expected = [
        wave(place / 10_000 ** (i / 2)) for place in (column, row) for wave in (math.sin, math.cos) for i in (0, 1)
    ]
    assert table[-1].tolist() == pytest.approx(expected, abs=1e-5)
