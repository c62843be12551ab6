import numpy as np
import numpy.typing as npt
import pytest
import torch

from omni.audio.encoder import AudioEncoder, AudioProjector, AudioState
from omni.configs import AudioConfig
from tests.chunks import assert_batch_is_invisible, assert_future_is_invisible

Floats = npt.NDArray[np.float32]

TINY = AudioConfig(
    d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=64, output_dim=24, max_source_positions=120
)


@pytest.fixture(scope="module")
def encoder() -> AudioEncoder:
    torch.manual_seed(0)
    return AudioEncoder(TINY).eval()


def _mel(n_frames: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((80, n_frames)).astype(np.float32)


@torch.inference_mode()
def _stream(encoder: AudioEncoder, mels: list[Floats], state: AudioState) -> Floats:
    rows = [encoder.stream([torch.from_numpy(mel)], [state])[0] for mel in mels]
    return torch.cat(rows).numpy()


def test_other_sessions_in_the_batch_do_not_show(encoder: AudioEncoder) -> None:
    earlier = {20: 0, 33: 1, 8: 2, 40: 0}

    @torch.inference_mode()
    def run(mels: list[Floats]) -> list[Floats]:
        states = [AudioState() for _ in mels]
        for mel, state in zip(mels, states, strict=True):
            for k in range(earlier[mel.shape[1]]):  # sessions are at different places of their turns
                _stream(encoder, [_mel(30, seed=k)], state)
        return [row.numpy() for row in encoder.stream([torch.from_numpy(mel) for mel in mels], states)]

    assert_batch_is_invisible(run, [_mel(n, seed=n) for n in earlier], atol=1e-5)


def test_channels_that_overflow_in_float16_are_clamped() -> None:
    half = AudioEncoder(TINY).eval().half()
    for name, parameter in half.named_parameters():
        if name.endswith("fc2.bias"):
            torch.nn.init.constant_(parameter, 60_000.0)
    assert np.isfinite(_stream(half, [_mel(30)], AudioState())).all()


def test_later_units_do_not_change_earlier_ones(encoder: AudioEncoder) -> None:
    def run(mels: list[Floats]) -> Floats:
        return _stream(encoder, mels, AudioState())

    assert_future_is_invisible(run, _mel(30), [_mel(20, seed=1), _mel(41, seed=2)])


def test_a_stream_is_attention_over_units_that_see_all_before_them(encoder: AudioEncoder) -> None:
    """The slow twin: everything at once, without a cache."""
    mels = [torch.from_numpy(_mel(n, seed=n)) for n in (30, 21, 40)]
    lengths = [15, 11, 20]

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        unit = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        weights = scores.masked_fill(unit[None, :] > unit[:, None], -torch.inf).softmax(-1)
        read: torch.Tensor = weights @ v
        return read

    with torch.inference_mode():
        starts = (0, 15, 26)
        hidden = torch.cat([encoder._embed(mel[None], start)[0] for mel, start in zip(mels, starts, strict=True)])
        for layer in encoder.layers:
            hidden = layer(hidden, attend)
        expected = encoder.layer_norm(hidden).numpy()
    np.testing.assert_allclose(_stream(encoder, [mel.numpy() for mel in mels], AudioState()), expected, atol=1e-5)


def test_a_long_turn_starts_again_instead_of_running_out_of_places(encoder: AudioEncoder) -> None:
    state = AudioState()
    _stream(encoder, [_mel(100)], state)
    assert state.length == 50
    _stream(encoder, [_mel(100)], state)
    assert state.length == 100
    again = _stream(encoder, [_mel(40, seed=3)], state)
    assert state.length == 20
    np.testing.assert_array_equal(again, _stream(encoder, [_mel(40, seed=3)], AudioState()))


def test_a_session_returns_to_a_mark_also_across_a_restart(encoder: AudioEncoder) -> None:
    state = AudioState()
    _stream(encoder, [_mel(100)], state)
    mark = state.mark()
    expected = _stream(encoder, [_mel(20, seed=1)], state)
    _stream(encoder, [_mel(100, seed=2), _mel(100, seed=3)], state)
    state.rewind(mark)
    assert state.length == 50
    np.testing.assert_array_equal(_stream(encoder, [_mel(20, seed=1)], state), expected)


def test_between_turns_nothing_is_held(encoder: AudioEncoder) -> None:
    state = AudioState()
    _stream(encoder, [_mel(100)], state)
    assert state.cache
    assert state.cache.capacity < TINY.max_source_positions, "a short turn does not hold memory for a long one"
    state.clear()
    assert state.cache is None
    assert state.length == 0


def test_a_clip_beyond_the_last_place_is_refused(encoder: AudioEncoder) -> None:
    with pytest.raises(ValueError, match="shorter clips"):
        encoder([torch.from_numpy(_mel(242))])


def test_an_odd_frame_is_dropped_by_pooling() -> None:
    projector = AudioProjector(TINY)
    frames = torch.randn(7, TINY.d_model)
    assert projector(frames).shape == (3, TINY.output_dim)
    torch.testing.assert_close(projector(frames), projector(frames[:6]))
    assert projector(frames[:1]).shape == (0, TINY.output_dim)


def test_the_released_sizes_have_the_released_number_of_weights() -> None:
    released = AudioConfig(1024, 24, 16, 4096, output_dim=3584)
    with torch.device("meta"):
        assert sum(weight.numel() for weight in AudioEncoder(released).parameters()) == 307_216_384
        assert sum(weight.numel() for weight in AudioProjector(released).parameters()) == 16_522_240
