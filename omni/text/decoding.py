"""Answers of the language model, drawn token by token: a burst at a time, for many sessions together."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from omni.nn.cache import KvCache
from omni.nn.sampling import Draw, TextSampling, text_probabilities
from omni.text.llm import LanguageModel


@dataclass(slots=True)
class Decoding:
    """One answer being written."""

    cache: KvCache
    """holds everything but what is `unfed`"""
    unfed: list[int]
    """ids that come before the next token: the end of the prompt (never empty), later the last token drawn"""
    sampling: TextSampling
    draw: Draw
    terminators: frozenset[int]
    limit: int
    """tokens, after which the answer is cut"""
    by_bursts: bool = True
    """Whether the repetition penalty sees no more than the burst and what is fed before it. The released model is
    called anew for every burst of a live answer, and its penalty forgets; of an answer outside of a stream it sees
    all, but nothing of the prompt."""
    forbidden: frozenset[int] = frozenset()
    """ids that are never drawn"""
    script: tuple[int, ...] | None = None
    """ids that are taken one after another instead of drawn, see `recite`; their number is the limit"""
    ids: list[int] = field(default_factory=list)
    """drawn so far, the terminator included"""
    state: Tensor | None = None
    """[T, D], the final states of what stood before the first token"""
    seen: list[int] = field(default_factory=list)
    """by the repetition penalty"""
    broken: bool = False
    """the model computed no numbers for it: nothing more can come of it"""

    @property
    def completed(self) -> bool:
        """The answer ended of its own accord."""
        return bool(self.ids) and self.ids[-1] in self.terminators

    @property
    def finished(self) -> bool:
        """No more tokens come."""
        return self.completed or self.broken or len(self.ids) >= self.limit

    def copy(self) -> "Decoding":
        """An equal one over the same cache."""
        return replace(self, unfed=list(self.unfed), ids=list(self.ids), seen=list(self.seen))


@torch.inference_mode()
def decode(llm: LanguageModel, rows: Sequence[Decoding], n_tokens: int) -> list[list[int]]:
    """Draw up to n tokens for every row, as one batch.

    Args:
        llm: of all rows.
        rows: answers, each at a place of its own. The last token that one draws is not fed yet: the next burst does.
        n_tokens: of the burst; a row that finishes draws fewer.

    Returns:
        the ids drawn, a list for each row.
    """
    drawn: list[list[int]] = [[] for _ in rows]
    for row in rows:
        if row.by_bursts:
            row.seen = list(row.unfed)
    for _ in range(n_tokens):
        running = [(row, ids) for row, ids in zip(rows, drawn, strict=True) if not row.finished]
        if not running:
            break
        scores = _next_scores(llm, [row for row, _ in running])
        draws = [
            row.draw(text_probabilities(logits, row.seen, row.sampling, row.forbidden))
            for (row, _), logits in zip(running, scores, strict=True)
        ]
        # Read at once for all rows: each reading waits until the device has nothing left to do.
        read = torch.stack([torch.stack(draws), scores.isfinite().all(-1).long()], 1).tolist()
        for (row, ids), (token, is_number) in zip(running, read, strict=True):
            if not is_number:
                row.broken = True
                continue
            row.unfed = [token]
            row.seen.append(token)
            row.ids.append(token)
            ids.append(token)
    return drawn


@torch.inference_mode()
def recite(llm: LanguageModel, rows: Sequence[Decoding], n_tokens: int) -> list[list[int]]:
    """Take up to n tokens of its script for every row, as one batch: what is known needs no scores, and one pass.

    Args:
        llm: of all rows.
        rows: answers with a script. As of a drawn one, the last token taken is not fed yet.
        n_tokens: at most, of the burst.

    Returns:
        the ids taken, a list for each row.
    """
    taken = [list((row.script or ())[len(row.ids) : len(row.ids) + n_tokens]) for row in rows]
    running = [(row, ids) for row, ids in zip(rows, taken, strict=True) if ids]
    if not running:
        return taken
    before = [len(row.unfed) for row, _ in running]
    states = _fed(llm, [(row, [*row.unfed, *ids[:-1]]) for row, ids in running])
    for (row, ids), state, n in zip(running, states, before, strict=True):
        if row.state is None:
            row.state = state[:n].clone()
        row.unfed = ids[-1:]
        row.ids += ids
    return taken


def _next_scores(llm: LanguageModel, rows: Sequence[Decoding]) -> Tensor:
    """Feed what is unfed; logits [B, V] of the token after it."""
    states = _fed(llm, [(row, row.unfed) for row in rows])
    for row, state in zip(rows, states, strict=True):
        if row.state is None:
            row.state = state.clone()
    return llm.logits(torch.stack([state[-1] for state in states]))


def _fed(llm: LanguageModel, rows: Sequence[tuple[Decoding, Sequence[int]]]) -> list[Tensor]:
    """Take ids into the caches; the final states [T, D] of each row."""
    device = llm.model.norm.weight.device
    inputs = [llm.embed(torch.tensor(ids, device=device)) for _, ids in rows]
    return llm.read(inputs, [row.cache for row, _ in rows])
