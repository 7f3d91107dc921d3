"""How looks at benchmarks went: counted, and how long they took. Pure."""

from bisect import bisect_left

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper ends, in seconds. A look that finds nothing to do asks nobody and takes a few milliseconds; one that starts a
model makes some ten requests; one request of an API that hangs takes up to 15 s."""


class Reconciles:
    """Counts since the start of the process."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        """By bucket, each for itself; the last: over the longest."""
        self.seconds = 0.0
        """All together."""
        self.errors = 0

    def ended(self, seconds: float, *, failed: bool) -> None:
        """A look took so long."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds
        self.errors += failed
