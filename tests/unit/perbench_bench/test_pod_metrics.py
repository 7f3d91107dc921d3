"""What `metrics.k8s.io` says of pods: parsed, held against the window, and asked of a double of the API."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from perbench.plan import ClusterPlace, MemorySource, Plan, PodMetrics
from perbench.resources import MemoryOrigin, MemoryQuality, MemoryRecord, ResourceUse
from perbench_bench import pod_metrics_watch
from perbench_bench.api_server import ApiServer
from perbench_bench.load_run import LoadRun
from perbench_bench.memory import without_figures
from perbench_bench.memory_now import Taken
from perbench_bench.memory_source import HostMemory
from perbench_bench.metrics_watch import MetricsWatch
from perbench_bench.pod_metrics import (
    NoSampleError,
    Sample,
    WorkingSet,
    bytes_of,
    of_pods,
    sample_of,
    seconds_of,
    with_working_set,
    within,
)
from perbench_bench.pod_metrics_watch import PodMetricsWatch
from tests.support.config_map_api import NAMESPACE, ConfigMapApi, config_map_api
from tests.support.processes import wait_until

DOCUMENT: dict[str, Any] = {
    "kind": "PodMetrics", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {"name": "a-1", "namespace": NAMESPACE},
    "timestamp": "2026-01-01T00:00:10Z", "window": "14.2s",
    "containers": [
        {"name": "memory", "usage": {"cpu": "1n", "memory": "9Ki"}},
        {"name": "model", "usage": {"cpu": "2134567n", "memory": "123456Ki"}},
    ],
}  # fmt: skip
REFUSED = without_figures("Pss cannot be read", "/proc", 7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("123456Ki", 123456 * 1024), ("1e3", 1000), ("1E3", 1000), ("1E", 10**18), ("128974848", 128974848),
        ("129M", 129 * 10**6), ("1.5Gi", 3 * 2**29), ("1500m", 2), ("+2k", 2000), (".5Ki", 512), ("0", 0),
    ],
)  # fmt: skip
def test_amounts_are_read_as_kubernetes_writes_them(text: str, expected: int) -> None:
    assert bytes_of(text) == expected


@pytest.mark.parametrize("text", ["", "-1Ki", "1 Ki", "1KiB", "Ki", "1e", "1ee3", "nan", "9e99"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"amount|machine"):
        bytes_of(text)


def test_durations_are_read_as_go_writes_them() -> None:
    assert [seconds_of(text) for text in ("15s", "1m3.5s", "250ms", "1h0m0s")] == [15.0, 63.5, 0.25, 3600.0]
    for text in ("", "15", "s", "-1s"):
        with pytest.raises(ValueError, match="duration"):
            seconds_of(text)


def test_a_sample_is_that_of_the_servers_container() -> None:
    moment = datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC).timestamp()
    assert sample_of(DOCUMENT, "model") == Sample(moment, 14.2, 123456 * 1024)
    with pytest.raises(NoSampleError, match=r"no container server \(memory, model\)"):
        sample_of(DOCUMENT, "server")


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "2026-01-01T00:00:10"}, {"timestamp": 3}, {"window": "soon"}, {"containers": None},
        {"containers": [{"name": "model", "usage": {"memory": "many"}}]}, {"containers": [{"name": "model"}]},
    ],
)  # fmt: skip
def test_an_answer_of_another_form_is_no_sample(change: dict[str, Any]) -> None:
    with pytest.raises(NoSampleError, match="no PodMetrics of v1beta1"):
        sample_of(DOCUMENT | change, "model")


def samples(*seconds: float, window: float = 15.0) -> list[Sample]:
    return [Sample(second, window, int(second)) for second in seconds]


def test_three_samples_that_lie_in_the_window_are_a_figure() -> None:
    assert within(samples(100, 115, 130, 145, 160), (100, 150)) == WorkingSet(145, 3)
    assert within(samples(115, 130, 145), (100, 146)) == WorkingSet(145, 3)


@pytest.mark.parametrize(
    "given",
    [samples(115, 130), samples(115, 130, 130), samples(114, 130, 145), samples(115, 130, 145.5)],
    ids=["two", "one of them twice", "one of time before the window", "one that may be later than its end"],
)
def test_fewer_are_none(given: list[Sample]) -> None:
    found = within(given, (100, 146), "HTTP 503")
    assert (found.peak, found.samples) == (None, 2)
    assert found.reason == (
        "HTTP 503; 2 samples lie within the window of 46 s, and 3 are needed: load longer (one comes about every 15 s)"
    )


def test_nothing_is_no_figure() -> None:
    assert within([Sample(n, 0, 0) for n in (1, 2, 3)], (0, 9)).reason == "the working set was 0 throughout"


def test_of_several_replicas_the_largest_counts_and_one_that_is_unknown_leaves_none() -> None:
    assert of_pods({"a": WorkingSet(5, 4), "b": WorkingSet(7, 3)}) == WorkingSet(7, 3, 2)
    found = of_pods({"a": WorkingSet(5, 4), "b": WorkingSet(None, 1, reason="HTTP 404")})
    assert (found.peak, found.reason) == (None, "b: HTTP 404")
    assert of_pods({}).reason == "the model has no pods"


def test_it_stands_in_for_a_footprint_that_is_not_there_and_for_no_other() -> None:
    own = MemoryRecord(footprint_bytes=5, reserved_bytes=6, samples=9, source="/proc")
    assert with_working_set(own, WorkingSet(100, 4)) == own
    record = with_working_set(REFUSED, WorkingSet(100, 4, 2))
    assert (record.footprint_bytes, record.origin, record.quality) == (100, "WorkingSet", MemoryQuality.MEASURED)
    assert (record.samples, record.reason, record.reserved_origin) == (4, None, None)
    assert record.reserved_reason == "Pss cannot be read"
    assert record.source == (
        "working set of the server's container, with page cache in use (metrics.k8s.io, the largest of 2 replicas),"
        " since Pss cannot be read"
    )
    held = REFUSED.model_copy(update={"reserved_bytes": 50, "reserved_reason": None})
    both = with_working_set(held, WorkingSet(100, 4))
    assert (both.reserved_bytes, both.reserved_origin, both.reserved_source) == (50, MemoryOrigin.PROCESSES, "/proc")


def test_where_neither_knows_both_say_why() -> None:
    record = with_working_set(REFUSED, WorkingSet(reason="HTTP 403"))
    assert (record.origin, record.footprint_bytes) == (MemoryOrigin.PROCESSES, None)
    assert record.reason == "Pss cannot be read; metrics.k8s.io: HTTP 403"


def test_a_plan_asks_for_pods_beside_a_sidecar_and_in_a_cluster_only() -> None:
    asked = PodMetrics(namespace="n", pods=("a-1",), container="model")
    with pytest.raises(ValueError, match="stand in for a sidecar"):
        MemorySource(process_ids=(1,), pod_metrics=asked)
    memory = MemorySource(sidecar_port=9, pod_metrics=asked)
    document = {
        "runId": "0", "model": "m", "round": 0, "repeats": 1, "tasks": [], "load": {"concurrency": 1, "maxSeconds": 1},
        "target": {"url": "http://a", "protocol": "TGI", "model": "m"}, "memory": memory.model_dump(by_alias=True),
    }  # fmt: skip
    with pytest.raises(ValueError, match="in a cluster"):
        Plan.model_validate(document)
    place = ClusterPlace(
        namespace="n", benchmark="b", runtime="TGI", progress="p", results="r", replicas=1, health_path="/",
        ready_seconds=1, linger_seconds=0, metrics_port=0,
    )  # fmt: skip
    assert Plan.model_validate({**document, "cluster": place.model_dump(by_alias=True)}).memory == memory


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ConfigMapApi]:
    with config_map_api(tmp_path / "account") as double:
        yield double


class Collected:
    """A metrics-server whose samples are of a second each, one after the other, from a moment on."""

    def __init__(self, first: float, largest: int = 300) -> None:
        self.first, self.largest, self.asked = int(first), largest, 0

    def __call__(self, _pod: str) -> tuple[int, dict[str, Any]]:
        self.asked += 1
        moment = datetime.fromtimestamp(self.first + self.asked, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        usage = {"cpu": "1n", "memory": f"{min(self.asked * 100, self.largest)}Ki"}
        return 200, DOCUMENT | {
            "timestamp": moment, "window": "1s", "containers": [{"name": "model", "usage": usage}],
        }  # fmt: skip


def watch(api: ConfigMapApi, *pods: str) -> PodMetricsWatch:
    asked = PodMetrics(namespace=NAMESPACE, pods=pods or ("a-1",), container="model")
    return PodMetricsWatch(asked, ApiServer(api.access), time.perf_counter_ns, interval=0.02)


def seen(api: ConfigMapApi, enough: Callable[[], bool], *pods: str) -> WorkingSet:
    """Of a window from an hour ago to one hence."""
    watching, hour = watch(api, *pods), 3600 * 10**9
    watching.start()
    wait_until(enough, "it was asked often enough")
    now = time.perf_counter_ns()
    return watching.stop((now - hour, now + hour))


def test_pods_are_asked_while_the_stage_runs_with_the_token_of_the_moment(api: ConfigMapApi) -> None:
    collected = Collected(time.time())
    api.pod_metrics = collected

    def enough() -> bool:
        api.rotate_token(f"token-{collected.asked}")
        return collected.asked > 5

    found = seen(api, enough)
    assert (found.peak, found.reason) == (300 * 1024, None)
    assert found.samples >= 5
    assert {asked.method for asked in api.asked} == {"GET"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "HTTP 404 (nobody serves this API: is metrics-server installed?)"),
        ((404, {"message": 'podmetrics.metrics.k8s.io "a-1" not found'}), 'podmetrics.metrics.k8s.io "a-1" not found'),
        ((403, {"message": 'pods.metrics.k8s.io "a-1" is forbidden'}), 'HTTP 403 pods.metrics.k8s.io "a-1" is forbid'),
        ((503, {}), "does metrics-server run?"),
        ((200, {"metadata": {}}), "it is no PodMetrics of v1beta1"),
        ((200, {"metadata": {}, "more": "x" * 300_000}), "more than 262144 bytes"),
    ],
)
def test_who_does_not_know_is_a_reason(
    api: ConfigMapApi, answer: tuple[int, dict[str, Any]] | None, words: str
) -> None:
    api.pod_metrics = (lambda _pod: answer) if answer else None
    found = seen(api, lambda: len(api.asked) > 1)
    assert found.peak is None
    assert found.reason is not None
    assert found.reason.startswith("a-1: ")
    assert words in found.reason


def test_an_api_that_is_slow_is_a_reason_and_blocks_no_longer_than_it_may(
    api: ConfigMapApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def slow(_pod: str) -> tuple[int, dict[str, Any]]:
        over.wait(60)
        return 404, {}

    api.pod_metrics = slow
    monkeypatch.setattr(pod_metrics_watch, "LOOK_SECONDS", 1.0)
    watching = watch(api)
    watching.start()
    try:
        found = watching.stop((0, 1))
    finally:
        over.set()
    assert "does not answer" in (found.reason or "")


def test_a_replica_that_is_not_known_leaves_no_figure(api: ConfigMapApi) -> None:
    collected = Collected(time.time())
    api.pod_metrics = lambda pod: collected(pod) if pod == "a-1" else (404, {"message": "not found"})
    found = seen(api, lambda: collected.asked > 4, "a-1", "a-2")
    assert (found.peak, found.pods) == (None, 2)
    assert (found.reason or "").startswith("a-2: HTTP 404 not found; 0 samples")


def test_a_window_that_is_dropped_is_asked_for_no_more(api: ConfigMapApi) -> None:
    api.pod_metrics = Collected(time.time())
    before = threading.active_count()
    watching = watch(api)
    for _ in range(3):
        watching.start()
    watching.drop()
    wait_until(lambda: threading.active_count() <= before, "its threads have ended")
    assert watching.stop((0, 1)).peak is None


class Reader:
    """A reader of memory that has this record."""

    def __init__(self, record: MemoryRecord) -> None:
        self._taken = Taken(record, ResourceUse(cpu_seconds=2.0))

    def start(self) -> None:
        """Nothing."""

    def stop(self, _measured: object) -> Taken:
        """What it has."""
        return self._taken

    def now(self) -> object:
        """The same."""
        return self._taken.now


@contextmanager
def stage(api: ConfigMapApi, record: MemoryRecord) -> Iterator[tuple[HostMemory, Callable[[], Taken]]]:
    collected = Collected(time.time())
    api.pod_metrics = collected
    memory = HostMemory(cast("Any", Reader(record)), watch(api))
    memory.start(cast("MetricsWatch", None))
    wait_until(lambda: collected.asked > 4, "it was asked")
    now, hour = time.perf_counter_ns(), 3600 * 10**9
    feed = SimpleNamespace(window_start=now - hour, window_end=now + hour)
    run = cast("LoadRun", SimpleNamespace(feed=feed, loop=SimpleNamespace(clock=time.perf_counter_ns)))
    yield memory, lambda: memory.stop(run)


def test_a_stage_whose_sidecar_has_no_figure_has_the_working_set(api: ConfigMapApi) -> None:
    with stage(api, REFUSED) as (memory, end):
        taken = end()
    assert (taken.memory.origin, taken.memory.footprint_bytes) == (MemoryOrigin.WORKING_SET, 300 * 1024)
    assert taken.use == ResourceUse(cpu_seconds=2.0), "processor time is the reader's"
    assert taken.now.peak == memory.now().peak == {}, "figures of two kinds have no common peak"


def test_a_stage_whose_sidecar_has_a_figure_has_that(api: ConfigMapApi) -> None:
    own = MemoryRecord(footprint_bytes=5, reserved_bytes=6, samples=9, source="/proc")
    with stage(api, own) as (_, end):
        assert end().memory == own
