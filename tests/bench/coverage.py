"""`python -m tests.bench.coverage`: how often the intervals hold the truth, as the tables of docs/statistics.md.

Tables go to standard output, progress to standard error. Exit code 1 where a figure leaves its limits.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the processes are the parallelism; read when numpy is imported

from tests.support.coverage import Count, accuracy_coverage, coverage, drift, false_alarms, false_best
from tests.support.simulation import Setting

COVERAGE = (92.0, 97.0)
FALSE_BEST = (0.0, 12.0)
PARTS = 4
"""Each job is split, so that the last ones do not wait for each other."""

SIZES = (3, 5, 10)
VARIATIONS = (0.03, 0.10)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=2000, help="simulated tasks per line (default 2000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args(arguments)
    with ProcessPoolExecutor(options.processes) as pool:
        bench = Bench(pool, options.sets, options.seed)
        tables = [
            bench.coverage(),
            bench.unequal(),
            bench.equal_models(),
            bench.accuracy(),
            bench.alarms(),
            bench.walks(),
        ]
        for table in tables:
            table()
    for line in bench.outside:
        sys.stderr.write(f"outside its limits: {line}\n")
    return 1 if bench.outside else 0


class Bench:
    """Starts all jobs first; each method gives a function that waits for its own and prints its table."""

    def __init__(self, pool: ProcessPoolExecutor, sets: int, seed: int) -> None:
        self._pool = pool
        self._sets = sets
        self._seed = seed
        self.outside: list[str] = []

    def coverage(self) -> Callable[[], None]:
        jobs = {
            # A bootstrap takes its time: half as many sets with accuracy as without.
            (n, variation, items): self._split(
                coverage, Setting(n, variation, items=items), sets=self._sets // (2 if items else 1)
            )
            for items in (0, 100)
            for n in SIZES
            for variation in VARIATIONS
        }

        def show() -> None:
            heading(
                "Coverage",
                (
                    "accuracy",
                    "n",
                    "CV",
                    "Reference PER",
                    "Published PER",
                    "throughput",
                    "plain bootstrap",
                    "true zeros",
                ),
            )
            for (n, variation, items), job in jobs.items():
                found = self._joined(job)
                where = f"n = {n}, CV {variation:.0%}, {items} items"
                for name in ("reference", "published", "throughput"):
                    self._judge(f"{name}, {where}", found[name], COVERAGE)
                names = ("reference", "published", "throughput", "bootstrap", "zeros")
                row(
                    f"{items} items" if items else "none",
                    n,
                    f"{100 * variation:.0f} %",
                    *(found[name] for name in names),
                )

        return show

    def unequal(self) -> Callable[[], None]:
        jobs = {n: self._split(coverage, Setting(n, 0.03, noisier=10 / 3), sets=self._sets // 2) for n in SIZES}

        def show() -> None:
            columns = ("n", "Reference PER of the one", "of the others", "test speaks")
            heading("One of four models scatters by 10 %, the others by 3 %", columns)
            for n, job in jobs.items():
                found = self._joined(job)
                row(n, found["noisiest"], found["reference"], found["unequal"])

        return show

    def equal_models(self) -> Callable[[], None]:
        jobs = {
            (n, variation): self._split(false_best, Setting(n, variation, models=2, equal=True))
            for n in SIZES
            for variation in VARIATIONS
        }

        def show() -> None:
            heading("Two equal models: one is the best with 95 % or more", ("n", "CV", "share"))
            for (n, variation), job in jobs.items():
                count = self._joined(job)["count"]
                self._judge(f"false best, n = {n}, CV {variation:.0%}", count, FALSE_BEST)
                row(n, f"{100 * variation:.0f} %", count)

        return show

    def accuracy(self) -> Callable[[], None]:
        sizes, shares = (24, 50, 100), (0.5, 0.7, 0.9)
        jobs = {(items, share): self._split(accuracy_coverage, items, share) for items in sizes for share in shares}

        def show() -> None:
            heading("Coverage of accuracy", ("items", *(f"true share {share}" for share in shares)))
            for items in sizes:
                row(items, *(self._joined(jobs[items, share])["count"] for share in shares))

        return show

    def alarms(self) -> Callable[[], None]:
        jobs = {(n, groups): self._split(false_alarms, n, groups) for n in SIZES for groups in (4, 16)}

        def show() -> None:
            heading(
                "Levene's test at 1 %, equal variances", ("n", "models", "from the mean", "from the median", "ours")
            )
            for (n, groups), job in jobs.items():
                found = self._joined(job)
                row(n, groups, found["mean"], found["median"], found["ours"])

        return show

    def walks(self) -> Callable[[], None]:
        job = self._split(drift)

        def show() -> None:
            heading("Three equal models on a drifting machine: they differ, p < 0.05", ("order", "share"))
            for name, count in self._joined(job).items():
                row(name, count)

        return show

    def _split(self, work: Callable[..., object], *first: object, sets: int | None = None) -> list[Future[object]]:
        number = self._sets if sets is None else sets
        sizes = [number // PARTS + (part < number % PARTS) for part in range(PARTS)]
        return [
            self._pool.submit(work, *first, sets=size, seed=1000 * self._seed + part) for part, size in enumerate(sizes)
        ]

    def _joined(self, futures: Sequence[Future[object]]) -> dict[str, Count]:
        total: dict[str, Count] = {}
        for future in futures:
            part = future.result()
            for name, count in (part if isinstance(part, dict) else {"count": part}).items():
                total.setdefault(name, Count()).merge(count)
        sys.stderr.write(".")
        sys.stderr.flush()
        return total

    def _judge(self, what: str, count: Count, limits: tuple[float, float]) -> None:
        if not limits[0] <= round(count.percent, 1) <= limits[1]:
            self.outside.append(f"{what}: {count.percent:.1f} %, limits {limits[0]:g} to {limits[1]:g} %")


def heading(title: str, columns: Sequence[str]) -> None:
    sys.stdout.write(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n")


def row(*cells: object) -> None:
    texts = [f"{cell.percent:.1f} %" if isinstance(cell, Count) else str(cell) for cell in cells]
    sys.stdout.write(f"| {' | '.join(texts)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
