"""One load of the engine in a process of its own, which can be got at, and what the server's record says of it.

`run` starts the truth server, then this file as a child with whatever is to spoil it, and compares. The child prints
its window and figures as JSON; the parent holds them against the record.
"""

import argparse
import asyncio
import json
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import uvloop

from perbench.api.load import Arrival
from perbench.api.models import Protocol
from perbench.failures import RunError
from perbench.plan import ArrivalPlan, LoadPlan, Target
from perbench_bench.engine.feed import Feed, Limits
from perbench_bench.engine.observations import Observations
from perbench_bench.engine.verdict import client_record, judge_client
from perbench_bench.load_run import carry_out, prepare
from perbench_bench.session import open_session
from perbench_bench.truth import Script, truth_server
from perbench_bench.truth.judge import Error, errors, severity

SECONDS = 60.0
"""A load that has not ended by then is stopped."""


@dataclass(frozen=True)
class Wanted:
    """The load, and what is done to the loop that carries it."""

    concurrency: int | None = None
    rate: float | None = None
    requests: int = 200
    tokens: int = 8
    block_ms: float = 0.0
    """The event loop is blocked for so long, every `every_ms`."""
    every_ms: float = 50.0
    network_ms: float = 0.0
    """What the way there and back takes, by a proxy."""

    @property
    def plan(self) -> LoadPlan:
        if self.rate is None:
            return LoadPlan(concurrency=self.concurrency, max_seconds=SECONDS)
        return LoadPlan(arrivals=ArrivalPlan(rate=self.rate, process=Arrival.POISSON), max_seconds=SECONDS)


@dataclass(frozen=True)
class Judged:
    """What came of a load."""

    passed: bool
    """Whether the engine's own verdict passed it."""
    reasons: tuple[str, ...]
    errors: tuple[Error, ...]
    """Empty where the load did not run."""
    lag_p50_ms: float
    """Of the server itself."""

    @property
    def severity(self) -> float:
        """That of the worst figure; without any figure nothing was reported that could be wrong."""
        return severity(self.errors)

    @property
    def worst(self) -> str:
        return max(self.errors, key=lambda error: error.severity).figure if self.errors else "not run"


@dataclass(frozen=True)
class _Told:
    """What the child hands over."""

    seen: Observations
    feed: Feed
    reasons: tuple[str, ...]


Spoiler = Callable[[int], AbstractContextManager[object]]
"""Given the child's process id: what goes on while it runs."""


def nothing(_pid: int) -> AbstractContextManager[object]:
    """Nothing spoils it."""
    return nullcontext()


def run(
    script: Script, wanted: Wanted, spoil: Spoiler = nothing, prefix: Sequence[str] = (),
    proxy: Callable[[str, float], AbstractContextManager[str]] | None = None,
) -> Judged:  # fmt: skip
    """Run and judge one. `prefix`: a command that the child is started with, such as `prlimit`."""
    with truth_server(script, max_seconds=2 * SECONDS) as server, tempfile.TemporaryDirectory() as directory:
        with proxy(server.url, wanted.network_ms) if proxy else nullcontext(server.url) as url:
            told = _child(url, wanted, spoil, prefix, Path(directory) / "told")
        record = server.record
    lag = (record.server["lagMs"] or {}).get("p50", 0.0)
    if isinstance(told, str):
        return Judged(False, (told,), (), lag)
    concurrency = wanted.concurrency
    found = errors(told.seen, told.feed, record, concurrency, wanted.network_ms)
    return Judged(not told.reasons, told.reasons, found, lag)


def _child(url: str, wanted: Wanted, spoil: Spoiler, prefix: Sequence[str], path: Path) -> "_Told | str":
    command = [*prefix, sys.executable, "-m", "tests.bench.judged_load", url, str(path), json.dumps(wanted.__dict__)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout
        child.stdout.readline()  # it is ready to begin
        with spoil(child.pid):
            try:
                _, said = child.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                return "it did not end"
    if child.returncode:
        return said.strip().splitlines()[-1] if said.strip() else f"exit code {child.returncode}"
    told: _Told = pickle.loads(path.read_bytes())
    return told


async def _load(url: str, wanted: Wanted) -> _Told:
    target = Target(url=url, protocol=Protocol.TGI, model="truth")
    session = await open_session(target, wanted.plan, seed=3)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.sleep(0.1)  # what spoils it begins
    if wanted.block_ms:
        _block(wanted.block_ms / 1e3, wanted.every_ms / 1e3)
    request = session.request("a b c d", wanted.tokens)
    warmup = 2 * (wanted.concurrency or 5)
    load = prepare(session, lambda _: request, Limits(warmup, 0.0, wanted.requests), seed=3)
    use = await carry_out(session, load)
    record = client_record(load.seen, wanted.plan, load.feed, use)
    findings = judge_client(load.seen, record, wanted.plan, use)
    return _Told(load.seen, load.feed, tuple(f"{f.rule}: {f.measured:.3g} > {f.threshold:.3g}" for f in findings))


def _block(seconds: float, every: float) -> None:
    """Stop the loop for so long, again and again."""
    time.sleep(seconds)
    asyncio.get_running_loop().call_later(every, _block, seconds, every)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("path", type=Path)
    parser.add_argument("wanted")
    options = parser.parse_args()
    try:
        told = uvloop.run(_load(options.url, Wanted(**json.loads(options.wanted))))
    except RunError as error:
        sys.exit(f"{error.failure.blame.value} {error.failure.reason}: {error}")
    options.path.write_bytes(pickle.dumps(told))


if __name__ == "__main__":
    from tests.bench import judged_load  # what is pickled must be found under this module's own name

    judged_load.main()
