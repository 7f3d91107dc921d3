"""What a table of figures means, in sentences: who is first on each scale, and how far that can be relied on."""

from collections.abc import Iterator, Mapping, Sequence

from perbench.per.measured import Score
from perbench.per.removals import Removals
from perbench.per.table import Table
from perbench.per.table_scores import TOLERANCE, TaskScores, best_of
from perbench.per.words import number

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def headline(scored: Sequence[TaskScores]) -> str:
    """The one sentence: the best on the Reference scale, and whom the Published scale puts first."""
    best = best_of(tuple(scored))
    if best is None:
        return "No model is best: none is ranked on every task."
    of = f"all {best.tasks}" if best.tasks_won == best.tasks else f"{best.tasks_won} of {best.tasks}"
    where = "the one task" if best.tasks == 1 else f"{of} tasks"
    mean = f"geometric mean {number(best.reference_per)}"
    return f"{best.model} is first on {where} by Reference PER ({mean}).{_firsts(scored)}"


def remarks(table: Table, scored: Sequence[TaskScores], removed: Mapping[str, Removals]) -> tuple[str, ...]:
    """How far the figures can be relied on, the worst first."""
    return tuple(
        sentence
        for sentences in (_zeros(scored), _removals(scored, removed), _mismatches(table, scored), _floor(scored))
        for sentence in sentences
    )


def first_of(scores: Sequence[Score]) -> str | None:
    """The model with the highest value, the first of equals. None where nobody has one."""
    valued = [(score.value, score.model) for score in scores if score.value is not None]
    return max(valued, key=lambda pair: pair[0])[1] if valued else None


def mismatched(scored: Sequence[TaskScores]) -> int:
    """Cells whose own PER is not what the formula gives."""
    return sum(bool(mismatch) for task in scored for mismatch in task.mismatches())


def join(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _firsts(scored: Sequence[TaskScores]) -> str:
    firsts = list(dict.fromkeys(first for task in scored if (first := first_of(task.published.scores))))
    if not firsts:
        return ""
    if len(firsts) == 1:
        return f" The Published scale puts {firsts[0]} first."
    return f" The Published scale puts {_count(len(firsts))} models first: {join(firsts)}."


def _zeros(scored: Sequence[TaskScores]) -> Iterator[str]:
    values = [score.value for task in scored for score in task.published.scores if score.value is not None]
    zeros = values.count(0)
    if zeros:
        cells = "cell is" if zeros == 1 else "cells are"
        yield (
            f"{zeros} of {len(values)} Published {cells} 0: the model is the worst of all on one axis, and nothing else"
            " it does counts."
        )


def _removals(scored: Sequence[TaskScores], removed: Mapping[str, Removals]) -> Iterator[str]:
    flips = sum(effect.flips for task in scored for effect in removed[task.task].effects)
    if not flips:
        return
    displaced = [
        f"{effect.displaced} to {effect.first} on {task.task}"
        for task in scored
        for effect in removed[task.task].effects
        if effect.displaced
    ]
    moved = f" It also moves the first place from {join(displaced)}." if displaced else ""
    pairs = "1 pair of other models" if flips == 1 else f"{flips} pairs of other models"
    yield f"Leaving one model out, each in its turn, reverses the Published order of {pairs}.{moved}"


def _mismatches(table: Table, scored: Sequence[TaskScores]) -> Iterator[str]:
    judged = [mismatch for task in scored for mismatch in task.mismatches() if mismatch is not None]
    if not table.has_published or not judged:
        return
    if not any(judged):
        yield f"All {len(judged)} cells agree with the table's own PER within {TOLERANCE}."
        return
    cells = "1 cell" if sum(judged) == 1 else f"{sum(judged)} cells"
    yield f"{cells} of {len(judged)} differ from the table's own PER by more than {TOLERANCE}; they are listed below."


def _floor(scored: Sequence[TaskScores]) -> Iterator[str]:
    floor = scored[0].reference.quality_floor
    if floor is None:
        yield "No quality floor is set: on the Reference scale speed and memory can make up for wrong answers."
        return
    below = sum(score.value is None for task in scored for score in task.reference.scores)
    if below:
        cells = "1 cell has" if below == 1 else f"{below} cells have"
        yield f"With a quality floor of {floor:g}, {cells} no place on the Reference scale."


def _count(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)
