"""The language model: token ids, and features of other senses in their places, to logits over the next token."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from omni.configs import DecoderConfig
from omni.nn.cache import KvCache
from omni.nn.decoder import Decoder

Bounds = Sequence[tuple[int, int]]
"""[start, end) of each stretch of placeholders in a prompt, in order"""


class LanguageModel(nn.Module):
    """A decoder between an embedding table and a head, under the released names (`llm.` is stripped)."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.model = Decoder(config)
        self.lm_head = None if config.tie_word_embeddings else _head(config)

    def embed(self, ids: Tensor) -> Tensor:
        """Embeddings [..., T, D] of token ids [..., T]."""
        embeddings: Tensor = self.model.embed_tokens(ids)
        return embeddings

    def forward(
        self, inputs: Tensor, starts: Sequence[int], caches: Sequence[KvCache], mask: Tensor | None = None
    ) -> Tensor:
        """Feed embeddings [B, T, D]; states [B, T, D] after the final norm. See Decoder.forward."""
        hidden: Tensor = self.model(inputs, starts, caches, mask)
        return hidden

    def read(self, prompts: Sequence[Tensor], caches: Sequence[KvCache]) -> list[Tensor]:
        """Feed each prompt behind what its cache holds, all as one batch, however long each is.

        Args:
            prompts: embeddings [T, D] of each row; T may differ, and be 0.
            caches: one for each row, which grow by T and make room as they need it.

        Returns:
            States [T, D] of each row after the final norm: views of one tensor, so copy what is kept for long.

        Raises:
            ValueError: the prompts and caches are not equally many.
        """
        if len(prompts) != len(caches):
            raise ValueError(f"{len(prompts)} prompts and {len(caches)} caches: there must be one of each")
        lengths = [len(prompt) for prompt in prompts]
        starts = [cache.length for cache in caches]
        longest = max(lengths, default=0)
        if not longest:
            return list(prompts)
        for cache, start in zip(caches, starts, strict=True):
            # The padding of a short row is written as well, before it is cut off again.
            cache.reserve(start + longest)
        hidden = self(pad_sequence(list(prompts), batch_first=True), starts, caches)
        for cache, start, length in zip(caches, starts, lengths, strict=True):
            cache.truncate(start + length)
        return [row[:length] for row, length in zip(hidden, lengths, strict=True)]

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores [..., V] in float32 of states [..., D]. Ask only for the positions that will be sampled."""
        scores: Tensor
        if self.lm_head is None:
            scores = functional.linear(hidden, self.model.embed_tokens.weight)
        else:
            scores = self.lm_head(hidden)
        return scores.float()


def place_features(embeddings: Tensor, bounds: Bounds, features: Tensor) -> Tensor:
    """Put features over placeholders, one row after another, wherever one clip ends and the next begins.

    Args:
        embeddings: [T, D] of a prompt.
        bounds: where its placeholders are.
        features: [N, D]. Rows that find no placeholder are dropped: clips merged before they were encoded give up to
            one row more than the clips' own counts.

    Returns:
        [T, D], a new tensor.

    Raises:
        ValueError: there are fewer features than placeholders.
    """
    slots = [position for start, end in bounds for position in range(start, end)]
    if len(slots) > len(features):
        raise ValueError(f"{len(slots)} placeholders and only {len(features)} features to put there")
    places = torch.tensor(slots, dtype=torch.long, device=embeddings.device)
    return embeddings.index_copy(0, places, features[: len(slots)].to(embeddings))


def place_each(embeddings: Tensor, bounds: Bounds, features: Sequence[Tensor]) -> Tensor:
    """Put each image, or each clip, over its own placeholders, which it must fill exactly.

    Args:
        embeddings: [T, D] of a prompt.
        bounds: one for each of the features.
        features: each [N, D].

    Returns:
        [T, D], a new tensor.

    Raises:
        ValueError: a number of features, or of their rows, is not that of the placeholders.
    """
    wanted = [end - start for start, end in bounds]
    found = [len(rows) for rows in features]
    if wanted != found:
        raise ValueError(f"the prompt has placeholders for {wanted} features, and {found} came")
    return place_features(embeddings, bounds, torch.cat(list(features))) if features else embeddings


def _head(config: DecoderConfig) -> nn.Linear:
    if config.vocab_size is None:
        raise ValueError("a language model needs a vocabulary: its configuration has no vocab_size")
    return nn.Linear(config.hidden_size, config.vocab_size, bias=False)
