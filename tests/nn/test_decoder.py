"""The decoder against a slow twin, and through the laws of streaming."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from omni.configs import DecoderConfig
from omni.nn.cache import KvCache
from omni.nn.decoder import Decoder
from tests.chunks import Samples, assert_batch_is_invisible, assert_future_is_invisible, cuts

CONFIG = DecoderConfig(
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=2,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=8,
    rms_norm_eps=1e-6,
    rope_theta=10_000.0,
    max_position_embeddings=64,
    qkv_bias=True,
)
ATOL = 1e-5
"""float32 sums in another order; a thing left out shows at 1e-2"""

CONFIGS = {
    "qwen2": CONFIG,
    "llama": replace(CONFIG, qkv_bias=False, num_key_value_heads=6),
    "qwen3": replace(CONFIG, qkv_bias=False, qk_norm=True, head_dim=10),
}


@pytest.fixture(params=CONFIGS)
def decoder(request: pytest.FixtureRequest) -> Decoder:
    torch.manual_seed(5)
    decoder = Decoder(CONFIGS[request.param])
    for parameter in decoder.parameters():
        # Norms of one, and biases near nought, would hide that they are left out.
        torch.nn.init.normal_(parameter, 1.0 if parameter.ndim == 1 else 0.0, 0.3)
    return decoder.requires_grad_(False)


def slow_twin(decoder: Decoder, inputs: Tensor) -> Tensor:
    """The textbook: [T, D] at once, every head on its own, no cache, rotation by complex numbers."""
    config = decoder.config
    weights: dict[str, Tensor] = dict(decoder.state_dict())
    group = config.num_attention_heads // config.num_key_value_heads

    def norm(x: Tensor, name: str) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + config.rms_norm_eps).sqrt() * weights[f"{name}.weight"]

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", torch.zeros(()))

    def turn(x: Tensor) -> Tensor:
        half = config.head_dim // 2
        angle = torch.arange(len(x))[:, None] / config.rope_theta ** (torch.arange(half) / half)
        turned = torch.complex(x[:, :half], x[:, half:]) * torch.polar(torch.ones_like(angle), angle)
        return torch.cat([turned.real, turned.imag], -1)

    hidden = inputs
    for index in range(config.num_hidden_layers):
        at = f"layers.{index}"
        x = norm(hidden, f"{at}.input_layernorm")
        heads = []
        for head in range(config.num_attention_heads):
            mine = slice(head * config.head_dim, (head + 1) * config.head_dim)
            shared = slice(head // group * config.head_dim, (head // group + 1) * config.head_dim)
            query = linear(x, f"{at}.self_attn.q_proj")[:, mine]
            key = linear(x, f"{at}.self_attn.k_proj")[:, shared]
            if config.qk_norm:
                query, key = norm(query, f"{at}.self_attn.q_norm"), norm(key, f"{at}.self_attn.k_norm")
            scores = turn(query) @ turn(key).T / config.head_dim**0.5
            scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf"))
            heads.append(scores.softmax(-1) @ linear(x, f"{at}.self_attn.v_proj")[:, shared])
        hidden = hidden + linear(torch.cat(heads, -1), f"{at}.self_attn.o_proj")
        x = norm(hidden, f"{at}.post_attention_layernorm")
        gate = linear(x, f"{at}.mlp.gate_proj")
        hidden = hidden + linear(gate * gate.sigmoid() * linear(x, f"{at}.mlp.up_proj"), f"{at}.mlp.down_proj")
    return norm(hidden, "norm")


def sequence(n: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).standard_normal((n, CONFIG.hidden_size)).astype(np.float32)


def feed(decoder: Decoder, pieces: list[Samples], cache: KvCache | None = None) -> Samples:
    """One session: its pieces after one another."""
    cache = cache or decoder.new_cache(64)
    pieces = [piece for piece in pieces if len(piece)]
    out = [decoder(torch.from_numpy(piece)[None], [cache.length], [cache])[0] for piece in pieces]
    return np.asarray(torch.cat(out).numpy())


def test_it_equals_the_slow_twin(decoder: Decoder) -> None:
    whole = sequence(13)
    np.testing.assert_allclose(feed(decoder, [whole]), slow_twin(decoder, torch.from_numpy(whole)), rtol=0, atol=1e-5)


def test_how_the_prefill_was_cut_does_not_show(decoder: Decoder) -> None:
    whole = sequence(40)
    expected = feed(decoder, [whole])
    for seed in range(3):
        pieces = [whole[start:end] for start, end in cuts(len(whole), (0, 1, 2, 11), seed)]
        np.testing.assert_allclose(feed(decoder, pieces), expected, rtol=0, atol=ATOL)


def test_later_input_does_not_change_earlier_output(decoder: Decoder) -> None:
    assert_future_is_invisible(
        lambda pieces: feed(decoder, pieces),
        sequence(9),
        [sequence(5, 1), np.zeros((3, CONFIG.hidden_size), np.float32)],
    )


def test_other_rows_do_not_show_whatever_their_lengths(decoder: Decoder) -> None:
    """Rows with pasts of 1, 17 and 30 positions take four more each, three at once and then one."""

    def run(streams: list[Samples]) -> list[Samples]:
        caches = [decoder.new_cache(64) for _ in streams]
        for stream, cache in zip(streams, caches, strict=True):
            feed(decoder, [stream[:-4]], cache)
        found = []
        for piece in (slice(-4, -1), slice(-1, None)):
            inputs = torch.stack([torch.from_numpy(stream[piece]) for stream in streams])
            found.append(decoder(inputs, [cache.length for cache in caches], caches))
        return list(torch.cat(found, dim=1).numpy())

    assert_batch_is_invisible(run, [sequence(5, 1), sequence(21, 2), sequence(34, 3)], ATOL)


def test_rows_of_uneven_length_are_padded_behind(decoder: Decoder) -> None:
    short, long = sequence(6, 1), sequence(10, 2)
    caches = [decoder.new_cache(32), decoder.new_cache(32)]
    padded = np.concatenate([short, np.full((4, CONFIG.hidden_size), 9.0, np.float32)])
    together = decoder(torch.from_numpy(np.stack([padded, long])), [0, 0], caches)
    caches[0].truncate(len(short))
    np.testing.assert_allclose(together[0, : len(short)], feed(decoder, [short]), rtol=0, atol=ATOL)
    after = feed(decoder, [sequence(2, 3)], caches[0])
    np.testing.assert_allclose(after, feed(decoder, [short, sequence(2, 3)])[-2:], rtol=0, atol=ATOL)


def test_what_was_truncated_does_not_show(decoder: Decoder) -> None:
    past, guess, turn = sequence(8), sequence(6, 1), sequence(5, 2)
    cache = decoder.new_cache(32)
    feed(decoder, [past, guess], cache)
    cache.truncate(len(past))
    np.testing.assert_array_equal(feed(decoder, [turn], cache), feed(decoder, [past, turn])[-len(turn) :])


def test_a_clone_goes_its_own_way(decoder: Decoder) -> None:
    past, one, other = sequence(8), sequence(6, 1), sequence(6, 2)
    cache = decoder.new_cache(32)
    feed(decoder, [past], cache)
    twin = cache.clone()
    np.testing.assert_array_equal(feed(decoder, [one], cache), feed(decoder, [past, one])[-6:])
    np.testing.assert_array_equal(feed(decoder, [other], twin), feed(decoder, [past, other])[-6:])


def test_a_mask_overrides_what_may_be_seen(decoder: Decoder) -> None:
    """A masked slot has no influence, a position ahead may have, and one mask row serves all positions."""
    past, now = sequence(4), sequence(3, 1)
    inputs = torch.from_numpy(now)[None]

    def run(first: Samples, last: Samples, mask: Tensor | None) -> Tensor:
        cache = decoder.new_cache(16)
        feed(decoder, [np.concatenate([first, past[1:]])], cache)
        changed = inputs.clone()
        changed[0, -1] = torch.from_numpy(last)
        output: Tensor = decoder(changed, [4], [cache], mask)[0]
        return output

    causal = torch.full((1, 3, 7), float("-inf")).triu(5)
    torch.testing.assert_close(run(past[:1], now[-1], causal), run(past[:1], now[-1], None), rtol=0, atol=ATOL)
    everything = torch.zeros(1, 1, 7)
    assert not torch.allclose(run(past[:1], now[-1], everything)[0], run(past[:1], now[0], everything)[0])
    # Without the first slot, what lies there is the same to all; past[1:] saw it in their own turn, so refill alone.
    cache, other = decoder.new_cache(16), decoder.new_cache(16)
    other.write(0, 0, torch.ones_like(other.read(0, 1)[0]), torch.ones_like(other.read(0, 1)[0]))
    blind = torch.zeros(1, 1, 4)
    blind[..., 0] = torch.finfo(torch.float32).min
    assert torch.equal(decoder(inputs, [1], [cache], blind), decoder(inputs, [1], [other], blind))


def test_bfloat16_stays_near(decoder: Decoder) -> None:
    whole = sequence(20)
    expected = torch.from_numpy(feed(decoder, [whole]))
    half = decoder.bfloat16()
    cache = half.new_cache(32)
    assert cache.keys.dtype == torch.bfloat16
    found = half(torch.from_numpy(whole)[None].bfloat16(), [0], [cache])[0]
    error = (found.float() - expected).norm() / expected.norm()
    assert found.dtype == torch.bfloat16
    assert error < 0.05


def test_rows_starts_and_caches_must_agree(decoder: Decoder) -> None:
    with pytest.raises(ValueError, match="one of each"):
        decoder(torch.zeros(2, 1, CONFIG.hidden_size), [0], [decoder.new_cache(4)])


def test_starts_are_positions() -> None:
    """A rotary position is the slot's number: the same input elsewhere gives another key, the same value."""
    torch.manual_seed(1)
    decoder = Decoder(CONFIG).requires_grad_(False)
    cache = decoder.new_cache(8)
    same = torch.from_numpy(sequence(1)).repeat(3, 1)
    for position in range(3):
        decoder(same[None, :1], [position], [cache])
    keys, values = cache.read(0, 3)
    assert torch.equal(values[:, 0], values[:, 2])
    assert not torch.allclose(keys[:, 0], keys[:, 2])
    torch.testing.assert_close(keys[:, 0].norm(dim=-1), keys[:, 2].norm(dim=-1))


def forgetful(config: DecoderConfig, seed: int = 3) -> Decoder:
    torch.manual_seed(seed)
    return Decoder(config).requires_grad_(False)


def state_of(cache: KvCache) -> tuple[Tensor, Tensor]:
    return cache.keys[:, :, : cache.length], cache.values[:, :, : cache.length]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(("start", "end"), [(4, 6), (4, 25), (0, 9), (20, 30), (7, 7)])
def test_in_one_layer_what_was_forgotten_was_never_there(name: str, start: int, end: int) -> None:
    decoder = forgetful(replace(CONFIGS[name], num_hidden_layers=1))
    whole, later = sequence(30), sequence(3, 1)
    cache, twin = decoder.new_cache(40), decoder.new_cache(40)
    feed(decoder, [whole], cache)
    decoder.forget(cache, start, end)
    feed(decoder, [np.concatenate([whole[:start], whole[end:]])], twin)
    for found, expected in zip(state_of(cache), state_of(twin), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=ATOL)
    np.testing.assert_allclose(feed(decoder, [later], cache), feed(decoder, [later], twin), rtol=0, atol=ATOL)


def test_far_positions_are_turned_as_exactly_as_near_ones() -> None:
    """At 30,000 float32 knows an angle to a thousandth, so turning by a difference of angles would show."""
    decoder = forgetful(replace(CONFIG, num_hidden_layers=1))
    last = torch.from_numpy(sequence(5))[None]
    cache, twin = decoder.new_cache(30_010), decoder.new_cache(30_010)
    decoder(last, [30_000], [cache])
    decoder.forget(cache, 100, 20_123)
    decoder(last, [9_977], [twin])
    torch.testing.assert_close(state_of(cache)[0], state_of(twin)[0], rtol=0, atol=ATOL)


def test_in_every_layer_what_moved_keeps_what_it_says_and_its_distances(decoder: Decoder) -> None:
    """Later layers remember the dropped slots through what attention brought; to a query that sees only what moved,
    nothing has changed, because rotary attention knows distances alone."""
    whole, later = sequence(30), torch.from_numpy(sequence(1, 1))[None]
    cache, twin = decoder.new_cache(40), decoder.new_cache(40)
    feed(decoder, [whole], cache)
    before = cache.clone()
    decoder.forget(cache, 4, 19)
    kept = [*range(4), *range(19, 30)]
    keys, values = state_of(cache)
    assert torch.equal(values, before.values[:, :, kept])
    assert torch.equal(keys[:, :, :4], before.keys[:, :, :4])
    torch.testing.assert_close(keys.norm(dim=-1), before.keys[:, :, kept].norm(dim=-1), rtol=0, atol=ATOL)

    def ask(of: KvCache, first: int) -> Tensor:
        mask = torch.zeros(1, 1, of.length + 1)
        mask[..., :first] = float("-inf")
        output: Tensor = decoder(later, [of.length], [of], mask)
        return output

    torch.testing.assert_close(ask(cache, 4), ask(before, 19), rtol=0, atol=ATOL)
    feed(decoder, [whole[kept]], twin)
    assert (keys - state_of(twin)[0])[0].abs().max() < ATOL
    assert (keys - state_of(twin)[0])[1].abs().max() > 100 * ATOL


@pytest.mark.parametrize(("dtype", "moves", "limit"), [(torch.float32, 20, 1e-6), (torch.bfloat16, 4, 1e-2)])
def test_forgetting_again_does_not_add_up(dtype: torch.dtype, moves: int, limit: float) -> None:
    """A prompt of 4 stays, 600 are dropped in so many moves, and the last 40 make each of them. Error of their keys,
    relative to those of a fresh feed in the same dtype, whose own rounding of sines is 0.3 % in bfloat16."""
    decoder = forgetful(replace(CONFIG, num_hidden_layers=1, rope_theta=1e6)).to(dtype)
    inputs = torch.from_numpy(sequence(644))[None].to(dtype)
    cache, twin = decoder.new_cache(644), decoder.new_cache(44)
    decoder(inputs, [0], [cache])
    for _ in range(moves):
        decoder.forget(cache, 4, 4 + 600 // moves)
    decoder(torch.cat([inputs[:, :4], inputs[:, 604:]], dim=1), [0], [twin])
    found, expected = (state_of(each)[0].float() for each in (cache, twin))
    error = float((found - expected).norm() / expected.norm())
    print(f"{dtype}: relative error of keys after {moves} moves {error:.1e}")
    assert error < limit
