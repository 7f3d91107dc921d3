"""Reads finished exchanges into observations, and stops a load whose server is gone."""

from collections import Counter
from collections.abc import Callable

from perbench.results import Outcome
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import Feed
from perbench_bench.engine.observations import Observations
from perbench_bench.engine.patience import GivingUp, Patience
from perbench_bench.engine.reply import Ending, Reply

PATIENCE = Patience()


class Recorder:
    """The sink of a closed loop: every finished exchange, of any role, goes through `take`."""

    def __init__(
        self,
        read: Callable[[Exchange], Reply],
        clock: Callable[[], int],
        feed: Feed,
        capacity: int,
        concurrency: int,
        counts_end_token: bool | None = None,
        patience: Patience = PATIENCE,
    ) -> None:
        self.seen = Observations(capacity)
        self.aborted: tuple[Outcome, str] | None = None
        """The commonest outcome and the last words of a server that was taken for gone in the middle."""
        self._last_words = ""
        self._read = read
        self._clock = clock
        self._feed = feed
        self._counts_end_token = counts_end_token
        self._giving_up = GivingUp(patience, concurrency, feed.started)

    def gone(self) -> tuple[Outcome, str] | None:
        """The commonest outcome and the last words of a server that was gone when the load ended; None: it was not."""
        if self.aborted is not None:
            return self.aborted
        at_the_end = self._giving_up.at_the_end()
        return (at_the_end, self._last_words) if at_the_end else None

    def nothing_succeeded(self) -> tuple[Outcome, str] | None:
        """The commonest outcome and an error of a stage in which no measured request succeeded; None: one did."""
        rows = self.seen.rows.values()
        outcomes = Counter(row.outcome for row in rows)
        if not outcomes or Outcome.SUCCESS in outcomes:
            return None
        common = outcomes.most_common(1)[0][0]
        return common, next(row.error or "" for row in rows if row.outcome is common)

    def take(self, exchange: Exchange) -> bool:
        """Read one; True when it was a success."""
        reply = self._read(exchange)
        if reply.outcome is Outcome.SUCCESS and reply.output_tokens is None:
            reply.fail(Outcome.MALFORMED, "the answer has no token counts (usage), so its speed is not known")
        self.seen.add(exchange, reply, self._feed, counts_end_token=self._counts_end_token)
        if reply.outcome is Outcome.SUCCESS:
            self._giving_up.succeeded(exchange.sent, exchange.end)
            return True
        if exchange.ending is Ending.HELD_BACK:  # says that the server is slow, not that it is gone
            return False
        self._last_words = reply.error or ""
        given_up_for = self._giving_up.failed(reply.outcome, exchange.end)
        if given_up_for and self.aborted is None:
            self.aborted = given_up_for, self._last_words
            self._feed.abort(self._clock())
        return False
