"""`spec.tasks[]`: what the models are asked."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from perbench.base import Document


class Preset(StrEnum):
    """Tasks that come with perbench."""

    PACKAGED_TOPICS = "PackagedTopics"
    PACKAGED_ANSWERS = "PackagedAnswers"


class Scorer(StrEnum):
    """How an answer is judged."""

    EXACT_MATCH = "ExactMatch"
    CONTAINS = "Contains"
    REGEX = "Regex"
    CHOICE = "Choice"
    F1 = "F1"


class Scoring(Document):
    """A scorer with its settings."""

    scorer: Scorer
    pattern: Annotated[str | None, Field(max_length=512)] = None
    """Regex only, and required there: its first group (or the whole match) is compared with the answers."""
    choices: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=128)], ...], Field(max_length=64)] = ()
    """Choice only, and required there: the first of these that the answer names is compared with the answers."""


class InlineItem(Document):
    """One question with the answers that count as right."""

    input: Annotated[str, Field(min_length=1, max_length=16384)]
    answers: Annotated[tuple[Annotated[str, Field(max_length=1024)], ...], Field(min_length=1, max_length=16)]
    fields: Annotated[dict[str, Annotated[str, Field(max_length=16384)]], Field(max_length=16)] = Field(
        default_factory=dict
    )
    """More columns for the prompt template."""


class Dataset(Document):
    """Questions of the user's own: exactly one of `inline` and `file` (JSON Lines: input, answers, other columns)."""

    inline: Annotated[tuple[InlineItem, ...], Field(min_length=1, max_length=256)] | None = None
    file: Annotated[str | None, Field(min_length=1, max_length=1024)] = None
    prompt: Annotated[str, Field(min_length=1, max_length=16384)] = "{{ input }}"
    """Jinja template (sandboxed) over `input` and the item's other columns."""
    scoring: Scoring


class Synthetic(Document):
    """A load without answers: random text of about `inputTokens`, outputs of `outputTokens`."""

    input_tokens: Annotated[int, Field(ge=1, le=1_000_000)]
    output_tokens: Annotated[int, Field(ge=1, le=1_000_000)]


class TaskSpec(Document):
    """One task: exactly one of `preset`, `dataset`, `synthetic`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=40)]
    preset: Preset | None = None
    dataset: Dataset | None = None
    synthetic: Synthetic | None = None
    limit: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    """Items measured per repeat; default all (synthetic 200)."""
    max_tokens: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    """Output tokens at most; default 256 (synthetic: outputTokens)."""
