"""The seam behind which a family keeps its language model, packaged or served elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from omni.types import Role


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, as a chat template spells it."""

    role: Role
    text: str


class ChatContext(Protocol):
    """One session's side of a language model: what is prefilled, and the answer being written.

    A cache, not a truth: every call brings the whole conversation, and the context reuses the longest
    prefix it has already computed. It can therefore be cut back by simply sending less.
    """

    def warm(self, messages: Sequence[Message]) -> float | None:
        """Prefill a conversation whose last message the user is still speaking.

        Returns:
            the model's guess, 0 to 1, that this last message is complete; None: no guess.
        """
        ...

    def begin(self, messages: Sequence[Message], max_tokens: int | None) -> None:
        """Start an answer to the conversation. An earlier one is stopped."""
        ...

    def read(self) -> tuple[str, bool]:
        """A few tokens more of the answer: (new text, may be empty; True when it is complete).

        Never waits long: a remote model that has sent nothing yet gives ("", False).

        Raises:
            RuntimeError: the model failed; the message says what to do.
        """
        ...

    def n_tokens(self) -> int:
        """Tokens decoded in this answer so far."""
        ...

    def stop(self) -> None:
        """Give the answer up, if one is being written, and free what it holds."""
        ...


class Chat(Protocol):
    """A language model that any number of sessions share."""

    name: str

    def open(self) -> ChatContext:
        """A fresh context for one session."""
        ...
