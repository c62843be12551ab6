"""The streaming loop gives the golden pieces: captions and lengths exactly, sound and scores within rounding."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from omni.speech.streaming import Piece, Synthesis
from omni.speech.vocoder import VocoderState
from tests.parity import speaking
from tests.parity.golden import Golden, Record, assert_close

SCENARIOS = ("short", "medium", "end_inside_loop", "one_short_piece", "segment")
END = "<|tts_eos|>"


@pytest.fixture
def streamed(golden: Callable[[str], Golden]) -> Golden:
    return golden("streaming_speech")


def synthesis(golden: Callable[[str], Golden]) -> Synthesis:
    facts = golden("streaming_speech").facts
    tokenizer = speaking.ToyTokenizer(facts["tts_chars"], facts["tts_special"]["[Stts]"])
    talker = speaking.talker(golden("tts"))
    return Synthesis(talker, speaking.vocoder(golden("vocos")), tokenizer, as_released=True)


def drive(synthesis: Synthesis, bursts: Sequence[str], hidden: Tensor, draw: speaking.Forced) -> list[Piece]:
    """The order of the released loop: at most one call of the talker for every burst, a divided segment at once."""
    state = synthesis.open(hidden, draw)
    pieces: list[Piece] = []
    for index, burst in enumerate(bursts):
        synthesis.push(state, burst.split(END)[0])
        if state.divided:
            while state.divided:
                pieces += synthesis.step([state])[0]
        elif index and synthesis.ready(state):
            pieces += synthesis.step([state])[0]
    synthesis.end(state)
    while not state.finished:
        pieces += synthesis.step([state])[0]
    return pieces


def probe(synthesis: Synthesis) -> Tensor:
    assert isinstance(synthesis.talker, speaking.RecordedTalker)
    return torch.cat(synthesis.talker.scores)[:, :, ::79]


def calls(synthesis: Synthesis) -> list[speaking.Call]:
    assert isinstance(synthesis.talker, speaking.RecordedTalker)
    return synthesis.talker.calls


def logged_calls(log: Sequence[dict[str, Any]]) -> list[speaking.Call]:
    """The calls of a golden log, each with all the text that had been prefilled for it."""
    found: list[speaking.Call] = []
    ids: list[int] = []
    for entry in log:
        if entry["op"] == "prefill_text":
            ids = ids[: entry["begin"]] + entry["ids"]
        elif entry["op"] == "generate":
            n_text = entry["text_mask_visible"][0][1] - 2
            outcome = (entry["draws"], entry["finished"], entry["frames_so_far"])
            found.append(speaking.Call(entry["past"], ids, n_text, *outcome))
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, streamed: Golden, golden: Callable[[str], Golden], record_property: Record) -> None:
    expected, tensors = streamed.facts["expected"][name], streamed.tensors
    built = synthesis(golden)
    draw = speaking.Forced(tensors[f"in.{name}.frames"], built.talker.config.eos_token_id)
    bursts = streamed.facts["scenarios"][name]["bursts"]
    pieces = drive(built, bursts, tensors["in.speaker_hidden"][0], draw)

    assert [len(piece.pcm) for piece in pieces] == expected["piece_lengths"]
    assert [piece.text for piece in pieces] == expected["texts"]
    assert len(draw.probabilities) == expected["frames_drawn"]
    assert calls(built) == logged_calls(expected["log"])
    assert_close(probe(built), tensors[f"out.{name}.logits_probe"], 1e-4, record_property, "logits")
    for index, piece in enumerate(pieces):
        wanted = tensors[f"out.{name}.piece.{index}"]
        assert_close(torch.from_numpy(piece.pcm), wanted, 1e-5, record_property, f"piece {index}")


def test_text_known_from_the_beginning(
    streamed: Golden, golden: Callable[[str], Golden], record_property: Record
) -> None:
    tensors, built = streamed.tensors, synthesis(golden)
    draw = speaking.Forced(tensors["in.offline.frames"], built.talker.config.eos_token_id)
    mels: list[Tensor] = []
    built.talker.dvae.register_forward_hook(lambda _module, _inputs, mel: mels.append(mel[0]))
    text = streamed.facts["offline"]["text"].split("<|tts_bos|>")[-1].split(END)[0]
    pcm = built.speak(text, tensors["in.speaker_hidden"][0], draw)
    assert_close(probe(built), tensors["out.offline.logits_probe"], 1e-4, record_property, "logits")
    assert_close(mels[0], tensors["out.offline.mel"], 5e-5, record_property, "mel")
    assert_close(torch.from_numpy(pcm), tensors["out.offline.wav"], 1e-5, record_property, "wav")


def test_cross_fade(streamed: Golden, record_property: Record) -> None:
    for index, (n_before, n_after) in enumerate(streamed.facts["overlap_cases"]):
        before, after = (streamed.tensors[f"in.ola.{index}.{which}"] for which in ("prev", "next"))
        assert (len(before), len(after)) == (n_before, n_after)
        state = VocoderState(2048, whole=True, held=before)
        for which, part in (("emit", state.push(after)), ("rest", state.flush())):
            expected = streamed.tensors[f"out.ola.{index}.{which}"]
            assert_close(part, expected, 1e-5, record_property, f"{which} {index}")
