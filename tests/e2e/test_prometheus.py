"""What a run shows to a real Prometheus: live, and after its end."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from perbench.dashboards import ANYTHING, queries
from perbench.objects.results import read_object
from perbench_operator.names import Role, model_object
from tests.cluster.api import Kubectl
from tests.e2e.applied import LOAD_SECONDS, PATIENCE_SECONDS, Applied, model
from tests.e2e.benchmarks import CLIENT, SMALL, benchmark, llama
from tests.e2e.prometheus import Prometheus, running

RIGHTLY_EMPTY = (
    "perbench_result_cost_dollars_per_million_tokens",  # the benchmark has no prices
    "perbench_result_output_tokens_per_second",  # its only task counts items
    'stat="per_token"',
    'stat="ttft_p95"',  # takes 200 requests
    'scale="published"',  # takes four models
    "perbench_benchmark_failure_info",  # nothing failed
    "perbench_result_regressed",  # it has no baseline
    "perbench_result_baseline_ratio",
    "perbench_grafana_",  # the operator has no Grafana
    "time() - max",  # how long those that have not ended are in their phase
)
"""Parts of the queries that have no data of a good small run."""
LINGERING = {"client": CLIENT | {"lingerSeconds": 30}}
"""Many scrapes long, as some of them get no answer in time from a busy machine: what Prometheus has of an ended pod are
the values of its last stage."""
REPEATS = 12
"""Long enough that all that is looked at live is seen before the end."""
ITEMS = 12
"""Of the task."""


@pytest.fixture(scope="module")
def scrapers(operator: Kubectl) -> Iterator[tuple[Prometheus, Prometheus]]:
    """Two at once, which take the pods' labels and their own by opposite rules."""
    with ExitStack() as stack:
        yield (
            stack.enter_context(running(operator, honor_labels=False)),
            stack.enter_context(running(operator, honor_labels=True)),
        )


def test_a_run_is_seen_live_and_its_last_values_stay(place: Kubectl, scrapers: tuple[Prometheus, Prometheus]) -> None:
    """Both scrapers see the load while it runs, and at its end exactly what the results hold."""
    limited = SMALL | {"limits": {"memory": "1Gi"}}
    document = benchmark("seen", llama("llamacpp", resources=limited), repeats=REPEATS)
    document["spec"]["load"] |= LINGERING
    applied = Applied.of(place, document)
    series = f'{{benchmark="seen",benchmark_namespace="{place.namespace}",model="llamacpp",task="topics"}}'
    for prometheus in scrapers:
        prometheus.wait(f"perbench_requests_in_flight{series} > 0", LOAD_SECONDS)
    applied.wait("a stage is recorded", lambda status: status["progress"]["completed"] > 0)
    wait_without_empty_panels(scrapers[0], "seen", "perbench-run-live")
    wait_top_shows_load(applied)
    status = applied.wait_end()
    # Whether each stage is valid is not what this is about.
    assert status["progress"]["completed"] == REPEATS, applied.account()

    sent, tokens, used = loaded(applied)
    for prometheus in scrapers:
        # The status is there before the scrape that follows the last answer. What counts is what is kept of the pod.
        prometheus.wait(f"last_over_time(perbench_progress_ratio{series}[1h]) == 1", PATIENCE_SECONDS)
        prometheus.wait(f"absent(perbench_progress_ratio{series})", PATIENCE_SECONDS)
        ended = {
            each.labels["outcome"]: each.value
            for each in prometheus.query(f"last_over_time(perbench_requests_total{series}[1h])")
        }
        assert {outcome: number for outcome, number in ended.items() if number} == {"Success": sent}
        assert value(prometheus, f"last_over_time(perbench_output_tokens_total{series}[1h])") >= tokens
        assert (
            value(prometheus, f"last_over_time(perbench_request_duration_seconds_count{series}[1h])") == ITEMS * REPEATS
        )
        assert value(prometheus, f"last_over_time(perbench_accuracy_ratio{series}[1h])") == pytest.approx(
            float(model(status, "llamacpp")["tasks"][0]["accuracy"]), abs=1e-3
        )
        assert value(prometheus, f"max(last_over_time(perbench_model_memory_peak_bytes{series}[1h]))") > 50e6
        whole = value(prometheus, f"last_over_time(perbench_model_cpu_seconds_total{series}[1h])")
        assert 0 < used < whole, "the windows are parts of the loads"


def test_results_are_gauges_of_the_operator(place: Kubectl, scrapers: tuple[Prometheus, Prometheus]) -> None:
    """They are there when the run has ended, say what the status says, and go with the resource."""
    applied = Applied.of(place, benchmark("gauged", llama("one"), llama("two", "-b", "64"), repeats=3))
    status = applied.wait_success()
    prometheus = scrapers[0]
    about = f'benchmark="gauged",benchmark_namespace="{place.namespace}"'
    per = f'perbench_result_per{{{about},scale="reference",bound="point"}}'
    found = prometheus.wait(f"{per} and on() (count({per}) == 2)", PATIENCE_SECONDS)
    told = {name: float(model(status, name)["tasks"][0]["referencePer"]) for name in ("one", "two")}
    assert {each.labels["model"]: each.value for each in found} == pytest.approx(told)
    valid = prometheus.wait(f"perbench_result_valid{{{about}}}", PATIENCE_SECONDS)
    assert {each.value for each in valid} == {1.0}
    prometheus.wait('sum(perbench_benchmarks{phase="Succeeded"}) >= 1', PATIENCE_SECONDS)
    wait_without_empty_panels(prometheus, "gauged", "perbench-compare", "perbench-history", "perbench-operator")
    place("delete", "perb", "gauged", "--wait")
    # Gone from what is scraped, and not for want of a scrape.
    gone = f"absent(perbench_result_valid{{{about}}}) and on() (sum(perbench_benchmarks) >= 0)"
    assert prometheus.wait(gone, PATIENCE_SECONDS)


def test_the_last_values_of_a_run_that_is_stopped_by_its_deadline_stay(
    place: Kubectl, scrapers: tuple[Prometheus, Prometheus]
) -> None:
    """Scraped while it ran: nobody waits for a pod that is stopped."""
    applied = Applied.of(place, benchmark("cut-off", llama("llamacpp"), repeats=100))
    series = f'{{benchmark="cut-off",benchmark_namespace="{place.namespace}",outcome="Success"}}'
    scrapers[0].wait(f"perbench_requests_total{series} > 0", LOAD_SECONDS)
    applied.change({"execution": {"deadlines": {"totalSeconds": 1}}})
    status = applied.wait_end()
    assert status["failure"]["reason"] == "TotalDeadline", applied.account()
    assert value(scrapers[0], f"last_over_time(perbench_requests_total{series}[1h])") > 0


def wait_top_shows_load(applied: Applied) -> None:
    """Wait until a look by `kubectl perbench top` finds two requests under way, as between two stages none is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not shows_load(picture := applied.plugin("top", "--every=1"), applied):
        assert time.monotonic() < deadline, f"{picture}\n{applied.account()}"
        time.sleep(1.0)


def shows_load(picture: str, applied: Applied) -> bool:
    """Whether one look at a run under way has two requests in flight, no errors, and the slots of the server."""
    head, *lines = picture.splitlines()
    rows = [line.split() for line in lines if line.startswith("llamacpp/topics")]
    if not head.startswith(f"{applied.kubectl.namespace}/{applied.name}: Measuring") or [
        len(row) > 9 for row in rows
    ] != [True]:
        return False
    return (rows[0][4], rows[0][5], rows[0][9].partition("/")[2]) == ("2", "0.0%", "1,024")


def wait_without_empty_panels(prometheus: Prometheus, benchmark: str, *dashboards: str) -> None:
    """Wait until every panel has data. After a scrape without an answer none has, until the next."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while empty := empty_panels(prometheus, benchmark, *dashboards):
        assert time.monotonic() < deadline, empty
        time.sleep(1.0)


def empty_panels(prometheus: Prometheus, benchmark: str, *dashboards: str) -> list[str]:
    """The panels without data about this benchmark, but for those that rightly have none. Every query is asked."""
    asked = [each for each in queries({**ANYTHING, "benchmark": benchmark}) if each.dashboard in dashboards]
    assert len(asked) > 10
    empty = [each for each in asked if not prometheus.query(each.expression)]
    return [
        f"{each.dashboard}: {each.panel}: {each.expression}"
        for each in empty
        if not any(words in each.expression for words in RIGHTLY_EMPTY)
    ]


def value(prometheus: Prometheus, expression: str) -> float:
    """Of a query with one series."""
    (found,) = prometheus.query(expression)
    return found.value


def loaded(applied: Applied) -> tuple[int, int, float]:
    """Requests of all stages, the tokens of the measured ones, and the server's processor time in the measured windows,
    by the stored results."""
    name = model_object(applied.identity, "llamacpp", Role.RESULTS)
    stages = [
        stage
        for of_round in read_object(applied.kubectl.get("configmap", name)["binaryData"]).stages.values()
        for stage in of_round
    ]
    requests = sum(stage.warmup_requests + stage.filler_requests + len(stage.requests.item) for stage in stages)
    tokens = sum(tokens or 0 for stage in stages for tokens in stage.requests.output_tokens)
    return requests, tokens, sum(stage.use.cpu_seconds or 0.0 for stage in stages if stage.use)
