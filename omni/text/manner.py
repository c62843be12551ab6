"""How something is to be said: factors on what a voice does by itself, and how plain English asks for them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

_BOUNDS = {"pace": (0.5, 1.5), "pitch": (0.7, 1.4), "melody": (0.1, 1.8), "loudness": (0.3, 1.7), "pauses": (0.4, 3.0)}
"""within which a voice still sounds like one"""


@dataclass(frozen=True, slots=True)
class Manner:
    """How speech differs from how its voice speaks by itself, as factors. All 1: not at all."""

    pace: float = 1.0
    """words in a time"""
    pitch: float = 1.0
    """frequency of the voice"""
    melody: float = 1.0
    """how far the pitch moves around its median, in octaves; 0 is a monotone"""
    loudness: float = 1.0
    """amplitude"""
    pauses: float = 1.0
    """length of the silences between clauses; pace alone does not change it"""

    def times(self, other: "Manner", share: float = 1.0) -> "Manner":
        """Both together, as far as a voice can go.

        Args:
            other: what is added to this.
            share: how much of it; below 0 its opposite.
        """
        product = {part.name: getattr(self, part.name) * getattr(other, part.name) ** share for part in fields(Manner)}
        return Manner(
            **{name: min(max(factor, _BOUNDS[name][0]), _BOUNDS[name][1]) for name, factor in product.items()}
        )


AS_IT_IS = Manner()
"""as the voice speaks by itself"""


@dataclass(frozen=True, slots=True)
class _Cue:
    """A way to speak, and the words for it."""

    adjectives: str
    """of a voice: "a soft voice" """
    adverbs: str
    """of speaking: "speak softly" """
    manner: Manner
    has_opposite: bool = False
    """not to do it means to do a little of the contrary"""


_CUES = (
    _Cue("slow slower unhurried leisurely", "slow slowly slower", Manner(pace=0.82, pauses=1.15), True),
    _Cue(
        "fast faster quick quicker rapid brisk", "fast faster quickly quicker rapidly", Manner(1.2, pauses=0.85), True
    ),
    _Cue("soft softer quiet quieter hushed", "softly softer quietly quieter", Manner(0.96, 1.0, 0.9, 0.6), True),
    _Cue("gentle tender", "gently tenderly", Manner(0.93, 1.0, 0.95, 0.75, 1.1)),
    _Cue("whispering whispery whispered", "whisper whispering", Manner(0.9, 0.97, 0.5, 0.4, 1.1)),
    _Cue("loud louder booming", "loud loudly louder", Manner(1.0, 1.03, 1.1, 1.5), True),
    _Cue(
        "cheerful happy happier joyful merry jolly lively playful bright upbeat",
        "cheerfully happily joyfully merrily playfully brightly",
        Manner(1.06, 1.06, 1.3, 1.1, 0.9),
    ),
    _Cue(
        "excited enthusiastic energetic eager",
        "excitedly enthusiastically energetically eagerly",
        Manner(1.12, 1.08, 1.35, 1.2, 0.8),
    ),
    _Cue("sad sadder melancholy melancholic gloomy", "sadly mournfully gloomily", Manner(0.86, 0.95, 0.65, 0.8, 1.3)),
    _Cue("tired weary sleepy exhausted bored", "tiredly wearily sleepily", Manner(0.84, 0.94, 0.6, 0.75, 1.3)),
    _Cue("deep deeper low lower", "deeply", Manner(pitch=0.82), True),
    _Cue("high higher squeaky shrill", "", Manner(pitch=1.2), True),
    _Cue("monotone monotonous flat robotic emotionless", "monotonously flatly robotically robot", Manner(melody=0.12)),
    _Cue("dramatic theatrical suspenseful", "dramatically theatrically", Manner(0.93, 1.0, 1.35, 1.1, 1.5)),
    _Cue("calm calmer soothing relaxed serene patient", "calmly patiently", Manner(0.9, 0.98, 0.85, 0.85, 1.25)),
    _Cue("stern serious solemn grave strict formal", "sternly seriously solemnly formally", Manner(0.95, 0.95, 0.8)),
    _Cue("angry furious harsh", "angrily furiously harshly", Manner(1.08, 1.04, 1.25, 1.4, 0.85)),
    _Cue("nervous anxious scared", "nervously anxiously", Manner(1.12, 1.07, 1.15, 0.95, 0.8)),
    _Cue("mysterious spooky eerie", "mysteriously", Manner(0.87, 0.93, 1.1, 0.75, 1.5)),
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ADJECTIVES = {word: index for index, cue in enumerate(_CUES) for word in cue.adjectives.split()}
_ADVERBS = {word: index for index, cue in enumerate(_CUES) for word in cue.adverbs.split()}

_STRONG = _words("very really extremely super much lot")
_WEAK = _words("bit little slightly somewhat")
_DEGREES = _STRONG | _WEAK | _words("a so too quite rather more")
_NO = _words("not never avoid without neither nor no don't")
_SPEAK = _words("speak speaking talk talking say read narrate answer reply respond recite whisper whispering")
_ANSWER = _words("answer reply respond")
_HASTE = _words("fast faster quickly quicker rapidly")
"""to answer so is to answer soon"""
_SOUND = _words("sound sounds is be tone voice pitch pace pauses")
_VOICE = _words("voice voices tone pitch pace manner style delivery speech intonation whisper pitched way")
_OTHERS = _words("user users customer caller people they he she everyone who")
"""whose speaking is not the assistant's"""
_TOPIC = _words("about regarding concerning of")
_JOINTS = _words("and or yet then also with in like for to at as an the your you please always when than it this")
_LONGEST_PHRASE = 60
"""words; what follows in a phrase is not read, for it would take long"""
_LONGEST_LIST = 4
"""words from an adjective to its voice: "cheerful and very warm voice" """

_PHRASE = re.compile(r"[.!?;\n]+|\bbut\b|, (?=(?:and )?(?:speak|talk|whisper|sound|read)\b)")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_PAUSES = (
    (re.compile(r"\b(?:no|few|without|avoid|short|shorter|fewer) (?:long |longer |many )?pauses?\b"), 0.6),
    (re.compile(r"\b(?:(?:long|longer|many|dramatic|more) pauses?|pause (?:often|a lot))\b"), 1.7),
)
"""words about pauses, and the factor on their length; the first that is found counts"""


def manner_of(instructions: str) -> Manner:
    """The manner that a description in plain English asks for, such as "speak slowly, in a low voice".

    Only words about how to speak count, not those about what: where in doubt, nothing is changed. English alone.
    """
    result, seen = AS_IT_IS, set[int]()
    for phrase in _PHRASE.split(instructions.lower().replace("’", "'")):
        words = _WORD.findall(phrase)[:_LONGEST_PHRASE]
        for index, share in _heard_in(words):
            if index not in seen:
                result = result.times(_CUES[index].manner, share)
            seen.add(index)
        if _is_bare(words) or not _SPEAK.isdisjoint(words):
            pauses = next((factor for pattern, factor in _PAUSES if pattern.search(phrase)), 1.0)
            result = result.times(Manner(pauses=pauses))
    return result


def says_only_how(text: str) -> bool:
    """Whether nothing is said but how to speak, as in "cheerful and a bit fast"."""
    return _is_bare(_WORD.findall(text.lower()))


def _heard_in(words: Sequence[str]) -> Iterator[tuple[int, float]]:
    """Each cue of a phrase, and how much of it is wanted."""
    bare = _is_bare(words)
    for place, word in enumerate(words):
        before, after = words[:place], words[place + 1 :]
        if not _TOPIC.isdisjoint(before) or not _OTHERS.isdisjoint(before):
            return
        if word in _HASTE and not _ANSWER.isdisjoint(before):
            continue
        if word in _ADVERBS and (bare or _is_adverb(word, before, after)):
            index = _ADVERBS[word]
        elif word in _ADJECTIVES and (bare or _is_of_voice(before, after)):
            index = _ADJECTIVES[word]
        else:
            continue
        share = 1.6 if _STRONG & {*before[-2:]} else 0.5 if _WEAK & {*before[-2:]} else 1.0
        if not _NO.isdisjoint(before) or before[-1:] == ["too"]:
            share = -0.5 if _CUES[index].has_opposite else 0.0
        yield index, share


def _is_bare(words: Sequence[str]) -> bool:
    """Nothing else is said, as in "cheerful and a bit fast"."""
    known = (
        _ADJECTIVES,
        _ADVERBS,
        _DEGREES,
        _NO,
        _SPEAK,
        _VOICE,
        _JOINTS,
        {"pauses", "long", "short", "warm", "warmly"},
    )
    cues = [word for word in words if word in _ADJECTIVES or word in _ADVERBS]
    return bool(cues or "pauses" in words) and all(any(word in some for some in known) for word in words)


def _is_adverb(word: str, before: Sequence[str], after: Sequence[str]) -> bool:
    """It says how to speak, and is not part of what is said: "slowly moving", "fast food"."""
    alone = not after or after[0] in _JOINTS or after[0] in _ADVERBS or after[0] in _ADJECTIVES
    return alone and (word.startswith("whisper") or not _SPEAK.isdisjoint(before))


def _is_of_voice(before: Sequence[str], after: Sequence[str]) -> bool:
    """It says how the voice is: "a sad, tired voice", "sound sad"."""
    if not _VOICE.isdisjoint(after[:_LONGEST_LIST]):
        ahead = next(place for place, word in enumerate(after) if word in _VOICE)
        # only a list of such words lies between, of which one may be unknown here
        unknown = [w for w in after[:ahead] if not any(w in some for some in (_ADJECTIVES, _DEGREES, _JOINTS))]
        return len(unknown) <= (1 if "and" in after[:ahead] else 0)
    linking = [word for word in before if word not in _DEGREES and word not in _ADJECTIVES and word != "and"]
    spoken_of = _SPEAK | _VOICE | {"sound", "sounds"}
    return bool(linking) and linking[-1] in _SOUND and not spoken_of.isdisjoint(before)
