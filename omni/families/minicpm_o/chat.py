"""MiniCPM-o 2.6 outside of a live stream: whole conversations in, one answer out, first written and then spoken.

As the released `chat` does it, but for these mends: a question that is too long is refused, not cut at its end, where
the question stands; "!" does not vanish from answers; many short sounds in one message do not run out of features; and
an answer that is too long to be spoken in one go is spoken in several.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import Tensor

from omni.audio.clips import cut_clips
from omni.audio.features import HOP_SAMPLES
from omni.families.minicpm_o.network import Network, Prompt, Vocabulary
from omni.nn.sampling import Draw, NoNumbersError, TextSampling, by_chance
from omni.speech.streaming import Synthesis
from omni.text import template
from omni.text.decoding import Decoding, decode
from omni.text.template import Language, Mode
from omni.text.tokenizer import TextStream
from omni.types import Pcm, Picture, Role, SpeechDelta, TextDelta, TurnEnd, Unit, Word

_PREFILL_TOKENS = 2048
"""of a prompt at a time: what attention needs grows with the square"""


@dataclass(frozen=True, slots=True)
class Spelled:
    """Words of the model's own prompts, in which special tokens are meant."""

    text: str


Part = str | Spelled | Picture | Pcm | Unit
"""Text of people, a picture [height, width, 3], sound [S] at Timing.input_rate, or a second of video"""


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """One message of a conversation."""

    role: Role
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the parts of messages lie together."""

    glue: str = "\n"
    max_slices: int | None = None
    """for each picture; None: the checkpoint's own maximum"""
    numbered: bool = True
    """pictures carry their number in the conversation, if the checkpoint was trained with numbers"""


VIDEO = Layout("", max_slices=1, numbered=False)
"""for units, as in a live stream"""


@dataclass(frozen=True, slots=True)
class Wish:
    """How an answer is to be given."""

    layout: Layout = Layout()
    sampling: TextSampling = field(default_factory=TextSampling)
    max_tokens: int = 2048
    speaks: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A conversation as the network takes it."""

    ids: Sequence[int]
    pictures: Sequence[Picture] = ()
    clips: Sequence[Pcm] = ()
    """all sound of one message is one clip"""


Delta = TextDelta | SpeechDelta | TurnEnd


def system_message(mode: Mode, language: Language, voice: Pcm | None) -> Message:
    """The message that sets the assistant up, in the role of the user, as in training.

    Args:
        mode: what for.
        language: of the instructions.
        voice: a few seconds of the voice to speak in [S] at Timing.input_rate; None: the model has one of its own.

    Raises:
        ValueError: voice cloning without a voice.
    """
    place = None if voice is None else template.PLACEHOLDER
    parts = template.system_prompt(mode, language, place)
    return Message("user", [voice if voice is not None and part == place else Spelled(part) for part in parts])


class Chat:
    """Answers whole conversations. Holds none: every question brings its own."""

    def __init__(self, network: Network, tokenizer: Vocabulary) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self._terminators = frozenset(map(tokenizer.token_id, template.TERMINATORS))

    def answer(self, conversation: Sequence[Message], wish: Wish, draw: Draw | None = None) -> Iterator[Delta]:
        """Answer a conversation, whose last message is the user's: text as it is written, then its sound.

        Args:
            conversation: of the user and the assistant in turns, perhaps behind a system message.
            wish: how.
            draw: chooses tokens and codes; see omni.nn.sampling. None: chance does.

        Raises:
            ValueError: the conversation is too long, or asks for what the checkpoint lacks.
        """
        synthesis = self.network.synthesis
        if wish.speaks and synthesis is None:
            raise ValueError("this checkpoint has no voice (init_tts is false): ask for text alone")
        if draw is None:
            generator = torch.Generator(self.network.device)
            generator.seed()
            draw = by_chance(generator)
        (row,) = self.open([self.spell(conversation, wish)], wish, draw)
        # Nothing behind the end of speech belongs to the answer, whatever the model goes on to write.
        row.terminators |= {self.tokenizer.token_id(template.SPEECH_END)}
        stream = TextStream(self.tokenizer)
        text = ""
        while not row.finished:
            for token in decode(self.network.llm, [row], 1)[0]:
                if piece := stream.push(token):
                    text += piece
                    yield TextDelta(piece)
        if row.broken:
            raise NoNumbersError("language model")
        yield TextDelta("", last=True)
        if wish.speaks and synthesis and row.state is not None and text.strip():
            yield from _spoken(synthesis, text, row.state[0], draw)
        yield TurnEnd("completed" if row.completed else "max_tokens", len(row.ids))

    def spell(self, conversation: Sequence[Message], wish: Wish) -> Question:
        """Turn a conversation into ids, and gather what is seen and heard in it. Raises ValueError as `answer` does."""
        gathered = _Gathered(self.network, wish.layout)
        messages = [(message.role, gathered.content(message)) for message in conversation]
        # The model was trained to answer what it hears with the template for speech, even when nobody listens.
        text = template.conversation(messages, speaks=wish.speaks or bool(gathered.clips))
        ids = self.tokenizer.encode(text)
        if len(ids) >= self._context:
            raise ValueError(
                f"the question takes {len(ids)} tokens, and the model has room for {self._context}: give it less to "
                "read, fewer pictures, or a shorter piece of sound or video"
            )
        return Question(ids, gathered.pictures, gathered.padded_clips())

    @torch.inference_mode()
    def open(self, questions: Sequence[Question], wish: Wish, draw: Draw) -> list[Decoding]:
        """Take questions in, all as one batch.

        Clips that are shorter than the longest hear the padding (see AudioEncoder), as in the original.

        Returns:
            for each the answer that can now be drawn by `decode`. For an answer in the template for speech, its
            first state is that at the speaker token.
        """
        network = self.network
        heard = iter(network.hear_clips([clip for question in questions for clip in question.clips]))
        rows = []
        inputs: list[Tensor] = []
        for question in questions:
            images = [image for views in network.see(question.pictures, wish.layout.max_slices) for image in views]
            prompt = Prompt(question.ids, images, [next(heard) for _ in question.clips])
            speaker = network.markers.find(question.ids).speaker
            last = len(question.ids) - 1 if speaker is None else speaker
            inputs.append(network.embed(prompt)[:last])
            rows.append(
                Decoding(
                    cache=network.llm.model.new_cache(len(question.ids)),
                    unfed=list(question.ids[last:]),
                    sampling=wish.sampling,
                    draw=draw,
                    terminators=self._terminators,
                    limit=min(wish.max_tokens, self._context - len(question.ids)),
                    by_bursts=False,
                )
            )
        for start in range(0, max(map(len, inputs), default=0), _PREFILL_TOKENS):
            pieces = [row[start : start + _PREFILL_TOKENS] for row in inputs]
            network.llm.read(pieces, [row.cache for row in rows])
        return rows

    @property
    def _context(self) -> int:
        return self.network.config.llm.max_position_embeddings


@dataclass(slots=True)
class _Gathered:
    """What is seen and heard in a conversation, in order, while its messages are being spelled."""

    network: Network
    layout: Layout
    pictures: list[Picture] = field(default_factory=list)
    clips: list[Pcm] = field(default_factory=list)
    n_audio_tokens: int = 0

    def content(self, message: Message) -> str:
        """The text of a message, with placeholders."""
        sounds: list[Pcm] = []
        texts = [self._spelled(part, sounds) for part in message.parts]
        if sounds:
            self.clips.append(np.concatenate(sounds))
        return self.layout.glue.join(texts)

    def padded_clips(self) -> list[Pcm]:
        """The clips, with enough silence behind the last one for all placeholders.

        Features are counted for each sound, but made of whole clips, and rounding many times may come to more than
        rounding once. The original fails then.
        """
        hearing = self.network.hearing
        if not (hearing and self.clips):
            return self.clips
        n_features = sum(hearing.n_tokens(len(piece)) for clip in self.clips for piece in cut_clips(clip))
        n_missing = max(0, self.n_audio_tokens - n_features)
        silence = np.zeros(n_missing * 2 * hearing.projector.pool_step * HOP_SAMPLES, np.float32)
        return [*self.clips[:-1], np.concatenate([self.clips[-1], silence])]

    def _spelled(self, part: Part, sounds: list[Pcm]) -> str:
        match part:
            case str():
                return template.as_text(part)
            case Spelled(text):
                return text
            case Unit(audio=audio, image=image):
                seen = "" if image is None else self._picture(image)
                return template.unit(seen, "" if audio is None else self._sound(audio, sounds))
            case _ if part.ndim == 3:
                return self._picture(cast(Picture, part))
            case _:
                return self._sound(cast(Pcm, part), sounds)

    def _picture(self, picture: Picture) -> str:
        numbered = self.layout.numbered and self.network.config.use_image_id
        number = len(self.pictures) if numbered else None
        self.pictures.append(picture)
        height, width, _ = picture.shape
        return self.network.image_text((width, height), self.layout.max_slices, number)

    def _sound(self, sound: Pcm, sounds: list[Pcm]) -> str:
        text = self.network.sound_text(len(sound))
        self.n_audio_tokens += text.count(template.PLACEHOLDER)
        sounds.append(sound)
        return text


def _spoken(synthesis: Synthesis, text: str, hidden: Tensor, draw: Draw) -> Iterator[SpeechDelta]:
    """The sound of an answer: in one go where a segment of the talker has room for it, otherwise piece by piece."""
    if len(synthesis.tokenizer.encode(text)) < synthesis.talker.config.streaming_text_reserved_len:
        yield SpeechDelta(synthesis.speak(text, hidden, draw), (Word(text, 0.0),))
        return
    state = synthesis.open(hidden, draw)
    synthesis.push(state, text)
    synthesis.end(state)
    while not state.finished:
        for piece in synthesis.step([state])[0]:
            yield SpeechDelta(piece.pcm, (Word(piece.text, 0.0),))
    if state.talker.broken:
        raise NoNumbersError("talker")
