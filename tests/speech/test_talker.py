"""The laws of streaming, for the talker: other rows, later text and the cutting of text do not show."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from omni.speech import talker as talker_module
from omni.speech.talker import Talker, TalkerState
from tests.speech import tiny

OPENING = [tiny.Letters.start_id, tiny.CONFIG.spk_emb_token_id]
TEXT = tiny.Letters().encode("the quick brown fox jumps over the lazy dog")


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def talker() -> Talker:
    return tiny.talker()


def opened(talker: Talker, ids: Sequence[int], seed: int = 0) -> TalkerState:
    state = talker.open(tiny.hidden(seed))
    talker.prefill_text(state, [*OPENING, *ids])
    state.n_text = len(ids)
    return state


def speak(talker: Talker, states: Sequence[TalkerState], n_frames: Sequence[int]) -> list[Tensor]:
    """Two calls for each state, or until its n frames are drawn."""
    draws = [tiny.ending([n], seed) for seed, n in enumerate(n_frames)]
    for _ in range(2):
        talker.generate(states, draws)
    return [torch.stack(state.frames) for state in states]


def test_the_batch_is_invisible(talker: Talker) -> None:
    lengths = (12, 40, 23)
    texts = (TEXT, TEXT[:15], TEXT[5:30])
    together = speak(talker, [opened(talker, ids, seed) for seed, ids in enumerate(texts)], lengths)
    for seed, (ids, n_frames, frames) in enumerate(zip(texts, lengths, together, strict=True)):
        alone = opened(talker, ids, seed)
        draw = tiny.ending([n_frames], seed)
        for _ in range(2):
            talker.generate([alone], [draw])
        assert torch.equal(torch.stack(alone.frames), frames)
        assert len(frames) == n_frames
        assert alone.finished


def test_rows_at_different_places_do_not_mix(talker: Talker) -> None:
    ahead, behind = opened(talker, TEXT, 1), opened(talker, TEXT[:12], 2)
    talker.generate([ahead], [tiny.ending([100], 1)])
    scores = talker.logits([ahead, behind])
    for state, row in zip((ahead, behind), scores, strict=True):
        torch.testing.assert_close(talker.logits([state])[0], row)
    draws = tiny.ending([100], 3), tiny.ending([12], 4)
    talker.generate([ahead, behind], draws)
    assert (len(ahead.frames), len(behind.frames)) == (50, 12)
    assert (ahead.finished, behind.finished) == (False, True)


def test_text_to_come_is_invisible(talker: Talker) -> None:
    n_visible = talker.visible_text(talker.bos_slot + 24)
    short, long = opened(talker, TEXT[:n_visible]), opened(talker, TEXT)
    for state in (short, long):
        talker.generate([state], [tiny.ending([100])])
    assert torch.equal(torch.stack(short.frames), torch.stack(long.frames))
    other = opened(talker, [*TEXT[: n_visible - 1], 3])
    assert not torch.allclose(talker.logits([other]), talker.logits([opened(talker, TEXT)])), "the text is not read"


def test_the_cutting_of_text_is_invisible(talker: Talker) -> None:
    whole, cut = opened(talker, TEXT), opened(talker, TEXT[:3])
    for end in (4, 11, 12, len(TEXT)):
        talker.prefill_text(cut, [*OPENING, *TEXT[:end]])
    cut.n_text = len(TEXT)
    torch.testing.assert_close(cut.cache.keys, whole.cache.keys)
    torch.testing.assert_close(talker.logits([cut]), talker.logits([whole]))


def test_text_that_is_read_anew_leaves_no_trace(talker: Talker) -> None:
    first = opened(talker, [*TEXT[:8], 1, 2, 3])
    talker.prefill_text(first, [*OPENING, *TEXT])
    first.n_text = len(TEXT)
    torch.testing.assert_close(talker.logits([first]), talker.logits([opened(talker, TEXT)]))


def test_a_clone_goes_its_own_way(talker: Talker) -> None:
    state = opened(talker, TEXT)
    talker.generate([state], [tiny.ending([100])])
    twin = state.clone()
    talker.generate([twin], [tiny.ending([100], seed=7)])
    assert len(state.frames) == 25
    once = state.clone()
    for each in (once, state):
        talker.generate([each], [tiny.ending([100], seed=3)])
    assert torch.equal(torch.stack(once.frames), torch.stack(state.frames))
    assert not torch.equal(torch.stack(twin.frames), torch.stack(state.frames))


def test_a_growing_cache_is_invisible(talker: Talker, monkeypatch: pytest.MonkeyPatch) -> None:
    roomy = speak(talker, [opened(talker, TEXT)], [45])
    monkeypatch.setattr(talker_module, "_FIRST_FRAMES", 7)
    assert torch.equal(speak(talker, [opened(talker, TEXT)], [45])[0], roomy[0])


def test_the_voice_is_heard(talker: Talker) -> None:
    one, other = opened(talker, TEXT, seed=0), opened(talker, TEXT, seed=1)
    assert not torch.allclose(talker.logits([one]), talker.logits([other]))


def test_text_has_its_slots_and_no_more(talker: Talker) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        opened(talker, [1] * (tiny.CONFIG.streaming_text_reserved_len + 1))
