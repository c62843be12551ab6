"""The seam behind which a family keeps its language model, packaged or served elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from omni.types import Role, Tool, ToolCall, ToolOutput


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, as a chat template spells it."""

    role: Role
    text: str
    tool: ToolCall | ToolOutput | None = None
    """instead of a text: the assistant's call of a function, or, in the user's name, what came of it"""


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

    def begin(
        self,
        messages: Sequence[Message],
        max_tokens: int | None,
        tools: Sequence[Tool] = (),
        tool_choice: str = "auto",
    ) -> None:
        """Start an answer to the conversation, in which tools may be asked for. An earlier one is stopped."""
        ...

    def read(self) -> tuple[str, bool]:
        """A few tokens more of the answer: (new text, may be empty; True when it is complete).

        Never waits long: a remote model that has sent nothing yet gives ("", False).

        Raises:
            RuntimeError: the model failed; the message says what to do.
        """
        ...

    def calls(self) -> tuple[ToolCall, ...]:
        """The tools that the answer asks for; known once it is complete."""
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
    calls_tools: bool

    def open(self) -> ChatContext:
        """A fresh context for one session."""
        ...
