"""Which words of an answer were heard."""

from collections.abc import Sequence

from omni.types import Word


def heard_text(words: Sequence[Word], total_s: float, heard_s: float) -> str:
    """The transcript of what was played, whole words only.

    Args:
        words: of the whole answer, start_s counted from its beginning, in order.
        total_s: length of the answer's sound so far; ends the last word.
        heard_s: how much of it was played.

    A word counts once half of it was heard: that is about when a listener recognises it.
    """
    kept = []
    for index, word in enumerate(words):
        end_s = words[index + 1].start_s if index + 1 < len(words) else total_s
        if heard_s + 1e-6 < (word.start_s + end_s) / 2:
            break
        kept.append(word.text)
    return "".join(kept)
