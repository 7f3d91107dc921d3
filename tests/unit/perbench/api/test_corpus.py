"""Good files are accepted, bad ones refused with the message beside them; the CRD's schema judges alike."""

from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from perbench.api.crd import editor_schema, resource_schema
from perbench.api.messages import mistakes
from perbench.api.reading import check_text, describe, parse
from perbench.api.resource import PERBenchmark
from perbench.api.yamltext import read_documents
from tests.support.api_corpus import BAD, GOOD, REFUSERS, LimitCase, all_rules, limit_cases, refuser
from tests.support.golden import assert_golden

SCHEMA = jsonschema.Draft202012Validator(editor_schema())


def by_stem(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=path.stem) for path in paths]


@pytest.mark.parametrize("path", by_stem(GOOD))
def test_good_is_accepted(path: Path) -> None:
    checked = check_text(path.read_text(encoding="utf-8"))
    assert [problem for document in checked for problem in document.problems] == []
    assert all(isinstance(document.benchmark, PERBenchmark) for document in checked)
    for document in read_documents(path.read_text(encoding="utf-8")):
        SCHEMA.validate(document.data)


@pytest.mark.parametrize("path", by_stem(BAD))
def test_bad_is_refused(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    problems = [describe(path.relative_to(path.parent), p) for document in check_text(text) for p in document.problems]
    assert problems
    assert_golden(path.with_suffix(".txt"), "".join(f"{problem}\n" for problem in problems))


@pytest.mark.parametrize("path", by_stem(BAD))
def test_bad_is_refused_by_whom_it_says(path: Path) -> None:
    who = refuser(path)
    assert who in REFUSERS
    documents = list(read_documents(path.read_text(encoding="utf-8")))
    if who == "reader":
        return
    assert [document.problems for document in documents] == [[]]
    assert SCHEMA.is_valid(documents[0].data) == (who != "schema")
    if who in {"rule", "perbench"}:
        said = path.with_suffix(".txt").read_text(encoding="utf-8")
        broken = [rule for rule in all_rules() if rule.message in said]
        assert broken
        assert all((rule.cel is None) == (who == "perbench") for rule in broken)


def test_every_golden_message_has_its_file() -> None:
    folder = BAD[0].parent
    assert {path.stem for path in folder.iterdir() if path.suffix == ".txt"} == {path.stem for path in BAD}


def test_every_rule_has_a_bad_example() -> None:
    said = "".join(path.with_suffix(".txt").read_text(encoding="utf-8") for path in BAD)
    rules = all_rules()
    assert len(rules) >= 14
    assert [rule.message for rule in rules if rule.message not in said] == []


@pytest.mark.parametrize("case", limit_cases(), ids=str)
def test_limit(case: LimitCase) -> None:
    """Both sides of every limit: pydantic and the CRD's schema agree."""
    assert SCHEMA.is_valid(case.document) == case.accepted
    assert field_errors(case) == [] if case.accepted else field_errors(case) != []


def field_errors(case: LimitCase) -> list[str]:
    """What pydantic says about single fields; the document breaks rules between fields on purpose."""
    try:
        parse(case.document)
    except ValidationError as error:
        return [mistake.message for mistake in mistakes(error) if not mistake.rule]
    return []


def test_limits_cover_the_schema() -> None:
    """A vacuous list of cases would pass anything: each keyword of the schema appears, on both sides."""
    cases = limit_cases()
    expected = {
        "enum",
        "maxLength",
        "minLength",
        "pattern",
        "maximum",
        "minimum",
        "maxItems",
        "minItems",
        "maxProperties",
    }
    for accepted in (True, False):
        assert {case.keyword for case in cases if case.accepted is accepted} >= expected | {"required"}
    named = {step for case in cases for step in case.path if isinstance(step, str)}
    assert named >= set(resource_schema()["properties"]["spec"]["properties"])
