"""Rows as a table for a terminal. Pure."""

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from perbench.failures import printable, shorten
from perbench.live.figures import Row
from perbench.per.words import ABSENT
from perbench.report.figures import significant

BARS = "▁▂▃▄▅▆▇█"
TRAIL_FROM_COLUMNS = 110
"""A narrower terminal has no room for the line of tokens per second."""
NAME_LENGTH = 24
LEGEND = (
    "Percentiles of the last minute, ms. CLIENT: what the load generator added, 99th percentile. MIB: memory of the"
    " server, of its limit."
)
MEBIBYTE = 2**20
MILLISECONDS = 1000.0


def screen(head: Sequence[str], rows: Sequence[Row], columns: int) -> Group:
    """Lines of words, then a row per model and task. Names come from elsewhere: they are cleaned and cut."""
    lines = [Text(shorten(printable(line), columns), no_wrap=True) for line in head]
    return Group(*lines, _table(rows, wide=columns >= TRAIL_FROM_COLUMNS), Text(LEGEND, style="dim"))


def _table(rows: Sequence[Row], *, wide: bool) -> Table:
    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    grid.add_column("MODEL/TASK", overflow="ellipsis", no_wrap=True, max_width=NAME_LENGTH)
    for header in ("DONE", "REQ/S", "TOK/S", "OPEN", "FAIL", "TTFT50", "TTFT95", "ITL50", "MIB", "CLIENT"):
        grid.add_column(header, justify="right", no_wrap=True)
    if wide:
        grid.add_column("TOKENS/S", no_wrap=True)
    for row in rows:
        grid.add_row(*_cells(row, wide=wide), style=None if row.answering else "dim")
    return grid


def _cells(row: Row, *, wide: bool) -> list[Text]:
    texts = [
        printable(f"{row.model}/{row.task}"),
        _percent(row.progress),
        significant(row.requests_per_second),
        significant(row.tokens_per_second),
        ABSENT if row.in_flight is None else f"{row.in_flight:.0f}",
        ABSENT if row.failed_percent is None else f"{row.failed_percent:.1f}%",
        *(_milliseconds(seconds) for seconds in (row.ttft_p50, row.ttft_p95, row.itl_p50)),
        _memory(row),
        _milliseconds(row.client_error_p99),
    ]
    return [Text(text) for text in (*texts, *([bars(row.trail)] if wide else []))]


def _memory(row: Row) -> str:
    if row.memory is None:
        return ABSENT
    limit = "" if row.memory_limit is None else f"/{row.memory_limit / MEBIBYTE:,.0f}"
    return f"{row.memory / MEBIBYTE:,.0f}{limit}"


def bars(values: Sequence[float]) -> str:
    """Values as a line of bars from 0 to the largest."""
    most = max(values, default=0.0)
    if not most:
        return BARS[0] * len(values)
    return "".join(BARS[min(len(BARS) - 1, int(len(BARS) * value / most))] for value in values)


def _percent(share: float | None) -> str:
    return ABSENT if share is None else f"{100 * share:.0f}%"


def _milliseconds(seconds: float | None) -> str:
    return significant(None if seconds is None else seconds * MILLISECONDS)
