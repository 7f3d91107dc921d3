"""A task as it is put to every model: prompts rendered, items chosen, everything checked before any load.

Which items are measured depends on the task alone, so that every model, round and repeat gets the same in the same
order. A packaged task is asked in the order of its file, in which the classes alternate. A dataset of the user's is
shuffled once by a fixed rule, since files are often sorted by class or length; `limit` takes the first ones of that
order, so a smaller limit measures a part of what a larger one does.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perbench.api.defaults import SYNTHETIC_LIMIT, max_tokens_of
from perbench.api.tasks import Dataset, Scorer, Scoring, Synthetic, TaskSpec
from perbench.failures import UsageError
from perbench.results import TaskKind, TaskRecord
from perbench_bench.tasks.presets import PRESETS
from perbench_bench.tasks.prompts import PromptTemplate
from perbench_bench.tasks.rows import Row, file_rows, inline_rows, packaged_rows
from perbench_bench.tasks.scorers import check_answers, check_scoring
from perbench_bench.tasks.synthetic import GENERATOR

SPARE_LIMIT = 1024
"""Most items kept for warm-up and filler."""

TOTAL_LIMIT = 128 * 1024 * 1024
"""Characters of all prompts of a task."""


@dataclass(frozen=True)
class Item:
    """One question as it is sent. `id`: the row's own, else its line or place, from 1. `source`: what it shares with
    other questions, such as a paragraph; None: nothing."""

    id: str
    prompt: str
    answers: tuple[str, ...]
    source: str | None = None


@dataclass(frozen=True)
class ResolvedTask:
    """A task with nothing left to decide, the same for every model.

    `items` are measured, in this order; `spare` are those outside the measured subset, for warm-up and filler (may be
    empty). A synthetic task has neither: its prompts are made by `synthetic.prompt`, `count` of them measured.
    """

    name: str
    kind: TaskKind
    items: tuple[Item, ...]
    spare: tuple[Item, ...]
    scoring: Scoring | None
    max_tokens: int
    synthetic: Synthetic | None
    count: int
    """Items measured per repeat."""

    def record(self) -> TaskRecord:
        """The task in results.json. Equal digests: the same was asked and judged alike."""
        sources = _numbered([item.source for item in self.items])
        content: dict[str, object] = {
            "kind": self.kind,
            "items": [[item.prompt, item.answers] for item in self.items],
            "scoring": self.scoring and self.scoring.model_dump(mode="json"),
            "maxTokens": self.max_tokens,
            "synthetic": self.synthetic and [GENERATOR, self.count, self.synthetic.model_dump(mode="json")],
        }
        if sources is not None:  # tasks without sources keep the digest they had before there were any
            content["sources"] = sources
        digest = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        return TaskRecord(
            name=self.name,
            kind=self.kind,
            items=self.count,
            sha256=digest,
            max_tokens=self.max_tokens,
            sources=sources,
        )


def resolve(task: TaskSpec, base: Path | None) -> ResolvedTask:
    """Check `task`, read its rows and render its prompts.

    `base` is the directory of the resource's file, to which `dataset.file` is relative; None: no file may be read.
    Raises UsageError, beginning with the task's name and, where an item is at fault, with file and line.
    """
    where = f"task {task.name!r}"
    if task.preset is not None:
        preset = PRESETS[task.preset]
        rows = packaged_rows(preset.file)
        order = range(preset.measured), range(preset.measured, len(rows))
        return _put(task, _Source(rows, *order, preset.prompt, preset.scoring, preset.kind), where)
    if task.dataset is not None:
        scoring = task.dataset.scoring
        check_scoring(scoring, where)
        rows = _rows(task.dataset, base, where)
        kind = TaskKind.CLASSIFICATION if scoring.scorer is Scorer.CHOICE else TaskKind.GENERATION
        return _put(task, _Source(rows, _shuffled(len(rows)), (), task.dataset.prompt, scoring, kind), where)
    return ResolvedTask(
        name=task.name,
        kind=TaskKind.SYNTHETIC,
        items=(),
        spare=(),
        scoring=None,
        max_tokens=max_tokens_of(task),
        synthetic=task.synthetic,
        count=task.limit or SYNTHETIC_LIMIT,
    )


@dataclass(frozen=True)
class _Source:
    """Rows as written; which of them can be measured, in which order; which are only ever spare; how they are put."""

    rows: tuple[Row, ...]
    order: Sequence[int]
    reserved: Sequence[int]
    prompt: str
    scoring: Scoring
    kind: TaskKind


def _put(task: TaskSpec, source: _Source, where: str) -> ResolvedTask:
    """Render the prompts and divide them into measured and spare."""
    template = PromptTemplate(source.prompt, where)
    limit = len(source.order) if task.limit is None else task.limit
    measured, spare = source.order[:limit], [*source.reserved, *source.order[limit:]][:SPARE_LIMIT]
    total = 0
    items = {}
    for index in sorted((*measured, *spare)):  # as written, so that the first mistake in a file is told first
        row = source.rows[index]
        check_answers(source.scoring, row.answers, f"{where}: {row.where}")
        items[index] = Item(row.id, template.render(row.columns, row.where), row.answers, row.source)
        total += len(items[index].prompt)
        if total > TOTAL_LIMIT:
            raise UsageError(f"{where}: the prompts exceed {TOTAL_LIMIT} characters together; set a smaller `limit`")
    return ResolvedTask(
        name=task.name,
        kind=source.kind,
        items=tuple(items[index] for index in measured),
        spare=tuple(items[index] for index in spare),
        scoring=source.scoring,
        max_tokens=max_tokens_of(task),
        synthetic=None,
        count=len(measured),
    )


def _rows(dataset: Dataset, base: Path | None, where: str) -> tuple[Row, ...]:
    if dataset.file is None:
        return inline_rows(dataset.inline or ())
    if base is None:
        raise UsageError(f"{where}: dataset.file is read only by a local run; write the items `inline`")
    try:
        return file_rows(base / dataset.file)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _numbered(sources: Sequence[str | None]) -> tuple[int, ...] | None:
    """A number per source, from 0 in the order of first appearance; what has none is its own. None: nothing has one."""
    if all(source is None for source in sources):
        return None
    numbers: dict[str | int, int] = {}
    return tuple(
        numbers.setdefault(place if source is None else source, len(numbers)) for place, source in enumerate(sources)
    )


def _shuffled(count: int) -> tuple[int, ...]:
    """The fixed order: by the hash of the place. Rows added at the end do not change the order of the others."""
    return tuple(sorted(range(count), key=lambda index: hashlib.sha256(f"perbench:{index}".encode()).digest()))
