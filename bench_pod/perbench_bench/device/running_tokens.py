"""How many tokens the requests under way held at once, out of what a stage saw. Pure.

A request holds its prompt from when it is sent, and what was generated so far, evenly from its first chunk to its last.
Where requests wait at the server they hold nothing yet: it then counts from the first chunk.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

from perbench.results import Outcome
from perbench_bench.engine.observations import NONE, Observations

ROUNDING = 1e-3
"""Of tokens: how far sums of fractions may be off a whole number."""


class Span(NamedTuple):
    """One request: stamps in ns, tokens."""

    held: int
    """From when it holds its prompt."""
    first: int
    """From when tokens are generated."""
    end: int
    input_tokens: int
    output_tokens: int


def peak_tokens(seen: Observations, window: tuple[int, int], *, waiting: bool) -> dict[str, int]:
    """The most tokens held within the window at each of the server's addresses.

    `waiting`: requests waited at the server. Requests that failed count as far as their answers say. Empty: no request
    says how long it was.
    """
    spans: dict[str, list[Span]] = {}
    for address, span in _spans(seen, waiting=waiting):
        spans.setdefault(address, []).append(span)
    return {address: peak(found, window) for address, found in spans.items()}


def peak(spans: Sequence[Span], window: tuple[int, int]) -> int:
    """The most tokens held at once between two stamps."""
    start, end = window
    held, first, ended, asked, generated = (np.array(column, dtype=np.float64) for column in zip(*spans, strict=True))
    slope = np.divide(generated, ended - first, out=np.zeros_like(generated), where=ended > first)
    grown = slope * (first - start)
    stamps = np.concatenate([ended, first, held])  # of one moment: what ends makes room for what begins
    constants = np.concatenate([grown - asked, -grown, asked])
    slopes = np.concatenate([-slope, slope, np.zeros_like(slope)])
    order = np.argsort(stamps, kind="stable")
    stamps = stamps[order]
    constant = np.concatenate([[0.0], np.cumsum(constants[order])])
    rising = np.concatenate([[0.0], np.cumsum(slopes[order])])
    # Between two steps it only rises: the peak is just before one of them, or at the window's end.
    inside = (stamps > start) & (stamps <= end)
    before = (constant[:-1] + rising[:-1] * (stamps - start))[inside]
    last = int(np.searchsorted(stamps, end, side="left"))
    at_the_end = float(constant[last] + rising[last] * (end - start))
    return ceil(max(0.0, at_the_end, float(before.max(initial=0.0))) - ROUNDING)


def _spans(seen: Observations, *, waiting: bool) -> Iterator[tuple[str, Span]]:
    for index, row in seen.rows.items():
        if row.outcome is Outcome.SUCCESS and row.input_tokens is not None:
            stamps = int(seen.sent[index]), int(seen.first[index]), int(seen.end[index])
            yield row.address, _span(*stamps, row.input_tokens, row.output_tokens, waiting=waiting)
    for spare in seen.spare_in_window:
        if spare.input_tokens is not None:
            stamps = spare.sent, spare.first, spare.end
            yield spare.address, _span(*stamps, spare.input_tokens, spare.output_tokens, waiting=waiting)


def _span(sent: int, first: int, end: int, asked: int, generated: int | None, *, waiting: bool) -> Span:
    begun = end if first == NONE else first
    return Span(begun if waiting else sent, begun, end, asked, generated or 0)
