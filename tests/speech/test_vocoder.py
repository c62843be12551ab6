"""The inverse STFT beside its definition, and the cross-fade between pieces."""

import pytest
import torch
from torch import Tensor

from omni.configs import VocosConfig
from omni.speech.vocoder import Vocoder, VocoderState, cross_fade

OVERLAP = 64


def test_overlap_add_is_what_its_definition_says() -> None:
    config = VocosConfig(dim=8, intermediate_dim=8, num_layers=1, n_fft=32, hop_length=8)
    istft = Vocoder(config).head.istft
    spectrum = torch.randn(2, 17, 5, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    window = torch.hann_window(32)
    summed, envelope = torch.zeros(2, 64), torch.zeros(64)
    for frame in range(5):
        summed[:, 8 * frame : 8 * frame + 32] += torch.fft.irfft(spectrum[:, :, frame], 32) * window
        envelope[8 * frame : 8 * frame + 32] += window**2
    torch.testing.assert_close(istft(spectrum), (summed / envelope)[:, 12:52])


def waveform(n_samples: int, seed: int = 0) -> Tensor:
    return torch.randn(n_samples, generator=torch.Generator().manual_seed(seed))


def joined(pieces: list[Tensor], *, whole: bool) -> Tensor:
    state = VocoderState(OVERLAP, whole)
    return torch.cat([*(state.push(piece) for piece in pieces), state.flush()])


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("edges", [[300], [64, 128, 300, 431], [200, 264, 1000]])
def test_pieces_of_one_waveform_join_without_a_seam(edges: list[int], whole: bool) -> None:
    signal = waveform(1200)
    starts = [0, *(edge - OVERLAP for edge in edges)]
    pieces = [signal[start:end] for start, end in zip(starts, [*edges, len(signal)], strict=True)]
    torch.testing.assert_close(joined(pieces, whole=whole), signal)


def test_how_much_is_held_back_does_not_show_in_the_sound() -> None:
    pieces = [waveform(300, 1), waveform(500, 2), waveform(100, 3)]
    torch.testing.assert_close(joined(pieces, whole=True), joined(pieces, whole=False))


def test_only_the_overlap_is_held_back() -> None:
    state = VocoderState(OVERLAP)
    assert [len(state.push(waveform(300))) for _ in range(3)] == [236, 236, 236]
    twin = state.clone()
    twin.push(waveform(300))
    assert torch.equal(state.flush(), waveform(300)[-OVERLAP:])
    assert len(state.flush()) == 0


def test_what_is_shorter_than_the_overlap_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than 64"):
        VocoderState(OVERLAP).push(waveform(63))
    with pytest.raises(ValueError, match="cannot overlap"):
        cross_fade(waveform(300), waveform(63), OVERLAP)
