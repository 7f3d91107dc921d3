"""What a reader of the figures must know, as one list for the status and the report. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

from perbench.api.defaults import Resolved
from perbench.api.per import LatencyBasis
from perbench.evaluation.kinship import Kinship
from perbench.evaluation.settings import Settings
from perbench.evaluation.values import Cell, Exclusion, NotedFinding, Row, TaskEvaluation, Warned
from perbench.failures import shorten
from perbench.per import Axis, Basis, LeftOut, Reason
from perbench.per.words import axis_names, why_left_out
from perbench.planning import EVERY_CONTAINER
from perbench.resources import MemoryOrigin, MemoryQuality
from perbench.results import ModelRecord, Results, TaskKind

FLIP_PERCENT = 5.0
"""Answers that differ between repeats beyond this share of items: Nondeterministic (measurement.md §3)."""
VERBOSE_RATIO = 1.25
"""Mean output tokens that differ more than this between models are said in the table (measurement.md §2)."""
MESSAGE_LENGTH = 384
"""Characters of a warning in the status."""


def gather(
    tasks: Sequence[TaskEvaluation], kinships: Mapping[str, Kinship], settings: Settings, resolved: Resolved
) -> tuple[Warned, ...]:
    """All warnings: of single cells those that invalidate first, then of the run and its tasks, then the other ones."""
    cells = [row.cell for task in tasks for row in task.rows]
    of_cells = [
        (noted.finding.invalidates, Warned(noted.finding.code, finding_text(noted, cell.stages), cell.task, cell.model))
        for cell in cells
        for noted in cell.findings
    ]
    invalid = [warned for invalidates, warned in of_cells if invalidates]
    noted = [warned for invalidates, warned in of_cells if not invalidates]
    of_run = (*_unlike(kinships), *_of_basis(settings, resolved), *_of_launches(tasks, resolved))
    of_memory = (*_of_modelled_memory(cells), *_of_missing_memory(cells))
    return (*invalid, *of_run, *_of_tasks(tasks), *_of_answers(cells), *of_memory, *noted)


def remarks(models: Iterable[ModelRecord]) -> tuple[Warned, ...]:
    """What could not be learnt of models before their load, or told apart during it. Last of all."""
    return tuple(
        Warned("Remark", shorten(text, MESSAGE_LENGTH), model=model.name)
        for model in models
        for text in (*model.remarks, *_of_memory(model))
    )


def _of_memory(model: ModelRecord) -> Sequence[str]:
    sources = [stage.memory.source for launch in model.launches for stage in launch.stages if stage.memory]
    if not any(EVERY_CONTAINER in source for source in sources):
        return ()
    return (f"its memory is that {EVERY_CONTAINER}: which of them is the server's could not be told",)


def moved(results: Results) -> tuple[Warned, ...]:
    """Repositories of the hub that were loaded in several states within the run, though the benchmark names one."""
    loaded: dict[tuple[str, str], dict[str, list[str]]] = {}
    for model in results.models:
        name = model.source.get("model")
        for launch in model.launches if model.source.get("kind") == "Hub" and isinstance(name, str) else ():
            if launch.revision is not None:
                key = (str(name), _asked_revision(results.spec, model.name))
                started = f"{model.name} in round {launch.round + 1}"
                loaded.setdefault(key, {}).setdefault(launch.revision, []).append(started)
    return tuple(
        Warned("RevisionMoved", shorten(_moved_text(name, states), MESSAGE_LENGTH))
        for (name, _), states in loaded.items()
        if len(states) > 1
    )


def _moved_text(name: str, states: Mapping[str, Sequence[str]]) -> str:
    where = "; ".join(f"{commit[:12]}: {', '.join(who)}" for commit, who in states.items())
    return f"set revision and run again: {name} was changed at the hub while it was measured, and loaded as {where}"


def _asked_revision(spec: Mapping[str, JsonValue], model: str) -> str:
    """What the benchmark says of a model's revision; empty: the main branch."""
    entries = spec.get("models")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == model:
            return str(entry.get("revision") or "")
    return ""


def finding_text(noted: NotedFinding, stages: int) -> str:
    """A finding in words: how often, what was measured against which limit, what to do."""
    finding = noted.finding
    parts = [f"in {noted.stages} of {stages} stages: {finding.rule}"]
    if finding.measured is not None:
        parts.append(f" {finding.measured:.3g} {finding.unit}".rstrip())
    if finding.threshold is not None:
        parts.append(f" (limit {finding.threshold:.3g} {finding.unit}".rstrip() + ")")
    return shorten("".join(parts) + (f"; {finding.advice}" if finding.advice else ""), MESSAGE_LENGTH)


def length_notes(cells: Iterable[Cell]) -> tuple[str, ...]:
    """One sentence where models answer at clearly different lengths: tokens/s then rewards the one that rambles."""
    lengths = {
        cell.model: cell.mean_output_tokens
        for cell in cells
        if cell.mean_output_tokens and cell.kind is TaskKind.GENERATION
    }
    if not lengths:
        return ()
    longest, shortest = max(lengths, key=lengths.__getitem__), min(lengths, key=lengths.__getitem__)
    ratio = lengths[longest] / lengths[shortest]
    if ratio <= VERBOSE_RATIO:
        return ()
    most, least = (f"{model} gives {lengths[model]:.1f} tokens" for model in (longest, shortest))
    return (f"Answers differ in length: {most}, {least} ({ratio:.2f}x). Tokens/s rewards the longer; compare items/s.",)


def even_notes(rows: Iterable[Row]) -> tuple[str, ...]:
    """One sentence where all items of a model have one score: the bootstrap then sees no error of its accuracy."""
    even = [row.cell.model for row in rows if row.scores.uncertainty and row.scores.uncertainty.even_scores]
    if not even:
        return ()
    return (f"Every item of {', '.join(even)} has the same score: how far its accuracy may be off is not known.",)


def _unlike(kinships: Mapping[str, Kinship]) -> list[Warned]:
    units, prompts = (sorted({kinship[index] for kinship in kinships.values()}) for index in (0, 1))
    found = []
    if len(units) > 1:
        found.append(
            Warned("UnlikeUnits", f"throughput is per {' and per '.join(units)}: such models are ranked apart")
        )
    if len(prompts) > 1:
        found.append(
            Warned(
                "UnlikePrompts",
                f"prompts were sent as {' and as '.join(prompts)}: such models are ranked apart; set load.api for all",
            )
        )
    return found


def _of_basis(settings: Settings, resolved: Resolved) -> list[Warned]:
    if settings.latency_basis is not LatencyBasis.UNLOADED or resolved.unloaded_requests is not None:
        return []
    return [
        Warned(
            "UnloadedNotMeasured",
            "per.latencyBasis is Unloaded, and this run was not asked for stages without load when it started, so"
            " there is no latency: start a new run, or choose Request",
        )
    ]


def _of_launches(tasks: Sequence[TaskEvaluation], resolved: Resolved) -> list[Warned]:
    """What the intervals do not hold, or why there are none. The same for all tasks of a run."""
    known = [task.uncertainty for task in tasks if task.uncertainty is not None and task.order]
    if any(entry.reason is Reason.TOO_FEW_REPLICATES for entry in known):
        counted = "launches" if resolved.rounds > 1 else "repeats"
        return [
            Warned(
                Reason.TOO_FEW_REPLICATES.value,
                f"fewer than three {counted} were measured, so PER has no intervals: raise execution.rounds",
            )
        ]
    if any(entry.basis is Basis.REPEATS and entry.reason is None for entry in known):
        return [
            Warned(
                "WithinOneLaunch",
                "every model was started once: intervals hold what changes within one launch, and a new start may"
                " change more; raise execution.rounds",
            )
        ]
    return []


def _of_uncertainty(task: TaskEvaluation) -> list[Warned]:
    known = task.uncertainty
    if known is None:
        return []
    found = []
    if known.unequal:
        what = (
            " and ".join([", ".join(known.unequal[:-1]), known.unequal[-1]])
            if len(known.unequal) > 1
            else known.unequal[0]
        )
        found.append(
            Warned(
                "UnequalVariances",
                f"the models vary unlike in {what.replace('_', ' ')} (Levene's test, p < 0.01): each has its own"
                " variance there, and a wider interval",
                task.record.name,
            )
        )
    if known.reason is Reason.TOO_FEW_ITEMS:
        found.append(
            Warned(
                Reason.TOO_FEW_ITEMS.value,
                "all items come from a single source, so the error of accuracy is unknown and PER has no intervals",
                task.record.name,
            )
        )
    return found


def _of_tasks(tasks: Sequence[TaskEvaluation]) -> list[Warned]:
    found = []
    for task in tasks:
        name = task.record.name
        compared = sum(row.cell.excluded is None and not row.apart for row in task.rows)
        if task.few:
            found.append(
                Warned(
                    Reason.TOO_FEW_MODELS.value,
                    f"{compared} of {len(task.rows)} models are compared; the Published scale needs four, so its PER"
                    " is absent: read the Reference scale",
                    name,
                )
            )
        found += [
            Warned(entry.reason.value, why_left_out(entry), name) for entry in task.left_out if _tells(task, entry)
        ]
        found += _of_uncertainty(task)
        found += _of_reference(task)
        found += _of_unlike_memory(task)
    return found


def _tells(task: TaskEvaluation, entry: LeftOut) -> bool:
    """Nobody asks for the axes of an absent PER; a synthetic load has no accuracy; a weight of 0 was asked for."""
    synthetic = task.record.kind is TaskKind.SYNTHETIC and entry.axis is Axis.ACCURACY
    return (
        not synthetic
        and entry.reason is not Reason.ZERO_WEIGHT
        and (not task.few or entry.reason is Reason.NOT_MEASURED)
    )


def _of_reference(task: TaskEvaluation) -> list[Warned]:
    scores = [row.scores.reference for row in task.rows if row.scores.reference is not None and not row.apart]
    for reason, text in (
        (Reason.REFERENCE_FAILED, "has no figures that can be compared on this task"),
        (Reason.REFERENCE_ZERO, "has a figure of 0 on this task: {axes}"),
    ):
        hit = next((score for score in scores if score.reason is reason), None)
        if hit is not None:
            return [
                Warned(
                    reason.value,
                    f"the reference model {task.reference_model} {text.format(axes=axis_names(hit.axes))}, so nobody"
                    " has a Reference PER: set per.reference to another model",
                    task.record.name,
                )
            ]
    return []


MEMORY_WORDS = {
    (MemoryOrigin.PROCESSES, MemoryQuality.MEASURED): "measured of processes on the host",
    (MemoryOrigin.PROCESSES, MemoryQuality.MODELLED): "modelled of processes on the host",
    (MemoryOrigin.DEVICE, MemoryQuality.MEASURED): "measured of accelerators",
    (MemoryOrigin.DEVICE, MemoryQuality.MODELLED): "modelled of accelerators",
    (MemoryOrigin.DEVICE_TOTAL, MemoryQuality.MEASURED): "all that was in use on accelerators",
    (MemoryOrigin.WORKING_SET, MemoryQuality.MEASURED): "the working set of containers on the host",
}


def _of_unlike_memory(task: TaskEvaluation) -> list[Warned]:
    """Memory of unlike kinds is compared all the same, since a ratio may be wanted; nobody is to miss it."""
    by_kind: dict[str, list[str]] = {}
    for row in task.rows:
        kind = row.cell.memory_kind
        if kind is not None and row.cell.excluded is None and not row.apart:
            by_kind.setdefault(MEMORY_WORDS[kind.origin, kind.quality], []).append(row.cell.model)
    if len(by_kind) <= 1:
        return []
    said = "; ".join(f"{words}: {', '.join(models)}" for words, models in by_kind.items())
    advice = "such figures count unlike things: compare by per.memoryBasis Weights, or leave memory out (weight 0)"
    return [Warned("UnlikeMemory", shorten(f"memory is {said}; {advice}", MESSAGE_LENGTH), task.record.name)]


def _of_modelled_memory(cells: Iterable[Cell]) -> list[Warned]:
    return [
        Warned(
            "MemoryModelled",
            shorten(f"its memory was not read but follows from the model: {cell.memory_kind.source}", MESSAGE_LENGTH),
            cell.task,
            cell.model,
        )
        for cell in cells
        if cell.memory_kind is not None and cell.memory_kind.quality is MemoryQuality.MODELLED
    ]


def _of_missing_memory(cells: Iterable[Cell]) -> list[Warned]:
    """That a model has no memory figure is said of the axis; this says why."""
    return [
        Warned("NoMemoryFigure", shorten(cell.memory_reason, MESSAGE_LENGTH), cell.task, cell.model)
        for cell in cells
        if cell.memory_reason is not None
    ]


def _of_answers(cells: Sequence[Cell]) -> list[Warned]:
    found = []
    for cell in cells:
        if cell.flip_percent is not None and cell.flip_percent > FLIP_PERCENT:
            found.append(
                Warned(
                    "Nondeterministic",
                    f"{cell.flip_percent:.1f} % of the answers differ between repeats (limit {FLIP_PERCENT:.0f} %);"
                    " accuracy varies with them",
                    cell.task,
                    cell.model,
                )
            )
        if cell.excluded is Exclusion.OUTPUT_LENGTH_MISSED:
            found.append(
                Warned(
                    Exclusion.OUTPUT_LENGTH_MISSED.value,
                    f"outputs were {cell.mean_output_tokens:.1f} tokens long on average, not as many as asked:"
                    " not ranked with the others",
                    cell.task,
                    cell.model,
                )
            )
    return found
