from pathlib import Path

from perbench.record.reference import reference
from perbench.results import RequestColumns
from tests.support.golden import assert_golden


def test_the_page_is_current() -> None:
    assert_golden(Path("docs/results.md"), reference())


def test_every_field_has_a_meaning() -> None:
    cells = [line.split(" | ") for line in reference().splitlines() if line.startswith(("| **`", "| `"))]
    assert len(cells) > 80
    assert [row[0] for row in cells if row[2].strip(" |") == ""] == []


def test_every_column_of_requests_is_there() -> None:
    section = reference().split("requests\n\nOne row per measured request", 1)[1].split("\n## ", 1)[0]
    assert section.count("\n| **`") == len(RequestColumns.model_fields)
