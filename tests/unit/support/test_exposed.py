"""The made-up metrics are those that bench pods and the operator really show, and that the manual has."""

import re

import pytest

from tests.support.exposed import METRICS, OF_BENCH_PODS, OF_THE_OPERATOR, Metric, known
from tests.support.golden import ROOT

MANUAL = ROOT.parents[1] / "docs/metrics.md"


@pytest.mark.parametrize(
    ("shown", "metrics"), [("exporter/openmetrics.txt", OF_BENCH_PODS), ("operator/metrics.txt", OF_THE_OPERATOR)]
)
def test_names_and_labels_are_the_real_ones(shown: str, metrics: tuple[Metric, ...]) -> None:
    real: dict[str, set[str]] = {}
    for line in (ROOT / shown).read_text().splitlines():
        if found := re.match(r"(perbench_\w+)(?:\{(.*)\})? ", line):
            real.setdefault(found[1], set()).update(re.findall(r'(\w+)="', found[2] or ""))
    assert real == {
        name: labels for name, labels in known().items() if any(name in each.series_names for each in metrics)
    }


def test_the_manual_has_them() -> None:
    told = re.findall(r"^\| `(perbench_\w+)` \|", MANUAL.read_text(), re.MULTILINE)
    assert sorted(told) == sorted({metric.name for metric in METRICS})
