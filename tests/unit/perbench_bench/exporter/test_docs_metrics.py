"""docs/metrics.md tells of every family of a run as it is, and Prometheus' own tool finds nothing wrong with them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from perbench_bench.exporter.families import COUNTERS, DISTRIBUTIONS, GAUGES, families
from tests.support.exposition import CLASSIC
from tests.unit.perbench_bench.exporter.test_families import FULL, MODELS, RUN, TASKS, shown, text

DOCS = (Path(__file__).parents[4] / "docs" / "metrics.md").read_text().partition("## Operator and results")[0]
ROWS = {
    name: (kind, labels)
    for name, kind, labels in re.findall(r"^\| `(perbench_\w+)` \| ([^|]+) \|([^|]*)\|", DOCS, re.MULTILINE)
}
BLOCK = DOCS.partition("## Queries")[2].split("```")[1]
QUERIES = re.sub(r"\n  +", " ", re.sub(r"(?m)^#.*\n", "", BLOCK)).strip().splitlines()
"""One a line in the text; a line that is indented goes on with the one before."""


def test_every_family_is_told_of_and_no_other() -> None:
    own = {f"{figure.name}_total" for figure in COUNTERS} | {one.name for one in (*GAUGES, *DISTRIBUTIONS)}
    assert set(ROWS) == {*own, "perbench_run_info"}


def test_types_and_labels() -> None:
    for family in families(RUN, [FULL]):
        name = {"counter": f"{family.name}_total", "info": f"{family.name}_info"}.get(family.type, family.name)
        kind, labels = ROWS[name]
        assert kind.startswith(family.type)
        known = {"benchmark_namespace", "benchmark", "model", "task"}
        found = {label for sample in family.samples for label in sample.labels} - known
        assert set(re.findall(r"`(\w+)`", labels)) == found


def test_the_number_of_series() -> None:
    pod = len(shown(FULL).values) - 1
    told = [int(number) for number in re.findall(r"(\d+) series per task and one per pod: (\d+) for", DOCS)[0]]
    assert told == [pod, TASKS * pod + 1]
    assert MODELS * told[1] < 16_000


def test_every_metric_has_an_example_query() -> None:
    queries = DOCS.partition("## Queries")[2]
    assert [name for name in ROWS if name not in queries] == []


NEEDS_PROMTOOL = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: tests/system-packages.sh installs it"
)


@NEEDS_PROMTOOL
def test_prometheus_own_check() -> None:
    exposition, _ = text(CLASSIC, FULL)
    assert promtool("check", "metrics", told=exposition) == (0, "")


@NEEDS_PROMTOOL
def test_the_example_queries_are_queries(tmp_path: Path) -> None:
    rules = [{"record": f"query:number_{number}", "expr": query} for number, query in enumerate(QUERIES)]
    assert len(rules) > 10
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "docs", "rules": rules}]}))
    code, said = promtool("check", "rules", str(path))
    assert code == 0, said


def promtool(*arguments: str, told: str = "") -> tuple[int, str]:
    done = subprocess.run(["promtool", *arguments], input=told, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr
