from typing import cast

import jiwer
import numpy as np
import pytest

from omni.packaged.hearing.recogniser import KEEP_S, LONGEST_S, Recogniser, Utterance, place_to_cut
from omni.packaged.hearing.whisper import Heard, Tokens, Transcription, Whisper
from omni.text.backchannel import is_backchannel
from omni.timing import Timing
from tests.chunks import Samples
from tests.spoken import say

pytestmark = pytest.mark.models
RATE = Timing().input_rate
QUESTION = "Could you please tell me what the weather is like in London today?"


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


def bare(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign.isalnum() or sign == " ")


def errors(said: str, heard: str) -> float:
    return float(jiwer.wer(bare(said), bare(heard)))


def transcribed(recogniser: Recogniser, pieces: list[Samples]) -> str:
    utterance = recogniser.open()
    for piece in pieces:
        utterance.add(piece)
    return utterance.transcribe()


def heard_by_seconds(utterance: Utterance, pcm: Samples) -> list[str]:
    texts = []
    for at in range(0, len(pcm), RATE):
        utterance.add(pcm[at : at + RATE])
        texts.append(utterance.transcribe())
    return texts


@pytest.mark.parametrize("said", ["What is the capital of France?", QUESTION, "Turn off the lights in the kitchen."])
def test_words_are_right(recogniser: Recogniser, said: str) -> None:
    utterance = recogniser.open()
    utterance.add(say(said))
    assert errors(said, utterance.transcribe()) == 0
    assert utterance.duration_s == pytest.approx(len(say(said)) / RATE)


@pytest.mark.parametrize("peak", [0.05, 0.01, 0.003])
def test_quiet_speech_is_heard_as_well(recogniser: Recogniser, peak: float) -> None:
    pcm = say(QUESTION) * peak / np.abs(say(QUESTION)).max()
    sent = np.round(pcm * 32_767) / 32_768
    assert errors(QUESTION, transcribed(recogniser, [sent.astype(np.float32)])) == 0


def test_cutting_is_invisible(recogniser: Recogniser) -> None:
    pcm = say(QUESTION)
    whole = transcribed(recogniser, [pcm])
    assert transcribed(recogniser, np.array_split(pcm, 17)) == whole


def test_listening_along_ends_in_the_same_words(recogniser: Recogniser) -> None:
    pcm = say(QUESTION)
    texts = heard_by_seconds(recogniser.open(), pcm)
    assert errors(QUESTION, texts[-1]) == 0
    assert texts[0] and len(texts[0]) < len(texts[1]) < len(texts[-1])


def test_a_draft_does_not_change_the_transcript(recogniser: Recogniser) -> None:
    heard = recogniser.encode(say(QUESTION))
    plain = recogniser.decode(heard, (), (), 40)
    right, wrong = plain.tokens, (*plain.tokens[:4], *plain.tokens[:7])
    for draft in (right, right[:5], wrong, (11, 12)):
        # The 8-bit scales depend on what else is in the batch, so scores may move; words may not.
        assert recogniser.decode(heard, (), draft, 40).tokens == plain.tokens


def test_a_draft_saves_runs_of_the_decoder(recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    run = Whisper._run

    def counted(whisper: Whisper, *arguments: object) -> object:
        runs.append(1)
        return run(whisper, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Whisper, "_run", counted)
    heard = recogniser.encode(say(QUESTION))
    tokens = recogniser.decode(heard, (), (), 40).tokens
    n_plain = len(runs)
    runs.clear()
    recogniser.decode(heard, (), tokens, 40)
    assert (n_plain, len(runs)) == (len(tokens) + 1, 1)


def test_clone_goes_its_own_way(recogniser: Recogniser) -> None:
    pcm = say(QUESTION)
    utterance = recogniser.open()
    utterance.add(pcm[: len(pcm) // 2])
    half = utterance.transcribe()
    clone = utterance.clone()
    utterance.add(pcm[len(pcm) // 2 :])
    assert errors(QUESTION, utterance.transcribe()) == 0
    assert clone.transcribe() == half
    clone.add(pcm[len(pcm) // 2 :])
    assert clone.transcribe() == utterance.transcribe()


def test_what_was_added_may_be_reused(recogniser: Recogniser) -> None:
    utterance, buffer = recogniser.open(), say("What is the capital of France?").copy()
    utterance.add(buffer)
    buffer[:] = 0
    assert "France" in utterance.transcribe()


@pytest.mark.parametrize("level", [0.0, 1e-4, 5e-4, 0.01, 0.1])
def test_noise_has_no_words(recogniser: Recogniser, level: float) -> None:
    noise = level * np.random.default_rng(1).standard_normal(2 * RATE)
    utterance = recogniser.open()
    utterance.add(noise.astype(np.float32))
    assert utterance.transcribe() == ""


def test_a_tone_has_no_words(recogniser: Recogniser) -> None:
    t = np.arange(2 * RATE) / RATE
    chord = sum(0.1 * np.sin(2 * np.pi * hz * t) for hz in (262, 330, 392))
    assert transcribed(recogniser, [np.asarray(chord, np.float32)]) == ""


def test_a_mumble_leaves_the_turn_but_a_short_order_takes_it(recogniser: Recogniser) -> None:
    before_and_after = np.zeros(RATE // 4, np.float32)
    mumble, order = (np.concatenate([before_and_after, say(said), before_and_after]) for said in ("Uh-huh.", "Stop."))
    assert is_backchannel(transcribed(recogniser, [mumble]))
    assert bare(transcribed(recogniser, [order])) == "stop"


def test_nothing_added(recogniser: Recogniser) -> None:
    utterance = recogniser.open()
    assert (utterance.transcribe(), utterance.duration_s) == ("", 0.0)
    utterance.add(np.zeros(0, np.float32))
    utterance.add(np.ones(10, np.float32))
    assert utterance.transcribe() == ""


def test_a_monologue_is_heard_to_its_end_within_bounded_memory(recogniser: Recogniser) -> None:
    sentences = [
        "I would like a cup of tea with milk and two sugars.",
        "The train to London leaves from platform four.",
        "My sister bought some bread, cheese, and a bottle of milk.",
    ] * 4
    pause = np.zeros(RATE // 2, np.float32)
    pcm = np.concatenate([part for sentence in sentences for part in (say(sentence), pause)])
    assert len(pcm) > 1.5 * LONGEST_S * RATE
    utterance = recogniser.open()
    for at in range(0, len(pcm), 3 * RATE):
        utterance.add(pcm[at : at + 3 * RATE])
        text = utterance.transcribe()
        assert len(utterance._window) <= LONGEST_S * RATE
    assert errors(" ".join(sentences), text) < 0.05
    assert utterance.duration_s == pytest.approx(len(pcm) / RATE)


class CountingRecogniser:
    """Writes a word for every 0.4 s, and counts the work it is given."""

    def __init__(self) -> None:
        self.encoded_s = 0.0
        self.n_decoded = 0

    def encode(self, pcm: Samples) -> Heard:
        self.encoded_s += len(pcm) / RATE
        return np.zeros(round(2.5 * len(pcm) / RATE), np.float32)

    def language(self, heard: Heard) -> None:
        return None

    def decode(
        self, heard: Heard, trusted: Tokens, draft: Tokens, max_tokens: int, language: int | None
    ) -> Transcription:
        tokens = tuple(range(len(heard)))
        self.n_decoded += len(tokens) - len(trusted)
        return Transcription(tokens, -0.1, 0.0)

    def text(self, tokens: Tokens) -> str:
        return " ".join(f"word{token}" for token in tokens)

    def starts_word(self, token: int) -> bool:
        return True


def test_ten_minutes_without_an_answer_cost_no_more_at_their_end_than_at_their_start() -> None:
    pcm = np.concatenate([say(QUESTION), np.zeros(RATE // 2, np.float32)])
    pcm = np.tile(pcm, 600 * RATE // len(pcm) + 1)[: 600 * RATE]
    recogniser = CountingRecogniser()
    utterance = Utterance(cast(Recogniser, recogniser))
    encoded_s, n_decoded = [], []
    for at in range(0, len(pcm), RATE):
        recogniser.encoded_s, recogniser.n_decoded = 0.0, 0
        utterance.add(pcm[at : at + RATE])
        text = utterance.transcribe()
        encoded_s.append(recogniser.encoded_s)
        n_decoded.append(recogniser.n_decoded)
        assert len(utterance._window) <= LONGEST_S * RATE
    assert max(encoded_s) <= LONGEST_S
    for work in (encoded_s, n_decoded):
        assert sum(work[-60:]) == pytest.approx(sum(work[60:120]), rel=0.1)
    assert len(text.split()) == pytest.approx(600 / 0.4, rel=0.05)
    assert utterance.duration_s == pytest.approx(600)


def test_a_window_is_cut_at_a_pause() -> None:
    random = np.random.default_rng(0)
    pcm = 0.1 * random.standard_normal(15 * RATE).astype(np.float32)
    assert place_to_cut(pcm) is None
    pcm[8 * RATE : int(8.5 * RATE)] *= 0.01
    cut = place_to_cut(pcm)
    assert cut is not None and 8 <= cut / RATE <= 8.5
    assert place_to_cut(pcm[: 13 * RATE]) is None


def test_a_window_without_pause_is_cut_in_the_end() -> None:
    pcm = 0.1 * np.random.default_rng(0).standard_normal(int(LONGEST_S * RATE)).astype(np.float32)
    cut = place_to_cut(pcm)
    assert cut is not None and KEEP_S * RATE <= cut <= (LONGEST_S - KEEP_S) * RATE
