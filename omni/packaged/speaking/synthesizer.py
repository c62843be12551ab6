"""Speech from text, clause by clause: hibari (7.9 MB, 24 kHz), distilled from Kokoro's "heart".

The network's file is read as data and checked; its g2p and its signal processing (source-filter parameters to a
waveform) are called as a library, because both are small, pure numpy and Python, and load nothing by themselves.
"""

import json
import re
from collections.abc import Generator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnxruntime

from omni.packaged.built import built
from omni.packaged.files import ModelFile, checksum
from omni.packaged.speaking.pronunciation import Pronouncer, Reading, split_words
from omni.packaged.speaking.timbre import Floats, Timbre
from omni.packaged.speaking.voices import BUILT_IN, Shape, Spectra, render
from omni.text.manner import AS_IT_IS, Manner
from omni.timing import Timing
from omni.types import Pcm, SpeechDelta, Voice, Word

_INSTALL = "hibari-tts==0.2.1"
_NETWORK = ModelFile(
    "hibari", "assets/hibari.onnx", "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8", _INSTALL
)
_VOCABULARY = ModelFile(
    "hibari", "assets/vocab.json", "70abefbe8a1c8865e43e0a43bbdc25b91a33e4aa053479d443ccf23e20a59e5d", _INSTALL
)

_GRAPH_VERSION = 1
"""whoever changes what is asked of the network changes this"""

_N_PHONEMES = 400
"""as many as hibari was trained to read at once"""
_N_WORDS = 40
"""words given to the g2p at once; its rules slow down on more"""

_OWN_PACES = (0.6, 1.05)
"""paces at which the network speaks well: beyond, it swallows phonemes (at 1.5 the recogniser misses 22 % of the
words), and its frames are drawn together or apart instead (none missed)"""

_LOUDNESS = 10 ** (-20 / 20)
"""root mean square of the voiced parts, full scale 1"""
_LOUDEST_GAIN = 10 ** (18 / 20)
_LOUDNESSES = (0.1, 2.5)
"""factors on it that may be asked for: the faintest that is still heard, the loudest that does not sound pressed"""
_KNEE, _CEILING = 0.8, 0.97
"""peaks above the knee are bent so that none passes the ceiling"""

_SILENCE = 10 ** (-50 / 20)
"""a window below this is silence (after the gain)"""
_LEAD_S = 0.02
"""silence kept before the first sound, where soft consonants begin"""
_FADE_S = 0.005
_ONSET_S = 0.04
"""a word is audible this much before the network's own border of its first phoneme (measured after pauses)"""

_PAUSES_S = ((re.compile(r"[.!?…]$"), 0.36), (re.compile(r"[;:—–]$"), 0.22), (re.compile(r",$"), 0.15))
_PAUSES = (0.0, 4.0)
"""factors on them that may be asked for"""
_NO_PAUSE_S = 0.03
_CLOSING = " \t\r\n\"'”’)]*_`"


class Synthesizer:
    """English text to speech. One thread's object; 1 to 2 s to load, 200 MB with its lexicon."""

    voices: tuple[Voice, ...] = BUILT_IN

    def __init__(self, threads: int = 1) -> None:
        """Load the network.

        Args:
            threads: of onnxruntime. Two make a clause a quarter faster on an idle machine, and slower on a busy one.

        Raises:
            MissingModelError: hibari-tts is not installed, or is another version.
            CacheError: the graph cannot be kept.
        """
        self._rate = Timing().output_rate
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = built("hibari.onnx", (checksum(_NETWORK.verified()), _GRAPH_VERSION), _graph)
        self._network = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._ids: dict[str, int] = json.loads(_VOCABULARY.verified().read_text("utf-8"))
        self._pronouncer = Pronouncer()
        self.speak("Ready.", self.voices[0])

    def speak(self, clause: str, voice: Voice, manner: Manner = AS_IT_IS) -> SpeechDelta:
        """Say one clause, ending in the pause that its punctuation asks for, so that clauses can be joined.

        The same clause in the same voice and manner is the same sound. Nothing in it that can be said (an emoji):
        no sound, and its words at 0.

        Args:
            clause: any text; about 25 words at most sound best. Its words, joined, are the delta's.
            voice: one of voices, or one that shaped() made.
            manner: what would not be intelligible is done only as far as it is.

        Raises:
            ValueError: the voice belongs to another family.
        """
        steps = self.steps(clause, voice, manner)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                said: SpeechDelta = end.value
                return said

    def steps(self, clause: str, voice: Voice, manner: Manner = AS_IT_IS) -> Generator[None, None, SpeechDelta]:
        """The same sound, made in steps between which something else can be done. It returns what speak() does.

        The network takes two thirds of the time, and cannot be interrupted: 0.1 s for the longest clauses.
        """
        shape, timbre = Shape.of(voice).spoken(manner), Timbre.of(voice)
        words = split_words(clause)
        reading = self._pronouncer.read(clause) if len(words) <= _N_WORDS else None
        if len(words) > 1 and (reading is None or len(reading.phonemes) > _N_PHONEMES):
            middle = len(words) // 2
            left = yield from self.steps("".join(words[:middle]), voice, manner)
            yield
            right = yield from self.steps("".join(words[middle:]), voice, manner)
            return _join(left, right, self._rate)
        if reading is None or not reading.phonemes:
            return SpeechDelta(np.zeros(0, np.float32), tuple(Word(word, 0.0) for word in words))
        pcm, starts = yield from self._render(reading, shape, timbre)
        spoken = self._cut(pcm, starts, words, _pause_s(clause) * float(np.clip(manner.pauses, *_PAUSES)))
        return replace(spoken, pcm=_bent(spoken.pcm * np.float32(np.clip(manner.loudness, *_LOUDNESSES))))

    def spectra(self, phonemes: str, pace: float) -> tuple[Spectra, npt.NDArray[np.int64]]:
        """What the network makes of phonemes in its alphabet, and the step of
        the network at which each ends. On any thread.

        Args:
            phonemes: of which the network knows all; at most 400.
            pace: factor on the speed.
        """
        ids = np.array([[0, *(self._ids[phoneme] for phoneme in phonemes), 0]], np.int64)
        own_pace = min(max(pace, _OWN_PACES[0]), _OWN_PACES[1])
        outputs = self._network.run(None, {"ids": ids, "speed": np.array([own_pace], np.float32)})
        spectra = Spectra(*(output[0] for output in outputs[:6]))
        return spectra if pace == own_pace else spectra.paced(pace / own_pace), outputs[6].reshape(-1)

    def _render(
        self, reading: Reading, shape: Shape, timbre: Timbre | None
    ) -> Generator[None, None, tuple[Pcm, list[int]]]:
        """Sound of a reading with the silence around it, and the sample at which each of its words starts."""
        phonemes = reading.phonemes[:_N_PHONEMES]
        if phonemes[-1].isalpha():
            # a clause cut off without a mark goes on in the next one: a comma keeps the voice from falling
            phonemes += ","
        known = [index for index, phoneme in enumerate(phonemes) if phoneme in self._ids]
        spectra, ends = self.spectra("".join(phonemes[index] for index in known), shape.pace)
        yield
        pcm, pitch = render(spectra, shape, timbre)
        # ends[i] is where id i stops; id 0 is the silence before the first phoneme
        per_step = len(pcm) // int(ends[-1])
        places = np.searchsorted(known, reading.starts)
        starts = [int(ends[place]) * per_step for place in places]
        return _levelled(pcm, pitch), starts

    def _cut(self, pcm: Pcm, starts: list[int], words: tuple[str, ...], pause_s: float) -> SpeechDelta:
        """Replace the silence around the speech by what joins well to the clauses before and after."""
        sounding = _sounding(pcm, self._rate)
        begin = max(sounding.start - round(_LEAD_S * self._rate), 0)
        speech = pcm[begin : sounding.stop]
        n_fade = min(round(_FADE_S * self._rate), len(speech) // 2)
        ramp = np.linspace(0, 1, n_fade, dtype=np.float32)
        speech[:n_fade] *= ramp
        speech[len(speech) - n_fade :] *= ramp[::-1]
        pause = np.zeros(round(pause_s * self._rate), np.float32)
        places = np.clip(np.array(starts) - begin - round(_ONSET_S * self._rate), 0, len(speech)) / self._rate
        return SpeechDelta(
            np.concatenate([speech, pause]),
            tuple(Word(word, float(at)) for word, at in zip(words, places, strict=True)),
        )


def _graph() -> bytes:
    """The network, which also tells where its phonemes end, for the times of words."""
    # only the first start on a machine needs onnx, which takes long to import
    import onnx  # noqa: PLC0415

    network = onnx.load(_NETWORK.verified())
    # the one cumulative sum in the graph is that of the phonemes' durations
    ends = next(node.output[0] for node in network.graph.node if node.op_type == "CumSum")
    network.graph.output.append(onnx.ValueInfoProto(name=ends))
    serialized: bytes = network.SerializeToString()
    return serialized


def _levelled(pcm: Pcm, pitch: Floats) -> Pcm:
    """Bring the voiced parts to the one loudness that all clauses have."""
    voiced = np.repeat(pitch > 0, len(pcm) // len(pitch))
    loudness = float(np.sqrt(np.mean(np.square(pcm[voiced] if voiced.any() else pcm))))
    return pcm * np.float32(min(_LOUDNESS / max(loudness, 1e-6), _LOUDEST_GAIN))


def _bent(pcm: Pcm) -> Pcm:
    """Bend peaks under the ceiling."""
    size = np.abs(pcm)
    bent = _KNEE + (_CEILING - _KNEE) * np.tanh((size - _KNEE) / (_CEILING - _KNEE))
    under: Pcm = np.where(size > _KNEE, np.copysign(bent, pcm), pcm).astype(np.float32)
    return under


def _sounding(pcm: Pcm, rate: int) -> slice:
    """From the first to the last window of 5 ms that is not silent."""
    size = rate // 200
    windows = pcm[: len(pcm) // size * size].reshape(-1, size)
    loud = np.flatnonzero(np.sqrt(np.mean(np.square(windows), axis=1)) > _SILENCE)
    return slice(int(loud[0]) * size, (int(loud[-1]) + 1) * size) if loud.size else slice(0, 0)


def _pause_s(clause: str) -> float:
    ending = clause.rstrip(_CLOSING)
    return next((pause_s for mark, pause_s in _PAUSES_S if mark.search(ending)), _NO_PAUSE_S)


def _join(left: SpeechDelta, right: SpeechDelta, rate: int) -> SpeechDelta:
    shift_s = len(left.pcm) / rate
    moved = tuple(Word(word.text, word.start_s + shift_s) for word in right.words)
    return SpeechDelta(np.concatenate([left.pcm, right.pcm]), left.words + moved)
