"""Whisper for short utterances: only the seconds that sound are encoded, and only new words are decoded.

Whisper was trained on windows of 30 s and repeats itself when the window is cut short. Here the silence that
pads the window is encoded once, at start, and its keys and values stand beside those of the speech: 3 s of
sound cost 3.5 s of encoding. The transcript of an earlier pass is a draft that one run of the decoder checks.
"""

from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnxruntime

from omni.audio.features import N_MELS, POWER_FLOOR, RANGE, Mel
from omni.packaged.built import built
from omni.packaged.files import checksum
from omni.packaged.hearing.whisper_weights import read_weights

Heard = npt.NDArray[np.float32]
"""[2 L, H, S, 64]: what the decoder's layers attend to; one position is 20 ms"""

Tokens = tuple[int, ...]

MAX_POSITIONS = 1_500
"""30 s: there are no more position embeddings"""
WINDOW_POSITIONS = 400
"""8 s, the shortest window that does not make the decoder repeat itself"""
TAIL_POSITIONS = 150
"""3 s of silence at least follow the speech"""
MARGIN_POSITIONS = 25
"""0.5 s of the silence is computed with the speech; 0.3 s doubles the errors, 0.8 s gains nothing"""
LOUDEST = 1.5
"""decades that every utterance's loudest value is moved to, so that its silence is the one encoded at start"""

_VERSION = 1
"""whoever changes what whisper_graph builds, or the silence, changes this"""
_ENGLISH_TOKENS = 51_864
"""size of the vocabulary of every model that knows only English; the others have at least one more"""


@dataclass(frozen=True, slots=True)
class Specials:
    """Ids of tokens that are not text."""

    start: int
    """the first of every transcript"""
    languages: Tokens
    """one of them is next, where the model knows more than English"""
    transcribe: int
    """stands behind it: write down, do not translate"""
    no_timestamps: int
    """the last before the text"""
    end: int
    no_speech: int
    suppressed: Tokens
    """never written"""
    suppressed_first: Tokens
    """never written first"""


@dataclass(frozen=True, slots=True)
class Transcription:
    """What the decoder wrote."""

    tokens: Tokens
    score: float
    """mean log probability of its tokens and its end, those of a trusted prefix left out"""
    no_speech: float
    """probability that nobody spoke; 0 when a prefix was trusted"""


class Whisper:
    """Encoder and decoder. Holds no stream's state; safe to share, one call at a time."""

    def __init__(self, model: Path, specials: Specials, threads: int, folder: Path | None = None) -> None:
        """Load the built graphs, or build them first (seconds).

        Args:
            model: CTranslate2's model.bin.
            specials: of its tokenizer.
            threads: of onnxruntime.
            folder: where what is built is kept; None: see built().

        Raises:
            ValueError: the file is of another kind; see read_weights.
        """
        self._specials = specials
        sources = checksum(model), _VERSION
        paths = [
            built(f"whisper-{part}.onnx", sources, partial(_graph, model, part), folder)
            for part in ("encoder", "decoder")
        ]
        silence = np.load(built("whisper-silence.npy", sources, partial(_silent, paths[0]), folder), mmap_mode="r")
        self._encoder, self._decoder = (_session(path, threads) for path in paths)
        own_shape, past_shape = _shape(self._encoder, "tail"), _shape(self._decoder, "past")
        self._nothing_written = np.zeros((*past_shape[:2], 0, past_shape[3]), np.float32)
        self._knows_languages = self._decoder.get_outputs()[0].shape[1] > _ENGLISH_TOKENS
        self._tail, self._silence = np.split(np.asarray(silence), [own_shape[0]])

    def encode(self, decades: Mel) -> Heard:
        """Hear an utterance and the silence after it.

        Args:
            decades: [80, F] from omni.audio.features.log_mel; what lies behind 30 s is not heard.

        Returns:
            [2 L, H, S, 64] with S from 400 to 1500.
        """
        n_sounding = min(MAX_POSITIONS, -(-decades.shape[1] // 2) + MARGIN_POSITIONS)
        n_all = min(MAX_POSITIONS, max(WINDOW_POSITIONS, n_sounding + TAIL_POSITIONS))
        frames = np.full((N_MELS, 2 * n_sounding), np.log10(POWER_FLOOR), np.float32)
        sounding = decades[:, : 2 * n_sounding]
        frames[:, : sounding.shape[1]] = sounding - sounding.max(initial=np.log10(POWER_FLOOR)) + LOUDEST
        _, heard = _encoded(self._encoder, frames, self._tail[:, :, n_sounding:n_all])
        return np.concatenate([heard, self._silence[:, :, n_sounding:n_all]], axis=2)

    def language(self, heard: Heard) -> int | None:
        """Token of the language that is spoken; None from a model that knows only English."""
        if not self._knows_languages:
            return None
        logits, _ = self._run([self._specials.start], 0, self._nothing_written, heard)
        return max(self._specials.languages, key=lambda token: float(logits[0, token]))

    def decode(
        self, heard: Heard, trusted: Tokens, draft: Tokens, max_tokens: int, language: int | None = None
    ) -> Transcription:
        """Write down what was heard, greedily.

        Args:
            heard: as encode gives it.
            trusted: the transcript starts with these tokens.
            draft: a guess at what follows them. It changes the time that decoding takes, not the result.
            max_tokens: the transcript ends there at the latest, trusted tokens included.
            language: as language gives it.
        """
        spoken = () if language is None else (language, self._specials.transcribe)
        start = (self._specials.start, *spoken, self._specials.no_timestamps)
        fed = [*start, *trusted, *draft]
        n_known = len(start) - 1 + len(trusted)
        # The probability of silence is read right behind the very first token, as in training.
        logits, past = self._run(fed, n_known if trusted else 0, self._nothing_written, heard)
        no_speech = 0.0
        if not trusted:
            no_speech = float(np.exp(_log_softmax(logits[0])[self._specials.no_speech]))
            logits = logits[n_known:]
        written, scores = list(trusted), []
        while True:
            for row, guess in zip(logits, [*draft, None], strict=True):
                token, score = self._choose(row, first=not written)
                scores.append(score)
                if token == self._specials.end or len(written) >= max_tokens:
                    return Transcription(tuple(written), float(np.mean(scores)), no_speech)
                written.append(token)
                if token != guess:
                    break
            draft = ()
            past = past[:, :, : len(start) + len(written) - 1]
            logits, past = self._run([token], 0, past, heard)

    def _run(
        self, tokens: list[int], judged: int, past: Heard, heard: Heard
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        n_past, n_new = past.shape[2], len(tokens)
        later = np.arange(n_past + n_new) > n_past + np.arange(n_new)[:, None]
        inputs = {
            "tokens": np.array(tokens, np.int64),
            "judged": np.array([judged], np.int64),
            "mask": np.where(later, np.float32(-1e9), np.float32(0)),
            "past": past,
            "heard": heard,
        }
        logits, own = self._decoder.run(None, inputs)
        return logits, np.concatenate([past, own], axis=2)

    def _choose(self, logits: npt.NDArray[np.float32], first: bool) -> tuple[int, float]:
        allowed = logits.copy()
        allowed[list(self._specials.suppressed)] = -np.inf
        # Of the special tokens, text may only be followed by its end.
        allowed[self._specials.end + 1 :] = -np.inf
        if first:
            allowed[list(self._specials.suppressed_first)] = -np.inf
        token = int(np.argmax(allowed))
        return token, float(_log_softmax(allowed)[token])


def _graph(model: Path, part: Literal["encoder", "decoder"]) -> bytes:
    # only the first start on a machine needs onnx, which takes long to import
    from omni.packaged.hearing import whisper_graph  # noqa: PLC0415

    weights = read_weights(model)
    if (n_mels := weights["encoder/conv1/weight"].shape[1]) != N_MELS:
        raise ValueError(f"{model} hears {n_mels} mel bands, as large-v3 does; sizes up to medium hear {N_MELS}")
    graph = whisper_graph.encoder_graph if part == "encoder" else whisper_graph.decoder_graph
    serialized: bytes = graph(weights).SerializeToString()
    return serialized


def _session(graph: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # spinning helps on an idle machine only; beside a browser it doubles a call's time
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _silent(encoder: Path) -> bytes:
    """What 30 s of silence are to the encoder and, behind that, to the decoder."""
    # a session of its own, because one never gives back what its longest input took
    session = _session(encoder, threads=2)
    decades = np.full((N_MELS, 2 * MAX_POSITIONS), np.log10(POWER_FLOOR), np.float32)
    shape = _shape(session, "tail")
    nothing = np.zeros((*shape[:2], 0, shape[3]), np.float32)
    file = BytesIO()
    np.save(file, np.concatenate(_encoded(session, decades, nothing)))
    return file.getvalue()


def _encoded(
    session: onnxruntime.InferenceSession, decades: Mel, tail: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], Heard]:
    scaled = (np.maximum(decades, LOUDEST - RANGE) + 4.0) / 4.0
    own, heard = session.run(None, {"mel": scaled[None], "tail": tail})
    return own, heard


def _shape(session: onnxruntime.InferenceSession, name: str) -> list[int]:
    shape: list[int] = next(value.shape for value in session.get_inputs() if value.name == name)
    return shape


def _log_softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), np.float32)
