import asyncio
import contextlib
from datetime import UTC, datetime

from perbench.failures import RunError
from perbench.objects.progress import BenchProgress, BenchState
from perbench_bench.progress_object import ProgressWriter
from perbench_bench.teller import Teller

FIRST = BenchProgress(
    round=0,
    attempt=1,
    state=BenchState.MEASURING,
    recorded=2,
    message="40 of 200",
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def not_written(error: RunError) -> None:
    raise error


def test_who_has_nothing_new_to_say_says_that_it_is_there() -> None:
    written: list[BenchProgress] = []

    async def heard() -> None:
        loop, enough = asyncio.get_running_loop(), asyncio.Event()

        def write(word: BenchProgress) -> None:
            written.append(word)
            if len(written) == 3:
                loop.call_soon_threadsafe(enough.set)

        teller = Teller(ProgressWriter(write, not_written, every=0), FIRST, 3)
        talking = asyncio.create_task(teller.keep_talking(every=0.001))
        async with asyncio.timeout(60):
            await enough.wait()
        talking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await talking

    asyncio.run(heard())
    assert all(word.model_copy(update={"updated_at": FIRST.updated_at}) == FIRST for word in written)
    moments = [FIRST.updated_at, *(word.updated_at for word in written)]
    assert moments == sorted(set(moments))
