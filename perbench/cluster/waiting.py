"""Waits for the end of a benchmark's run, and says how far it is. A rim: asks the API server every few seconds."""

import time
from typing import TextIO

from perbench.cluster.connection import Cluster, UnavailableError
from perbench.cluster.progress import TIMEOUT_EXIT, standing
from perbench.failures import printable

POLL_SECONDS = 2.0
SILENCE_SECONDS = 120.0
"""An API server that does not answer for so long is given up."""


def wait(cluster: Cluster, namespace: str, name: str, timeout: float | None, out: TextIO) -> int:
    """Write a line whenever something has changed; the exit code. `timeout` in seconds, None: for ever.

    Raises ClusterError where the benchmark is gone, where the API server says no, and where it stays silent.
    """
    started, answered, shown = time.monotonic(), time.monotonic(), ""
    while True:
        try:
            found = standing(cluster.benchmark(namespace, name))
            answered = time.monotonic()
        except UnavailableError:
            if time.monotonic() - answered > SILENCE_SECONDS:
                raise
            found = None
        if found is not None and found.line != shown:
            shown = found.line
            out.write(f"{time.strftime('%H:%M:%S')}  {name}  {printable(shown)}\n")
            out.flush()
        if found is not None and found.exit_code is not None:
            return found.exit_code
        if timeout is not None and time.monotonic() - started >= timeout:
            out.write(f"{name}: not at its end after {timeout:g} s; it goes on\n")
            return TIMEOUT_EXIT
        time.sleep(POLL_SECONDS)
