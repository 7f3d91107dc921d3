import re
from pathlib import Path

from perbench.api.reading import check_text
from perbench.cluster.reasons import REASONS

BLOCK = re.compile(r"^```yaml\n(apiVersion: perbench.dev.*?)^```", re.MULTILINE | re.DOTALL)
DOCS = Path(__file__).parents[4] / "docs"


def test_the_page_says_of_every_reason_what_the_command_says() -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    rows = [
        line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `") and line.count("|") == 5
    ]
    assert {row[0].strip("`"): row[3] for row in rows} == REASONS


def test_the_benchmarks_on_the_page_are_accepted() -> None:
    found = BLOCK.findall((DOCS / "operations.md").read_text(encoding="utf-8"))
    assert found
    assert [problem for text in found for document in check_text(text) for problem in document.problems] == []
