"""The talker: text and a speaker vector to speech codes, frame by frame, while the text is still being written.

A causal decoder over a fixed layout, so that text may grow after speech has begun:

    slot 0        [Stts]
    slot 1        [spk_emb], in whose place stands the speaker vector
    slots 2 … 301 the text, then [Etts]; never filled slots are zeros and masked
    slot 302      [Ptts], which opens the speech and which nobody ever attends to
    slots 303 …   frames of K codes

Frames see the text in groups of ten tokens, one group more for every 50 frames: this is what makes the sound
independent of how far ahead the text was known. Module names are those of the released state dict below `tts.`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize

from omni.configs import TtsConfig
from omni.nn.cache import KvCache
from omni.nn.decoder import Decoder
from omni.nn.sampling import Draw, SpeechSampling, speech_probabilities
from omni.speech.codec import Codec

FRAMES_PER_CALL = 25
_MIN_FRAMES = 10
"""the end may not be drawn among the first frames of a call, however many came before"""
_FIRST_TEXT_SLOT = 2
_FIRST_FRAMES = 512
"""that a new cache has room for: eleven seconds"""


@dataclass(slots=True)
class TalkerState:
    """One segment of speech. Slots of text may be rewritten at any time; frames only follow one another."""

    speaker: Tensor
    """[D], of length 1"""
    cache: KvCache
    """grows with the frames: at full size a slot takes 120 KB, and most segments are short"""
    text: list[int] = field(default_factory=list)
    """ids in the slots from 0 on"""
    n_text: int = 0
    """text tokens that are known, without markers; not all need to be prefilled yet"""
    frames: list[Tensor] = field(default_factory=list)
    """[K] each, carried ones first"""
    finished: bool = False
    """the end was drawn"""
    broken: bool = False
    """no numbers were computed for it: nothing more can come of it"""

    def over_the_same(self) -> "TalkerState":
        """An equal state over the same cache: only one of the two may go on."""
        return replace(self, text=list(self.text), frames=list(self.frames))

    def clone(self) -> "TalkerState":
        """An equal state that shares nothing that changes."""
        return replace(self, cache=self.cache.clone(), text=list(self.text), frames=list(self.frames))


class Projector(nn.Module):
    """From the language model's width to the talker's."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(inputs, outputs)
        self.linear2 = nn.Linear(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] → [..., outputs]."""
        projected: Tensor = self.linear2(functional.relu(self.linear1(x)))
        return projected


class Talker(nn.Module):
    """Weights and pure computation; a segment's memory is its TalkerState.

    The codec belongs to it only by its place in the checkpoint. `model.embed_tokens`, which nothing reads, is left
    out: whoever loads a released checkpoint drops that tensor.
    """

    def __init__(self, config: TtsConfig) -> None:
        super().__init__()
        self.config = config
        self.sampling = SpeechSampling(
            top_p=config.top_p, top_k=config.top_k, repetition_penalty=config.repetition_penalty
        )
        width, n_codes = config.hidden_size, config.num_audio_tokens
        self.projector = Projector(config.llm_dim, width)
        self.emb_text = nn.Embedding(config.num_text_tokens, width)
        self.emb_code = nn.ModuleList(nn.Embedding(n_codes, width) for _ in range(config.num_vq))
        self.model = Decoder(config.decoder)
        self.head_code = nn.ModuleList(
            parametrizations.weight_norm(nn.Linear(width, n_codes, bias=False)) for _ in range(config.num_vq)
        )
        self.dvae = Codec(config.dvae)

    @property
    def bos_slot(self) -> int:
        """The slot of [Ptts]; frame k lies k + 1 behind it."""
        return _FIRST_TEXT_SLOT + self.config.streaming_text_reserved_len

    def visible_text(self, past: int) -> int:
        """How many text tokens the query in slot `past` may see, at most: a function of the frames alone."""
        reserved = self.config.streaming_text_reserved_len
        groups = math.ceil((past - reserved) / self.config.streaming_audio_chunk_size)
        return min(self.config.streaming_text_chunk_size * groups, reserved)

    def visible_slots(self, past: int, n_text: int, n_slots: int) -> Tensor:
        """What a query in slot `past` sees when `n_text` text tokens are known: [n_slots] booleans."""
        slots = torch.arange(n_slots)
        # the end marker behind the last text token is known with it
        known = slots <= min(n_text + _FIRST_TEXT_SLOT, self.bos_slot)
        shown = slots < _FIRST_TEXT_SLOT + self.visible_text(past)
        return (slots > self.bos_slot) | (known & shown)

    def open(self, hidden: Tensor) -> TalkerState:
        """Begin to speak as the language model's final hidden state [llm_dim] at its speaker token says."""
        projected = self.projector(hidden.to(self.emb_text.weight.dtype))
        return self._segment(functional.normalize(projected, p=2.0, dim=-1))

    def prefill_text(self, state: TalkerState, ids: Sequence[int]) -> None:
        """Make `ids` ([Stts] [spk_emb] text…) what stands in the slots from 0 on, as far as they go.

        Only what differs from the slots' present content is computed. So text that its tokenizer sees differently
        once more of it is known is put right here, while the released code leaves the old keys among the new.

        Raises:
            ValueError: more ids than slots for them.
        """
        if len(ids) > self.bos_slot:
            raise ValueError(f"{len(ids)} ids do not fit into the {self.bos_slot} slots before the speech")
        pairs = zip(state.text, ids, strict=False)
        begin = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if begin == len(ids):
            return
        new = ids[begin:]
        # should this fail in the middle, nothing behind it counts as filled either
        state.text = state.text[:begin]
        embeddings = self.emb_text(torch.tensor(new, device=self.emb_text.weight.device))
        # By number, not by a mask: the device would have to be waited for to say where the mask is True.
        for place in (place for place, token in enumerate(new) if token == self.config.spk_emb_token_id):
            embeddings[place] = state.speaker
        self.model(embeddings.unsqueeze(0), [begin], [state.cache])
        # what lies behind was computed after other text, so it no longer counts as filled
        state.text = list(ids)

    def carry_over(self, state: TalkerState, ids: Sequence[int], n_frames: int) -> TalkerState:
        """A new segment that begins with the end of another one, so that the voice does not change.

        Args:
            state: the segment that ends. It must have drawn at least one frame.
            ids: [Stts] [spk_emb] and the last tokens of its text.
            n_frames: how many of its last frames go with them.
        """
        segment = self._segment(state.speaker)
        self.prefill_text(segment, ids)
        segment.n_text = len(ids) - _FIRST_TEXT_SLOT
        segment.frames = state.frames[-n_frames:]
        # all but the last frame: that one is the input of the next step
        inputs = [self._opening(), *(self._embed(frame) for frame in segment.frames[:-1])]
        n_slots = self.bos_slot + len(inputs)
        # The released code lays one row of the mask over all of them: they see each other in both directions.
        visible = self.visible_slots(self.bos_slot, segment.n_text, n_slots)
        mask = _additive(visible).to(segment.speaker).expand(1, len(inputs), -1)
        self.model(torch.stack(inputs).unsqueeze(0), [self.bos_slot], [segment.cache], mask)
        return segment

    def logits(self, states: Sequence[TalkerState]) -> Tensor:
        """Scores of the next frame of each state: [B, K, V] in float32, before any filter."""
        pasts = [self.bos_slot + len(state.frames) for state in states]
        n_slots = max(pasts) + 1
        for state, past in zip(states, pasts, strict=True):
            state.cache.reserve(past + 1)
        inputs = torch.stack([self._embed(state.frames[-1]) if state.frames else self._opening() for state in states])
        visible = [self.visible_slots(past, state.n_text, n_slots) for past, state in zip(pasts, states, strict=True)]
        mask = _additive(torch.stack(visible)).to(inputs).unsqueeze(1)
        hidden = self.model(inputs.unsqueeze(1), pasts, [state.cache for state in states], mask)[:, 0]
        return torch.stack([head(hidden) for head in self.head_code], 1).float()

    @parametrize.cached()  # the heads' weights are put together once, not for every frame
    def generate(self, states: Sequence[TalkerState], draws: Sequence[Draw]) -> None:
        """Add up to FRAMES_PER_CALL frames to every state, or fewer where the end is drawn.

        Args:
            states: segments, each at a place of its own.
            draws: for each, from probabilities [K, V] to a frame [K].
        """
        end = self.config.eos_token_id
        running = [(state, draw) for state, draw in zip(states, draws, strict=True) if not state.finished]
        for step in range(FRAMES_PER_CALL):
            if not running:
                return
            frames = []
            logits = self.logits([state for state, _ in running])
            for (state, draw), scores in zip(running, logits, strict=True):
                recent = state.frames[-self.sampling.repetition_window :]
                history = torch.stack(recent) if recent else torch.zeros(0, self.config.num_vq, dtype=torch.long)
                may_end = step >= _MIN_FRAMES
                frames.append(draw(speech_probabilities(scores, history, self.sampling, end, may_end=may_end)))
            # Asked once for all rows: every question waits until the device has nothing left to do.
            ended, broken = torch.stack(
                [(torch.stack(frames) == end).any(-1), ~logits.isfinite().flatten(1).all(-1)]
            ).tolist()
            for (state, _), frame, is_end, is_broken in zip(running, frames, ended, broken, strict=True):
                state.broken = is_broken
                state.finished = is_end or is_broken
                if not state.finished:
                    state.frames.append(frame)
            running = [pair for pair in running if not pair[0].finished]

    def _segment(self, speaker: Tensor) -> TalkerState:
        return TalkerState(speaker, self.model.new_cache(self.bos_slot + 1 + _FIRST_FRAMES))

    def _opening(self) -> Tensor:
        weight: Tensor = self.emb_text.weight
        return weight[self.config.audio_bos_token_id]

    def _embed(self, frame: Tensor) -> Tensor:
        embedded = [table(code) for table, code in zip(self.emb_code, frame, strict=True)]
        return torch.stack(embedded).sum(0)


def _additive(visible: Tensor) -> Tensor:
    # the smallest number, not -inf: a row that sees nothing must not become NaN
    return torch.zeros(visible.shape).masked_fill(~visible, torch.finfo(torch.float32).min)
