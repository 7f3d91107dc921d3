"""What docs/statistics.md says of rules and codes is what the code does; its tables are printed by the bench."""

import re
from pathlib import Path

import pytest

from perbench.comparison import Verdict
from perbench.comparison.values import TOLERANCE_PERCENT
from perbench.per.assessment import NOISE_ERRORS
from perbench.per.figure_draws import DRAWS
from perbench.per.replicates import FEWEST_REPLICATES
from perbench.statistics.intervals import CONFIDENCE
from perbench.statistics.scatter import UNEQUAL
from tests.bench.coverage import COVERAGE, FALSE_BEST, SIZES

DOCS = Path(__file__).parents[4] / "docs"
PAGE = (DOCS / "statistics.md").read_text(encoding="utf-8")
FLAT = " ".join(PAGE.split())


def rows(after: str) -> list[list[str]]:
    """Cells of the table after a piece of text, without its heading."""
    lines = PAGE[PAGE.index(after) :].split("\n|", 1)[1].split("\n\n")[0].split("\n")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_rules() -> None:
    assert f"{DRAWS:,} draws" in FLAT
    assert f"a {CONFIDENCE:.0%} interval".replace("%", " %") in FLAT
    assert {3: "Fewer than three replicates"}[FEWEST_REPLICATES] in FLAT
    assert {4.0: "less than four pooled standard errors"}[NOISE_ERRORS] in FLAT
    assert f"Levene's test, p < {UNEQUAL:g}" in FLAT
    assert f"the tolerance ({TOLERANCE_PERCENT:g} %)" in FLAT
    assert f"Wanted: {COVERAGE[0]:g} to {COVERAGE[1]:g} %" in FLAT
    assert f"Wanted: {FALSE_BEST[1]:g} % at most" in FLAT


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_is_explained(verdict: Verdict) -> None:
    assert f"`{verdict}`" in PAGE


def test_the_table_of_coverage_is_within_the_limits_it_names() -> None:
    table = rows("Wanted: 92")
    assert [(row[0], row[1], row[2]) for row in table] == [
        (items, str(n), variation) for items in ("none", "100 items") for n in SIZES for variation in ("3 %", "10 %")
    ]
    for row in table:
        for cell in row[3:6]:
            assert COVERAGE[0] <= float(cell.removesuffix(" %")) <= COVERAGE[1]


def test_the_table_of_equal_models_is_within_the_limit_it_names() -> None:
    for row in rows("Wanted: 12"):
        assert float(row[2].removesuffix(" %")) <= FALSE_BEST[1]


def test_links_lead_somewhere() -> None:
    for page in (PAGE, (DOCS / "per.md").read_text(encoding="utf-8")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page):
            assert (DOCS / target).exists()
