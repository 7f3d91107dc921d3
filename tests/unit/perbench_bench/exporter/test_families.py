"""Figures in, expositions out: both formats word for word, and how many series there can be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from perbench.api.per import MemoryBasis
from perbench_bench.exporter import buckets
from perbench_bench.exporter.counts import NO_COUNTS, OUTCOMES, Counts
from perbench_bench.exporter.families import TASK_LABELS, RunLabels, TaskFigures, families
from tests.support.exposition import CLASSIC, OPENMETRICS, Exposition, read
from tests.support.golden import ROOT, assert_golden

RUN = RunLabels(
    "team", "small-or-large", "qwen-0.5b",
    {"run_id": "0123456789", "round": "0", "attempt": "1", "version": "0.1.0", "runtime": "TGI",
     "runtime_version": 'sha-1a2b "odd\\name"'},
)  # fmt: skip
COUNTS = Counts(
    np.arange(len(OUTCOMES))[::-1] * 10,
    1234,
    5678,
    buckets.spread(np.array([4.0, 40.0, 41.5, 2500.0, 700_000.0]), buckets.TIME_TO_FIRST_TOKEN),
    buckets.spread(np.array([9.5, 10.0, 10.5]), buckets.INTER_TOKEN_LATENCY),
    buckets.spread(np.array([100.0, 110.0, 2600.0]), buckets.REQUEST_DURATION),
    buckets.spread(np.array([0.04, 0.2, 3.5]), buckets.CLIENT_ERROR),
)
FULL = TaskFigures(
    "topics", 0.625, COUNTS, 8,
    {basis.value: 10**9 for basis in MemoryBasis}, {basis.value: 2 * 10**9 for basis in MemoryBasis}, 16 * 2**30,
    98.75, 0.8125,
)  # fmt: skip
MOST_SERIES_PER_TASK = 120
MOST_SERIES_PER_POD = 500
MODELS, TASKS = 32, 4


class Fixed(Collector):
    def __init__(self, *tasks: TaskFigures) -> None:
        self._tasks = tasks

    def collect(self) -> list[Metric]:
        return list(families(RUN, self._tasks))


def text(accept: str, *tasks: TaskFigures) -> tuple[str, str]:
    registry = CollectorRegistry()
    registry.register(Fixed(*tasks))
    encoder, content_type = choose_encoder(accept)
    return encoder(registry).decode(), content_type


def shown(*tasks: TaskFigures) -> Exposition:
    return read(*text(OPENMETRICS, *tasks))


@pytest.mark.parametrize(("name", "accept"), [("openmetrics", OPENMETRICS), ("classic", CLASSIC)])
def test_word_for_word(name: str, accept: str) -> None:
    waiting = TaskFigures("later", 0.0)
    exposition, content_type = text(accept, FULL, waiting)
    assert_golden(Path(ROOT / "exporter" / f"{name}.txt"), exposition)
    found = read(exposition, content_type)
    assert found.one("perbench_requests_total", outcome="Success") == 80
    assert found.one("perbench_time_to_first_token_seconds_bucket", le="0.05") == 3
    assert found.one("perbench_time_to_first_token_seconds_bucket", le="+Inf") == 5
    assert found.one("perbench_run_info", model="qwen-0.5b", runtime_version='sha-1a2b "odd\\name"') == 1


def test_every_series_but_one_has_the_labels_of_the_task_and_no_run() -> None:
    for name, labels in shown(FULL).values:
        names = {label for label, _ in labels}
        if name == "perbench_run_info":
            assert names == {*TASK_LABELS[:-1], *RUN.about}
        else:
            assert set(TASK_LABELS) <= names
            assert names - set(TASK_LABELS) <= {"outcome", "basis", "le"}


def test_a_task_that_waits_shows_its_progress_alone() -> None:
    found = shown(TaskFigures("later", 0.0))
    assert {name for name, _ in found.values} == {"perbench_run_info", "perbench_progress_ratio"}


def test_what_is_not_known_is_absent() -> None:
    found = shown(TaskFigures("topics", 0.0, NO_COUNTS))
    names = {name for name, _ in found.values}
    assert not [name for name in names if "memory" in name or "accuracy" in name or "inter_token" in name]
    assert "perbench_input_tokens_total" not in names
    assert found.one("perbench_output_tokens_total") == 0
    assert found.one("perbench_requests_total", outcome="Timeout") == 0
    assert found.one("perbench_requests_in_flight") == 0
    assert found.one("perbench_client_error_seconds_count") == 0


def test_series_stay_bounded_for_many_models_and_tasks() -> None:
    pod = shown(*(replace(FULL, task=f"task-{number}") for number in range(TASKS)))
    per_task = (len(pod.values) - 1) / TASKS
    assert per_task <= MOST_SERIES_PER_TASK
    assert len(pod.values) <= MOST_SERIES_PER_POD
    assert MODELS * len(pod.values) <= 16_000
    busier = replace(COUNTS, outcomes=COUNTS.outcomes * 1000, output_tokens=10**9)
    assert len(shown(replace(FULL, counts=busier)).values) == len(shown(FULL).values)
