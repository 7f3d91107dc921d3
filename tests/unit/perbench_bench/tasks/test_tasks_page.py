"""The examples of docs/tasks.md are read and resolved as they stand."""

import re
from pathlib import Path

import pytest
import yaml

from perbench.api.tasks import PRESET_ITEMS, Preset, Scorer, TaskSpec
from perbench_bench.tasks import resolve
from perbench_bench.tasks.prompts import FILTERS

PAGE = (Path(__file__).parents[4] / "docs" / "tasks.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


TASKS = [TaskSpec.model_validate(task) for block in blocks("yaml") for task in yaml.safe_load(block)["tasks"]]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_example(task: TaskSpec, tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text(blocks("json")[0])
    resolved = resolve(task, tmp_path)
    assert resolved.count > 0
    assert resolved.synthetic is not None or len(resolved.items) == resolved.count


def test_the_page_shows_every_preset_scorer_and_filter() -> None:
    assert {task.preset for task in TASKS} >= set(Preset)
    rows = {
        line.split("|")[1].strip(" `"): line.split("|")[5].strip()
        for line in PAGE.splitlines()
        if "| `Packaged" in line
    }
    assert rows == {preset: str(items) for preset, items in PRESET_ITEMS.items()}
    assert all(f"| `{scorer}` |" in PAGE for scorer in Scorer)
    assert ", ".join(f"`{name}`" for name in FILTERS) in PAGE


def test_the_template_of_the_page_gives_what_it_promises(tmp_path: Path) -> None:
    capitals = next(task for task in TASKS if task.name == "capitals")
    prompts = {item.prompt for item in resolve(capitals, tmp_path).items}
    assert prompts == {
        "Hint: it lies at a fjord\nName the capital of norway in one word.",
        "Name the capital of peru in one word.",
    }
