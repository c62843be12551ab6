"""The resampler's attention against torch's own, whose parameters it has."""

import torch
from torch import nn

from omni.vision.encoder import padding_mask
from omni.vision.resampler import CrossAttention
from tests.parity.golden import Record, assert_close
from tests.parity.twins import fresh, noise

LIMIT = 5e-5


def test_queries_read_padded_pictures(record_property: Record) -> None:
    width, n_heads, n_queries, lengths = 21, 3, 5, [11, 1, 7]
    theirs = fresh(nn.MultiheadAttention(width, n_heads, batch_first=True), seed=5)
    ours = CrossAttention(width, n_heads).requires_grad_(False)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    queries, keys, values = (
        noise(n_queries, width, seed=6),
        noise(len(lengths), max(lengths), width, seed=7),
        noise(len(lengths), max(lengths), width, seed=8),
    )
    mask = padding_mask(lengths, keys.device)
    assert mask is not None
    expected, _ = theirs(queries.expand(len(lengths), -1, -1), keys, values, key_padding_mask=~mask[:, 0, 0])
    assert_close(ours(queries, keys, values, mask), expected, LIMIT, record_property, "masked")
    everything, _ = theirs(queries.expand(len(lengths), -1, -1), keys, values)
    assert_close(ours(queries, keys, values, None), everything, LIMIT, record_property, "unmasked")
    assert not torch.allclose(expected, everything, atol=1e-2)
