"""Tables of ready figures, scored."""

from perbench.per.table import Table, parse_table, read_table
from perbench.per.table_scores import score_table
from perbench.report.table_page import render_table
from tests.support.per_rows import STUDY

HEADER = "task,kind,model,accuracy,throughput,latency_ms,memory_mb"
THREE = ("t,generation,a,0.4,400,5,1000", "t,generation,b,0.6,200,8,2000", "t,generation,c,0.8,100,20,4000")
FOUR = (*THREE, "t,generation,d,0.9,40,60,9000")
AGREEING = (0, 0.619, 0.496, 0)
"""PER of the four, as a table would round it."""
HOSTILE = '<script>alert("x")</script>{{ 7*7 }}"\'&'


def table(*lines: str, header: str = HEADER, name: str = "t.csv") -> Table:
    """A table with these lines."""
    return parse_table("\n".join([header, *lines]).encode(), name)


def page(of: Table, reference: str | None = None, floor: float | None = None) -> str:
    """Its page."""
    return render_table(of, score_table(of, reference, floor))


def study() -> str:
    """The study's page."""
    return page(read_table(STUDY))


def study_with_floor() -> str:
    """The study's page with a quality floor."""
    return page(read_table(STUDY), floor=0.5)


def few_models() -> str:
    """Three models, without kind, one without memory: no Published PER, no drawing's unit."""
    lines = [line.replace(",generation,", ",") for line in THREE]
    lines[2] = lines[2].removesuffix("4000")
    return page(table(*lines, header=HEADER.replace("kind,", "")))


def hostile_table() -> str:
    """Names that try to be more than text, and names without a place to break them."""
    quoted = '"' + HOSTILE.replace('"', '""') + '"'
    lines = [line.replace("t,", f"{quoted},", 1) for line in FOUR]
    lines += [f"{quoted},generation,{quoted},0.5,300,6,3000", f"{quoted},generation,{'m' * 200},0.55,250,7,3500"]
    return page(table(*lines, name=f"/tmp/{HOSTILE}.csv"))


def large_table(models: int = 200) -> str:
    """Many models on one task."""
    figures = ((n, n * 37 % 101 / 101, 10 + n * 13 % 997, 1 + n % 53, 900 + n * 71) for n in range(models))
    return page(table(*("t,generation,model-{:03},{:.3f},{},{},{}".format(*entry) for entry in figures)))
