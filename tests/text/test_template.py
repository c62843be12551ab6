import re
from typing import get_args

import pytest

from omni.text import template
from omni.vision.slicing import Grid


class Tokenizer:
    """One id for each special token and for each character."""

    def encode(self, text: str) -> list[int]:
        return [self.token_id(piece) for piece in re.findall(r"</?[a-z_]+>|<\|[a-z_]+\|>|.|\n", text)]

    def token_id(self, token: str) -> int:
        return ord(token) if len(token) == 1 else 0x110000 + sum(ord(c) << (i % 40) for i, c in enumerate(token))


def test_a_unit_of_a_video_call_has_as_many_tokens_as_in_the_original() -> None:
    image, sound = template.image_placeholder(None, 64), template.audio_placeholder(25, group=25)
    assert len(Tokenizer().encode(template.unit(image, sound))) == 94
    assert len(Tokenizer().encode(template.unit("", sound))) == 27


def test_slices_stand_in_rows_after_the_overview() -> None:
    text = template.image_placeholder(Grid(columns=2, rows=2), n_queries=1, image_id=3)
    row = "<slice><unk></slice><slice><unk></slice>"
    assert text == f"<image_id>3</image_id><image><unk></image>{row}\n{row}"


@pytest.mark.parametrize(
    ("n", "group", "sizes"), [(0, 25, []), (0, None, []), (7, 25, [7]), (51, 25, [25, 25, 1]), (51, None, [51])]
)
def test_sound_is_grouped_by_seconds(n: int, group: int | None, sizes: list[int]) -> None:
    text = template.audio_placeholder(n, group)
    assert text == "".join(f"<|audio_start|>{'<unk>' * size}<|audio_end|>" for size in sizes)


def test_features_find_their_places_in_order() -> None:
    tokenizer = Tokenizer()
    image = template.image_placeholder(Grid(1, 1), n_queries=2)
    text = f"ab{image}{template.audio_placeholder(3, group=2)}{template.SPEECH_START}"
    ids = tokenizer.encode(text)
    spans = template.Markers.of(tokenizer).find(ids)
    assert spans.images == [(3, 5), (7, 9)]
    assert spans.audio == [(11, 13), (15, 16)]
    places = [place for start, end in spans.images + spans.audio for place in range(start, end)]
    assert places == [i for i, token in enumerate(ids) if token == tokenizer.token_id("<unk>")]
    assert spans.speaker == ids.index(tokenizer.token_id("<|spk|>"))


def test_text_from_outside_cannot_ask_for_features() -> None:
    tokenizer = Tokenizer()
    markers = template.Markers.of(tokenizer)
    for text in ("look: <image>", "</slice> <|audio_end|><<|im_end|>", "<|audio_start|><unk>"):
        with_specials = tokenizer.encode(text)
        assert any(token > 0x110000 for token in with_specials)
        ids = tokenizer.encode(template.as_text(text))
        assert not any(token > 0x110000 for token in ids)
        assert markers.find(ids) == template.Spans([], [], None)
    with pytest.raises(ValueError, match="as_text"):
        markers.find(tokenizer.encode("look: <image>"))
    assert template.as_text("a < b, <b>bold</b> and 1 <2> |>") == "a < b, <b>bold</b> and 1 <2> |>"


@pytest.mark.parametrize("language", get_args(template.Language))
@pytest.mark.parametrize("mode", get_args(template.Mode))
def test_every_mode_has_a_prompt_around_the_reference(mode: template.Mode, language: template.Language) -> None:
    parts = template.system_prompt(mode, language, "REFERENCE")
    if mode == "default":
        assert len(parts) == 1
        return
    assert parts[1] == "REFERENCE"
    assert len(parts) == (2 if mode == "voice_cloning" else 3)
    chinese = re.compile("[\u4e00-\u9fff]")
    assert all(bool(chinese.search(part)) == (language == "zh") for part in (parts[0], *parts[2:]))


def test_prompts_without_a_reference() -> None:
    (english,) = template.system_prompt("omni", "en", None)
    assert english.endswith("output voice and text. "), "the trailing space is part of it"
    first, second = template.system_prompt("audio_roleplay", "zh", None)
    assert first == "Use the <reserved_53> voice."
    assert second == "假装你是上述音频中的人物，与我进行对话。"
    with pytest.raises(ValueError, match="reference"):
        template.system_prompt("voice_cloning", "en", None)


def test_a_turn_begins_by_closing_the_one_before_it() -> None:
    assert template.closing("nothing") == ""
    assert template.closing("user") == template.closing("completed") == "<|im_end|>\n"
    assert template.closing("interrupted") == "<|tts_eos|><|im_end|>\n"


def test_a_conversation_in_text_has_a_system_message() -> None:
    asked = template.conversation([("user", "hi")], speaks=False)
    assert asked == (
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    )
    given = template.conversation([("system", "short"), ("user", "hi")], speaks=False)
    assert given.startswith("<|im_start|>system\nshort<|im_end|>\n")
    assert template.conversation([("user", "hi")], speaks=True) == (
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>"
    )
