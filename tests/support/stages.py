"""Observations of a stage made by hand. Times in ms."""

from collections.abc import Sequence

import numpy as np

from perbench.results import Outcome
from perbench_bench.engine.observations import Observations, Row

MS = 1_000_000


def seen_with(
    n: int = 100, *, ttft: float = 40.0, tpot: float = 10.0, turnaround: float | Sequence[float] = 0.05,
    delay: float = 0.02, duration: float | Sequence[float] = 200.0, cached: int = 0, input_tokens: int = 100,
) -> Observations:  # fmt: skip
    """A stage in which every request looks the same unless a list says otherwise."""
    seen = Observations(n)
    turnarounds = np.broadcast_to(np.asarray(turnaround, dtype=np.float64), (n,))
    durations = np.broadcast_to(np.asarray(duration, dtype=np.float64), (n,))
    for i in range(n):
        seen.due[i] = i * 50 * MS
        seen.sent[i] = seen.due[i] + int(turnarounds[i] * MS)
        seen.first[i] = seen.due[i] + int(ttft * MS)
        seen.last[i] = seen.first[i] + int(10 * tpot * MS)
        seen.end[i] = seen.sent[i] + int(durations[i] * MS)
        seen.lag[i] = int(turnarounds[i] * MS)
        seen.first_delay[i] = int(delay * MS)
        seen.first_tokens[i] = 1
        seen.succeeded[i] = True
        seen.rows[i] = Row(Outcome.SUCCESS, None, "x", "length", input_tokens, 11, cached, 11.0, "127.0.0.1")
    seen.itl.add([tpot] * (10 * n))
    seen.read_delay.add([delay] * (11 * n))
    seen.window.cycles = n
    seen.window.lost_ns = int((turnarounds + delay).sum() * MS)
    seen.window.cycle_ns = int((turnarounds + durations).sum() * MS)
    return seen
