"""Speech and whole conversations over bad networks: understood, and no delay is left when the trouble is over."""

from collections.abc import Callable
from dataclasses import dataclass

import jiwer
import numpy as np
import pytest

from omni.audio.resample import Resampler
from omni.timing import Timing
from omni.types import Pcm
from streaming.events import Fault, ResponseEnded
from streaming.gateway.webrtc.player import OpusEncoder
from streaming.tdm.jitter import CEILING_S
from tests.chunks import Samples
from tests.streaming.impairments import EVEN, LEVELS, OUTAGE, PACKET_S, Network, Trouble, carried, encode, voiced
from tests.streaming.line import Line

RATE = Timing().input_rate
SAID = (
    "What is the capital of France?",
    "Turn off the lights in the kitchen.",
    "How long does it take to boil an egg?",
    "Which animal gives us milk, and what does it eat in winter?",
    "Could you please tell me what the weather is like in London today?",
)
PAUSE_S = 0.6


@pytest.fixture(scope="module")
def vowel() -> list[bytes]:
    """Twenty seconds of sound in packets."""
    return encode(voiced(20.0))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("trouble", [*LEVELS, Trouble(0.05, 0.2)], ids=str)
def test_no_delay_is_left_after_trouble(trouble: Trouble, seed: int, vowel: list[bytes]) -> None:
    heard = carried(vowel, Network([(0, EVEN), (5, trouble), (15, EVEN)], seed))
    delay_s = np.array(heard.delay_s)
    assert len(delay_s) == len(vowel)  # all that was said has its place
    assert delay_s[: round(4.9 / PACKET_S)].max() < 1e-6
    assert delay_s.max() < trouble.jitter_s + 0.1
    assert delay_s[round(15.5 / PACKET_S) :].max() < 0.04
    assert heard.jitter.n_restarts == 1
    assert heard.jitter.n_lost * PACKET_S / 10 < 2 * trouble.loss + 0.05


@pytest.mark.parametrize("seed", range(3))
def test_after_an_outage_everything_is_as_before(seed: int, vowel: list[bytes]) -> None:
    heard = carried(vowel, Network([(0, EVEN), (5, OUTAGE), (10, EVEN)], seed))
    delay_s = np.array(heard.delay_s)
    assert len(delay_s) == len(vowel)
    assert delay_s.max() < CEILING_S
    assert delay_s[round(10 / PACKET_S) :].max() < 0.04
    sound = heard.pcm[round(5.3 * RATE) : round(9.8 * RATE)]
    assert np.abs(sound).max() < 1e-6  # silence, and no noise drawn out
    assert np.abs(heard.pcm[round(10.1 * RATE) :]).max() > 0.1
    assert heard.jitter.n_lost == 250


# ---------------------------------------------------------------- conversations


def audible_seconds(pcm: Samples) -> set[int]:
    """Seconds of it in which something is heard."""
    return {at // RATE for at in range(0, len(pcm), RATE // 10) if np.abs(pcm[at : at + RATE // 10]).max() > 0.05}


@pytest.mark.parametrize("trouble", LEVELS, ids=str)
async def test_a_conversation_goes_on_through_trouble(trouble: Trouble) -> None:
    """Five questions, one every 5 s; the second and the third in trouble."""
    async with Line([(0, EVEN), (4.5, trouble), (15, EVEN)], seed=1) as line:
        for number in range(5):
            await line.speak(np.concatenate([voiced(1.0, number), np.zeros(4 * RATE, np.float32)]))
    ends = [event.status for event in line.events if isinstance(event, ResponseEnded)]
    assert ends == ["completed"] * 5
    assert not [event for event in line.events if isinstance(event, Fault)]
    assert {second // 5 for second in audible_seconds(np.concatenate(line.caller.heard))} == set(range(5))
    for end in (line.server, line.caller):
        assert len(end.delay_s) == len(line.server.delay_s)
        assert max(end.delay_s) < trouble.jitter_s + 0.1
        assert max(end.delay_s[round(16 / PACKET_S) :]) < max(end.delay_s[: round(4 / PACKET_S)]) + 0.04


async def test_a_conversation_goes_on_after_an_outage() -> None:
    """It begins in the middle of a question, and swallows the next."""
    async with Line([(0, EVEN), (5.6, OUTAGE), (10.6, EVEN)], seed=1) as line:
        for number in range(5):
            await line.speak(np.concatenate([voiced(1.0, number), np.zeros(4 * RATE, np.float32)]))
    ends = [event.status for event in line.events if isinstance(event, ResponseEnded)]
    assert ends == ["completed"] * 5  # of the third, the end was heard
    assert {second // 5 for second in audible_seconds(np.concatenate(line.caller.heard))} == {0, 2, 3, 4}
    for end in (line.server, line.caller):
        assert max(end.delay_s[round(11 / PACKET_S) :]) < 0.04


async def test_an_answer_whose_end_falls_into_an_outage_is_not_over() -> None:
    """It lasts for two seconds."""
    async with Line([(0, EVEN), (3.0, OUTAGE), (9.0, EVEN)], seed=1) as line:
        await line.speak(np.concatenate([voiced(1.0), np.zeros(7 * RATE, np.float32)]))
        assert 2 in audible_seconds(np.concatenate(line.caller.heard))
        assert not [event for event in line.events if isinstance(event, ResponseEnded)]
        await line.speak(np.zeros(2 * RATE, np.float32))
        assert [event.status for event in line.events if isinstance(event, ResponseEnded)] == ["completed"]


# ---------------------------------------------------------------- words


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


@pytest.fixture(scope="module")
def transcribe() -> Callable[[Pcm], str]:
    from omni.packaged.hearing.recogniser import Recogniser

    recogniser = Recogniser()

    def transcribe(pcm: Pcm) -> str:
        utterance = recogniser.open()
        utterance.add(pcm)
        return utterance.transcribe()

    return transcribe


def as_we_send(sound: Samples) -> list[bytes]:
    """Packets of the server's, which speaks at another rate."""
    rate = Timing().output_rate
    pcm = Resampler(RATE, rate).push(sound)
    encoder, n = OpusEncoder(rate), round(rate * PACKET_S)
    return [encoder.encode(pcm[begin : begin + n]) for begin in range(0, len(pcm) - n + 1, n)]


def bare(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign.isalnum() or sign == " ")


@pytest.mark.models
@pytest.mark.parametrize("way", ["to the server", "to the caller"])
@pytest.mark.parametrize(
    ("trouble", "most_errors"), [(EVEN, 0.03), *zip(LEVELS, (0.05, 0.15, 0.3), strict=True)], ids=str
)
def test_speech_stays_understood(
    trouble: Trouble, most_errors: float, way: str, speech: Speech, transcribe: Callable[[Pcm], str]
) -> None:
    packets = encode(speech.pcm) if way == "to the server" else as_we_send(speech.pcm)
    heard = carried(packets, Network([(0, trouble)], seed=1))
    texts = [transcribe(heard.pcm[place]) for place in speech.places]
    errors = float(jiwer.wer([bare(text) for text in SAID], [bare(text) for text in texts]))
    mean_ms, most_ms = 1000 * np.mean(heard.delay_s), 1000 * max(heard.delay_s)
    print(
        f"{way}, {trouble}: {errors:.1%} of words wrong; added delay {mean_ms:.0f} ms, at most {most_ms:.0f}; "
        f"{heard.jitter.n_lost} of {len(packets)} packets filled, {heard.jitter.n_late} of them late"
    )
    assert errors <= most_errors, texts
