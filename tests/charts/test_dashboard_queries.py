"""Every query of every dashboard, asked of a real Prometheus that has all metrics."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from perbench.dashboards import ANYTHING, DASHBOARDS, Query, queries
from perbench.dashboards.frame import CHOSEN_RUNS
from perbench.dashboards.queries import filled
from tests.support.exposed import APART, END, METRICS, Labels, openmetrics
from tests.support.prometheus import promtool
from tests.support.prometheus_blocks import PrometheusOfBlocks, prometheus_of

QUERIES = queries()
ONE_BENCHMARK = {
    **ANYTHING,
    "namespace": "team-a",
    "benchmark": "bench",
    "model": "qwen-0.5b",
    "task": "answers|reviews",
}
SCRAPER = {"job", "instance", "namespace", "pod", "container", "endpoint"}
"""Labels that scrapers put on targets. None of ours is called so: `honor_labels` has nothing to decide."""


def of_pod(name: str, namespace: str) -> Labels:
    """What a scraper says of a pod."""
    said = {"job": "perbench", "instance": f"{name}:1", "namespace": namespace, "pod": name, "container": "c"}
    return (*said.items(), ("endpoint", "metrics"))


PODS = {
    "a0": of_pod("bench-a0", "team-a"),
    "a1": of_pod("bench-a1", "team-a"),
    "operator": of_pod("operator", "perbench-system"),
}
"""Two bench pods that show the same series, as an attempt after another does for a while."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusOfBlocks]:
    with prometheus_of(openmetrics(PODS), END, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def test_the_data_has_every_metric(prometheus: PrometheusOfBlocks) -> None:
    found = {labels["__name__"] for labels, _ in prometheus.query('{__name__=~"perbench_.+"}')}
    assert found == {name for metric in METRICS for name in metric.series_names}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.dashboard}: {query.panel}")
def test_it_returns_data_by_labels_of_ours(prometheus: PrometheusOfBlocks, query: Query) -> None:
    answer = prometheus.query(query.expression)
    assert answer
    for labels, value in answer:
        assert math.isfinite(value), labels
        assert not labels.keys() & SCRAPER
    assert len({tuple(sorted(labels.items())) for labels, _ in answer}) == len(answer)


def test_what_is_chosen_decides(prometheus: PrometheusOfBlocks) -> None:
    """One model chosen is never more than all of them, and somewhere less; another benchmark is nothing anywhere."""
    fewer = 0
    other = queries({**ANYTHING, "benchmark": "another"})
    for anything, chosen, nothing in zip(QUERIES, queries(ONE_BENCHMARK), other, strict=True):
        by_benchmark = chosen.expression != anything.expression
        counts = [len(prometheus.query(each.expression)) for each in (anything, chosen, nothing)]
        assert counts[0] >= counts[1] > 0
        assert counts[2] == (0 if by_benchmark else counts[0])
        fewer += counts[0] > counts[1]
    assert fewer > len(QUERIES) / 3


def test_pods_are_added_up_after_rate(prometheus: PrometheusOfBlocks) -> None:
    (requests,) = (query for query in QUERIES if query.panel == "Requests")
    answers = {labels["task"] + labels["model"]: value for labels, value in prometheus.query(requests.expression)}
    assert answers == pytest.approx(dict.fromkeys(answers, 2 * 9 * 30 / APART))
    (share,) = (query for query in QUERIES if query.panel == "Share of failures")
    assert [value for _, value in prometheus.query(share.expression)] == pytest.approx([8 / 9] * 3)
    (in_flight,) = (query for query in QUERIES if query.panel == "In flight")
    assert [value for _, value in prometheus.query(in_flight.expression)] == [16.0] * 3


def test_variables_are_found(prometheus: PrometheusOfBlocks) -> None:
    expected = {
        "namespace": ["team-a"], "benchmark": ["bench"], "model": ["qwen-0.5b", "qwen-1.5b"],
        "task": ["answers", "reviews"],
    }  # fmt: skip
    for make in DASHBOARDS.values():
        found = {}
        for variable in make().templating.list_val or ():
            if isinstance(variable.query, dict):
                match = re.fullmatch(r"label_values\((.+), (\w+)\)", str(variable.query["query"]))
                if match is None:
                    assert variable.name == CHOSEN_RUNS
                    continue
                found[variable.name] = prometheus.label_values(match[2], filled(match[1], ANYTHING))
        assert found == expected


@pytest.mark.parametrize(
    ("chosen", "tags"), [(ANYTHING, {"team-a/bench", "-"}), ({**ANYTHING, "benchmark": "another"}, {"-"})]
)
def test_the_tags_of_annotations_are_found(
    prometheus: PrometheusOfBlocks, chosen: dict[str, str], tags: set[str]
) -> None:
    for make in DASHBOARDS.values():
        *_, variable = make().templating.list_val or ()
        assert isinstance(variable.query, dict)
        match = re.fullmatch(r"query_result\((.+)\)", str(variable.query["query"]))
        assert match
        answer = prometheus.query(filled(match[1], {**chosen, "__range": "1h"}))
        assert {labels["place"] for labels, _ in answer} == tags


def test_promtool_takes_them(tmp_path: Path) -> None:
    rules = [{"record": f"dashboards:query:{number}", "expr": each.expression} for number, each in enumerate(QUERIES)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    done = promtool("check", "rules", tmp_path / "rules.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(QUERIES)} rules found" in done.stdout
