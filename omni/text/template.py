"""How MiniCPM-o 2.6 spells a conversation: placeholders, units, turns and prompts, as text for its tokenizer.

Pure functions. A prompt is spelled whole and then tokenized in one go, as in training: the tokenizer finds the
special tokens in the text. Text from outside therefore goes through `as_text` first.
"""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from omni.types import Role
from omni.vision.slicing import Grid

Mode = Literal["omni", "audio_assistant", "audio_roleplay", "voice_cloning", "default"]
"""What the system prompt sets up; "default" is a plain assistant without a voice to imitate"""

Language = Literal["zh", "en"]

Standing = Literal["nothing", "user", "completed", "interrupted"]
"""What stands open at the end of a context: nothing, the user's turn, or the assistant's, which was written to its
end or was not ("interrupted" covers a reply cut at its limit of tokens)"""

Span = tuple[int, int]
"""[start, end) in a list of ids"""

PLACEHOLDER = "<unk>"
"""stands where a feature vector will"""

ANSWER_START = "<|im_start|>assistant\n"
"""opens an answer that is not spoken"""

SPEECH_START = f"{ANSWER_START}<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>"
"""opens an answer that is spoken; the state at <|spk|> becomes the talker's speaker vector"""

TURN_START = "<|im_start|>"

TERMINATORS = ("<|im_end|>", "<|endoftext|>")
"""tokens that end an answer"""

SPEECH_END = "<|tts_eos|>"
"""what the model writes between the last word of a spoken answer and the terminator"""

_TEXT_ONLY_SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
"""what the language model's own template begins with when nobody gives a system message"""

_NAMES = "image|image_id|slice|unit|unk|ref|box|quad|point|asr|query|tool_call|reserved_[0-9]+"
_SPECIAL = re.compile(rf"<(?=\|[a-z_]+\|>|/?(?:{_NAMES})>)")


class Tokenizer(Protocol):
    """What a template asks of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text; special tokens in it are recognised, and none is added."""
        ...

    def token_id(self, token: str) -> int:
        """The id of one special token."""
        ...


def as_text(text: str) -> str:
    """Text from outside, in which nothing that looks like a special token is one: an invisible space breaks it up.

    Without this a typed "<image>" would ask for features that nobody has.
    """
    return _SPECIAL.sub("<\N{ZERO WIDTH SPACE}", text)


def image_placeholder(grid: Grid | None, n_queries: int, image_id: int | None = None) -> str:
    """Where the vectors of a picture go: its overview, then its slices row by row.

    Args:
        grid: of the plan by which the picture was sliced.
        n_queries: vectors for the overview and for each slice.
        image_id: number of the picture in its conversation, from 0; None (in a live stream) leaves it out.
    """
    vectors = PLACEHOLDER * n_queries
    numbered = "" if image_id is None else f"<image_id>{image_id}</image_id>"
    row = f"<slice>{vectors}</slice>" * (grid.columns if grid else 0)
    return f"{numbered}<image>{vectors}</image>" + "\n".join([row] * (grid.rows if grid else 0))


def audio_placeholder(n_tokens: int, group: int | None) -> str:
    """Where the vectors of a piece of sound go; nothing for a piece too short to have any.

    Args:
        n_tokens: of this piece, which may share its clip with others.
        group: vectors between one pair of markers, those of a second; None: all of them.
    """
    sizes = _groups(n_tokens, group or n_tokens) if n_tokens else ()
    return "".join(f"<|audio_start|>{PLACEHOLDER * size}<|audio_end|>" for size in sizes)


def unit(image: str, audio: str) -> str:
    """One second of a live stream, from its placeholders. Without a picture it is the sound alone."""
    return f"<unit>{image}{audio}" if image else audio


def message(role: Role, content: str) -> str:
    """One whole message. The system prompt of a live stream is one, in the role of the user."""
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


def closing(standing: Standing) -> str:
    """What closes the turn that stands open."""
    # After a whole answer the context already holds its end of speech, but not the terminator, which is never fed.
    whole = "<|im_end|>\n"
    return {"nothing": "", "user": whole, "completed": whole, "interrupted": SPEECH_END + whole}[standing]


USER_START = "<|im_start|>user\n"
"""opens a user's turn that is streamed; it comes after `closing`"""


def conversation(messages: Sequence[tuple[Role, str]], *, speaks: bool) -> str:
    """A whole conversation that asks for an answer, outside of a live stream.

    Args:
        messages: roles and contents; placeholders and texts of a content are already joined.
        speaks: with the template for speech, which sound in the conversation requires as well; otherwise with the
            language model's own, which adds a system message where there is none.
    """
    if not speaks and messages[0][0] != "system":
        messages = [("system", _TEXT_ONLY_SYSTEM), *messages]
    return "".join(message(*each) for each in messages) + (SPEECH_START if speaks else ANSWER_START)


def system_prompt(mode: Mode, language: Language, reference: str | None) -> list[str]:
    """The prompt that sets up a session, in parts, to be joined as the other contents are.

    Args:
        mode: what for.
        language: of the instructions.
        reference: placeholder of the sound whose voice the assistant takes; None: it has a voice of its own.

    Raises:
        ValueError: voice cloning without a reference.
    """
    if mode == "default":
        return ["You are a helpful assistant. You can accept audio and text input and output voice and text."]
    before, after = _PROMPTS[mode, language]
    if reference is not None:
        return [before, reference, *after]
    if mode == "omni":
        return [_OMNI_WITHOUT_VOICE[language]]
    if mode == "voice_cloning":
        raise ValueError("voice cloning needs a reference: a few seconds of the voice to clone")
    return ["Use the <reserved_53> voice.", *after]


# The checkpoint was trained on these sentences to the letter, trailing space included.
_IMITATE = {"zh": "模仿输入音频中的声音特征。", "en": "Clone the voice in the provided audio prompt."}
_OMNI_WITHOUT_VOICE = {
    "zh": "你是一个AI助手。你能接受视频，音频和文本输入并输出语音和文本。",
    "en": "You are a helpful assistant. You can accept video, audio and text input and output voice and text. ",
}
_PROMPTS: dict[tuple[Mode, Language], tuple[str, tuple[str, ...]]] = {
    ("omni", "zh"): (_OMNI_WITHOUT_VOICE["zh"] + _IMITATE["zh"], ("作为助手，你将使用这种声音风格说话。",)),
    ("omni", "en"): (
        _OMNI_WITHOUT_VOICE["en"] + _IMITATE["en"],
        ("As an assistant, you will speak using this voice style.",),
    ),
    ("audio_assistant", "zh"): (_IMITATE["zh"], ("作为助手，你将使用这种声音风格说话。",)),
    ("audio_assistant", "en"): (
        "Use the voice in the audio prompt to synthesize new content.",
        ("You are a helpful assistant with the above voice style.",),
    ),
    ("audio_roleplay", "zh"): (_IMITATE["zh"], ("假装你是上述音频中的人物，与我进行对话。",)),
    ("audio_roleplay", "en"): (
        _IMITATE["en"],
        ("Try to role-play the character based on the audio prompt above.",),
    ),
    ("voice_cloning", "zh"): (_IMITATE["zh"], ()),
    ("voice_cloning", "en"): (_IMITATE["en"], ()),
}


@dataclass(frozen=True, slots=True)
class Spans:
    """Where features belong in a tokenized prompt."""

    images: list[Span]
    """one for each overview and slice, in the order of the strips"""
    audio: list[Span]
    """one for each group; together they take the vectors of all clips in order"""
    speaker: int | None
    """place of the last <|spk|>"""


@dataclass(frozen=True, slots=True)
class Markers:
    """Ids of the tokens around placeholders."""

    image_starts: frozenset[int]
    image_ends: frozenset[int]
    audio_start: int
    audio_end: int
    speaker: int

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """Look them up once for a tokenizer."""
        token_id = tokenizer.token_id
        return cls(
            image_starts=frozenset(map(token_id, ("<image>", "<slice>"))),
            image_ends=frozenset(map(token_id, ("</image>", "</slice>"))),
            audio_start=token_id("<|audio_start|>"),
            audio_end=token_id("<|audio_end|>"),
            speaker=token_id("<|spk|>"),
        )

    def find(self, ids: Sequence[int]) -> Spans:
        """Find the places of features.

        Raises:
            ValueError: a marker has no partner; text from outside was not passed through as_text().
        """
        speakers = [place for place, token in enumerate(ids) if token == self.speaker]
        return Spans(
            images=_between(ids, self.image_starts, self.image_ends),
            audio=_between(ids, {self.audio_start}, {self.audio_end}),
            speaker=speakers[-1] if speakers else None,
        )


def _between(ids: Sequence[int], starts: Container[int], ends: Container[int]) -> list[Span]:
    first = [place + 1 for place, token in enumerate(ids) if token in starts]
    last = [place for place, token in enumerate(ids) if token in ends]
    if len(first) != len(last) or any(start > end for start, end in zip(first, last, strict=True)):
        raise ValueError("the prompt has a marker without its partner; pass text from outside through as_text()")
    return list(zip(first, last, strict=True))


def _groups(total: int, size: int) -> list[int]:
    return [min(size, total - start) for start in range(0, total, size)]
