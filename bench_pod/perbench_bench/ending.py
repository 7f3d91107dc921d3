"""How a bench process ends: by a signal, or by an error of its own."""

import asyncio
import signal
import traceback
from collections.abc import Coroutine
from typing import TypeVar

import uvloop

from perbench.failures import Blame, Failure, shorten

INTERRUPTED = 130
Result = TypeVar("Result")


def run_until_signal(work: Coroutine[None, None, Result]) -> Result:
    """Run it on the load's event loop; SIGINT and SIGTERM cancel it. Raises asyncio.CancelledError then."""

    async def cancellable() -> Result:
        task = asyncio.create_task(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        return await task

    return uvloop.run(cancellable())


def internal_error(error: Exception) -> Failure:
    """What is told of an error of ours; the traceback goes to standard error."""
    traceback.print_exception(error)
    message = shorten(f"internal error of the load generator: {type(error).__name__}: {error}")
    return Failure(blame=Blame.LOAD_GENERATOR, reason="InternalError", message=message)
