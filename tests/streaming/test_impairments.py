"""Speech over bad networks: it stays understood, and no delay is left when the trouble is over."""

from dataclasses import dataclass

import jiwer
import numpy as np
import pytest

from omni.timing import Timing
from streaming.tdm.jitter import CEILING_S
from tests.chunks import Samples
from tests.streaming.impairments import EVEN, LEVELS, OUTAGE, PACKET_S, Network, Trouble, carried, encode, voiced

RATE = Timing().input_rate
SAID = (
    "What is the capital of France?",
    "Turn off the lights in the kitchen.",
    "How long does it take to boil an egg?",
    "Could you please tell me what the weather is like in London today?",
)
PAUSE_S = 0.6


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("trouble", [*LEVELS, Trouble(0.05, 0.2)])
def test_no_delay_is_left_after_trouble(trouble: Trouble, seed: int) -> None:
    network = Network([(0, EVEN), (5, trouble), (15, EVEN)], seed)
    heard = carried(encode(voiced(20.0)), network)
    delay_s = np.array(heard.delay_s)
    assert len(delay_s) == 1000  # all that was said has its place
    assert delay_s[: round(4.9 / PACKET_S)].max() < 1e-6
    assert delay_s[round(5 / PACKET_S) :].max() < trouble.jitter_s + 0.1
    assert delay_s[round(15.5 / PACKET_S) :].max() < 0.04
    assert heard.jitter.n_restarts == 1
    n_unheard = heard.jitter.n_lost / (10 / PACKET_S)
    assert n_unheard < 2 * trouble.loss + 0.05


@pytest.mark.parametrize("seed", range(3))
def test_after_an_outage_everything_is_as_before(seed: int) -> None:
    heard = carried(encode(voiced(15.0)), Network([(0, EVEN), (5, OUTAGE), (10, EVEN)], seed))
    delay_s = np.array(heard.delay_s)
    assert len(delay_s) == 750
    assert delay_s.max() < CEILING_S
    assert delay_s[round(10 / PACKET_S) :].max() < 0.04
    sound = heard.pcm[round(5.3 * RATE) : round(9.8 * RATE)]
    assert np.abs(sound).max() < 1e-6  # silence, and no noise drawn out
    assert np.abs(heard.pcm[round(10.1 * RATE) :]).max() > 0.1
    assert heard.jitter.n_lost == 250


@dataclass
class Speech:
    """The sentences one after another, and where each lies."""

    pcm: Samples
    places: list[slice]


@pytest.fixture(scope="module")
def speech() -> Speech:
    from tests.spoken import say

    pause = np.zeros(round(PAUSE_S * RATE), np.float32)
    parts, places, at = [pause], [], len(pause)
    for sentence in SAID:
        spoken = say(sentence)
        places.append(slice(at - len(pause) // 2, at + len(spoken) + len(pause) // 2))
        parts += [spoken, pause]
        at += len(spoken) + len(pause)
    return Speech(np.concatenate([*parts, pause]), places)


def bare(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign.isalnum() or sign == " ")


@pytest.mark.models
@pytest.mark.parametrize(("trouble", "most_errors"), [(EVEN, 0.03), *zip(LEVELS, (0.05, 0.15, 0.3), strict=True)])
def test_speech_stays_understood(trouble: Trouble, most_errors: float, speech: Speech) -> None:
    from omni.packaged.recogniser import Recogniser

    recogniser = Recogniser()
    heard = carried(encode(speech.pcm), Network([(0, trouble)], seed=1))
    texts = []
    for place in speech.places:
        utterance = recogniser.open()
        utterance.add(heard.pcm[place])
        texts.append(utterance.transcribe())
    errors = float(jiwer.wer([bare(text) for text in SAID], [bare(text) for text in texts]))
    mean_ms, most_ms = (1000 * np.array(heard.delay_s)).mean(), 1000 * max(heard.delay_s)
    print(f"{trouble}: {errors:.1%} of words wrong; added delay {mean_ms:.0f} ms, at most {most_ms:.0f}")
    assert errors <= most_errors, texts
