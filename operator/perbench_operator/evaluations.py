"""What runs have come to so far, computed beside the working loop. A rim.

Of the largest runs all figures take seconds: meanwhile other benchmarks are looked at, watches are read and probes
answered. Most looks find nothing new, and need none of it; one that finds a stage needs one cell.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from perbench.evaluation import Evaluation, evaluate
from perbench_operator.decide import Situation
from perbench_operator.decide.runs import results_now


class Evaluations:
    """The last evaluation of each run that is looked at, as long as its records are kept. They hold most of what it is
    made of, so it takes little room beside them."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Evaluation] = {}
        # One thread: two would not be faster, and take twice the memory and twice as long for the loop to get its turn.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evaluations")

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._last)

    async def of(self, situation: Situation) -> Evaluation | None:
        """What the records of the situation come to. None: there is nothing to evaluate.

        Raises UsageError where the spec has settings that nobody can use.
        """
        results = results_now(situation)
        if results is None:
            return None
        key = (situation.benchmark.uid, results.run_id)
        last = self._last.get(key)
        if last is None or last.results != results:
            loop = asyncio.get_running_loop()
            last = await loop.run_in_executor(self._thread, partial(evaluate, results, before=last))
            self._last[key] = last
        return last

    def forget(self, uid: str, but: str | None = None) -> None:
        """Drop what is known of a benchmark's runs, but for one."""
        for key in [key for key in self._last if key[0] == uid and key[1] != but]:
            del self._last[key]
