"""Answers of the language model, drawn token by token: a burst at a time, for many sessions together."""

from collections.abc import Sequence
from dataclasses import dataclass, field

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
    ids: list[int] = field(default_factory=list)
    """drawn so far, the terminator included"""
    state: Tensor | None = None
    """[T, D], the final states of what was fed first"""
    seen: list[int] = field(default_factory=list)
    """by the repetition penalty"""

    @property
    def completed(self) -> bool:
        """The answer ended of its own accord."""
        return bool(self.ids) and self.ids[-1] in self.terminators

    @property
    def finished(self) -> bool:
        """No more tokens come."""
        return self.completed or len(self.ids) >= self.limit

    def copy(self) -> "Decoding":
        """An equal one over the same cache."""
        return Decoding(
            self.cache,
            list(self.unfed),
            self.sampling,
            self.draw,
            self.terminators,
            self.limit,
            self.by_bursts,
            list(self.ids),
            self.state,
            list(self.seen),
        )


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
            row.draw(text_probabilities(logits, row.seen, row.sampling))
            for (row, _), logits in zip(running, scores, strict=True)
        ]
        # Read at once for all rows: each reading waits until the device has nothing left to do.
        for (row, ids), token in zip(running, torch.stack(draws).tolist(), strict=True):
            row.unfed = [token]
            row.seen.append(token)
            row.ids.append(token)
            ids.append(token)
    return drawn


def _next_scores(llm: LanguageModel, rows: Sequence[Decoding]) -> Tensor:
    """Feed what is unfed; logits [B, V] of the token after it."""
    device = llm.model.norm.weight.device
    inputs = [llm.embed(torch.tensor(row.unfed, device=device)) for row in rows]
    states = llm.read(inputs, [row.cache for row in rows])
    for row, state in zip(rows, states, strict=True):
        if row.state is None:
            row.state = state.clone()
    return llm.logits(torch.stack([state[-1] for state in states]))
