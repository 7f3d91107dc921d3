"""What the contract server needs of a model, and what it may go wrong with."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.images.tgi_contract.generation import Token
from tests.images.tgi_contract.validation import Sampling


class ModelError(Exception):
    """The model server failed; the message is what a client is told after "Server error: "."""


class UnreachableError(ModelError):
    """The model server is gone."""


class TemplateError(Exception):
    """The messages do not fit the chat template."""


@dataclass(frozen=True)
class Piece:
    """A token of a text, with its bytes."""

    id: int
    data: bytes


@dataclass(frozen=True)
class Asked:
    """One sequence that the model is asked for."""

    prompt: tuple[int, ...]
    limit: int
    """New tokens, at most."""
    sampling: Sampling
    seed: int
    top: int
    """Likeliest tokens to be told with each one; 0: none."""
    schema: Mapping[str, Any] | None
    """JSON schema the text has to follow."""


class Model(Protocol):
    """A model that answers."""

    async def tokenize(self, text: str, *, special: bool) -> tuple[Piece, ...]:
        """The text's tokens. `special`: with the tokens that the model puts before every text."""

    async def template(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The messages as one prompt. Raises TemplateError, and ModelError."""

    def generate(self, asked: Asked) -> AsyncGenerator[Token, None]:
        """Tokens as they are made, the end token included, `limit` at most. Raises ModelError."""

    async def logprobs(self, prompt: Sequence[Piece]) -> list[float | None]:
        """What the model gives each token of the prompt after those before it. None: the first. Raises ModelError."""

    async def is_special(self, piece: Piece) -> bool:
        """Whether it is a token of the model's markup."""

    async def is_healthy(self) -> bool:
        """Whether it can be asked."""
