"""What users are shown can be run: every task has the items that its load needs, every model comes to a PER."""

import re
from pathlib import Path

import pytest

from perbench.api.reading import check_text
from perbench.api.resource import PERBenchmark
from perbench.evaluation import evaluate
from perbench_bench.prompts import few_items
from tests.support.example_runs import ExampleRun

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
APART = {"UnlikePrompts", "UnlikeUnits", "OutputLengthMissed", "NoMemoryFigure"}
"""Warnings of models that no order joins, or of which one axis is missing for all."""


def shown() -> dict[str, str]:
    """Every whole benchmark in examples and pages."""
    found = {path.stem: path.read_text() for path in sorted((ROOT / "examples").glob("*.yaml"))}
    for page in PAGES:
        blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
        whole = [block for block in blocks if "\nkind: PERBenchmark\n" in block]
        found |= {f"{page.stem}-{number}": block for number, block in enumerate(whole)}
    return found


BENCHMARKS = shown()


def benchmark(text: str) -> PERBenchmark:
    (checked,) = check_text(text)
    assert checked.problems == ()
    assert checked.benchmark is not None
    return checked.benchmark


@pytest.fixture(params=BENCHMARKS)
def example(request: pytest.FixtureRequest, tmp_path: Path) -> ExampleRun:
    return ExampleRun(benchmark(BENCHMARKS[request.param]).spec, tmp_path)


def test_every_task_has_the_items_that_its_load_needs(example: ExampleRun) -> None:
    loads = {plan.load.concurrency for plan in example.plans().values()}
    found = [few_items(task.items, load) for task in example.tasks() for load in loads]
    assert [failure.message for failure in found if failure] == []


def test_no_limit_asks_for_more_than_a_task_has(example: ExampleRun) -> None:
    counts = {task.name: task.items for task in example.tasks()}
    assert {task.name: task.limit for task in example.spec.tasks if (task.limit or 0) > counts[task.name]} == {}


def test_every_model_has_a_per_on_every_task_and_one_is_the_best(example: ExampleRun) -> None:
    found = evaluate(example.results())
    assert found.best is not None
    for task in found.tasks:
        values = {row.cell.model: row.scores.reference and row.scores.reference.value for row in task.rows}
        assert None not in values.values(), (task.record.name, values)
    of_endpoints = {"NoMemoryFigure"} if all(model.endpoint for model in example.spec.models) else set()
    assert {warning.code for warning in found.warnings} & (APART - of_endpoints) == set()
