"""Whether the operator is well: what its probes are told. Functions of times and sets, no clock of its own.

Live: the working loop went round lately. The API has no part in it: a restart would not bring the API back.
Ready: the API answered lately, and everything it listed at the start has come through the watch, in every namespace.
Where it refuses one of several, that is said, and the others are served.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

TICK_LIMIT_SECONDS = 90.0
"""After so long without a round the loop is taken for dead."""
ANSWER_LIMIT_SECONDS = 60.0
"""After so long without an answer of the API the operator is not ready."""
TOLD = 5
"""Of so many namespaces it is said why they are not served; the others are counted."""


@dataclass
class _Place:
    """A namespace that is watched, or all of them."""

    answered: float | None = None
    trouble: str = "the API has not answered yet"
    refused: bool = False
    """Whether that is what came of the last question: an answer, and not what was asked for."""
    unseen: set[str] | None = None
    """Benchmarks that were listed and have not come through the watch. None: nothing was listed yet."""
    seen: set[str] = field(default_factory=set)

    @property
    def caught_up(self) -> bool:
        """Whether everything that the API listed first has come through the watch."""
        return self.unseen is not None and not self.unseen

    def not_answering(self, now: float) -> str | None:
        """Why nothing can be done there. None: the API answered lately."""
        if self.answered is None:
            return self.trouble
        silent = now - self.answered
        return f"no answer from the API for {silent:.0f} s: {self.trouble}" if silent > ANSWER_LIMIT_SECONDS else None


class Health:
    """What is known of the operator's own state. All times are in seconds of one monotonic clock."""

    def __init__(self, now: float, scope: Collection[str] = ()) -> None:
        """`scope`: the namespaces that are watched; none: all of them, in one."""
        self._ticked = now
        self._places = {namespace: _Place() for namespace in scope or ("",)}
        self._caught_up = False
        self._hindrance: str | None = None

    @property
    def caught_up(self) -> bool:
        """Whether everything that the API listed at the start has come through the watch, in all namespaces but those
        that it refused. Once so, always so: one that it lists later is waited for by readiness alone."""
        return self._caught_up

    def has_caught_up(self, namespace: str | None) -> bool:
        """The same of one namespace (None: all)."""
        return self._of(namespace).caught_up

    def tick(self, now: float) -> None:
        """The loop went round."""
        self._ticked = now

    def answered(self, now: float, namespace: str | None = None) -> None:
        """The API answered."""
        place = self._of(namespace)
        place.answered, place.refused = now, False

    def listed(self, now: float, uids: Collection[str], namespace: str | None = None) -> None:
        """The API listed all benchmarks: these."""
        self.answered(now, namespace)
        place = self._of(namespace)
        if not place.caught_up:
            place.unseen = set(uids) - place.seen
            self._look_around(place)

    def seen(self, uid: str, namespace: str | None = None) -> None:
        """A benchmark came through the watch."""
        place = self._of(namespace)
        if not place.caught_up:
            place.seen.add(uid)
            if place.unseen is not None:
                place.unseen.discard(uid)
            self._look_around(place)

    def refused(self, trouble: str, namespace: str | None = None, *, away: bool = False) -> None:
        """The API did not answer (`away`), or not with what was asked for. Only what it refuses may stay so: it is
        waited for where it said nothing."""
        place = self._of(namespace)
        place.trouble, place.refused = trouble, not away
        self._look_around(place)

    def hindered(self, hindrance: str | None) -> None:
        """What keeps the working loop from beginning. None: nothing."""
        self._hindrance = hindrance

    def not_live(self, now: float) -> str | None:
        """Why the process should be restarted. None: it should not."""
        silent = now - self._ticked
        return f"the loop stands still for {silent:.0f} s" if silent > TICK_LIMIT_SECONDS else None

    def not_ready(self, now: float) -> str | None:
        """Why the operator cannot do its work, or not in all namespaces. None: it can."""
        refused = [trouble for place in self._places.values() if (trouble := place.not_answering(now))]
        if refused:
            more = len(refused) - TOLD
            return "; ".join(refused[:TOLD]) + (f"; and {more} namespaces more" if more > 0 else "")
        if self._hindrance is not None:
            return self._hindrance
        unseen = sum(len(place.unseen or ()) for place in self._places.values())
        return f"{unseen} benchmarks are listed and have not come through the watch yet" if unseen else None

    def _of(self, namespace: str | None) -> _Place:
        """The place that covers a namespace."""
        return self._places.get("") or self._places[namespace or ""]

    def _look_around(self, place: _Place) -> None:
        """Something has changed in a place."""
        if place.caught_up:
            place.seen.clear()
        places = self._places.values()
        all_or_refused = all(each.caught_up or each.refused for each in places)
        self._caught_up = self._caught_up or (all_or_refused and any(each.caught_up for each in places))


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
