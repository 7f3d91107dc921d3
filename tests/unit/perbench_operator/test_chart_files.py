import json
import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from perbench.api.crd import crd_yaml, custom_resource_definition
from perbench.api.generate import stale, write
from perbench_operator.chart_files import (
    Value,
    crd_template,
    leaves,
    values_of,
    values_page,
    values_schema,
    values_yaml,
)
from perbench_operator.chart_values import ChartValues, CrdChartValues
from perbench_operator.generate import generated

REPOSITORY = Path(__file__).parents[3]


def test_what_is_committed_is_current() -> None:
    assert stale(generated(REPOSITORY)) == []


def test_write_then_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = generated(tmp_path)
    assert write(files, "generate", None, ["--check"]) == 1
    assert capsys.readouterr().err.count("not current") == len(files) == 6
    assert write(files, "generate", None, []) == 0
    assert write(files, "generate", None, ["--check"]) == 0


@pytest.mark.parametrize("model", [ChartValues, CrdChartValues])
def test_the_values_fit_their_schema_and_nothing_else_does(model: type[ChartValues | CrdChartValues]) -> None:
    schema = json.loads(values_schema(model))
    jsonschema.Draft202012Validator.check_schema(schema)
    judge = jsonschema.Draft202012Validator(schema)
    values = yaml.safe_load(values_yaml(model()))
    judge.validate(values)
    judge.validate(values | {"global": {"team": "a"}})
    assert not judge.is_valid(values | {"nonsense": 1})


def test_the_written_values_are_the_defaults() -> None:
    assert ChartValues.model_validate(yaml.safe_load(values_yaml(ChartValues()))) == ChartValues()


def test_no_object_is_open_but_those_of_kubernetes() -> None:
    """Kubernetes' own maps are checked by the API server; everywhere else a mistyped name is refused."""
    schema = json.loads(values_schema(ChartValues))
    parts = [schema, *schema["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in parts if part.get("type") == "object")


def test_every_value_is_described() -> None:
    for value in leaves(values_of(ChartValues())):
        assert value.description.endswith("."), value.path


def test_the_page_says_what_each_group_is() -> None:
    """Else the description of `monitoring.podMonitor.enabled`, say, is about nobody knows what."""
    page = values_page({"perbench": ChartValues()})
    groups = [value for value in within(values_of(ChartValues())) if value.parts]
    assert len(groups) > 20
    for group in groups:
        assert f"| **`{'.'.join(group.path)}`** | | {group.description} |" in page


def within(values: tuple[Value, ...]) -> Iterator[Value]:
    """These values and those that they are made of."""
    for value in values:
        yield value
        yield from within(value.parts)


def test_the_values_that_the_manual_names_are_there() -> None:
    known = {".".join(value.path[:length]) for value in leaves(values_of(ChartValues())) for length in range(1, 9)}
    roots = "|".join(value.path[0] for value in values_of(ChartValues()))
    for page in (REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")):
        named = set(re.findall(rf"`((?:{roots})\.[\w.]+)(?:[:=][^`]*)?`", page.read_text(encoding="utf-8")))
        assert named <= known, page.name


def test_the_template_differs_from_the_crd_by_what_keeps_it() -> None:
    template = crd_template().replace('{{ "{{" }}', "{{")
    lines = template.splitlines()
    start = lines.index("  {{- if .Values.keep }}")
    del lines[start : start + 4]
    assert lines == crd_yaml().splitlines()
    assert custom_resource_definition()["metadata"] == {"name": "perbenchmarks.perbench.dev"}
