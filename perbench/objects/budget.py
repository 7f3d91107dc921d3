"""How much of each request fits into the results object of a model: what is kept, and what is dropped first. Pure."""

from collections.abc import Iterable, Mapping

from perbench.failures import Blame, Failure
from perbench.objects.results import (
    BUDGET,
    DETAIL,
    FULL,
    LARGEST_DOCUMENT,
    LARGEST_OBJECT,
    Detail,
    encoded,
    is_document,
    is_stage,
    name_of,
    read_object,
    read_stage,
    unpacked_size,
)
from perbench.results import StageRecord

LADDER = (FULL, Detail(answers=False), Detail(answers=False, digits=4), Detail(answers=False, digits=3))
"""From all to least: answers go first, for no figure is computed from them; then what is far below any scatter."""

RESERVE = 24 * 1024
"""Of the budget, for what the operator writes: the ends of launches."""
LEAST_ROW_BYTES = 4
"""Of one request at the last step of the ladder, however alike requests are (measured: 5 in a steady synthetic load, 16
where no two are alike)."""
LEAST_STAGE_BYTES = 500
"""Of a stage beside its rows (measured: 600 with one request)."""

_TIMES = ("sent_seconds", "ttft_ms", "ttft_sent_ms", "connect_ms", "e2e_ms", "tpot_ms")


class TooLargeError(Exception):
    """The object has no room for a stage; carries the failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def may_fit(stages: int, rows: int) -> bool:
    """Whether so many measured requests, in so many stages of a model over all its rounds, may fit into one object.
    False: they cannot, however small they pack."""
    return stages * LEAST_STAGE_BYTES + rows * LEAST_ROW_BYTES <= BUDGET - RESERVE


def size_of(binary_data: Mapping[str, str]) -> int:
    """Compressed bytes in an object: three for four characters of base64."""
    return sum(len(value) // 4 * 3 - value.count("=", -2) for value in binary_data.values())


def _can_be_read(values: Iterable[str]) -> bool:
    """Whether readers take what the values unpack to. Answers that say the same again and again pack very small."""
    sizes = [unpacked_size(value) for value in values]
    return max(sizes) <= LARGEST_DOCUMENT and sum(sizes) <= LARGEST_OBJECT


def reduced(stage: StageRecord, detail: Detail) -> StageRecord:
    """The stage with no more detail than that."""
    rows = stage.requests
    changes: dict[str, object] = {}
    if not detail.answers:
        changes["answer"] = (None,) * len(rows.answer)
    if detail.digits is not None:
        changes |= {name: _rounded(getattr(rows, name), detail.digits) for name in _TIMES}
    return stage.model_copy(update={"requests": rows.model_copy(update=changes)}) if changes else stage


def with_stage(binary_data: Mapping[str, str], stage: StageRecord, budget: int = BUDGET - RESERVE) -> dict[str, str]:
    """The keys to write so that the object holds this stage too; stages that are there may lose detail with it.

    Empty where it holds the stage already. Raises TooLargeError.
    """
    there = read_object(binary_data)
    name = name_of(stage)
    if (stage.task, stage.repeat) in there.recorded(stage.round):
        return {}
    others = {key: value for key, value in binary_data.items() if key not in {name, DETAIL}}
    for detail in _steps(there.detail):
        changes = {name: encoded(reduced(stage, detail))}
        if detail != FULL:
            changes[DETAIL] = encoded(detail)
        if detail != there.detail:
            changes |= {
                key: encoded(reduced(read_stage(key, value), detail))
                for key, value in others.items()
                if is_stage(key) and key not in there.unreadable
            }
        held = {**others, **changes}
        read = [value for key, value in held.items() if is_document(key) and key not in there.unreadable]
        if size_of(held) <= budget and _can_be_read(read):
            return changes
    raise TooLargeError(_too_large(there.stages, stage))


def _steps(present: Detail) -> tuple[Detail, ...]:
    """The steps of the ladder from the one the object is at."""
    return LADDER[LADDER.index(present) :] if present in LADDER else (present,)


def _too_large(stages: Mapping[int, tuple[StageRecord, ...]], stage: StageRecord) -> Failure:
    kept = [one for several in stages.values() for one in several]
    rows = sum(len(one.requests.item) for one in kept)
    message = (
        f"task {stage.task}: the results of this stage ({len(stage.requests.item)} requests) do not fit beside those "
        f"of {len(kept)} stages ({rows} requests) of the model into one object of the cluster ({BUDGET // 1024} KiB, "
        "without answers and in three digits); what is stored stays. Lower tasks[].limit, load.repeats or "
        "execution.rounds, or put fewer tasks into one benchmark"
    )
    return Failure(blame=Blame.MEASUREMENT, reason="ResultsTooLarge", message=message)


def _rounded(values: tuple[float | None, ...], digits: int) -> tuple[float | None, ...]:
    return tuple(None if value is None else float(f"{value:.{digits - 1}e}") for value in values)
