"""What a MiniCPM-o session remembers: its caches, whose turn stands open, and how far an answer has got.

The language model's memory is one cache that grows, so a mark is little more than its length. Going back to a mark
makes those void that were made after it. Positions are kept as places, which stay right when slots are forgotten (see
omni.text.window).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from omni.audio.encoder import AudioState
from omni.nn.cache import KvCache
from omni.nn.sampling import Draw
from omni.speech.captions import Captions
from omni.speech.streaming import SpeechState
from omni.speech.tempo import Tempo
from omni.speech.words import heard_text
from omni.text.decoding import Decoding
from omni.text.template import Span, Standing
from omni.text.tokenizer import TextStream
from omni.text.tools import Calls, demanded
from omni.text.window import Ledger
from omni.types import Picture, Reply, Tool, TurnEnd, Unit, Word

AudioMark = tuple[KvCache | None, int]


@dataclass(slots=True)
class Answer:
    """One answer of the assistant: written, and spoken while it is being written."""

    reply: Reply
    stream: TextStream
    begun_at: int
    """place of the first of what opens it"""
    before: Standing
    """what stood open then"""
    decoding: Decoding | None = None
    """None until the first step, and again once nothing more is written"""
    first_id_at: int = 0
    """place of the first id drawn; 0: nothing of it is in the cache"""
    n_fed: int = 0
    """ids that the cache holds: all but the last one drawn"""
    ends: list[int] = field(default_factory=list)
    """for each id drawn, how long the text was then"""
    text_ended: bool = False
    """what is drawn now is no part of the text"""
    calls: Calls = field(default_factory=Calls)
    """of functions, that follow the text"""
    written: bool = False
    """no more text comes"""
    completed: bool = False
    """the model ended it of its own accord, not at a limit"""
    speech: SpeechState | None = None
    speech_marked: bool = False
    """a mark holds the same speech: it is copied before it goes on"""
    tempo: Tempo = field(default_factory=Tempo)
    """of the speech, beyond which nobody knows of any other time"""
    captions: Captions = field(default_factory=Captions)
    words: tuple[Word, ...] = ()
    """that were given out, start_s counted from the beginning of the answer"""
    closed: bool = False
    """no more of it comes"""

    @property
    def speaks(self) -> bool:
        """It is to be heard: an answer that has to be a call has nothing to say."""
        return self.reply.speaks and not demanded(self.reply)

    @property
    def n_characters(self) -> int:
        """Of the text so far."""
        return self.ends[-1] if self.ends else 0

    @property
    def standing(self) -> Standing:
        """What stands open after it."""
        if not self.first_id_at:
            return self.before
        return "completed" if self.completed else "interrupted"

    def copy(self) -> "Answer":
        """An equal answer that goes its own way; speech, which is large, is shared until one of the two goes on."""
        self.speech_marked = self.speech is not None
        return self._apart(self.speech)

    def kept(self) -> "Answer":
        """It as it is now, for one step that may fail: see State.kept."""
        return self._apart(self.speech.kept() if self.speech else None)

    def _apart(self, speech: SpeechState | None) -> "Answer":
        decoding = self.decoding.copy() if self.decoding else None
        return replace(self, stream=self.stream.copy(), decoding=decoding, ends=list(self.ends), speech=speech)

    def own_speech(self) -> SpeechState | None:
        """The speech, to be changed."""
        if self.speech is not None and self.speech_marked:
            self.speech = self.speech.clone()
            self.speech_marked = False
        return self.speech

    def close(self) -> TurnEnd:
        """Nothing more comes: the caches of the speech are let go."""
        self.closed, self.decoding, self.speech = True, None, None
        return TurnEnd("completed" if self.completed else "max_tokens", len(self.ends))

    def cut(self, heard_s: float) -> Span:
        """Close it and forget what nobody heard.

        Returns:
            places that the cache is to forget: what was written ahead of the listener, or all of an answer of which
            nobody heard a word.
        """
        if not self.first_id_at:
            self.close()
            return self.begun_at, self.begun_at
        end = self.first_id_at + self.n_fed
        n_kept = min(self.n_kept(heard_s), self.n_fed)
        self.close()
        self.completed = self.completed and n_kept == self.n_fed
        self.ends, self.n_fed = self.ends[:n_kept], n_kept
        if n_kept == 0 and self.reply.speaks:
            self.first_id_at = 0
            return self.begun_at, end
        return self.first_id_at + n_kept, end

    def n_kept(self, heard_s: float) -> int:
        """How many of the ids drawn were heard: those of whole words, and none of half a character."""
        total_s = self.captions.sound_s
        if not self.reply.speaks or (self.closed and heard_s >= total_s):
            return len(self.ends)
        n_heard = len(heard_text(self.words, total_s, heard_s))
        whole = [end for end in self.ends if end <= n_heard]
        return self.ends.index(whole[-1]) + 1 if n_heard and whole else 0


@dataclass(frozen=True, slots=True)
class Offer:
    """Functions that the model was told of, and where."""

    tools: tuple[Tool, ...]
    start: int
    end: int
    """places"""


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """Where to return to in a session."""

    place: int
    n_slots: int
    """that were in use"""
    audio: AudioMark
    standing: Standing
    texted: bool
    glimpse: Picture | None
    offer: Offer | None
    answer: Answer | None


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What a step can be undone with."""

    n_slots: int
    standing: Standing
    answer: Answer | None


@dataclass(slots=True, eq=False)
class State:
    """One session."""

    cache: KvCache
    """of the language model"""
    ledger: Ledger
    """what lies where in it"""
    draw: Draw
    audio: AudioState = field(default_factory=AudioState)
    """of the turn being spoken"""
    standing: Standing = "nothing"
    """what stands open at the end of the cache"""
    texted: bool = False
    """the cache ends with typed text"""
    glimpse: Picture | None = None
    """what the camera showed last between turns: seen when the next turn opens"""
    offer: Offer | None = None
    """the latest; what was told may have been forgotten since"""
    answer: Answer | None = None
    """the latest"""

    @property
    def end(self) -> int:
        """The place of what will be fed next."""
        return self.ledger.place(self.cache.length)

    def offered(self, tools: Sequence[Tool]) -> bool:
        """Whether the context tells of these functions, and of no others."""
        return self.offer is not None and self.offer.tools == tools and self.ledger.holds(self.offer.start)

    def noted(self, given: Unit) -> Unit:
        """The unit, with what the camera showed before it where it opens a turn and has no picture of its own."""
        if given.role == "user" and given.tool is None and given.image is None and self.standing != "user":
            return replace(given, image=self.glimpse)
        return given

    def took(self, given: Unit) -> None:
        """A unit stands at the end of the context now."""
        if given.role == "user":
            self.standing = "user"
            # what came of a call shows nothing: the picture waits for what the user says
            self.glimpse = self.glimpse if given.tool else None
        else:
            self.standing = "completed" if given.role == "assistant" else "nothing"
            self.audio.clear()
        self.texted = given.role == "user" and given.text is not None

    def mark(self) -> Mark:
        """Remember where this is."""
        answer = self.answer.copy() if self.answer else None
        length = self.cache.length
        audio = self.audio.mark()
        return Mark(self.end, length, audio, self.standing, self.texted, self.glimpse, self.offer, answer)

    def kept(self) -> Kept:
        """This, for one step that may fail.

        Unlike a mark it copies nothing large, because it is made before every step: what a step puts into the caches
        lies behind what counts, or is put there again by the next one.
        """
        return Kept(self.cache.length, self.standing, self.answer.kept() if self.answer else None)

    def undo(self, kept: Kept) -> None:
        """Be as before a step. Once only."""
        self.cache.truncate(kept.n_slots)
        self.standing, self.answer = kept.standing, kept.answer

    def rewind(self, mark: Mark) -> None:
        """Return to a mark, which may be used again."""
        self.cache.truncate(self.ledger.rewind(mark.place))
        self.audio.rewind(mark.audio)
        self.standing, self.texted, self.glimpse = mark.standing, mark.texted, mark.glimpse
        self.offer = mark.offer
        self.answer = mark.answer.copy() if mark.answer else None
        if self.cache.length == self.ledger.prompt_end < mark.n_slots:
            # all that stood there was forgotten meanwhile
            self.standing, self.answer = "nothing", None


def later(words: Sequence[Word], offset_s: float) -> tuple[Word, ...]:
    """Words of a piece, their starts counted from the beginning of the answer."""
    return tuple(Word(word.text, word.start_s + offset_s) for word in words)
