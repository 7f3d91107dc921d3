"""Everything that the operator makes of the benchmarks in tests/golden/operator/children, word for word."""

import json

import pytest
import yaml

from perbench.base import Document
from perbench.objects.results import MODEL, read_object
from perbench.objects.run import RUN, read_run
from perbench.plan import Plan
from perbench_operator.platform import Platform
from tests.support import operator_cases as cases
from tests.support.golden import assert_golden

SHARED = "tgi-everything"
"""The case whose objects of the whole run are kept as well; those of the others differ in nothing but names."""
FILES = {"benchmark.yaml", "objects.yaml", "plan.yaml", "record.yaml"}


@pytest.mark.parametrize("name", cases.names())
def test_objects(name: str) -> None:
    case = cases.read(name)
    assert_golden(cases.path(name, "objects.yaml"), cases.as_yaml(*case.model, *case.access, case.bench))


@pytest.mark.parametrize("name", cases.names())
def test_plan(name: str) -> None:
    text = cases.read(name).plan.to_json()
    assert_golden(cases.path(name, "plan.yaml"), cases.as_yaml(json.loads(text)))
    assert Plan.model_validate_json(text) == cases.read(name).plan


@pytest.mark.parametrize("name", cases.names())
def test_record(name: str) -> None:
    assert_golden(cases.path(name, "record.yaml"), cases.as_yaml(written(cases.read(name).record)))


def test_objects_of_the_run() -> None:
    case = cases.read(SHARED)
    snapshot, *others, plan = case.shared
    assert read_run(snapshot["binaryData"]) == case.run_record
    data = {
        **snapshot,
        "data": {name: json.loads(text) for name, text in snapshot["data"].items()},
        "binaryData": {RUN: case.run_record.model_dump(mode="json", by_alias=True, exclude_none=True)},
    }
    shortened = {**plan, "data": dict.fromkeys(plan["data"], "plan.yaml, as JSON")}
    packed = "record.yaml, as JSON and compressed"
    plain = [each | ({"binaryData": {MODEL: packed}} if "binaryData" in each else {}) for each in others]
    assert [read_object(each["binaryData"]).model for each in others if "binaryData" in each] == [case.record]
    assert_golden(cases.path(SHARED, "run.yaml"), cases.as_yaml(data, *plain, shortened))


def test_there_are_no_other_files() -> None:
    for name in cases.names():
        found = {file.name for file in (cases.FOLDER / name).iterdir()}
        assert FILES <= found <= FILES | {"platform.yaml", *(["run.yaml"] if name == SHARED else [])}
    assert {file.name for file in cases.FOLDER.iterdir()} == set(cases.names())


@pytest.mark.parametrize("name", cases.names())
def test_a_run_goes_on_with_the_platform_it_began_with(name: str) -> None:
    case = cases.read(name)
    snapshot = case.shared[0]
    assert Platform.model_validate_json(snapshot["data"]["platform.json"]) == case.platform
    assert yaml.safe_load(snapshot["data"]["platform.json"])["version"] == case.platform.version


def written(document: Document) -> object:
    return json.loads(document.model_dump_json(by_alias=True, exclude_none=True))
