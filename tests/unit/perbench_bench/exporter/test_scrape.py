"""Real scrapes over loopback while real loads run against the truth server: what they show is what is recorded."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import uvloop
from typing_extensions import override

from perbench.plan import Plan, StageKey
from perbench.results import Outcome, StageRecord
from perbench.statistics.accuracy import accuracy
from perbench_bench.exporter import Board, MetricsServer, RunLabels
from perbench_bench.exporter.buckets import REQUEST_DURATION, TIME_TO_FIRST_TOKEN
from perbench_bench.plan_run import measure, missing_stages
from perbench_bench.session import open_session
from perbench_bench.stage_store import StageStore
from perbench_bench.tasks import resolve
from perbench_bench.truth import truth_server
from tests.support.exposition import CLASSIC, OPENMETRICS, Exposition, scrape, shrunk

ITEMS = [{"input": f"question {i}", "answers": ["tok"] if i % 2 else ["other"]} for i in range(48)]
SCORING = {"scorer": "Contains"}
TASKS = [
    {"name": name, "dataset": {"inline": ITEMS, "scoring": SCORING}, "limit": 40, "maxTokens": tokens}
    for name, tokens in (("words", 6), ("more", 12))
]
SLOW = {"timing": {"firstMs": 15, "gapMs": 3}}
FLAKY = SLOW | {"faults": [{"kind": "error-event", "share": 0.2}]}


class Kept(StageStore):
    """Keeps records, and tells the board of them as a cluster's store does."""

    def __init__(self, board: Board) -> None:
        self.records: list[StageRecord] = []
        self.between: list[Exposition] = []
        self.port = 0
        self._board = board

    @override
    async def recorded(self) -> tuple[StageKey, ...]:
        return ()

    @override
    async def store(self, record: StageRecord) -> None:
        self.records.append(record)
        self._board.recorded(record, len(record.requests.item))
        self.between.append(scrape(self.port))


@contextmanager
def scraping(port: int, accept: str, found: list[Exposition]) -> Iterator[None]:
    """Scrapes again and again in a thread of its own."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.03):
            found.append(scrape(port, accept))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def plan(url: str, **load: Any) -> Plan:
    return Plan.model_validate(
        {
            "runId": "0123456789", "model": "m", "round": 0, "repeats": 2, "tasks": TASKS,
            "target": {"url": url, "protocol": "TGI", "model": "m"},
            "load": {"concurrency": 4, "maxSeconds": 60, "warmup": {"requests": 4, "seconds": 0}} | load,
        }
    )  # fmt: skip


class Ran:
    """A run with two scrapers, and scrapes before, between stages and after it."""

    def __init__(self, script: dict[str, Any], **load: Any) -> None:
        self.board = Board(RunLabels("team", "shop", "m", {"run_id": "0123456789"}), {"words": 2, "more": 2})
        self.store = Kept(self.board)
        self.during: dict[str, list[Exposition]] = {OPENMETRICS: [], CLASSIC: []}
        with truth_server(script) as server:
            served = MetricsServer(0, self.board).start()
            self.store.port = served.server_port
            try:
                self.before = scrape(served.server_port)
                with (
                    scraping(served.server_port, OPENMETRICS, self.during[OPENMETRICS]),
                    scraping(served.server_port, CLASSIC, self.during[CLASSIC]),
                ):
                    uvloop.run(self._run(plan(server.url, **load)))
                self.after = scrape(served.server_port)
            finally:
                served.close()

    async def _run(self, todo: Plan) -> None:
        session = await open_session(todo.target, todo.load, todo.seed)
        tasks = [resolve(task, None) for task in todo.tasks]
        failure = await measure(
            session, todo, missing_stages(todo, tasks, ()), self.store, lambda _: None, onlooker=self.board.look_on
        )
        assert failure is None

    def records(self, task: str) -> list[StageRecord]:
        return [record for record in self.store.records if record.task == task]


@pytest.fixture(scope="module", params=["closed", "open", "flaky"])
def ran(request: pytest.FixtureRequest) -> Ran:
    if request.param == "open":
        return Ran(SLOW, concurrency=None, arrivals={"rate": 80, "process": "Poisson"})
    return Ran(FLAKY if request.param == "flaky" else SLOW)


def known(column: tuple[float | None, ...]) -> list[float]:
    return [value for value in column if value is not None]


def sent(records: list[StageRecord]) -> int:
    return sum(len(r.requests.item) + r.warmup_requests + r.filler_requests for r in records)


@pytest.mark.parametrize("task", ["words", "more"])
def test_counters_end_as_the_records_say(ran: Ran, task: str) -> None:
    records, after = ran.records(task), ran.after
    outcomes = {dict(key)["outcome"]: n for key, n in after.of("perbench_requests_total", task=task).items()}
    assert set(outcomes) == {outcome.value for outcome in Outcome}
    assert sum(outcomes.values()) == sent(records)
    measured = [outcome for record in records for outcome in record.requests.outcome]
    for outcome in Outcome:
        assert outcomes[outcome.value] >= measured.count(outcome)
    evidence = [record.server for record in records if record.server]
    assert after.one("perbench_output_tokens_total", task=task) == sum(one.output_tokens_seen for one in evidence)
    assert after.one("perbench_input_tokens_total", task=task) == sum(one.input_tokens_seen or 0 for one in evidence)


@pytest.mark.parametrize("task", ["words", "more"])
def test_histograms_end_as_the_records_say(ran: Ran, task: str) -> None:
    records, after = ran.records(task), ran.after
    for name, bounds, column in (
        ("perbench_time_to_first_token_seconds", TIME_TO_FIRST_TOKEN, [known(r.requests.ttft_ms) for r in records]),
        ("perbench_request_duration_seconds", REQUEST_DURATION, [known(r.requests.e2e_ms) for r in records]),
    ):
        values = np.concatenate(column) / 1e3
        assert after.one(f"{name}_count", task=task) == values.size
        assert after.one(f"{name}_sum", task=task) == pytest.approx(values.sum())
        found = after.buckets(name, task=task)
        assert set(found) == {*bounds, float("inf")}
        assert found == {end: int((values <= end).sum()) for end in found}
    name = "perbench_inter_token_latency_seconds"
    assert after.one(f"{name}_count", task=task) == sum(record.itl.total for record in records)
    assert after.one(f"{name}_sum", task=task) == pytest.approx(sum(record.itl.sum for record in records) / 1e3)
    timed = sum(len(known(record.requests.ttft_ms)) for record in records)
    assert 0 < after.one("perbench_client_error_seconds_count", task=task) <= timed


def test_nothing_goes_back_for_any_scraper_over_stages_and_tasks(ran: Ran) -> None:
    for scrapes in ran.during.values():
        assert len(scrapes) > 10
        assert shrunk([ran.before, *scrapes, ran.after]) == []
    assert shrunk([ran.before, *ran.store.between, ran.after]) == []


def test_counters_move_while_a_load_runs(ran: Ran) -> None:
    totals = {
        sum(one.of("perbench_requests_total", task="words").values()) for one in ran.during[OPENMETRICS]
    }  # fmt: skip
    assert len(totals) > 4


def test_requests_in_flight_are_those_of_the_task_that_runs(ran: Ran) -> None:
    assert ran.before.of("perbench_requests_in_flight") == {}
    most = max(sum(one.of("perbench_requests_in_flight").values()) for one in ran.during[CLASSIC])
    # In an open loop what falls due in a stall of this machine leaves at once.
    assert 0 < most <= (4 if ran.store.records[0].concurrency else sent(ran.store.records))
    for one in [*ran.store.between, ran.after]:
        assert set(one.of("perbench_requests_in_flight").values()) == {0}


def test_progress_and_accuracy(ran: Ran) -> None:
    assert set(ran.before.of("perbench_progress_ratio").values()) == {0}
    assert ran.before.of("perbench_accuracy_ratio") == {}
    words = [one.one("perbench_progress_ratio", task="words") for one in ran.store.between]
    assert words == [0.5, 1, 1, 1]
    assert set(ran.after.of("perbench_progress_ratio").values()) == {1}
    for task in ("words", "more"):
        scores = [score for record in ran.records(task) for score in record.requests.score]
        expected = accuracy(scores, len(scores))  # where requests fail twice there is none
        assert list(ran.after.of("perbench_accuracy_ratio", task=task).values()) == (
            [] if expected is None else [expected]
        )


def test_there_is_a_run_before_there_is_a_load(ran: Ran) -> None:
    assert ran.before.one("perbench_run_info", run_id="0123456789", model="m") == 1
    assert {name for name, _ in ran.before.values} == {"perbench_run_info", "perbench_progress_ratio"}
