"""How exact and how fast the load engine is, judged by the truth server (`python -m tests.bench.accuracy`).

Accuracy: 150 requests/s of 20 tokens, error of the mean time to first token from the send, at most 0.3 ms. Speed: 64
in flight, first token after 5 ms, 2 ms between 8 tokens, as a share of the bare client's rate in the same run, at least
0.8. Median of five within the bar, the worst within 0.6 ms and 0.6; exit 1 otherwise.
"""

import asyncio
import gc
import statistics
import sys

import uvloop

from perbench.api.models import Protocol
from perbench_bench.truth import Script, truth_server
from perbench_bench.truth.delay import constant
from perbench_bench.truth.script import Timing
from tests.bench import bare_client
from tests.bench.judged_load import Judged, Wanted, run

RUNS = 5
ERROR_MS, WORST_ERROR_MS = 0.3, 0.6
SHARE, WORST_SHARE = 0.8, 0.6
STEADY = Script(timing=Timing(first_ms=constant(100), gap_ms=constant(10)))
FAST = Script(timing=Timing(first_ms=constant(5), gap_ms=constant(2)))


def error_ms(judged: Judged) -> float:
    """Of the mean time to first token from the send."""
    return next(error.amount for error in judged.errors if error.figure == "ttft_sent_mean")


def bare_rate() -> float:
    """Requests per second of a client that only counts, against the same server."""
    with truth_server(FAST) as server:
        request = bare_client.ask_for(server.url, Protocol.TGI, "a b c d", 8)
        gc.collect()
        return uvloop.run(asyncio.wait_for(bare_client.closed_loop(server.url, request, 64, 2.5), 60)).rate()


def engine_rate() -> tuple[float, bool]:
    """Requests per second of the engine, and whether its own verdict passed it."""
    judged = run(FAST, Wanted(concurrency=64, requests=6000))
    return next(error.reported for error in judged.errors if error.figure == "request_rate"), judged.passed


def main() -> int:
    errors: list[float] = []
    for number in range(RUNS):
        judged = run(STEADY, Wanted(rate=150, requests=450, tokens=20))
        errors.append(error_ms(judged))
        said = "valid" if judged.passed else "; ".join(judged.reasons)
        sys.stdout.write(f"150/s, run {number + 1}: mean TTFT off by {errors[-1]:+.3f} ms, {said}\n")
    shares: list[float] = []
    for number in range(RUNS):
        first, (rate, passed), second = bare_rate(), engine_rate(), bare_rate()
        shares.append(rate / statistics.fmean((first, second)))
        said = "valid" if passed else "LoadGeneratorSaturated"
        sys.stdout.write(f"64 in flight, run {number + 1}: {rate:.0f}/s, {shares[-1]:.2f} of the bare client, {said}\n")
    sizes = [abs(error) for error in errors]
    exact = statistics.median(sizes) <= ERROR_MS and max(sizes) <= WORST_ERROR_MS
    fast = statistics.median(shares) >= SHARE and min(shares) >= WORST_SHARE
    sys.stdout.write(
        f"error of the mean TTFT: median {statistics.median(sizes):.3f} ms, worst {max(sizes):.3f} ms:"
        f" {'within' if exact else 'OUTSIDE'} {ERROR_MS} and {WORST_ERROR_MS}\n"
        f"share of the bare client: median {statistics.median(shares):.2f}, worst {min(shares):.2f}:"
        f" {'within' if fast else 'OUTSIDE'} {SHARE} and {WORST_SHARE}\n"
    )
    return 0 if exact and fast else 1


if __name__ == "__main__":
    sys.exit(main())
