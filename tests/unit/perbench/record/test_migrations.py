import json
from pathlib import Path

import pytest

from perbench.evaluation import evaluate
from perbench.record import parse, to_text
from perbench.record.migrations import STEPS, Document, migrate
from perbench.report.terminal import table
from perbench.results import SCHEMA_VERSION
from tests.support import results as runs

FOLDER = Path("tests/golden/results")
FILES = sorted(FOLDER.glob("v*/*.json"))


def test_there_is_a_folder_for_every_version() -> None:
    assert {path.parent.name for path in FILES} == {f"v{number}" for number in range(1, SCHEMA_VERSION + 1)}


def test_there_is_a_step_from_every_older_version() -> None:
    assert sorted(STEPS) == list(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_file_of_every_version_is_read_and_means_something(path: Path) -> None:
    written = json.loads(path.read_bytes())
    results = parse(path.read_bytes(), path.name)
    assert results.schema_version == SCHEMA_VERSION
    assert [model.name for model in results.models] == [model["name"] for model in written["models"]]
    stages = [stage for model in results.models for launch in model.launches for stage in launch.stages]
    in_file = [stage for model in written["models"] for launch in model["launches"] for stage in launch["stages"]]
    assert [stage.window_seconds for stage in stages] == [stage["windowSeconds"] for stage in in_file]
    assert parse(to_text(results).encode(), "again") == results
    assert written["tasks"][0]["name"] in table(evaluate(results))


def _renamed(document: Document) -> Document:
    """A step that never was: version 0 said `title` for `name`."""
    return {("name" if key == "title" else key): value for key, value in document.items()}


def _one_more(document: Document) -> Document:
    document["count"] = int(str(document.get("count", 0))) + 1
    return document


def test_steps_are_taken_in_their_order_and_each_once() -> None:
    led = migrate({"schemaVersion": 2, "count": 0}, 2, 5, {2: _one_more, 3: _one_more, 4: _one_more, 1: _renamed})
    assert led == {"schemaVersion": 5, "count": 3}


def test_an_older_document_becomes_results_of_today() -> None:
    old = json.loads(to_text(runs.succeeded()))
    old["title"] = old.pop("name")
    read = parse(json.dumps(old).encode(), "old.json", current=2, steps={1: _renamed})
    assert (read.name, read.schema_version) == ("quickstart", 2)
    assert read.models == runs.succeeded().models


def test_a_mistake_in_an_older_document_is_still_named() -> None:
    from perbench.failures import UsageError

    old = json.loads(to_text(runs.succeeded()))
    del old["runId"]
    with pytest.raises(UsageError, match=r"^old\.json: runId: is missing$"):
        parse(json.dumps(old).encode(), "old.json", current=2, steps={1: dict})
