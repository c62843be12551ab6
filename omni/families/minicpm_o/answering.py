"""The assistant's turn of MiniCPM-o: answers written in bursts, and spoken piece by piece while they are.

What is written goes three ways: words to the reader and the talker, calls of functions to the client, and what closes
the answer nowhere.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from omni.families.minicpm_o.network import Network, Vocabulary
from omni.families.minicpm_o.state import Answer, State, later
from omni.nn.sampling import NoNumbersError, TextSampling
from omni.speech.captions import Captions
from omni.speech.streaming import Piece, Synthesis
from omni.speech.tempo import Tempo
from omni.text.decoding import Decoding, decode, recite
from omni.text.template import (
    ANSWER_START,
    SPEECH_END,
    SPEECH_START,
    TERMINATORS,
    Standing,
    as_text,
    closing,
)
from omni.text.tokenizer import TextStream
from omni.text.tools import CALL_END, CALL_START, Calls, demanded, offers
from omni.timing import Timing
from omni.types import Delta, Pcm, Reply, SpeechDelta, TextDelta

_SILENCE: Pcm = np.zeros(0, np.float32)
_BURST = 3
"""tokens of text before the talker is asked again: as in training, and short enough to be interrupted"""
_RECITED = 24
"""tokens of words that are given, read in one go: no longer for a device than a burst, whose tokens go one by one"""
_MAX_TOKENS = 512
"""of an answer for which nobody sets another limit"""
LONGEST_ANSWER = 1_000
"""tokens of an answer, whoever asks for more"""

Rows = dict[int, list[Delta] | Exception]
"""what came of each answer, by its id: or why nothing can"""


class Answering:
    """Thinks and speaks, for sessions together. Holds no session: an answer's memory is its Answer."""

    def __init__(self, network: Network, tokenizer: Vocabulary, sampling: TextSampling) -> None:
        """Over a network.

        Args:
            network: with its weights.
            tokenizer: of its language model.
            sampling: of text.
        """
        self._network = network
        self._tokenizer = tokenizer
        self._sampling = sampling
        self._output_rate = Timing().output_rate
        self._terminators = frozenset(map(tokenizer.token_id, TERMINATORS))
        self._speech_end = tokenizer.token_id(SPEECH_END)
        self._script_end = (self._speech_end, tokenizer.token_id(TERMINATORS[0]))
        self._call_start, self._call_end = map(tokenizer.token_id, (CALL_START, CALL_END))

    def begin(self, reply: Reply, begun_at: int, before: Standing) -> Answer:
        """An answer of which nothing is written.

        Args:
            reply: how to answer.
            begun_at: place of the first of what opens it.
            before: what stands open there.

        Raises:
            ValueError: nobody speaks as slowly, or as fast.
        """
        demand = demanded(reply)
        return Answer(
            reply,
            TextStream(self._tokenizer),
            begun_at,
            before,
            text_ended=bool(demand),
            calls=Calls().opened(demand.removeprefix(CALL_START)) if demand else Calls(),
            tempo=Tempo(reply.speed),
            captions=Captions(speed=reply.speed),
        )

    def script(self, text: str) -> tuple[int, ...]:
        """Ids of an answer that says exactly this, to its terminator."""
        return (*self._tokenizer.encode(as_text(text)), *self._script_end)

    # ---------------------------------------------------------------- THINK

    def think(self, answers: Sequence[tuple[State, Answer]]) -> Rows:
        """One burst of text for each."""
        rows = [(state, answer, self._decoding(state, answer)) for state, answer in answers if not answer.written]
        recited = [decoding for _, _, decoding in rows if decoding.script is not None]
        drawn = [decoding for _, _, decoding in rows if decoding.script is None]
        llm = self._network.llm
        bursts = dict(zip(map(id, recited), recite(llm, recited, _RECITED), strict=True))
        bursts |= zip(map(id, drawn), decode(llm, drawn, _BURST), strict=True)
        return {
            id(answer): self._wrote(state, answer, decoding, bursts[id(decoding)]) for state, answer, decoding in rows
        }

    def _decoding(self, state: State, answer: Answer) -> Decoding:
        if answer.decoding is None:
            reply = answer.reply
            demand = demanded(reply)
            ids = self._tokenizer.encode(closing(answer.before) + (ANSWER_START + demand if demand else SPEECH_START))
            answer.first_id_at = state.end + len(ids)
            limit = min(reply.max_tokens or _MAX_TOKENS, LONGEST_ANSWER)
            script = None if reply.says is None else self.script(reply.says)
            answer.decoding = Decoding(
                state.cache,
                ids,
                self._sampling,
                state.draw,
                self._terminators,
                limit if script is None else len(script),
                # A model that was told of functions may go on to call them where it may not.
                forbidden=frozenset() if offers(reply) or state.offer is None else frozenset([self._call_start]),
                script=script,
            )
        return answer.decoding

    def _wrote(self, state: State, answer: Answer, decoding: Decoding, ids: Sequence[int]) -> list[Delta] | Exception:
        """Pass a burst on to the reader and to the talker."""
        if decoding.broken:
            return NoNumbersError("language model")
        if answer.speaks and answer.speech is None:
            answer.speech = self._synthesis().open(self._speaker(decoding), state.draw)
        texts = [self._text(answer, token) for token in ids]
        bursts = ["".join(texts[start : start + _BURST]) for start in range(0, len(texts), _BURST)]
        text = "".join(bursts)
        answer.n_fed = len(decoding.ids) - 1
        answer.written, answer.completed = decoding.finished, decoding.completed
        if (speech := answer.own_speech()) is not None and not speech.ended:
            for burst in bursts:
                self._synthesis().push(speech, burst)
            answer.captions = answer.captions.written(text)
            if answer.written or answer.calls.bodies:
                # the last words need not wait for the calls behind them
                self._synthesis().end(speech)
        return self._deltas(state, answer, text)

    def _deltas(self, state: State, answer: Answer, text: str) -> list[Delta] | Exception:
        deltas: list[Delta] = [TextDelta(text, last=answer.written)] if text or answer.written else []
        if answer.written:
            state.standing = answer.standing
            calls = answer.calls.of(answer.reply.tools) if offers(answer.reply) else ()
            if answer.completed and answer.calls.bodies and not calls and not answer.n_characters:
                # Better than to say nothing at all: it can be asked again.
                return ValueError("the language model asked for a function in words that are no call; ask again")
            deltas += calls
            if not answer.speaks:
                deltas.append(answer.close())
        return deltas

    def _text(self, answer: Answer, token: int) -> str:
        """What one more token adds to the text."""
        text = ""
        if token == self._call_start:
            answer.calls, answer.stream = answer.calls.opened(), TextStream(self._tokenizer)
        elif token == self._call_end or token in self._terminators:
            answer.calls = answer.calls.closed()
        elif answer.calls.is_open:
            answer.calls = answer.calls.written(answer.stream.push(token))
        elif token != self._speech_end and not answer.text_ended:
            text = answer.stream.push(token)
        closes = token == self._speech_end or token in self._terminators
        answer.text_ended = answer.text_ended or closes or bool(answer.calls.bodies)
        answer.ends.append(answer.n_characters + len(text))
        return text

    def _speaker(self, decoding: Decoding) -> Tensor:
        """The state at <|spk|> of the answer's opening, of which the talker makes its voice."""
        if decoding.state is None:
            raise RuntimeError("no burst was drawn yet")
        opening = self._tokenizer.encode(SPEECH_START)
        place = self._network.markers.find(opening).speaker
        if place is None:
            raise RuntimeError("the tokenizer does not know the template's <|spk|>")
        return decoding.state[place - len(opening)]

    # ---------------------------------------------------------------- SPEAK

    def speak(self, answers: Sequence[Answer]) -> Rows:
        """One call of the talker for each that has words for it."""
        spoken = [(answer, answer.speech) for answer in answers if answer.speech is not None]
        ready = [(answer, speech) for answer, speech in spoken if self._synthesis().ready(speech)]
        ready = [(answer, answer.own_speech() or speech) for answer, speech in ready]
        pieces = self._synthesis().step([speech for _, speech in ready]) if ready else []
        rows: Rows = {}
        for (answer, speech), sound in zip(ready, pieces, strict=True):
            if speech.talker.broken:
                rows[id(answer)] = NoNumbersError("talker")
            else:
                rows[id(answer)] = self._sounded(answer, sound, last=speech.finished)
        for answer, _ in spoken:
            row = rows.setdefault(id(answer), [])
            if isinstance(row, list) and answer.written and answer.speech is not None and answer.speech.finished:
                row.append(answer.close())
        return rows

    def _sounded(self, answer: Answer, pieces: Sequence[Piece], *, last: bool) -> list[Delta]:
        """Sound with the words in it; last: what is written by then is all that the talker will have said."""
        answer.tempo, pcm = answer.tempo.over(np.concatenate([_SILENCE, *(piece.pcm for piece in pieces)]), last=last)
        if not len(pcm):
            return []
        offset_s = answer.captions.sound_s
        answer.captions, words = answer.captions.over(len(pcm) / self._output_rate, last=last)
        answer.words += later(words, offset_s)
        return [SpeechDelta(pcm, words)]

    def _synthesis(self) -> Synthesis:
        if self._network.synthesis is None:
            raise ValueError("this checkpoint cannot speak (init_tts is false): ask for written answers")
        return self._network.synthesis
