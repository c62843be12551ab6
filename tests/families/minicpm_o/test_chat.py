"""MiniCPM-o outside of a live stream, with the tiny checkpoint; the numbers are tests/parity/test_chats.py's matter."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from omni.checkpoint import find
from omni.families.minicpm_o import chat as minicpm_o_chat
from omni.families.minicpm_o.chat import VIDEO, Chat, Layout, Message, Wish, system_message
from omni.families.minicpm_o.network import load_network
from omni.nn.sampling import Draw, by_chance, greedy
from omni.text.decoding import decode
from omni.types import Pcm, Picture, SpeechDelta, TextDelta, TurnEnd, Unit

RATE = 16_000
QUESTION = [Message("user", ["what do you see?"])]


class Overheard:
    """A tokenizer that remembers what it was asked."""

    def __init__(self, chat: Chat) -> None:
        self._tokenizer = chat.tokenizer
        self.texts: list[str] = []

    def encode(self, text: str) -> list[int]:
        self.texts.append(text.replace("<unk>", "."))
        return self._tokenizer.encode(text)

    def token_id(self, token: str) -> int:
        return self._tokenizer.token_id(token)

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids)


@pytest.fixture(scope="module")
def chat(tiny_folder: Path) -> Chat:
    return Chat(*load_network(find(str(tiny_folder)), "cpu"))


def spelled(chat: Chat, conversation: Sequence[Message], wish: Wish | None = None) -> str:
    """The text of a prompt, with a point for each placeholder."""
    tokenizer = Overheard(chat)
    Chat(chat.network, tokenizer).spell(conversation, wish or Wish())
    return tokenizer.texts[-1]


def noise(seconds: float) -> Pcm:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def picture(width: int, height: int) -> Picture:
    return np.full((height, width, 3), 90, np.uint8)


def by_lot() -> Draw:
    generator = torch.Generator().manual_seed(1)
    return by_chance(generator)


def test_text_comes_while_it_is_written_and_sound_after_it(chat: Chat) -> None:
    draw, drawn = by_lot(), []

    def counted(probabilities: Tensor) -> Tensor:
        drawn.append(probabilities.dim())
        return draw(probabilities)

    deltas: list[object] = []
    counts: list[int] = []
    for delta in chat.answer(QUESTION, Wish(speaks=True), counted):
        deltas.append(delta)
        counts.append(len(drawn))
    kinds = [type(delta).__name__ for delta in deltas]
    n_texts = kinds.count("TextDelta")
    assert kinds == ["TextDelta"] * n_texts + ["SpeechDelta", "TurnEnd"]
    assert n_texts > 3
    assert counts[0] < counts[n_texts - 1] / 2
    assert isinstance(speech := deltas[-2], SpeechDelta)
    assert len(speech.pcm) > 0
    assert speech.words[0].text == "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def test_an_answer_that_is_cut_says_so(chat: Chat) -> None:
    *texts, end = chat.answer(QUESTION, Wish(max_tokens=2), by_lot())
    assert end == TurnEnd("max_tokens", 2)
    assert all(isinstance(delta, TextDelta) for delta in texts)


def test_long_text_is_spoken_in_several_pieces(chat: Chat) -> None:
    synthesis = chat.network.synthesis
    assert synthesis is not None
    hidden = torch.zeros(chat.network.config.llm.hidden_size)
    text = "A doctor paints a market. " * 60
    pieces = list(islice(minicpm_o_chat._spoken(synthesis, text, hidden, by_lot()), 3))
    assert all(len(piece.pcm) for piece in pieces)
    assert pieces[0].words[0].text.startswith("A doctor paints a market.")


def test_pictures_are_counted_through_the_conversation(chat: Chat) -> None:
    conversation = [
        Message("user", [picture(100, 100), "one"]),
        Message("assistant", ["I see."]),
        Message("user", [picture(900, 440), picture(100, 100), "and these?"]),
    ]
    seen = f"<image>{'.' * 64}</image>"
    slices = f"<slice>{'.' * 64}</slice>" * 2
    text = spelled(chat, conversation)
    assert f"user\n<image_id>0</image_id>{seen}\none<|im_end|>" in text
    assert f"user\n<image_id>1</image_id>{seen}{slices}\n<image_id>2</image_id>{seen}\nand these?<|im_end|>" in text
    assert "image_id" not in spelled(chat, conversation, Wish(Layout(numbered=False)))
    assert "slice" not in spelled(chat, conversation, Wish(Layout(max_slices=1)))


def test_a_checkpoint_may_know_no_numbers(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    question = [Message("user", [picture(60, 40)])]
    assert "<image_id>0</image_id><image>" in spelled(chat, question)
    monkeypatch.setattr(chat.network, "config", replace(chat.network.config, use_image_id=False))
    assert "<image_id>" not in spelled(chat, question)


def test_sound_or_the_wish_for_it_takes_the_template_for_speech(chat: Chat) -> None:
    written = spelled(chat, QUESTION)
    assert written.startswith("<|im_start|>system\nYou are Qwen")
    assert written.endswith("<|im_start|>assistant\n")
    for text in (
        spelled(chat, QUESTION, Wish(speaks=True)),
        spelled(chat, [Message("user", [noise(1), "what do you see?"])]),
    ):
        assert text.startswith("<|im_start|>user\n")
        assert text.endswith("<|im_start|>assistant\n<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>")


def test_seconds_of_video_are_units_without_glue(chat: Chat) -> None:
    units = [Unit(noise(1), picture(64, 64)), Unit(noise(0.4), picture(64, 64)), Unit(None, picture(64, 64))]
    text = spelled(chat, [Message("user", [*units, "what?"])], Wish(VIDEO))
    seen, second = f"<unit><image>{'.' * 64}</image>", f"<|audio_start|>{'.' * 25}<|audio_end|>"
    assert f"{seen}{second}{seen}{second.replace('.' * 25, '.' * 10)}{seen}what?<|im_end|>" in text


def test_what_people_write_is_text_and_what_the_model_was_told_is_not(chat: Chat) -> None:
    assert "<image>" not in spelled(chat, [Message("user", ["I typed <image> here"])])
    text = spelled(chat, [system_message("audio_roleplay", "en", None), *QUESTION], Wish(speaks=True))
    assert "Use the <reserved_53> voice." in text


def test_a_voice_is_heard_between_the_sentences_of_the_system_prompt(chat: Chat) -> None:
    text = spelled(chat, [system_message("omni", "zh", noise(1)), *QUESTION])
    before, after = text.split(f"<|audio_start|>{'.' * 25}<|audio_end|>")
    assert before.endswith("模仿输入音频中的声音特征。\n")
    assert after.startswith("\n作为助手")
    with pytest.raises(ValueError, match="reference"):
        system_message("voice_cloning", "en", None)


def test_many_short_sounds_do_not_run_out_of_features(chat: Chat) -> None:
    """Each of these is rounded up to a feature more than it has when they are heard as one."""
    sounds = [noise(0.55) for _ in range(6)]
    question = chat.spell([Message("user", sounds)], Wish())
    (clip,) = question.clips
    assert len(clip) > sum(map(len, sounds))
    assert np.array_equal(clip[: sum(map(len, sounds))], np.concatenate(sounds))
    (row,) = chat.open([question], Wish(), greedy)
    assert row.cache.length > 6 * 13


def test_a_clip_that_is_longer_than_the_encoder_hears_is_cut(chat: Chat) -> None:
    (row,) = chat.open([chat.spell([Message("user", [noise(31)])], Wish())], Wish(), greedy)
    assert row.cache.length > 31 * 25


def test_a_question_that_is_too_long_is_refused(chat: Chat) -> None:
    with pytest.raises(ValueError, match=r"takes \d+ tokens.*room for 32768.*shorter"):
        next(chat.answer([Message("user", ["the dog sees a market " * 9_000])], Wish()))


def test_neither_company_nor_the_size_of_the_pieces_shows(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    wish = Wish(max_tokens=8)
    others = [Message("user", [picture(80, 80), "what is in this picture, and where does it stand?"])]
    questions = [chat.spell(QUESTION, wish), chat.spell(others, wish)]
    alone = chat.open(questions[:1], wish, greedy)
    decode(chat.network.llm, alone, 8)
    monkeypatch.setattr(minicpm_o_chat, "_PREFILL_TOKENS", 7)
    together = chat.open(questions, wish, greedy)
    decode(chat.network.llm, together, 8)
    assert together[0].ids == alone[0].ids
    assert len(together[1].ids) > 0
