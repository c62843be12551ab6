"""The MiniCPM-o 2.6 network: every part of a checkpoint, and what they compute for sessions together.

Written below the family, on ids and features, so that a live stream (minicpm_o), a chat outside of one
(minicpm_o_chat) and a comparison with the original's numbers all call the same lines.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from omni.audio.clips import CLIP_S, clip_mel, cut_clips, n_audio_tokens, n_mel_frames
from omni.audio.encoder import AudioEncoder, AudioProjector, AudioState
from omni.audio.features import FRAMES_PER_S
from omni.audio.sound import decode_sound
from omni.checkpoint import AGAIN, TALKER_VOCABULARY, VOICES, Checkpoint, CheckpointError
from omni.configs import AudioConfig, MiniCpmOConfig, ResamplerConfig, VisionConfig
from omni.nn.cache import KvCache
from omni.speech.streaming import Synthesis, TalkerTokenizer
from omni.speech.talker import Talker
from omni.speech.vocoder import Vocoder
from omni.text.llm import LanguageModel, place_each, place_features
from omni.text.released import LlmTokenizer, TalkerVocabulary
from omni.text.template import Markers, Tokenizer, audio_placeholder, image_placeholder
from omni.text.tokenizer import Decoder
from omni.timing import Timing
from omni.types import Pcm, Picture
from omni.vision.encoder import VisionEncoder
from omni.vision.resampler import VisionResampler
from omni.vision.slicing import Size, plan_slices, strips

_SHORTEST_REFERENCE_S = 1.0
"""of speech that a voice is made of"""


class Vocabulary(Tokenizer, Decoder, Protocol):
    """Both ways of the language model's tokenizer."""


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """A stretch of context: ids, and the features that belong over its placeholders."""

    ids: Sequence[int]
    images: Sequence[Tensor] = ()
    """[Q, D] of each overview and slice, in order"""
    audio: Sequence[Tensor] = ()
    """[N, D] of each clip, in order"""


class Hearing:
    """Sound to features: encoder and projection."""

    def __init__(self, config: AudioConfig) -> None:
        self.encoder = AudioEncoder(config)
        self.projector = AudioProjector(config)
        # Those of a second, however far attention reaches (audio_chunk_length).
        self.group = n_audio_tokens(FRAMES_PER_S, config.audio_pool_step)

    def n_tokens(self, n_samples: int) -> int:
        """Places that a piece of sound takes."""
        return n_audio_tokens(n_mel_frames(n_samples), self.projector.pool_step)


class Seeing:
    """Pictures to features: encoder and resampler."""

    def __init__(self, vision: VisionConfig, resampler: ResamplerConfig) -> None:
        self.encoder = VisionEncoder(vision)
        self.resampler = VisionResampler(resampler)
        self.n_queries = resampler.num_queries


class Network:
    """Weights and pure computation. Holds no session: a session's memory is its caches and states."""

    def __init__(
        self, config: MiniCpmOConfig, tokenizer: Tokenizer, talker_tokenizer: TalkerTokenizer | None = None
    ) -> None:
        """Build the parts, on the device of the context (`torch.device("meta")` for those that are loaded).

        Args:
            config: dimensions.
            tokenizer: of the language model.
            talker_tokenizer: of the talker, without which the network does not speak.
        """
        self.config = config
        self.llm = LanguageModel(config.llm)
        self.seeing = Seeing(config.vision, config.resampler) if config.vision and config.resampler else None
        self.hearing = Hearing(config.audio) if config.audio else None
        self.synthesis: Synthesis | None = None
        if config.tts and talker_tokenizer:
            self.synthesis = Synthesis(Talker(config.tts), Vocoder(config.vocos), talker_tokenizer)
        self.markers = Markers.of(tokenizer)

    @property
    def parts(self) -> dict[str, nn.Module]:
        """Every module with the prefix of its released names; the vocoder has a file of its own."""
        parts: dict[str, nn.Module] = {"llm.": self.llm}
        if self.seeing:
            parts |= {"vpm.": self.seeing.encoder, "resampler.": self.seeing.resampler}
        if self.hearing:
            parts |= {"apm.": self.hearing.encoder, "audio_projection_layer.": self.hearing.projector}
        if self.synthesis:
            parts["tts."] = self.synthesis.talker
        return parts

    @property
    def device(self) -> torch.device:
        """Where the language model lies."""
        return self.llm.model.norm.weight.device

    # ---------------------------------------------------------------- how things are spelled

    def image_text(self, size: Size, max_slices: int | None, image_id: int | None = None) -> str:
        """Placeholder of a picture of this size; arguments as in `plan_slices` and `image_placeholder`."""
        plan = plan_slices(size, self.config.slices, max_slices)
        return image_placeholder(plan.grid, self._seeing().n_queries, image_id)

    def sound_text(self, n_samples: int) -> str:
        """Placeholder of a piece of sound; nothing for one that is too short to have a feature."""
        return self.features_text(self._hearing().n_tokens(n_samples))

    def features_text(self, n_features: int) -> str:
        """Placeholder of sound that was heard before, from the number of its features."""
        return audio_placeholder(n_features, self._hearing().group if self.config.chunk_input else None)

    # ---------------------------------------------------------------- features

    @torch.inference_mode()
    def see(self, pictures: Sequence[Picture], max_slices: int | None) -> list[Tensor]:
        """Look at pictures, as many slices at a time as the checkpoint asks for.

        Args:
            pictures: RGB [height, width, 3], any sizes.
            max_slices: 1 gives an overview alone; None takes the checkpoint's own maximum.

        Returns:
            for each picture [n_images, Q, D]: its overview, then its slices.
        """
        if not pictures:
            return []
        seeing = self._seeing()
        cut = [strips(picture, self.config.slices, max_slices) for picture in pictures]
        flat = [strip for pieces in cut for strip in pieces]
        # Keys of the resampler are as wide as the language model: of a whole video they would take many gigabytes.
        size = seeing.encoder.config.vision_batch_size
        batches = [flat[start : start + size] for start in range(0, len(flat), size)]
        vectors = [seeing.resampler(seeing.encoder(batch), [strip.shape for strip in batch]) for batch in batches]
        return list(torch.split(torch.cat(vectors), [len(pieces) for pieces in cut]))

    @torch.inference_mode()
    def hear(self, sounds: Sequence[Pcm], states: Sequence[AudioState]) -> list[Tensor]:
        """Hear one piece of sound for each session, after what its state remembers.

        Args:
            sounds: [S] at Timing.input_rate, at most 30 s each.
            states: each session's own.

        Returns:
            for each [N, D]; N is 0 for a piece too short to have a feature, which is not remembered either.
        """
        hearing = self._hearing()
        features = [self._nothing()] * len(sounds)
        heard = [index for index, sound in enumerate(sounds) if hearing.n_tokens(len(sound))]
        if heard:
            mels = [torch.from_numpy(clip_mel(sounds[index])).to(self.device) for index in heard]
            encoded = hearing.encoder.stream(mels, [states[index] for index in heard])
            for index, frames in zip(heard, encoded, strict=True):
                features[index] = hearing.projector(frames)
        return features

    @torch.inference_mode()
    def hear_clips(self, clips: Sequence[Pcm]) -> list[Tensor]:
        """Hear whole clips outside of a live stream, as one batch, in which padding shows (see AudioEncoder).

        Args:
            clips: [S] at Timing.input_rate, of any length: longer ones are heard in pieces of 30 s.

        Returns:
            for each [N, D].
        """
        hearing = self._hearing()
        pieces = [[piece for piece in cut_clips(clip) if hearing.n_tokens(len(piece))] for clip in clips]
        mels = [torch.from_numpy(clip_mel(piece)).to(self.device) for row in pieces for piece in row]
        encoded = iter(hearing.encoder(mels) if mels else ())
        features = []
        for row in pieces:
            rows = [hearing.projector(next(encoded)[: (n_mel_frames(len(piece)) + 1) // 2]) for piece in row]
            features.append(torch.cat(rows) if rows else self._nothing())
        return features

    # ---------------------------------------------------------------- context

    @torch.inference_mode()
    def read(self, prompts: Sequence[Prompt], caches: Sequence[KvCache]) -> list[Tensor]:
        """Take a stretch of context into each session's cache, all as one batch.

        Returns:
            for each the final states [T, D]; copy what is kept for long.

        Raises:
            ValueError: features and placeholders do not agree.
        """
        return self.llm.read([self.embed(prompt) for prompt in prompts], caches)

    @torch.inference_mode()
    def embed(self, prompt: Prompt) -> Tensor:
        """Embeddings [T, D] with features over the placeholders. Raises ValueError as `read` does."""
        embeddings = self.llm.embed(torch.tensor(prompt.ids, dtype=torch.long, device=self.device))
        spans = self.markers.find(prompt.ids)
        embeddings = place_each(embeddings, spans.images, prompt.images)
        if not self.config.chunk_input:
            return place_each(embeddings, spans.audio, [rows for rows in prompt.audio if len(rows)])
        # In groups of a second, wherever a clip ends: clips that were merged before they were encoded need that.
        audio = torch.cat(list(prompt.audio)) if prompt.audio else self._nothing()
        return place_features(embeddings, spans.audio, audio)

    def _nothing(self) -> Tensor:
        return torch.zeros(0, self.config.llm.hidden_size, device=self.device)

    def _seeing(self) -> Seeing:
        if self.seeing is None:
            raise ValueError("this checkpoint has no eyes (init_vision is false): leave pictures out")
        return self.seeing

    @property
    def hearing_version(self) -> str:
        """Another with other weights: what was heard of a voice by those is of no use to these."""
        digest = hashlib.sha256()
        # in any other training all numbers are others, so the first of each tensor will do
        for weights in self.hearing.projector.parameters() if self.hearing else ():
            digest.update(weights.detach().flatten()[:256].float().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _hearing(self) -> Hearing:
        if self.hearing is None:
            raise ValueError("this checkpoint has no ears (init_audio is false): leave sound out")
        return self.hearing


def load_network(checkpoint: Checkpoint, device: torch.device | str) -> tuple[Network, LlmTokenizer]:
    """Build the network of a checkpoint, its weights mapped straight to the device, and read its tokenizers.

    The language model and the encoders keep the type that config.json names (bfloat16 as released); talker, codec
    and vocoder are float32, because the released talker loses its words in less.

    Raises:
        CheckpointError: the checkpoint does not fit, or cannot speak.
    """
    config = checkpoint.config
    if config.tts is None:
        raise CheckpointError(f"{checkpoint.folder} has no talker (init_tts is false); models that only write: not yet")
    if not (report := checkpoint.report()).ok:
        raise CheckpointError(f"{checkpoint.folder} is not what its config.json describes: {report}; {AGAIN}")
    texts, talker_texts = checkpoint.texts(), checkpoint.texts(TALKER_VOCABULARY)
    try:
        tokenizer, talker_tokenizer = LlmTokenizer.read(texts), TalkerVocabulary.read(talker_texts)
    except CheckpointError as error:  # of texts, which know no folder
        raise CheckpointError(f"{checkpoint.folder}: {error}") from error
    for name, largest, n in (
        ("vocab_size", tokenizer.largest_id, config.llm.vocab_size or 0),
        ("tts_config.num_text_tokens", talker_tokenizer.largest_id, config.tts.num_text_tokens),
    ):
        if largest >= n:
            raise CheckpointError(
                f"{checkpoint.folder}: {name} is {n}, and its tokenizer gives ids up to {largest}: its files belong to "
                "different models; download them again, all from one revision"
            )
    with torch.device("meta"):
        network = Network(config, tokenizer, talker_tokenizer)
    for prefix, module in network.parts.items():
        dtype = torch.float32 if prefix == "tts." else getattr(torch, config.torch_dtype)
        checkpoint.load(module, prefix, device=device, dtype=dtype)
    if network.synthesis:
        checkpoint.load_vocoder(network.synthesis.vocoder, device=device)
    return network, tokenizer


def read_voices(checkpoint: Checkpoint) -> list[tuple[str, Pcm]]:
    """The recordings beside a checkpoint by name, [S] at Timing.input_rate, of which its voices are made.

    Raises:
        CheckpointError: one is no sound, or too short or too long for a voice.
    """
    voices = []
    for name, data in checkpoint.sounds().items():
        path = checkpoint.folder / VOICES / f"{name}.wav"
        try:
            voices.append((name, decode_sound(data, Timing())))
            check_reference(name, voices[-1][1])
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}; put another recording in its place, or remove it") from error
    return voices


def check_reference(name: str, reference: Pcm) -> None:
    """Whether a voice can be made of a recording [S] at Timing.input_rate.

    Raises:
        ValueError: it is too short or too long.
    """
    duration_s = len(reference) / Timing().input_rate
    if not _SHORTEST_REFERENCE_S <= duration_s <= CLIP_S:
        raise ValueError(
            f"voice {name!r}: {duration_s:.1f} s of speech; give {_SHORTEST_REFERENCE_S:.0f} to {CLIP_S} s"
        )
