"""What being scraped costs the load (`python -m tests.bench.exporter_overhead`; four minutes).

- Rate: pairs of closed loops against a truth server, one of each scraped once a second, in the order ABBA. The upper
  end of the loss of rate (one-sided 95 %, over pairs) must be below 2 %; exit 1 otherwise, also where the pairs differ
  so much that 2 % could not be seen: the machine is then too busy with other work.
- Delay: the longest work of a scrape at a stretch, for which the load's thread has to wait, and the read delays of the
  loops above, as the engine measures them. Shown, not judged.

The pod shows four tasks, of which three have ended: as much as a scrape can find to tell.
"""

import argparse
import asyncio
import json
import math
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from urllib.request import Request, urlopen

import uvloop

from perbench.api.models import Protocol
from perbench.plan import LoadPlan, Target
from perbench_bench.engine.feed import ClosedFeed, Limits
from perbench_bench.engine.verdict import client_record, judge_client
from perbench_bench.exporter import Board, MetricsServer, RunLabels
from perbench_bench.load_run import carry_out, prepare
from perbench_bench.onlooker import LoadUnderWay
from perbench_bench.session import open_session
from perbench_bench.truth import Script, truth_server
from perbench_bench.truth.delay import constant
from perbench_bench.truth.script import Timing
from tests.support.exposition import OPENMETRICS
from tests.support.stages import seen_with

PAIRS = 10
STUDENT_95 = 1.833
"""One-sided 95 % of Student's t with PAIRS - 1 degrees of freedom."""
BAR_PERCENT = 2.0
CONCURRENCY, TOKENS = 64, 8
SERVER = Script(timing=Timing(first_ms=constant(5), gap_ms=constant(2)))
SECONDS_OF_A_LOAD = 8.0
SCRAPE_SECONDS = 1.0
SCRAPES = 50
TASKS = ("first", "second", "third", "last")
SPOILED_SECONDS = 60.0


@dataclass(frozen=True)
class Loop:
    """What came of one closed loop."""

    rate: float
    """Requests per second in the window."""
    delay_p50_ms: float
    delay_p99_ms: float
    delay_max_ms: float
    """Of the reads, without waits for a core."""
    cpu_ms: float
    """Processor time per request, of the whole process."""
    scrapes: int
    valid: bool


def full_board(rest: Callable[[float], object] = time.sleep) -> Board:
    """Three tasks that have ended, and one whose load is to come."""
    run = RunLabels("team", "small-or-large", "qwen-0.5b", {"run_id": "0123456789"})
    board = Board(run, dict.fromkeys(TASKS, 3), rest)
    for task in TASKS[:-1]:
        with board.look_on(_load(task)):
            pass
    return board


def _load(task: str) -> LoadUnderWay:
    return LoadUnderWay(task, 400, seen_with(400), ClosedFeed(Limits(0, 0.0, 400), 0), lambda: 0.01, None)


@contextmanager
def scraped(port: int | None) -> Iterator[list[int]]:
    """Scrapes once a second from a thread; the bytes that each brought. None: nobody does."""
    brought: list[int] = []
    over = threading.Event()

    def work() -> None:
        while port is not None and not over.wait(SCRAPE_SECONDS):
            request = Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": OPENMETRICS})
            with suppress(OSError), urlopen(request, timeout=10) as answer:  # the load may have ended
                brought.append(len(answer.read()))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield brought
    finally:
        over.set()
        thread.join()


def loop_in_child(url: str, requests: int, *, with_scrapes: bool) -> Loop:
    """One closed loop with its exporter in a process of its own; scrapes come from this one."""
    command = [sys.executable, "-m", "tests.bench.exporter_overhead", "--child", url, str(requests)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin
        assert child.stdout
        port = int(child.stdout.readline())
        with scraped(port if with_scrapes else None) as brought:
            try:
                said, _ = child.communicate("go\n", timeout=SPOILED_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                raise
    if child.returncode:
        sys.exit(f"the load ended with exit code {child.returncode}")
    if with_scrapes and not brought:
        sys.exit("no scrape was answered")
    return Loop(**{**json.loads(said), "scrapes": len(brought)})


async def _loop(url: str, requests: int, board: Board) -> Loop:
    plan = LoadPlan(concurrency=CONCURRENCY, max_seconds=SPOILED_SECONDS)
    session = await open_session(Target(url=url, protocol=Protocol.TGI, model="truth"), plan, seed=3)
    request = session.request("a b c d", TOKENS)
    run = prepare(session, lambda _: request, Limits(2 * CONCURRENCY, 0.0, requests), seed=3)
    with board.look_on(LoadUnderWay(TASKS[-1], requests, run.seen, run.feed, session.run_queue.so_far, None)):
        use = await carry_out(session, run)
    record = client_record(run.seen, plan, run.feed, use)
    delays = run.seen.read_delay
    return Loop(
        rate=run.seen.window.requests / run.feed.window_ns * 1e9,
        delay_p50_ms=delays.quantile(0.5) or 0.0,
        delay_p99_ms=delays.quantile(0.99) or 0.0,
        delay_max_ms=delays.taken().max_ms or 0.0,
        cpu_ms=record.cpu_ms_per_request or 0.0,
        scrapes=0,
        valid=not list(judge_client(run.seen, record, plan, use)),
    )


def child(url: str, requests: int) -> None:
    """Say the port, wait for the word, run one loop, say what came of it."""
    board = full_board()
    server = MetricsServer(0, board).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(json.dumps(asdict(uvloop.run(asyncio.wait_for(_loop(url, requests, board), SPOILED_SECONDS)))))
    server.close()


def stretches_ms() -> tuple[list[float], list[float]]:
    """Of many scrapes while a load runs: the longest work between two rests, and all work, in ms of processor time.

    Work of the scrape's own thread: what a machine that is busy takes from it does not count.
    """
    longest: list[float] = []
    whole: list[float] = []
    marks: list[float] = []

    def rest(seconds: float) -> None:
        marks.append(time.thread_time())
        time.sleep(seconds)

    board = full_board(rest)
    server = MetricsServer(0, board)
    with board.look_on(_load(TASKS[-1])):
        for _ in range(SCRAPES):
            marks[:] = [time.thread_time()]
            server.exposition(OPENMETRICS)
            marks.append(time.thread_time())
            longest.append(1e3 * max(later - earlier for earlier, later in pairwise(marks)))
            whole.append(1e3 * (marks[-1] - marks[0]))
    server.server_close()
    return longest, whole


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", nargs=2)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], int(options.child[1]))
        return 0
    show_stretches()
    return compare()


def show_stretches() -> None:
    """How long the load's thread has to wait for a scrape at a time."""
    longest, whole = (sorted(found) for found in stretches_ms())
    sys.stdout.write(
        f"longest work of a scrape at a stretch: median {statistics.median(longest):.2f} ms, 9 of 10 within"
        f" {longest[int(0.9 * SCRAPES)]:.2f} ms, worst {longest[-1]:.2f} ms; all of it: median"
        f" {statistics.median(whole):.2f} ms, {statistics.median(whole) / 10 / SCRAPE_SECONDS:.2f} % of a core\n"
    )


def compare() -> int:
    """The pairs, and whether the loss is below the bar."""
    losses: list[float] = []
    loops: dict[bool, list[Loop]] = {False: [], True: []}
    with truth_server(SERVER, max_seconds=600) as server:
        requests = round(SECONDS_OF_A_LOAD * loop_in_child(server.url, 2000, with_scrapes=False).rate)
        for number in range(PAIRS):
            pair: dict[bool, Loop] = {}
            for with_scrapes in ((False, True), (True, False))[number % 2]:
                pair[with_scrapes] = loop_in_child(server.url, requests, with_scrapes=with_scrapes)
                loops[with_scrapes].append(pair[with_scrapes])
            losses.append(math.log(pair[False].rate / pair[True].rate))
            sys.stdout.write(
                f"pair {number + 1}: {pair[False].rate:.0f}/s without, {pair[True].rate:.0f}/s with"
                f" {pair[True].scrapes} scrapes: loss {100 * losses[-1]:+.2f} %\n"
            )
            sys.stdout.flush()
    for with_scrapes, found in loops.items():
        middle = {
            name: statistics.median(getattr(one, name) for one in found)
            for name in ("delay_p50_ms", "delay_p99_ms", "delay_max_ms", "cpu_ms")
        }
        sys.stdout.write(
            f"{'with' if with_scrapes else 'without'} scrapes: read delay p50 {middle['delay_p50_ms']:.3f} ms,"
            f" p99 {middle['delay_p99_ms']:.3f} ms, largest {middle['delay_max_ms']:.2f} ms;"
            f" {middle['cpu_ms']:.3f} ms of processor per request (medians);"
            f" {sum(one.valid for one in found)} of {len(found)} loads valid\n"
        )
    mean, spread = statistics.fmean(losses), statistics.stdev(losses)
    reach = STUDENT_95 * spread / math.sqrt(PAIRS)
    upper = 100 * (1 - math.exp(-(mean + reach)))
    if 100 * reach >= BAR_PERCENT:
        verdict = f"UNDECIDED, known to within {100 * reach:.1f} % only: let nothing else run"
    else:
        verdict = "within" if upper < BAR_PERCENT else "OUTSIDE"
    sys.stdout.write(
        f"loss of rate by a scrape a second: mean {100 * mean:+.2f} %, standard deviation of a pair"
        f" {100 * spread:.2f} %, upper end {upper:+.2f} %, bar {BAR_PERCENT:g} %: {verdict}\n"
    )
    return 0 if verdict == "within" else 1


if __name__ == "__main__":
    sys.exit(main())
