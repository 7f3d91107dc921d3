"""When a load whose requests fail is given up. Pure: told how requests ended, it answers."""

from collections import Counter
from dataclasses import dataclass

from perbench.results import Outcome

LEAST_FAILURES = 20
"""Failures in a row, with no success between them, without which a server that answers is not taken for gone."""
LEAST_STUCK = 3
"""The same of a server that has let a long time pass."""
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds without a success after which a load is given up."""

    failing_seconds: float = 10.0
    """After many failures in a row. A server that restarts or stumbles for less is measured with its failures."""
    overloaded_seconds: float = 60.0
    """The same where most of them are refusals: a server that says "not now" is there, and works on others. At least
    twice as long as the longest success: between two waves of them the others are refused."""
    stuck_seconds: float = 120.0
    """After a few failures in a row, one of each slot: they are slow ones, time-outs above all. At least twice as long
    as the longest success."""


class GivingUp:
    """Counts failures in a row, and how long they last."""

    def __init__(self, patience: Patience, concurrency: int, started: int) -> None:
        self._patience = patience
        self._many = max(LEAST_FAILURES, 2 * concurrency)
        self._few = max(LEAST_STUCK, concurrency)
        self._good = started
        """When the last success ended; the beginning, before there is one."""
        self._longest = 0
        self._in_a_row: Counter[Outcome] = Counter()

    def succeeded(self, sent: int, end: int) -> None:
        """A request was a success."""
        self._in_a_row.clear()
        self._good = max(self._good, end)
        self._longest = max(self._longest, end - sent)

    def failed(self, outcome: Outcome, end: int) -> Outcome | None:
        """One was none: the commonest outcome of those in a row, if it is time to give up."""
        self._in_a_row[outcome] += 1
        total, common = self._in_a_row.total(), self._in_a_row.most_common(1)[0][0]
        patience, without = self._patience, end - self._good
        often = patience.failing_seconds * NS
        if common is Outcome.OVERLOADED:
            often = max(patience.overloaded_seconds * NS, 2 * self._longest)
        gone = total >= self._many and without >= often
        stuck = total >= self._few and without >= max(patience.stuck_seconds * NS, 2 * self._longest)
        return common if gone or stuck else None

    def at_the_end(self) -> Outcome | None:
        """The commonest outcome of those in a row, if the load ended with so many that its server is taken for gone.

        Nobody will ask it again, so time can show nothing more. One that refuses for want of room is there.
        """
        if self._in_a_row.total() < self._many:
            return None
        common = self._in_a_row.most_common(1)[0][0]
        return None if common is Outcome.OVERLOADED else common
