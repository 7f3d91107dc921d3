"""The budget of a results object, at the largest sizes that the API takes."""

from functools import cache

import numpy as np
import pytest

from perbench.failures import Blame
from perbench.objects.budget import (
    LADDER,
    LEAST_ROW_BYTES,
    LEAST_STAGE_BYTES,
    TooLargeError,
    may_fit,
    reduced,
    size_of,
    with_stage,
)
from perbench.objects.results import BUDGET, DETAIL, FULL, LARGEST_DOCUMENT, Detail, encoded, name_of, read_object
from perbench.resources import ResourceUse
from perbench.results import Histogram, Outcome, RequestColumns, StageRecord
from tests.support.results import TOPICS, Shape, stage

WORDS = 3000


@cache
def large_stage(task: str, repeat: int, items: int, *, answers: bool = True, bins: int = 700) -> StageRecord:
    """A stage in which no two numbers are alike, with answers of a hundred words."""
    chance = np.random.default_rng([len(task), repeat, items])

    def times(mean: float) -> tuple[float, ...]:
        return tuple((chance.lognormal(np.log(mean), 0.5, items)).tolist())

    def counts(largest: int) -> tuple[int, ...]:
        return tuple(chance.integers(1, largest, items).tolist())

    words = ["".join(chr(97 + letter) for letter in chance.integers(0, 26, length))
             for length in chance.integers(3, 9, WORDS)]  # fmt: skip
    text = [" ".join(words[word] for word in chance.integers(0, WORDS, 100)) for _ in range(items if answers else 0)]
    rows = RequestColumns(
        item=tuple(chance.permutation(items).tolist()),
        outcome=tuple([Outcome.SUCCESS, Outcome.TIMEOUT][n] for n in (chance.random(items) < 0.01).astype(int)),
        sent_seconds=tuple(np.cumsum(chance.exponential(0.05, items)).tolist()),
        ttft_ms=times(50),
        ttft_sent_ms=times(49),
        connect_ms=times(0.3),
        e2e_ms=times(1200),
        tpot_ms=times(11),
        input_tokens=counts(400),
        output_tokens=counts(256),
        cached_tokens=counts(16),
        finish=tuple(["stop", "length"][n] for n in chance.integers(0, 2, items)),
        score=tuple(chance.integers(0, 2, items).astype(float).tolist()),
        answer=tuple(text) if answers else (None,) * items,
    )
    return stage(TOPICS, Shape(1.0, 10, 20)).model_copy(
        update={"task": task, "repeat": repeat, "requests": rows, "itl": spread(chance, bins),
                "chunk_gap": spread(chance, bins), "use": large_use(chance)}
    )  # fmt: skip


def large_use(chance: np.random.Generator) -> ResourceUse:
    """Every field, with reasons as long as they get."""
    figures = chance.random(3).tolist()
    said = ["".join(chr(97 + letter) for letter in chance.integers(0, 26, 200)) for _ in range(6)]
    return ResourceUse(
        cpu_seconds=1e5 * figures[0], cpu_source=said[0], cpu_reason=said[1],
        accelerator_utilization=figures[1], accelerator_source=said[2], accelerator_reason=said[3],
        energy_joules=1e7 * figures[2], energy_source=said[4], energy_reason=said[5],
    )  # fmt: skip


def spread(chance: np.random.Generator, bins: int) -> Histogram:
    counts = chance.integers(1, 500, bins)
    places = np.sort(chance.choice(3000, bins, replace=False))
    return Histogram(
        bins=tuple(places.tolist()), counts=tuple(counts.tolist()), total=int(counts.sum()), sum=12.5, max=99.0
    )


def filled(stages: list[StageRecord]) -> dict[str, str]:
    held: dict[str, str] = {}
    for one in stages:
        held |= with_stage(held, one)
        assert size_of(held) <= BUDGET
    return held


def test_sixteen_tasks_of_256_items_fit_with_three_repeats() -> None:
    records = [large_stage(f"task-{n:02}", repeat, 256) for n in range(16) for repeat in range(3)]
    found = read_object(filled(records))
    assert found.unreadable == ()
    assert len(found.stages[0]) == 48
    assert found.detail in LADDER
    assert not found.detail.answers
    for one in found.stages[0]:
        assert set(one.requests.answer) == {None}, "all stages are alike"
    assert found.stages[0][0] == reduced(records[0], found.detail)


def test_one_task_of_ten_thousand_items_fits_with_three_repeats() -> None:
    records = [large_stage("gsm8k", repeat, 10_000, answers=repeat == 0) for repeat in range(3)]
    found = read_object(filled(records))
    assert len(found.stages[0]) == 3
    kept, true = found.stages[0][2].requests, records[2].requests
    assert (kept.item, kept.output_tokens, kept.score) == (true.item, true.output_tokens, true.score)
    assert found.detail.digits is not None
    limit = 0.5 * 10.0 ** (1 - found.detail.digits)
    for name in ("e2e_ms", "ttft_ms", "sent_seconds"):
        now, then = np.array(getattr(kept, name)), np.array(getattr(true, name))
        assert np.all(np.abs(now - then) <= limit * then * 1.001)


def test_a_small_result_keeps_everything() -> None:
    record = large_stage("small", 0, 200)
    held = filled([record])
    assert set(held) == {name_of(record)}
    assert read_object(held).stages[0] == (record,)
    assert with_stage(held, record) == {}, "what is there is not written again"


def test_a_step_once_taken_holds_for_later_stages() -> None:
    first, second = large_stage("a", 0, 50), large_stage("b", 0, 50)
    budget = size_of({name_of(first): encoded(first)}) - 1
    held = with_stage({}, first, budget)
    assert read_object(held).detail == Detail(answers=False)
    held |= with_stage(held, second)
    found = read_object(held)
    assert found.detail == Detail(answers=False)
    assert {text for one in found.stages[0] for text in one.requests.answer} == {None}


def test_the_ladder_is_taken_step_by_step() -> None:
    record = large_stage("a", 0, 300)
    sizes = [size_of({name_of(record): encoded(reduced(record, detail))}) for detail in LADDER]
    assert sizes == sorted(sizes, reverse=True)
    for detail, size in zip(LADDER[1:], sizes[1:], strict=True):
        room = size + size_of({DETAIL: encoded(detail)})
        assert read_object(with_stage({}, record, room)).detail == detail
    assert read_object(with_stage({}, record, sizes[0])).detail == FULL


def test_what_does_not_fit_at_all_is_refused_with_what_to_lower() -> None:
    first = large_stage("a", 0, 300)
    least = size_of({name_of(first): encoded(reduced(first, LADDER[-1]))})
    with pytest.raises(TooLargeError) as caught:
        with_stage(filled([first]), large_stage("b", 0, 300), 2 * least - 100)
    failure = caught.value.failure
    assert (failure.blame, failure.reason) == (Blame.MEASUREMENT, "ResultsTooLarge")
    for word in ("tasks[].limit", "load.repeats", "execution.rounds", "300 requests"):
        assert word in failure.message


def test_answers_that_unpack_to_more_than_is_read_give_way() -> None:
    """A model that says the same word for ever packs into almost nothing."""
    record = large_stage("a", 0, 300)
    endless = ("again " * (LARGEST_DOCUMENT // 300 // 5),) * 300
    loud = record.model_copy(update={"requests": record.requests.model_copy(update={"answer": endless})})
    held = with_stage({}, loud)
    found = read_object(held)
    assert found.unreadable == ()
    assert found.detail == Detail(answers=False)


def test_rounding_keeps_order_and_reduces_once() -> None:
    record = large_stage("a", 0, 300)
    for detail in LADDER:
        once = reduced(record, detail)
        assert reduced(once, detail) == once
        times = list(zip(record.requests.e2e_ms, once.requests.e2e_ms, strict=True))
        assert sorted(times, key=lambda pair: (pair[0] or 0, pair[1] or 0)) == sorted(
            times, key=lambda pair: (pair[1] or 0, pair[0] or 0)
        )


def test_damaged_stages_stay_and_take_their_room() -> None:
    damaged = {"stage.0.x.0": "AAAA"}
    changes = with_stage(damaged, large_stage("a", 0, 50), 9_000)
    assert "stage.0.x.0" not in changes


def test_no_stage_takes_less_than_is_reckoned_with() -> None:
    steady = large_stage("a", 0, 4_000, answers=False, bins=0)
    count = len(steady.requests.item)
    alike = steady.requests.model_copy(
        update={
            "item": tuple(range(count)), "outcome": (Outcome.SUCCESS,) * count, "connect_ms": (0.0,) * count,
            "input_tokens": (1024,) * count, "output_tokens": (128,) * count, "cached_tokens": (None,) * count,
            "finish": ("length",) * count, "score": (None,) * count, "ttft_ms": (50.0,) * count,
        }
    )  # fmt: skip
    for rows in (alike, alike.model_copy(update={name: getattr(alike, name)[:1] for name in type(alike).model_fields})):
        one = steady.model_copy(update={"requests": rows})
        taken = size_of({name_of(one): encoded(reduced(one, LADDER[-1]))})
        assert taken > LEAST_STAGE_BYTES + len(rows.item) * LEAST_ROW_BYTES


def test_what_may_fit() -> None:
    assert may_fit(stages=3, rows=30_000)
    assert may_fit(stages=48, rows=48 * 256)
    assert not may_fit(stages=1_600, rows=0), "4 tasks, 100 repeats, 4 rounds"
    assert not may_fit(stages=9, rows=180_000)
