"""`spec.tasks[]`: what the models are asked."""

import re
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from perbench.api.pods import ConfigMapKey, VolumePath
from perbench.api.rules import ApiObject, ListSet, Rule
from perbench.api.text import Name


class Preset(StrEnum):
    """Tasks that come with perbench."""

    PACKAGED_TOPICS = "PackagedTopics"
    PACKAGED_ANSWERS = "PackagedAnswers"


PRESET_ITEMS = {Preset.PACKAGED_TOPICS: 48, Preset.PACKAGED_ANSWERS: 48}
"""Items of each that can be measured. Known here, so that a load that needs more is refused before anything starts."""


class Scorer(StrEnum):
    """How an answer is judged."""

    EXACT_MATCH = "ExactMatch"
    CONTAINS = "Contains"
    REGEX = "Regex"
    CHOICE = "Choice"
    F1 = "F1"


class Scoring(ApiObject):
    """A scorer with its settings."""

    scorer: Scorer
    """How an answer is judged: `ExactMatch`, `Contains`, `Regex`, `Choice` or `F1` (of the words it shares)."""
    pattern: Annotated[str | None, Field(min_length=1, max_length=512)] = None
    """`Regex` only, and needed there: a Python regular expression. Its first group (or the whole match) is compared
    with the answers."""
    choices: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...], Field(min_length=2, max_length=64), ListSet()
    ] = ()
    """`Choice` only, and needed there: the first of these that the output names is compared with the answers."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            message="scorer Regex needs pattern",
            cel="self.scorer != 'Regex' || has(self.pattern)",
            holds=lambda s: s.scorer is not Scorer.REGEX or s.pattern is not None,
        ),
        Rule(
            message="pattern goes with scorer Regex only",
            cel="self.scorer == 'Regex' || !has(self.pattern)",
            holds=lambda s: s.scorer is Scorer.REGEX or s.pattern is None,
            field="pattern",
        ),
        Rule(
            message="scorer Choice needs choices",
            cel="self.scorer != 'Choice' || has(self.choices)",
            holds=lambda s: s.scorer is not Scorer.CHOICE or bool(s.choices),
        ),
        Rule(
            message="choices go with scorer Choice only",
            cel="self.scorer == 'Choice' || !has(self.choices)",
            holds=lambda s: s.scorer is Scorer.CHOICE or not s.choices,
            field="choices",
        ),
        Rule(
            message="pattern is not a regular expression that Python understands",
            cel=None,
            holds=lambda s: s.pattern is None or _compiles(s.pattern),
            field="pattern",
        ),
    )


class InlineItem(ApiObject):
    """One question with the answers that count as right."""

    input: Annotated[str, Field(min_length=1, max_length=16_384)]
    """The question, as the prompt template sees it."""
    answers: Annotated[tuple[Annotated[str, Field(max_length=1024)], ...], Field(min_length=1, max_length=16)]
    """Each of these counts as right."""
    fields: Annotated[dict[str, Annotated[str, Field(max_length=16_384)]], Field(max_length=16)] = Field(
        default_factory=dict
    )
    """More columns for the prompt template, by name."""
    source: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """What the question is about, such as a paragraph's name: items of one source count as one where the error of
    accuracy is judged. Default: each item has a source of its own."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            message="a column named input would hide the item's own input: rename it",
            cel="!has(self.fields) || !('input' in self.fields)",
            holds=lambda item: "input" not in item.fields,
            field="fields",
        ),
    )


class Dataset(ApiObject):
    """Questions of the user's own."""

    inline: Annotated[tuple[InlineItem, ...] | None, Field(min_length=1, max_length=256)] = None
    """The items themselves."""
    file: Annotated[str | None, Field(min_length=1, max_length=1024)] = None
    """Local mode: a JSON Lines file with `input`, `answers` and other columns, relative to the benchmark's file."""
    config_map: ConfigMapKey | None = None
    """In a cluster: the same, in a ConfigMap."""
    volume: VolumePath | None = None
    """In a cluster: the same, a file on a PersistentVolumeClaim."""
    prompt: Annotated[str, Field(min_length=1, max_length=16_384)] = "{{ input }}"
    """Jinja template of the prompt (sandboxed) over `input` and the item's other columns. Default `{{ input }}`."""
    scoring: Scoring
    """How answers are judged."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            message="give exactly one of inline, file, configMap and volume",
            cel="[has(self.inline), has(self.file), has(self.configMap), has(self.volume)].exists_one(given, given)",
            holds=lambda d: sum(kind is not None for kind in (d.inline, d.file, d.config_map, d.volume)) == 1,
        ),
    )


class Synthetic(ApiObject):
    """A load without answers: no accuracy, so PER has three axes."""

    input_tokens: Annotated[int, Field(ge=1, le=1_000_000)]
    """Length of each prompt. Random text is fitted to it during warm-up, by the server's own count."""
    output_tokens: Annotated[int, Field(ge=1, le=1_000_000)]
    """Length of each output; at most that where the server cannot be told to go on. With TGI above 1024 a multiple of
    1024."""


class TaskSpec(ApiObject):
    """One task: exactly one of `preset`, `dataset`, `synthetic`."""

    name: Name
    """What results call it; unique in the list."""
    preset: Preset | None = None
    """A task that comes with perbench: `PackagedTopics` (classification) or `PackagedAnswers` (short answers). Each has
    48 items, which is enough for a `load.concurrency` of 12."""
    dataset: Dataset | None = None
    """Questions of your own."""
    synthetic: Synthetic | None = None
    """A load without answers."""
    limit: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    """Items measured per repeat, at least 4 x `load.concurrency`; no more than the task has. Default all; synthetic:
    200."""
    max_tokens: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    """Output tokens at most; with TGI above 1024 a multiple of 1024. Default 256. Not with `synthetic`, whose
    `outputTokens` says it."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            message="give exactly one of preset, dataset and synthetic",
            cel="[has(self.preset), has(self.dataset), has(self.synthetic)].exists_one(given, given)",
            holds=lambda t: sum(kind is not None for kind in (t.preset, t.dataset, t.synthetic)) == 1,
        ),
        Rule(
            message="a synthetic task says outputTokens: leave maxTokens out",
            cel="!has(self.synthetic) || !has(self.maxTokens)",
            holds=lambda t: t.synthetic is None or t.max_tokens is None,
            field="maxTokens",
        ),
    )


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True
