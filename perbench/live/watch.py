"""Asks for readings again and again, and draws them until there is nothing more to come. A rim."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live

from perbench.live.exposition import Reading
from perbench.live.figures import History
from perbench.live.view import screen

DUMB = frozenset({None, "", "dumb"})
FILE_COLUMNS = 160
"""Of what is written to a file or a pipe."""


@dataclass(frozen=True)
class Look:
    """What one look at a run brought."""

    head: tuple[str, ...]
    """Words above the table."""
    pages: Mapping[str, Reading | None] = field(default_factory=dict)
    """By source; None: it is known and does not answer."""
    over: bool = False
    """Nothing more will come."""


def watch(look: Callable[[], Look], every: float, out: TextIO, terminal: str | None) -> None:
    """Draw every `every` seconds until it is over or somebody presses Ctrl-C.

    In a terminal (`terminal` is $TERM) the picture is drawn anew in its place. Anything else gets one picture, of two
    looks, since a rate takes two.
    """
    history = History()
    if out.isatty() and terminal not in DUMB:
        _redraw(look, every, Console(file=out), history)
        return
    head = _take(look(), history)
    if not head.over:
        time.sleep(every)
        head = _take(look(), history)
    console = Console(file=out, width=FILE_COLUMNS, color_system=None)
    console.print(_picture(head.head, history, FILE_COLUMNS))


def _redraw(look: Callable[[], Look], every: float, console: Console, history: History) -> None:
    with Live(console=console, auto_refresh=False, transient=False) as live:
        try:
            while True:
                found = _take(look(), history)
                live.update(_picture(found.head, history, console.width), refresh=True)
                if found.over:
                    return
                time.sleep(every)
        except KeyboardInterrupt:  # how one leaves: nothing is broken off
            return


def _take(found: Look, history: History) -> Look:
    answers = {source: page for source, page in found.pages.items() if page is not None}
    for source, page in answers.items():
        history.add(source, page)
    history.missed(answers.keys())
    return found


def _picture(head: Sequence[str], history: History, columns: int) -> Group:
    return screen(head, history.rows(), columns)
