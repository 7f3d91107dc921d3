import re
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from perbench_operator.metrics import FAMILIES
from perbench_operator.metrics.collector import metric
from perbench_operator.metrics.families import BENCHMARKS, RECONCILE_DURATION, Kind
from perbench_operator.metrics.grafana import GrafanaCounts
from tests.support.finished import finished
from tests.support.golden import ROOT, assert_golden
from tests.support.operator_metrics import everything, registry

DOCUMENTS = Path(__file__).parents[4] / "docs"


def test_the_older_text_format() -> None:
    text = generate_latest(everything()).decode()
    known = re.sub(r'(python_version|version)="[^"]+"', r'\1="<ANY>"', text)
    assert_golden(ROOT / "operator/metrics.txt", known)


def test_open_metrics_is_what_its_own_parser_reads() -> None:
    read = {family.name: family for family in text_string_to_metric_families(open_metrics(everything()).decode())}
    names = {family.name.removesuffix("_total").removesuffix("_info") for family in FAMILIES}
    assert set(read) == names
    for family in FAMILIES:
        found = read[family.name.removesuffix("_total").removesuffix("_info")]
        assert found.type == family.kind.value
        labels = {tuple(sorted(sample.labels)) for sample in found.samples}
        if family.kind is not Kind.HISTOGRAM:
            assert labels == {tuple(sorted(family.labels))}, family.name
    (count,) = [s.value for s in read[RECONCILE_DURATION.name].samples if s.name.endswith("_count")]
    assert count == 3


def test_no_series_comes_twice() -> None:
    lines = [line.rsplit(" ", 1)[0] for line in generate_latest(everything()).decode().splitlines()]
    series = [line for line in lines if not line.startswith("#")]
    assert len(series) == len(set(series))


def test_before_all_have_come_through_the_watch_nothing_is_said_of_benchmarks() -> None:
    text = generate_latest(registry((finished({"phase": "Queued"}),), caught_up=False)).decode()
    assert "perbench_benchmark" not in text
    assert "perbench_result" not in text
    assert "perbench_watch_age_seconds" in text


def test_of_grafana_nothing_is_said_where_there_is_none() -> None:
    assert "perbench_grafana" not in generate_latest(registry()).decode()
    without_dashboards = generate_latest(registry(grafana=GrafanaCounts())).decode()
    assert "perbench_grafana_dashboards" not in without_dashboards
    assert 'perbench_grafana_attempts_total{outcome="refused",what="dashboards"} 0.0' in without_dashboards


def test_every_phase_is_counted_also_one_of_a_later_version() -> None:
    bodies = (finished({"phase": "Queued"}), finished({}), finished({"phase": "OfALaterVersion"}))
    (family,) = [family for family in registry(bodies).collect() if family.name == BENCHMARKS.name]
    counts = {sample.labels["phase"]: sample.value for sample in family.samples}
    assert counts == {
        "Pending": 1, "Queued": 1, "StartingModel": 0, "Measuring": 0, "Suspended": 0, "Succeeded": 0, "Failed": 0,
        "OfALaterVersion": 1,
    }  # fmt: skip


def test_a_histogram_is_not_made_of_samples() -> None:
    with pytest.raises(ValueError, match=RECONCILE_DURATION.name):
        metric(RECONCILE_DURATION, ())


def test_every_metric_is_in_the_manual() -> None:
    manual = (DOCUMENTS / "metrics.md").read_text()
    told = set(re.findall(r"^\| `(perbench_[a-z_]+)`", manual, re.MULTILINE))
    assert {family.name for family in FAMILIES} <= told
    for family in FAMILIES:
        row = next(line for line in manual.splitlines() if line.startswith(f"| `{family.name}`"))
        for label in family.labels:
            if label not in {"benchmark_namespace", "benchmark", "model", "task"}:
                assert f"`{label}" in row, f"{family.name}: {label}"
