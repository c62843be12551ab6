"""What to forget when a conversation outgrows the language model's context: policy without tensors.

A **slot** is a place in the cache as it is now; forgetting renumbers what lies behind. A **place** is the number that
a slot would have if nothing had ever been forgotten, so it stays right for as long as one wants to return to it.

    prompt │ closed turns: user, assistant │ … │ current turn: header, unit, unit, … , answer
      stays    go first, whole, oldest first                   stays  then the oldest  stays
"""

from dataclasses import dataclass, field

Span = tuple[int, int]
"""[start, end)"""


@dataclass(frozen=True, slots=True)
class Window:
    """How much context a conversation may take, in tokens.

    Far apart, the two make forgetting rare: each time costs a pass over the cache, and a little of its precision.
    """

    limit: int
    """beyond which the oldest is forgotten"""
    target: int
    """at which forgetting stops"""

    def __post_init__(self) -> None:
        if not 0 < self.target <= self.limit:
            raise ValueError(f"a window of {self.limit} tokens cannot be cut to {self.target}: give a target within it")


@dataclass(slots=True)
class Ledger:
    """Where the turns and units of one session begin, and what of it was forgotten. All numbers kept are places."""

    prompt_end: int
    """the system prompt, with the voice, lies before it and is never forgotten"""
    _turns: list[int] = field(default_factory=list)
    """starts, ascending"""
    _units: list[int] = field(default_factory=list)
    """starts, ascending, of all turns"""
    _gaps: list[Span] = field(default_factory=list)
    """what was forgotten, ascending"""

    def open_turn(self, slot: int) -> None:
        """A turn begins at this slot: with what opens the user's message, after what closes the answer before it."""
        self._turns.append(self.place(slot))

    def open_unit(self, slot: int) -> None:
        """A unit of the turn begins at this slot: after the turn's header."""
        self._units.append(self.place(slot))

    def place(self, slot: int) -> int:
        """The place of a slot; of the cache's length, that of what will be fed next. This is what a mark keeps."""
        for start, end in self._gaps:
            if slot >= start:
                slot += end - start
        return slot

    def slot(self, place: int) -> int:
        """The slot of a place; of one that was forgotten, the slot at which what is kept before it ends."""
        return place - sum(min(end, place) - start for start, end in self._gaps if start < place)

    def holds(self, place: int) -> bool:
        """Whether what lies at a place was not forgotten."""
        return not any(start <= place < end for start, end in self._gaps)

    def rewind(self, place: int) -> int:
        """Return to a place: everything from there on is no more, and what comes next begins there.

        Returns:
            the slot to which the cache is cut. If the place itself was forgotten, then either nothing lies behind the
            prompt any more (slot == prompt_end: no turn stands open), or its turn's header ends there.

        Raises:
            ValueError: the place lies inside the prompt.
        """
        if place < self.prompt_end:
            raise ValueError(f"place {place} lies inside the prompt, which ends at {self.prompt_end}: open a session")
        slot = self.slot(place)
        self._turns = [start for start in self._turns if start < place]
        self._units = [start for start in self._units if start < place]
        self._gaps = [(start, min(end, place)) for start, end in self._gaps if start < place]
        return slot

    def forget(self, start: int, end: int) -> None:
        """Note that the slots [start, end) were dropped for another reason: nobody heard what they say."""
        if start < end:
            self._note(self.place(start), self.place(end))

    def shrink(self, n_slots: int, window: Window) -> list[Span]:
        """Decide what to forget, and note it as forgotten. To be called when no answer is being written.

        Beyond the limit, whole turns go, oldest first, until the target is met. The last turn before the current one
        goes only if without that the limit is not met: a mark from before the user spoke leads back into it. If the
        current turn alone is beyond the limit, its oldest units go until the target is met, but not its latest.

        Args:
            n_slots: length of the cache.
            window: to be kept to. A prompt, or a last unit and its answer, that is larger than that stays.

        Returns:
            spans of slots to drop, one after another: the rearmost first, so that each is numbered as it is then.
        """
        if n_slots <= window.limit or not self._turns:
            return []
        *closed, current = self._turns
        end, n_left = self._cut(self.prompt_end, closed or [current], n_slots, window.target)
        if n_left > window.limit:
            end, n_left = self._cut(self.prompt_end, [current], n_slots, window.target)
        cuts = [(self.prompt_end, end)]
        units = [start for start in self._units if start >= current]
        if n_left > window.limit and units:
            end, _ = self._cut(units[0], units, n_left, window.target)
            cuts.insert(0, (units[0], end))
        cuts = [cut for cut in cuts if self.slot(cut[0]) < self.slot(cut[1])]
        spans = [(self.slot(start), self.slot(end)) for start, end in cuts]
        for start, end in cuts:
            self._note(start, end)
        return spans

    def _cut(self, start: int, ends: list[int], n_slots: int, target: int) -> tuple[int, int]:
        """The first of the ends that leaves no more than the target, else the last; and how many slots it leaves."""
        for end in ends:
            n_left = n_slots - (self.slot(end) - self.slot(start))
            if n_left <= target:
                break
        return end, n_left

    def _note(self, start: int, end: int) -> None:
        self._turns = [place for place in self._turns if not start <= place < end]
        self._units = [place for place in self._units if not start <= place < end]
        # What is kept behind begins at `end`, so a gap that begins within this one ends within it.
        self._gaps = sorted([(start, end), *(gap for gap in self._gaps if not start <= gap[0] < end)])
