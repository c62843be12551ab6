"""Hypotheses that change, on a wire where text can only be appended."""


class StableText:
    """What may be sent of a transcript that is still being guessed.

    A recogniser revises its last words; a client that appends deltas cannot. So only words that two hypotheses
    in a row agree on are sent, and the completed transcript, sent apart, is the truth.
    """

    def __init__(self) -> None:
        self._sent = ""
        self._previous = ""

    def push(self, hypothesis: str) -> str:
        """What may be appended now that this is the whole text so far; "" if nothing."""
        stable = hypothesis[: _common_length(self._previous, hypothesis)]
        # the last word may go on ("can" to "can't") unless both go beyond it
        self._previous = hypothesis
        return self._append(stable[: stable.rfind(" ") + 1].rstrip())

    def finish(self, text: str) -> str:
        """What is left to append when this is the final text; "" if what was sent is no beginning of it."""
        return self._append(text)

    def _append(self, text: str) -> str:
        if len(text) <= len(self._sent) or not text.startswith(self._sent):
            return ""
        delta = text[len(self._sent) :]
        self._sent = text
        return delta


def _common_length(a: str, b: str) -> int:
    for index, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return index
    return min(len(a), len(b))
