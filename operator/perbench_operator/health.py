"""Whether the operator is well: what its probes are told. Functions of times and sets, no clock of its own.

Live: the working loop went round lately. The API has no part in it: a restart would not bring the API back.
Ready: the API answered lately, and everything it listed at the start has come through the watch.
"""

from collections.abc import Collection, Iterable

TICK_LIMIT_SECONDS = 90.0
"""After so long without a round the loop is taken for dead."""
ANSWER_LIMIT_SECONDS = 60.0
"""After so long without an answer of the API the operator is not ready."""


class Health:
    """What is known of the operator's own state. All times are in seconds of one monotonic clock."""

    def __init__(self, now: float) -> None:
        self._ticked = now
        self._answered: float | None = None
        self._trouble = "the API has not answered yet"
        self._unseen: set[str] | None = None
        self._seen: set[str] = set()

    @property
    def caught_up(self) -> bool:
        """Whether everything that the API listed at the start has come through the watch."""
        return self._unseen is not None and not self._unseen

    def tick(self, now: float) -> None:
        """The loop went round."""
        self._ticked = now

    def answered(self, now: float) -> None:
        """The API answered."""
        self._answered = now

    def listed(self, now: float, uids: Collection[str]) -> None:
        """The API listed all benchmarks: these."""
        self.answered(now)
        if not self.caught_up:
            self._unseen = set(uids) - self._seen
            self._forget_when_caught_up()

    def seen(self, uid: str) -> None:
        """A benchmark came through the watch."""
        if not self.caught_up:
            self._seen.add(uid)
            if self._unseen is not None:
                self._unseen.discard(uid)
            self._forget_when_caught_up()

    def refused(self, trouble: str) -> None:
        """The API did not answer, or not with what was asked for."""
        self._trouble = trouble

    def not_live(self, now: float) -> str | None:
        """Why the process should be restarted. None: it should not."""
        silent = now - self._ticked
        return f"the loop stands still for {silent:.0f} s" if silent > TICK_LIMIT_SECONDS else None

    def not_ready(self, now: float) -> str | None:
        """Why the operator cannot do its work. None: it can."""
        if self._answered is None:
            return self._trouble
        silent = now - self._answered
        if silent > ANSWER_LIMIT_SECONDS:
            return f"no answer from the API for {silent:.0f} s: {self._trouble}"
        if not self.caught_up:
            return f"{len(self._unseen or ())} benchmarks are listed and have not come through the watch yet"
        return None

    def _forget_when_caught_up(self) -> None:
        if self.caught_up:
            self._seen.clear()


class WatchTimes:
    """When each watch was last known to live: the API opened it, or an object came through it.

    A watch is opened anew every minute, so that one of which nothing is heard for long does not live.
    """

    def __init__(self, now: float, kinds: Iterable[str], namespaces: Collection[str]) -> None:
        """`namespaces`: each has watches of its own; none: there is one over all."""
        self._heard = {(kind, namespace): now for kind in kinds for namespace in namespaces or ("",)}

    def heard(self, kind: str, namespace: str, now: float) -> None:
        """The watch of `kind` that covers `namespace` lives."""
        place = (kind, namespace if (kind, namespace) in self._heard else "")
        if place in self._heard:
            self._heard[place] = now

    def ages(self, now: float) -> dict[str, float]:
        """Seconds, by kind: of the watch that has not been heard of for longest."""
        oldest: dict[str, float] = {}
        for (kind, _), heard in self._heard.items():
            oldest[kind] = max(now - heard, oldest.get(kind, 0.0))
        return oldest
