"""What is told when, over a Grafana that the test speaks for."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perbench.grafana.orders import Order, Problem, ProblemKind, Report
from perbench_operator.configuration import GrafanaTarget
from perbench_operator.decide.situation import Benchmark, Told
from perbench_operator.grafana import desk, teller
from perbench_operator.grafana.teller import Teller
from perbench_operator.metrics.grafana import Outcome, Part
from perbench_operator.reading import read_benchmark
from tests.support.processes import until
from tests.support.simulated_operator import benchmark as document

START = "2026-04-02T09:00:00Z"
END = "2026-04-02T10:00:00Z"
AWAY = Problem(kind=ProblemKind.UNREACHABLE, message="away")
REFUSES = Problem(kind=ProblemKind.REFUSED, message="no")
UNREPORTED = Problem(kind=ProblemKind.REFUSED, message="it says nothing")


def benchmark(
    uid: str = "u", *, ended: bool = False, said: str | None = "Unknown", deleting: bool = False
) -> Benchmark:
    """With a run that is on, or has ended."""
    body = document()
    body["metadata"] |= {"uid": uid, "name": f"bench-{uid}"}
    if deleting:
        body["metadata"]["deletionTimestamp"] = END
    condition = {"type": "Annotated", "status": said, "lastTransitionTime": START, "reason": "A", "message": ""}
    body["status"] = {
        "phase": "Succeeded" if ended else "Measuring", "run": {"id": "0123456789"}, "startTime": START,
        "conditions": [condition] if said else [], **({"completionTime": END} if ended else {}),
    }  # fmt: skip
    return read_benchmark(body)


class Desk:
    """A teller over a Grafana that answers with a problem, or without."""

    def __init__(self, folder: Path, *, dashboards: bool = False) -> None:
        self.orders: list[Order] = []
        self.woken: list[str] = []
        self.time = 0.0
        self.problem: Problem | None = None
        self.changes: tuple[str, ...] = ()
        self.meanwhile: Callable[[], None] = lambda: None
        self.token = folder / "token"
        target = GrafanaTarget(url="https://grafana", token_file=self.token, dashboards=dashboards)
        self.teller = Teller(
            target, self, self.woken.append, lambda: self.time, lambda: datetime(2026, 4, 2, 9, 30, tzinfo=UTC),
            lambda: 0.0,
        )  # fmt: skip

    async def tell(self, order: Order) -> tuple[tuple[Report, ...], Problem]:
        self.orders.append(order)
        self.meanwhile()
        await asyncio.sleep(0)
        places = [*range(len(order.annotations)), *([None] if order.dashboards else [])]
        reports = tuple(Report(annotation=place, problem=self.problem, changes=self.changes) for place in places)
        return reports, UNREPORTED

    def go(self) -> bool:
        return asyncio.run(self.teller.tell_once())

    @property
    def told(self) -> list[tuple[str, bool]]:
        """Benchmark, and whether it was the end, of each annotation that was told."""
        return [(each.benchmark, each.end is not None) for order in self.orders for each in order.annotations]


@pytest.fixture
def desk_(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_run_is_told_once_and_its_benchmark_is_looked_at(desk_: Desk) -> None:
    assert desk_.teller.look(benchmark()) is None
    assert desk_.woken == []
    assert desk_.go()
    assert (desk_.told, desk_.woken) == ([("bench-u", False)], ["u"])
    told = desk_.teller.look(benchmark())
    assert isinstance(told, Told)
    assert told.problem is None
    assert not desk_.go(), "the status does not say so yet, and yet it was told"
    desk_.teller.look(benchmark(ended=True))
    assert desk_.go()
    assert desk_.told == [("bench-u", False), ("bench-u", True)]
    assert desk_.woken == ["u", "u"]


@pytest.mark.parametrize(
    "known", [benchmark(said="True"), benchmark(ended=True, said="True"), benchmark(ended=True, said=None)]
)
def test_what_the_status_knows_is_not_told(desk_: Desk, known: Benchmark) -> None:
    assert desk_.teller.look(known) is None
    assert not desk_.go()


def test_a_run_that_is_on_and_has_no_condition_is_told(desk_: Desk) -> None:
    desk_.teller.look(benchmark(said=None))
    assert desk_.go()


def test_what_failed_is_told_later_and_says_so_once(desk_: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    desk_.problem = AWAY
    desk_.teller.look(benchmark(ended=True))
    for _ in range(5):
        assert desk_.go()
        desk_.teller.look(benchmark(ended=True, said="False"))
        assert not desk_.go(), "not at once"
        desk_.time += 400
    assert desk_.woken == ["u"], "the same thing again is no news"
    assert [record.getMessage() for record in caplog.records] == ["Grafana: annotations: away"]
    desk_.problem, desk_.changes = None, ("annotation: created",)
    assert desk_.go()
    assert [record.getMessage() for record in caplog.records][1:] == [
        "Grafana: annotation: created",
        "Grafana: annotations: it takes them again",
    ]
    assert desk_.woken == ["u", "u"]
    told = desk_.teller.look(benchmark(ended=True, said="False"))
    assert told is not None
    assert told.problem is None
    counts = desk_.teller.counts
    assert (counts.attempts[Part.ANNOTATION, Outcome.UNREACHABLE], counts.pending) == (5, 0)
    assert counts.attempts[Part.ANNOTATION, Outcome.DONE] == 1


def test_an_end_that_comes_while_the_start_is_told(desk_: Desk) -> None:
    desk_.teller.look(benchmark())
    desk_.meanwhile = lambda: None if len(desk_.orders) > 1 else ended()

    def ended() -> None:
        desk_.teller.look(benchmark(ended=True))

    assert desk_.go()
    assert desk_.woken == []
    assert desk_.go()
    assert desk_.told == [("bench-u", False), ("bench-u", True)]
    assert desk_.woken == ["u"]


def test_a_benchmark_that_is_deleted_while_its_run_is_on(desk_: Desk) -> None:
    desk_.teller.look(benchmark(said="True"))
    desk_.teller.look(benchmark(said="True", deleting=True))
    desk_.teller.forget("u")
    desk_.teller.forget("u")
    assert desk_.go()
    ((annotation,),) = (order.annotations for order in desk_.orders)
    assert annotation.end == datetime(2026, 4, 2, 9, 30, tzinfo=UTC)
    assert annotation.text.endswith("deleted while the run was on")
    assert desk_.woken == []
    assert not desk_.go()


def test_an_end_that_was_not_told_outlives_its_benchmark(desk_: Desk) -> None:
    desk_.problem = AWAY
    desk_.teller.look(benchmark(ended=True))
    desk_.go()
    desk_.teller.forget("u")
    desk_.problem, desk_.time = None, 400.0
    assert desk_.go()
    assert desk_.told == [("bench-u", True)] * 2
    assert desk_.woken == ["u"]


def test_a_new_run_does_not_make_the_end_of_the_one_before_forgotten(desk_: Desk) -> None:
    desk_.problem = AWAY
    desk_.teller.look(benchmark(ended=True))
    desk_.go()
    following = benchmark()
    assert following.status is not None
    later = following.status.model_copy(update={"start_time": datetime(2026, 4, 2, 11, 0, tzinfo=UTC)})
    desk_.teller.look(Benchmark(**{**vars(following), "status": later}))
    desk_.problem, desk_.time = None, 400.0
    desk_.go()
    assert sorted(desk_.told[1:]) == [("bench-u", False), ("bench-u", True)]


def test_what_there_was_no_room_for_comes_when_there_is(desk_: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "ROOM", 2)
    for uid in ("u", "v", "w"):
        desk_.teller.look(benchmark(uid, ended=True))
    assert desk_.teller.counts.pending == 2
    desk_.go()
    assert [name for name, _ in desk_.told] == ["bench-u", "bench-v"]
    assert desk_.woken.count("w") == 1, "its status knows what is due"
    desk_.teller.look(benchmark("w", ended=True))
    desk_.go()
    assert desk_.told[-1] == ("bench-w", True)


def test_there_is_room_for_the_ends_of_benchmarks_that_are_deleted(
    desk_: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No status knows of them any more."""
    monkeypatch.setattr(desk, "ROOM", 1)
    monkeypatch.setattr(desk, "ROOM_FOR_GONE", 2)
    desk_.teller.look(benchmark("u", ended=True))
    desk_.teller.look(benchmark("v", said="True"))
    desk_.teller.look(benchmark("w", ended=True))
    desk_.teller.look(benchmark("x", said="True"))
    for uid in ("v", "w"):
        desk_.teller.forget(uid)
    assert caplog.messages == []
    desk_.teller.forget("x")
    assert ["it will not be told how run 0123456789 ended" in line for line in caplog.messages] == [True]
    while desk_.go():
        pass
    assert desk_.told == [("bench-u", True), ("bench-v", True), ("bench-w", True)]


def test_who_is_woken_for_nothing_takes_nobody_elses_turn(desk_: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "ROOM", 1)
    for uid in ("u", "v", "w"):
        desk_.teller.look(benchmark(uid, ended=True))
    desk_.teller.forget("v")
    while desk_.go():
        for uid in desk_.woken:
            if uid == "w":
                desk_.teller.look(benchmark(uid, ended=True))
    assert sorted(name for name, _ in desk_.told) == ["bench-u", "bench-v", "bench-w"]


def test_dashboards_are_pushed_at_the_start_and_again_where_that_failed(tmp_path: Path) -> None:
    found = Desk(tmp_path, dashboards=True)
    assert found.teller.counts.dashboards is False
    found.problem = AWAY
    assert found.go()
    assert found.teller.counts.dashboards is False
    assert not found.go()
    found.problem, found.time = None, 400.0
    assert found.go()
    assert found.teller.counts.dashboards is True
    found.time = 1e6
    assert not found.go()
    assert [order.dashboards for order in found.orders] == [True, True]


def test_what_has_no_report_has_the_problem_of_the_whole(tmp_path: Path) -> None:
    found = Desk(tmp_path)

    async def silent(order: Order) -> tuple[tuple[Report, ...], Problem]:
        found.orders.append(order)
        return (), UNREPORTED

    found.tell = silent  # type: ignore[method-assign]
    found.teller.look(benchmark(ended=True))
    found.go()
    told = found.teller.look(benchmark(ended=True))
    assert told is not None
    assert told.problem == UNREPORTED


def working(found: Desk, then: Callable[[], Awaitable[None]]) -> None:
    """The task at work, while something happens."""

    async def both() -> None:
        task = asyncio.create_task(found.teller.work())
        try:
            await then()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    asyncio.run(both())


def test_at_work_it_tells_what_is_new_and_waits(tmp_path: Path) -> None:
    found = Desk(tmp_path, dashboards=True)

    async def then() -> None:
        await until(lambda: len(found.orders) == 1)
        found.teller.look(benchmark())
        await until(lambda: len(found.orders) == 2)

    working(found, then)
    assert found.told == [("bench-u", False)]


def test_a_new_token_is_tried_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teller, "TOKEN_SECONDS", 0.02)
    found = Desk(tmp_path, dashboards=True)
    found.token.write_text("old")
    found.problem = REFUSES

    async def then() -> None:
        await until(lambda: len(found.orders) == 1)
        await asyncio.sleep(0.2)
        assert len(found.orders) == 1
        found.problem = None
        (tmp_path / "new").write_text("new")
        (tmp_path / "new").replace(found.token)
        await until(lambda: found.teller.counts.dashboards is True)

    working(found, then)
    assert len(found.orders) == 2


def test_a_new_token_is_noticed_by_an_operator_that_has_much_to_tell(tmp_path: Path) -> None:
    """Whatever is told next shows that the token is another."""
    found = Desk(tmp_path)
    found.token.write_text("old")
    found.problem = REFUSES
    found.teller.look(benchmark("u", ended=True))
    assert found.go()
    found.problem = None
    found.token.write_text("another")
    found.time = 1.0
    found.teller.look(benchmark("v", ended=True))
    assert found.go()
    assert sorted(name for name, _ in found.told[1:]) == ["bench-u", "bench-v"]


def test_a_token_that_comes_while_the_old_one_is_tried_is_new(tmp_path: Path) -> None:
    found = Desk(tmp_path, dashboards=True)
    found.token.write_text("old")
    found.problem = REFUSES
    found.meanwhile = lambda: None if len(found.orders) > 1 else replaced()

    def replaced() -> None:
        found.token.write_text("another")

    assert found.go()
    found.problem = None
    assert found.go()
    assert found.teller.counts.dashboards is True


def test_one_that_fails_among_many_that_do_not_is_told_once(desk_: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def of_one(order: Order) -> tuple[tuple[Report, ...], Problem]:
        bad = [each.benchmark == "bench-u" for each in order.annotations]
        return tuple(Report(annotation=i, problem=REFUSES if no else None) for i, no in enumerate(bad)), UNREPORTED

    desk_.tell = of_one  # type: ignore[method-assign]
    for number in range(5):
        desk_.teller.look(benchmark("u", ended=True))
        desk_.teller.look(benchmark(f"v{number}", ended=True))
        assert desk_.go()
        desk_.time += 1000
    assert [record.getMessage() for record in caplog.records] == ["Grafana: annotations: no"]


def test_an_outage_is_one_process_after_the_other(desk_: Desk) -> None:
    desk_.problem = AWAY.model_copy(update={"of_everything": True})
    for number in range(100):
        desk_.teller.look(benchmark(f"u{number}", ended=True))
        desk_.go()
    assert len(desk_.orders) == 1
    desk_.problem, desk_.time = None, 5.0
    while desk_.go():
        pass
    assert desk_.teller.counts.pending == 0


def test_a_mistake_of_ours_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(teller, "MISTAKE_SECONDS", 0.01)
    found = Desk(tmp_path, dashboards=True)

    def once() -> None:
        if len(found.orders) == 1:
            raise RuntimeError("a mistake")

    found.meanwhile = once

    async def then() -> None:
        await until(lambda: found.teller.counts.dashboards is True)

    working(found, then)
    assert "Grafana is not told" in caplog.text
