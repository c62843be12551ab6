"""Is a voice understood? How many words of a few sentences a recogniser misses in it."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from omni.packaged.hearing.recogniser import Recogniser
from omni.types import Pcm

SENTENCES = (
    ("can you tell me how many people live in this city", "kˌæn ju tˈɛl mˌi hˌW mˈɛni pˈipᵊl lˈɪv ɪn ðɪs sˈɪTi?"),
    (
        "the doctor asked her brother to wait outside for a moment",
        "ðə dˈɑktəɹ ˈæskt hɜɹ bɹˈʌðəɹ tə wˈAt ˌWtsˈId fɔɹ ɐ mˈOmᵊnt.",
    ),
    (
        "fresh vegetables are cheaper on thursday than on sunday",
        "fɹˈɛʃ vˈɛʤtəbəlz ɑɹ ʧˈipəɹ ˌɔn θˈɜɹzdˌA ðən ˌɔn sˈʌndˌA.",
    ),
    (
        "we should leave before the storm reaches the village",
        "wˌi ʃˌʊd lˈiv bəfˈɔɹ ðə stˈɔɹm ɹˈiʧᵻz ðə vˈɪlɪʤ.",
    ),
    ("which of these three pictures do you like best", "wˌɪʧ ʌv ðiz θɹˈi pˈɪkʧəɹz dˈu ju lˈIk bˈɛst?"),
    ("what do bees make", "wˌʌt dˈu bˈiz mˈAk?"),
)
"""words, and the phonemes that the synthesizer reads"""


class Listener:
    """A recogniser that is nobody else's: half a second to load, 150 MB."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            MissingModelError: its package is not installed, or is another version.
            CacheError: its graphs cannot be kept.
        """
        self._recogniser = Recogniser(threads=1)

    def missed(self, sounds: Sequence[Pcm]) -> int:
        """Words that are heard wrongly, or not, or too much, when the SENTENCES sound like this.

        Args:
            sounds: one for each sentence, [S] at Timing.input_rate.
        """
        n_missed = 0
        for (text, _), sound in zip(SENTENCES, sounds, strict=True):
            utterance = self._recogniser.open()
            utterance.add(sound)
            said, heard = text.split(), re.findall(r"[a-z']+", utterance.transcribe().lower())
            same = sum(block.size for block in SequenceMatcher(None, said, heard, autojunk=False).get_matching_blocks())
            n_missed += max(len(said), len(heard)) - same
        return n_missed
