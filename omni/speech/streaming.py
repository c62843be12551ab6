"""Speech while the text is still being written: bursts of text in, pieces of sound with their captions out.

Follows the released streaming loop, with these differences, each of which `as_released` takes back:
- A piece is sent up to its last 2048 samples; the loop holds back whole pieces from the second one on.
- At a new segment the sound is cross-faded like everywhere; the loop repeats 2048 samples there.
- A call waits for the text that its frames may see, no more and no less; the loop asks for ten more tokens with
  every call, and in a new segment begins again at ten, so that frames there see empty slots.
And these, which change nothing where the loop is right:
- Text behind the division of a long answer is spoken even if nothing follows it; the loop forgets it.
- Text beyond the slots that a segment has is moved to another segment; the loop cuts it off.
- Text whose last word is read differently once more of it is known is put right in the talker's memory.
- A number that bursts cut in two keeps the space between its words (see spelling.py).
- Where nothing is to be said, nothing is said.

What stays as released, because it decides which tokens the talker reads: digits and asterisks of the first burst are
not converted, the language is judged on the first three bursts, and long text is divided by the burst. Once the talker
has ended a segment of its own accord, text that was not divided off stays unspoken.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from omni.nn.sampling import Draw, NoNumbersError
from omni.speech.codec import FRAMES_PER_STEP
from omni.speech.spelling import Language, language_of, sentence_end, spelled
from omni.speech.talker import FRAMES_PER_CALL, Talker, TalkerState
from omni.speech.vocoder import Vocoder, VocoderState
from omni.types import Pcm

_CONTEXT_FRAMES = 4
"""of every call are decoded again with the next one, and faded over"""
_CARRIED_TOKENS = 5
_CARRIED_FRAMES = 50
_LONGEST_SPEECH = 2048
"""frames of one segment; a talker that has not ended by then has lost its way"""
_TOKENS_KEPT_FREE = 180
"""a segment is divided once no more text slots than these are left"""
_JUDGED_BURSTS = 3
# Up to a hundred characters that end with a word, or else a hundred characters: hardly ever more tokens than that, so
# a segment that is not full yet has room for one.
_PART = re.compile(r".{1,100}(?!\S)|.{1,100}", re.DOTALL)


class TalkerTokenizer(Protocol):
    """The talker's own vocabulary."""

    @property
    def start_id(self) -> int:
        """Of [Stts]."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of text, without any marker added."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A piece of sound, and what was written since the piece before it."""

    pcm: Pcm
    """[S] at Timing.output_rate"""
    text: str
    """as the language model wrote it, ahead of the sound rather than along with it"""


@dataclass(frozen=True, slots=True)
class Burst:
    """Spelled text that is added to a segment in one go."""

    text: str
    sentence_end: int | None
    """index in text where a long segment may end"""

    def halves(self) -> "list[Burst]":
        """Itself in two, between words if it can be."""
        space = self.text.rfind(" ", 1, len(self.text) // 2 + 1)
        cut = space if space > 0 else len(self.text) // 2
        end = self.sentence_end
        if end is None or end <= cut:
            return [Burst(self.text[:cut], end), Burst(self.text[cut:], None)]
        return [Burst(self.text[:cut], None), Burst(self.text[cut:], end - cut)]


@dataclass(slots=True)
class SpeechState:
    """One answer being spoken."""

    talker: TalkerState
    vocoder: VocoderState
    draw: Draw
    """of the talker's codes; shared by clones"""
    text: str = ""
    """of this segment, spelled out"""
    ids: list[int] = field(default_factory=list)
    """of the text"""
    carried: str = ""
    """what of the text the segment before has spoken"""
    waiting: list[Burst] = field(default_factory=list)
    """for the next segment"""
    divided: bool = False
    """this segment's text is complete, and another segment follows"""
    ended: bool = False
    """no more text comes"""
    finished: bool = False
    """no more sound comes"""
    caption: str = ""
    """written since the last piece"""
    written: str = ""
    """the whole answer so far"""
    n_bursts: int = 0
    language: Language = "en"
    n_calls: int = 0
    """of the talker in this segment"""
    n_decoded: int = 0
    """frames of this segment that have become sound, or that the segment before has spoken"""

    @property
    def has_words(self) -> bool:
        """Whether this segment has anything to say."""
        return bool(self.text[len(self.carried) :].strip())

    def kept(self) -> "SpeechState":
        """An equal state over the same cache, which takes the place of this one if its next step fails."""
        talker = self.talker.over_the_same()
        return replace(
            self, talker=talker, vocoder=self.vocoder.clone(), ids=list(self.ids), waiting=list(self.waiting)
        )

    def clone(self) -> "SpeechState":
        """An equal state that shares nothing but the draw."""
        return replace(
            self,
            talker=self.talker.clone(),
            vocoder=self.vocoder.clone(),
            ids=list(self.ids),
            waiting=list(self.waiting),
        )


@dataclass(frozen=True, slots=True)
class Synthesis:
    """Talker, codec and vocoder together. Holds weights alone: an answer's memory is its SpeechState."""

    talker: Talker
    vocoder: Vocoder
    tokenizer: TalkerTokenizer
    as_released: bool = False
    """cut and repeat sound exactly as the released loop does, to compare with it"""

    @torch.inference_mode()
    def open(self, hidden: Tensor, draw: Draw) -> SpeechState:
        """Begin to speak an answer.

        Args:
            hidden: [llm_dim], the language model's final state at its speaker token.
            draw: chooses the codes; see omni.nn.sampling.
        """
        overlap = _CONTEXT_FRAMES * FRAMES_PER_STEP * self.vocoder.config.hop_length
        return SpeechState(self.talker.open(hidden), VocoderState(overlap, self.as_released), draw)

    def push(self, state: SpeechState, text: str) -> None:
        """Take more of the answer, a burst of the language model at a time.

        Text that comes after the talker has finished is ignored.

        Raises:
            ValueError: the text was said to have ended.
        """
        if state.ended:
            raise ValueError("this answer's text has ended; open another one")
        if state.finished:
            return
        first, before = state.n_bursts == 0, state.written
        state.n_bursts += 1
        state.written += text
        state.caption += text
        if not first and state.n_bursts <= _JUDGED_BURSTS:
            state.language = language_of(state.written)
        for part in _PART.findall(text):
            if first:
                state.waiting.append(Burst(part, sentence_end(part)))
            else:
                end = sentence_end(part)
                index = None if end is None else len(spelled(part[:end], state.language, before))
                state.waiting.append(Burst(spelled(part, state.language, before), index))
            before = part
        self._take(state)

    def end(self, state: SpeechState) -> None:
        """No more text comes."""
        state.ended = True

    def ready(self, state: SpeechState) -> bool:
        """Whether `step` gets further with what was written so far."""
        enough = state.has_words and len(state.ids) >= self._n_needed(state)
        return not state.finished and (enough or self._complete(state))

    @torch.inference_mode()
    def step(self, states: Sequence[SpeechState]) -> list[list[Piece]]:
        """Speak on: one call of the talker for all states that are ready, as one batch, and its sound.

        Returns:
            the pieces of each state; none if it was not ready, or its talker is broken, which finishes it.
        """
        ready = [state for state in states if self.ready(state)]
        speaking = [state for state in ready if state.has_words]
        for state in speaking:
            self._prefill(state)
            state.n_calls += 1
        self.talker.generate([state.talker for state in speaking], [state.draw for state in speaking])
        pieces: dict[int, list[Piece]] = {}
        for state in ready:
            spoken = pieces[id(state)] = []
            if state.talker.broken:
                state.finished = True
                continue
            if len(state.talker.frames) > state.n_decoded:
                spoken.append(self._piece(state, state.vocoder.push(self._decode(state))))
            if state.talker.finished or len(state.talker.frames) > _LONGEST_SPEECH or not state.has_words:
                spoken += self._close_segment(state)
        return [pieces.get(id(state), []) for state in states]

    @torch.inference_mode()
    def speak(self, text: str, hidden: Tensor, draw: Draw) -> Pcm:
        """Speak text that is known from the beginning, decoded in one go; nothing of it is spelled out.

        Args:
            text: no longer than one segment takes.
            hidden: as in `open`.
            draw: as in `open`.

        Raises:
            ValueError: the text is longer; `push` has no limit.
            NoNumbersError: of the network.
        """
        ids = self.tokenizer.encode(text)
        config = self.talker.config
        if len(ids) >= config.streaming_text_reserved_len:
            raise ValueError(f"{len(ids)} tokens are too long to be spoken in one go; push the text and step instead")
        state = self.talker.open(hidden)
        state.n_text = len(ids)
        self.talker.prefill_text(state, [*self._opening, *ids, config.text_eos_token_id])
        while not state.finished and len(state.frames) <= _LONGEST_SPEECH:
            self.talker.generate([state], [draw])
        if state.broken:
            raise NoNumbersError("talker")
        mel = self.talker.dvae(torch.stack(state.frames, -1).unsqueeze(0))
        return _pcm(self.vocoder(mel.float())[0])

    @property
    def _opening(self) -> list[int]:
        return [self.tokenizer.start_id, self.talker.config.spk_emb_token_id]

    def _complete(self, state: SpeechState) -> bool:
        return state.ended or state.divided

    def _n_needed(self, state: SpeechState) -> int:
        """Text tokens that the next call takes in, as long as more may follow them."""
        if self.as_released:
            return self.talker.config.streaming_text_chunk_size * (state.n_calls + 1)
        last = self.talker.bos_slot + len(state.talker.frames) + FRAMES_PER_CALL - 1
        return self.talker.visible_text(last)

    def _take(self, state: SpeechState) -> None:
        """Move waiting text into the segment until it is long enough to be divided."""
        reserved = self.talker.config.streaming_text_reserved_len
        while state.waiting and not state.divided:
            burst = state.waiting.pop(0)
            ids = self.tokenizer.encode(state.text + burst.text)
            if len(ids) >= reserved and not state.has_words and len(burst.text) > 1:
                # A hundred digits are many more words: too long for any segment, so another one would not help.
                state.waiting[:0] = burst.halves()
            elif len(ids) >= reserved:
                state.waiting.insert(0, burst)
                state.divided = True
            elif len(ids) >= reserved - _TOKENS_KEPT_FREE and burst.sentence_end is not None:
                state.waiting.insert(0, Burst(burst.text[burst.sentence_end :], None))
                state.text += burst.text[: burst.sentence_end]
                state.ids = self.tokenizer.encode(state.text)
                state.divided = True
            else:
                state.text += burst.text
                state.ids = ids

    def _prefill(self, state: SpeechState) -> None:
        ids = [*self._opening, *state.ids]
        if self._complete(state):
            ids.append(self.talker.config.text_eos_token_id)
        else:
            del ids[len(self._opening) + self._n_needed(state) :]
        state.talker.n_text = len(state.ids)
        self.talker.prefill_text(state.talker, ids)

    def _decode(self, state: SpeechState) -> Tensor:
        """The waveform [S] of the frames that have not become sound yet, and of those before them to be faded over."""
        start = max(state.n_decoded - _CONTEXT_FRAMES, 0)
        state.n_decoded = len(state.talker.frames)
        mel = self.talker.dvae(torch.stack(state.talker.frames[start:], -1).unsqueeze(0))
        waveform: Tensor = self.vocoder(mel.float())[0]
        return waveform

    def _piece(self, state: SpeechState, waveform: Tensor) -> Piece:
        caption, state.caption = state.caption, ""
        return Piece(_pcm(waveform), caption)

    def _close_segment(self, state: SpeechState) -> list[Piece]:
        """Go on with the next segment, or finish."""
        state.finished = not state.divided
        flushed = state.finished or self.as_released
        pieces = [self._piece(state, state.vocoder.flush())] if flushed and state.vocoder.held is not None else []
        if state.divided:
            ids = state.ids[-_CARRIED_TOKENS:]
            state.talker = self.talker.carry_over(state.talker, [*self._opening, *ids], _CARRIED_FRAMES)
            state.text = state.carried = self.tokenizer.decode(ids)
            state.ids = self.tokenizer.encode(state.text)
            state.n_decoded = len(state.talker.frames)
            state.n_calls = 0
            state.divided = False
            self._take(state)
        return pieces


def _pcm(waveform: Tensor) -> Pcm:
    pcm: Pcm = waveform.float().cpu().numpy()
    return pcm
