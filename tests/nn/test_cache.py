"""One session's keys and values."""

import pytest
import torch

from omni.nn.cache import KvCache


def filled(n: int, capacity: int = 8) -> KvCache:
    cache = KvCache(2, 3, 4, capacity)
    for layer in range(2):
        cache.write(layer, 0, torch.randn(3, n, 4), torch.randn(3, n, 4))
    return cache


def test_what_is_written_is_read() -> None:
    cache = KvCache(2, 3, 4, 8)
    keys, values = torch.randn(3, 5, 4), torch.randn(3, 5, 4)
    cache.write(1, 2, keys, values)
    assert cache.length == 7
    read_keys, read_values = cache.read(1, 7)
    assert torch.equal(read_keys[:, 2:], keys)
    assert torch.equal(read_values[:, 2:], values)
    assert not cache.read(0, 8)[0].any(), "slots that nobody wrote are zero"


def test_overwriting_the_middle_keeps_the_length() -> None:
    cache = filled(6)
    cache.write(0, 1, torch.ones(3, 2, 4), torch.ones(3, 2, 4))
    assert cache.length == 6


def test_no_room_is_an_error_that_says_so() -> None:
    cache = filled(6)
    with pytest.raises(ValueError, match=r"holds 8 tokens and 9 are needed"):
        cache.write(0, 6, torch.ones(3, 3, 4), torch.ones(3, 3, 4))


def test_truncate_forgets_the_end() -> None:
    cache = filled(6)
    kept = cache.read(0, 4)[0].clone()
    cache.truncate(4)
    assert cache.length == 4
    assert torch.equal(cache.read(0, 4)[0], kept)
    for n in (5, -1):
        with pytest.raises(ValueError, match="cannot cut"):
            cache.truncate(n)


@pytest.mark.parametrize(("start", "end"), [(0, 1), (1, 3), (2, 7), (1, 6), (5, 7), (0, 7), (3, 3)])
def test_forgetting_moves_what_lies_behind_forward(start: int, end: int) -> None:
    """Gaps smaller and larger than what moves over them, at either end, and none."""
    cache = filled(7)
    slots = [slot for slot in range(7) if not start <= slot < end]
    kept = [tensor[:, slots] for layer in range(2) for tensor in cache.read(layer, 7)]
    cache.forget(start, end)
    assert cache.length == len(slots)
    assert cache.capacity == 8
    found = [tensor for layer in range(2) for tensor in cache.read(layer, cache.length)]
    assert all(map(torch.equal, found, kept))


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (2, 7)])
def test_only_slots_in_use_can_be_forgotten(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="6 are held"):
        filled(6).forget(start, end)


def test_a_clone_shares_nothing() -> None:
    cache = filled(6)
    twin = cache.clone()
    assert (twin.length, twin.capacity, twin.nbytes) == (cache.length, cache.capacity, cache.nbytes)
    assert torch.equal(twin.keys, cache.keys)
    before = cache.keys.clone()
    twin.write(0, 0, torch.ones(3, 1, 4), torch.ones(3, 1, 4))
    assert torch.equal(cache.keys, before)


def test_room_is_made_without_a_loss() -> None:
    cache = filled(6)
    kept = [tensor.clone() for layer in range(2) for tensor in cache.read(layer, 6)]
    cache.reserve(8)
    assert cache.capacity == 8
    cache.reserve(9)
    assert (cache.length, cache.capacity) == (6, 16)
    assert all(torch.equal(*pair) for pair in zip(kept, (t for i in range(2) for t in cache.read(i, 6)), strict=True))
    assert not cache.keys[:, :, 6:].any()
    cache.reserve(100)
    assert cache.capacity == 100


def test_bytes_are_counted() -> None:
    assert KvCache(2, 3, 4, 8, dtype=torch.bfloat16).nbytes == 2 * (2 * 3 * 4 * 8) * 2
