"""What `perbench calibrate` prints for a reader: the fields of its JSON as a table and one sentence. Pure."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

HEADINGS = ("load", "", "TTFT ms", "ITL ms", "rate %", "in flight %", "own ms")
WIDTHS = (20, 5, 9, 9, 9, 13, 9)


def calibration_text(document: Mapping[str, Any]) -> str:
    """At most 80 columns: errors as reported less true."""
    reference = document["reference"]
    lines = [
        (
            f"answers of {reference['tokens']} tokens, the first after {reference['ttft_ms']:g} ms, then every"
            f" {reference['itl_ms']:g} ms; reported less true:"
        ),
        "",
        _row(HEADINGS),
        *_steps(document["rates"], "requests/s"),
        *_steps(document["concurrencies"], "in flight"),
        "",
        *textwrap.wrap(document["advice"], 80),
    ]
    return "\n".join(lines) + "\n"


def _steps(steps: Sequence[Mapping[str, Any]], unit: str) -> list[str]:
    lines: list[str] = []
    for step in steps:
        figures = ("ttft_error_ms", "itl_error_ms", "rate_error_percent", "concurrency_error_percent")
        cells = [_signed(step[name]) for name in figures]
        own = "-" if step["client_error_ms"] is None else f"{step['client_error_ms']:.2f}"
        lines.append(_row((f"{step['asked']:g} {unit}", "ok" if step["trusted"] else "no", *cells, own)))
        for reason in step["reasons"]:
            lines += textwrap.wrap(reason, 76, initial_indent="    ", subsequent_indent="    ")
    return lines


def _row(cells: Sequence[str]) -> str:
    first, *rest = cells
    return (f"{first:<{WIDTHS[0]}}" + "".join(f"{c:>{w}}" for c, w in zip(rest, WIDTHS[1:], strict=True))).rstrip()


def _signed(value: float) -> str:
    return f"{value:+.2f}"
