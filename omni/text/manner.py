"""How something is to be said: factors on what a voice does by itself."""

from dataclasses import dataclass


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


AS_IT_IS = Manner()
"""as the voice speaks by itself"""
