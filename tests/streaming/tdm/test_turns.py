"""Turn detection, window by window."""

import pytest

from omni.text.finished import SURE, UNSURE
from omni.timing import Timing
from streaming.events import TurnDetection
from streaming.tdm.turns import Signal, Turns

WINDOW_S = Timing().window_s


class Recorder:
    """Feeds windows and answers every pause with one guess, as an instant recogniser would."""

    def __init__(self, guess: float | None = 0.9, overlap: bool = False, answers: bool = True) -> None:
        self.turns = Turns(Timing(), TurnDetection())
        self.signals: list[tuple[str, float]] = []
        self._guess, self._overlap, self._answers = guess, overlap, answers
        self._n = 0

    def feed(self, probability: float, seconds: float) -> "Recorder":
        for _ in range(round(seconds / WINDOW_S)):
            self._n += 1
            signal = self.turns.window(probability, self._overlap)
            self._note(signal)
            if signal is Signal.PAUSED and self._answers:
                self._note(self.turns.words(self._guess))
        return self

    def _note(self, signal: Signal | None) -> None:
        if signal is not None:
            self.signals.append((signal.name, self._n * WINDOW_S))
            if signal is Signal.ENDED:
                self.turns.reset()

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.signals]


def test_a_turn_starts_pauses_and_ends() -> None:
    assert Recorder().feed(0, 0.5).feed(1, 1.0).feed(0, 2.0).names == ["STARTED", "PAUSED", "ENDED"]


@pytest.mark.parametrize(
    ("guess", "low_s", "high_s"), [(0.9, 0.2, 0.35), (0.45, 0.7, 0.85), (0.1, 1.5, 1.65), (None, 0.2, 0.35)]
)
def test_the_silence_that_ends_a_turn_depends_on_its_words(guess: float | None, low_s: float, high_s: float) -> None:
    recorder = Recorder(guess).feed(1, 1.0).feed(0, 3.0)
    assert recorder.names[-1] == "ENDED"
    assert low_s <= recorder.signals[-1][1] - 1.0 <= high_s


def test_a_pause_that_is_no_end_is_taken_back() -> None:
    assert Recorder(0.1).feed(1, 0.6).feed(0, 0.6).feed(1, 0.6).feed(0, 2).names == [
        "STARTED",
        "PAUSED",
        "CONTINUED",
        "PAUSED",
        "ENDED",
    ]


def test_words_that_come_late_end_the_turn_when_they_come() -> None:
    recorder = Recorder(answers=False).feed(1, 1.0).feed(0, 0.8)
    assert recorder.names == ["STARTED", "PAUSED"]
    assert recorder.turns.words(SURE) is Signal.ENDED


def test_words_that_never_come_do_not_hold_the_turn_for_ever() -> None:
    assert Recorder(answers=False).feed(1, 1.0).feed(0, 2.0).names[-1] == "ENDED"


def test_a_click_is_no_speech() -> None:
    assert Recorder().feed(0, 0.5).feed(1, WINDOW_S).feed(0, 0.5).names == []


def test_a_click_in_a_pause_does_not_take_it_back() -> None:
    recorder = Recorder(UNSURE).feed(1, 0.5).feed(0, 0.3).feed(1, WINDOW_S).feed(0, 0.3)
    assert recorder.names == ["STARTED", "PAUSED"]


def test_over_an_answer_a_longer_onset_is_needed() -> None:
    alone = Recorder().feed(1, 0.5).signals[0][1]
    over = Recorder(overlap=True).feed(1, 0.5).signals[0][1]
    assert alone < over <= 0.2


def test_a_weak_window_does_not_break_a_word() -> None:
    assert Recorder().feed(0.9, 0.3).feed(0.4, 0.3).feed(0.9, 0.3).names == ["STARTED"]


def test_the_end_is_dated_back_to_the_last_sound() -> None:
    recorder = Recorder(answers=False).feed(0, 0.5).feed(1, 1.0).feed(0, 0.3)
    assert recorder.turns.end_s == pytest.approx(1.5, abs=0.1)
    assert recorder.turns.start_s == pytest.approx(0.5, abs=0.15)


def test_without_words_a_gap_in_a_sentence_is_no_pause() -> None:
    detection = TurnDetection(silence_s=0.6)
    recorder = Recorder(None)
    recorder.turns = Turns(Timing(), detection, wordless=True)
    recorder.feed(1, 1.0).feed(0, 0.12).feed(1, 0.5)
    assert recorder.names == ["STARTED"]
    recorder.feed(0, 1.0)
    assert recorder.names == ["STARTED", "PAUSED", "ENDED"]
    (_, paused_s), (_, ended_s) = recorder.signals[1:]
    assert ended_s - paused_s == pytest.approx(0.6 - 0.2, abs=1.01 * WINDOW_S)


def test_over_an_answer_a_gap_is_a_pause_without_words_too() -> None:
    recorder = Recorder(None, overlap=True)
    recorder.turns = Turns(Timing(), TurnDetection(silence_s=0.6), wordless=True)
    assert recorder.feed(1, 1.0).feed(0, 0.06).names == ["STARTED", "PAUSED"]
