"""Text in bursts, sound in pieces: the laws of streaming, and what the released loop forgets to say."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from omni.nn.sampling import NoNumbersError
from omni.speech.streaming import Piece, SpeechState, Synthesis
from tests.chunks import Samples, cuts
from tests.speech import tiny

TEXT = " there was a quick brown fox, it jumped and ran."
SENTENCE = " the fox ran and ran."
SAMPLES_PER_FRAME = 512


@pytest.fixture(scope="module")
def synthesis() -> Synthesis:
    return tiny.synthesis()


def sound(pieces: Sequence[Piece]) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *(piece.pcm for piece in pieces)])


def opened(synthesis: Synthesis, n_frames: Sequence[int], seed: int = 0) -> SpeechState:
    return synthesis.open(tiny.hidden(seed), tiny.ending(n_frames, seed))


def run(synthesis: Synthesis, bursts: Sequence[str], state: SpeechState) -> list[Piece]:
    """Speaks as soon as it can."""
    pieces: list[Piece] = []
    for burst in bursts:
        synthesis.push(state, burst)
        while synthesis.ready(state):
            pieces += synthesis.step([state])[0]
    return pieces + finish(synthesis, state)


def run_known(synthesis: Synthesis, bursts: Sequence[str], state: SpeechState) -> list[Piece]:
    """Speaks once all has been written."""
    for burst in bursts:
        synthesis.push(state, burst)
    return finish(synthesis, state)


def finish(synthesis: Synthesis, state: SpeechState) -> list[Piece]:
    pieces: list[Piece] = []
    synthesis.end(state)
    while not state.finished:
        pieces += synthesis.step([state])[0]
    return pieces


def test_the_cutting_of_text_is_invisible(synthesis: Synthesis) -> None:
    # so many frames that the last of them may see all of the text, and wait for its end
    whole = run(synthesis, [TEXT], opened(synthesis, [200]))
    assert len(sound(whole)) == 200 * SAMPLES_PER_FRAME
    for seed in range(2):
        bursts = [TEXT[start:end] for start, end in cuts(len(TEXT), (0, 1, 3, 9, 20), seed)]
        pieces = run(synthesis, bursts, opened(synthesis, [200]))
        np.testing.assert_allclose(sound(pieces), sound(whole), atol=1e-6)
        assert "".join(piece.text for piece in pieces) == TEXT


def test_text_to_come_is_invisible(synthesis: Synthesis) -> None:
    state = opened(synthesis, [200])
    synthesis.push(state, TEXT[:40])
    heard: list[Piece] = []
    while synthesis.ready(state):
        heard += synthesis.step([state])[0]
    assert len(sound(heard)) > 25 * SAMPLES_PER_FRAME
    for future in (" x", ", never? no. it " * 3):
        twin = opened(synthesis, [200])
        pieces = run(synthesis, [TEXT[:40], future], twin)
        np.testing.assert_allclose(sound(pieces)[: len(sound(heard))], sound(heard), atol=1e-6)


def test_the_batch_is_invisible(synthesis: Synthesis) -> None:
    texts, lengths = (TEXT, SENTENCE, TEXT[7:40]), (80, 31, 44)
    together = [opened(synthesis, [n_frames], seed) for seed, n_frames in enumerate(lengths)]
    for state, text in zip(together, texts, strict=True):
        synthesis.push(state, text)
        synthesis.end(state)
    rows: list[list[Piece]] = [[] for _ in texts]
    while not all(state.finished for state in together):
        for row, pieces in zip(rows, synthesis.step(together), strict=True):
            row.extend(pieces)
    for seed, (text, n_frames, row) in enumerate(zip(texts, lengths, rows, strict=True)):
        alone = run(synthesis, [text], opened(synthesis, [n_frames], seed))
        np.testing.assert_allclose(sound(row), sound(alone), atol=1e-6)
        assert len(sound(row)) == n_frames * SAMPLES_PER_FRAME


def test_speech_starts_with_ten_tokens(synthesis: Synthesis) -> None:
    state = opened(synthesis, [90])
    synthesis.push(state, TEXT[:9])
    assert not synthesis.ready(state)
    assert synthesis.step([state]) == [[]]
    synthesis.push(state, TEXT[9:10])
    (piece,) = synthesis.step([state])[0]
    assert piece.text == TEXT[:10]
    assert len(piece.pcm) == (25 - 4) * SAMPLES_PER_FRAME


def test_a_clone_speaks_the_same(synthesis: Synthesis) -> None:
    state = opened(synthesis, [25])
    synthesis.push(state, TEXT[:30])
    synthesis.step([state])
    twin = state.clone()
    state.draw, twin.draw = tiny.ending([40], seed=4), tiny.ending([40], seed=4)
    pieces, others = run(synthesis, [TEXT[30:]], state), run(synthesis, [TEXT[30:]], twin)
    np.testing.assert_array_equal(sound(pieces), sound(others))


def spoken_texts(synthesis: Synthesis, bursts: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each segment of the talker had in its text slots in the end, without what was carried over."""
    state = opened(synthesis, [30] * 20)
    texts: list[str] = []
    close = Synthesis._close_segment

    def closing(self: Synthesis, state: SpeechState) -> list[Piece]:
        ids = [number for number in state.talker.text[2:] if number != tiny.CONFIG.text_eos_token_id]
        texts.append(self.tokenizer.decode(ids).removeprefix(state.carried))
        return close(self, state)

    monkeypatch.setattr(Synthesis, "_close_segment", closing)
    run_known(synthesis, bursts, state)
    return texts


def test_a_long_answer_is_divided_at_a_sentence(synthesis: Synthesis, monkeypatch: pytest.MonkeyPatch) -> None:
    bursts = [SENTENCE] * 5 + [" the dog. and then", " it slept"]
    texts = spoken_texts(synthesis, bursts, monkeypatch)
    # the sixth burst takes the segment beyond 120 tokens
    assert texts[0].endswith(".")
    assert "".join(texts) == "".join(bursts)
    assert len(texts) == 2


def test_what_is_left_when_the_text_ends_is_spoken(synthesis: Synthesis, monkeypatch: pytest.MonkeyPatch) -> None:
    bursts = [*[SENTENCE.replace(".", ",")] * 6, " the end. and one thing more"]
    texts = spoken_texts(synthesis, bursts, monkeypatch)
    assert texts[-1] == " and one thing more"
    assert "".join(texts) == "".join(bursts)


def test_an_answer_that_runs_ahead_of_its_speech_is_spoken_whole(
    synthesis: Synthesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = SENTENCE * 30
    assert "".join(spoken_texts(synthesis, [answer], monkeypatch)) == answer


def test_an_endless_sentence_is_spoken_whole(synthesis: Synthesis, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (" fox and" * 120, "fox" * 250):
        assert "".join(spoken_texts(synthesis, [answer], monkeypatch)) == answer


def test_a_number_too_long_for_a_segment_is_spoken_whole(synthesis: Synthesis, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = spoken_texts(synthesis, [" it is ", "7" * 150, ". the end."], monkeypatch)
    words = "seven " * 150
    assert "".join(texts) == f" it is {words.strip()}. the end."


def test_segments_join_without_a_repetition() -> None:
    bursts = [SENTENCE] * 7
    plain, released = tiny.synthesis(), tiny.synthesis(as_released=True)
    frames = [60, 45]
    state = opened(plain, frames)
    assert len(sound(run_known(plain, bursts, state))) == sum(frames) * SAMPLES_PER_FRAME
    assert len(sound(run_known(released, bursts, opened(released, frames)))) == (sum(frames) + 4) * SAMPLES_PER_FRAME


def test_the_released_pieces_hold_the_same_sound() -> None:
    plain, released = tiny.synthesis(), tiny.synthesis(as_released=True)
    one, other = (run(each, [TEXT], opened(each, [90])) for each in (plain, released))
    assert [len(piece.pcm) for piece in one] != [len(piece.pcm) for piece in other]
    np.testing.assert_allclose(sound(one), sound(other), atol=1e-6)


@pytest.mark.parametrize("bursts", [[], [""], ["   "], [" ", " " * 20]])
def test_nothing_to_say_is_not_said(synthesis: Synthesis, bursts: list[str]) -> None:
    assert run(synthesis, bursts, opened(synthesis, [30])) == []


def test_text_after_its_end_is_refused(synthesis: Synthesis) -> None:
    state = opened(synthesis, [30])
    synthesis.end(state)
    with pytest.raises(ValueError, match="open another"):
        synthesis.push(state, "more")


def test_text_known_from_the_beginning(synthesis: Synthesis) -> None:
    pcm = synthesis.speak(TEXT, tiny.hidden(0), tiny.ending([90]))
    assert len(pcm) == 90 * SAMPLES_PER_FRAME
    with pytest.raises(ValueError, match="too long"):
        synthesis.speak("a" * 300, tiny.hidden(0), tiny.ending([90]))


def test_speech_without_numbers_ends_and_shows_in_no_other(synthesis: Synthesis) -> None:
    states = [synthesis.open(tiny.hidden(seed), tiny.ending([90])) for seed in (0, 1)]
    alone = synthesis.open(tiny.hidden(0), tiny.ending([90]))
    lost = states[1]
    for state in (*states, alone):
        synthesis.push(state, TEXT)
        synthesis.end(state)
    lost.talker.speaker = torch.full_like(lost.talker.speaker, torch.nan)
    lost.divided = True  # no other segment follows a broken one
    spoken, nothing = synthesis.step(states)
    assert (nothing, lost.talker.broken, lost.finished) == ([], True, True)
    (expected,) = synthesis.step([alone])
    np.testing.assert_allclose(sound(spoken), sound(expected), atol=1e-5)
    with pytest.raises(NoNumbersError, match="talker computed no numbers"):
        synthesis.speak(TEXT, torch.full_like(tiny.hidden(0), torch.nan), tiny.ending([90]))
