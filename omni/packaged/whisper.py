"""Whisper for short utterances: only the seconds that sound are encoded, and only new words are decoded.

Whisper was trained on windows of 30 s and repeats itself when the window is cut short. Here the silence that
pads the window is encoded once, at start, and its keys and values stand beside those of the speech: 3 s of
sound cost 3.5 s of encoding. The transcript of an earlier pass is a draft that one run of the decoder checks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from omni.audio.features import N_MELS, POWER_FLOOR, RANGE, Mel
from omni.packaged.whisper_graph import decoder_graph, encoder_graph
from omni.packaged.whisper_weights import HEAD_WIDTH, Weights, count_layers

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


@dataclass(frozen=True, slots=True)
class Specials:
    """Ids of tokens that are not text."""

    start: Tokens
    """what every transcript starts from"""
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
    """Encoder and decoder. Holds no stream's state; safe to share, one call at a time.

    Args:
        weights: as whisper_weights.read_weights gives them.
        specials: of its tokenizer.
        threads: of onnxruntime.
    """

    def __init__(self, weights: Weights, specials: Specials, threads: int) -> None:
        self._specials = specials
        self._encoder = _session(encoder_graph(weights), threads)
        self._decoder = _session(decoder_graph(weights), threads)
        width = weights["decoder/layer_norm/gamma"].shape[0]
        self._n_heads = width // HEAD_WIDTH
        self._n_layers = count_layers(weights, "decoder")
        silence = np.full((N_MELS, 2 * MAX_POSITIONS), np.log10(POWER_FLOOR), np.float32)
        nothing = np.zeros((2 * count_layers(weights, "encoder"), self._n_heads, 0, HEAD_WIDTH), np.float32)
        self._tail, self._silence = self._encode(silence, nothing)

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
        _, heard = self._encode(frames, self._tail[:, :, n_sounding:n_all])
        return np.concatenate([heard, self._silence[:, :, n_sounding:n_all]], axis=2)

    def _encode(self, decades: Mel, tail: npt.NDArray[np.float32]) -> tuple[Heard, Heard]:
        scaled = (np.maximum(decades, LOUDEST - RANGE) + 4.0) / 4.0
        own, heard = self._encoder.run(None, {"mel": scaled[None], "tail": tail})
        return own, heard

    def decode(self, heard: Heard, trusted: Tokens, draft: Tokens, max_tokens: int) -> Transcription:
        """Write down what was heard, greedily.

        Args:
            heard: as encode gives it.
            trusted: the transcript starts with these tokens.
            draft: a guess at what follows them. It changes the time that decoding takes, not the result.
            max_tokens: the transcript ends there at the latest, trusted tokens included.
        """
        start = self._specials.start
        past: Heard = np.zeros((2 * self._n_layers, self._n_heads, 0, HEAD_WIDTH), np.float32)
        fed = [*start, *trusted, *draft]
        n_known = len(start) - 1 + len(trusted)
        # The probability of silence is read right behind the very first token, as in training.
        logits, past = self._run(fed, n_known if trusted else 0, past, heard)
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


def _session(graph: onnx.ModelProto, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads may spin within a call, where they are needed at once, but hold no core between calls.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _log_softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), np.float32)
