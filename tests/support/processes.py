"""Processes of a test: started, adopted when their parent dies, and shown to be gone."""

import asyncio
import contextlib
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from typing_extensions import override

PR_SET_CHILD_SUBREAPER = 36
"""`prctl` option, from linux/prctl.h: orphaned descendants become children of this process."""

DEADLINE_SECONDS = 60.0
"""What is waited for comes soon, or never: only whoever waits in vain has to wait so long."""

LEAVE_SECONDS = 10.0


def adopt_orphans() -> None:
    """From now on, descendants whose parent has ended are children of this process, where they can be seen."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def children() -> set[int]:
    """Children of this process, its own and adopted ones, that have not ended."""
    return {pid for path in Path("/proc/self/task").iterdir() for pid in map(int, _children(path)) if _runs(pid)}


def descendants(pid: int) -> list[int]:
    """Children of a process that a test started, the oldest first."""
    return [int(child) for path in sorted(Path(f"/proc/{pid}/task").iterdir()) for child in _children(path)]


def _children(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return (path / "children").read_text().split()
    return []


def _runs(pid: int) -> bool:
    """Whether a child runs; one that has ended is looked at without being reaped, as somebody may wait for it."""
    with contextlib.suppress(ChildProcessError):
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    return False


def wait_until(done: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


async def until(done: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    """The same beside other tasks."""
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110  what is waited for tells nobody
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def nothing_stays() -> Iterator[None]:
    """What is started inside has ended afterwards, whoever started it."""
    adopt_orphans()
    before = children()
    yield
    left = children() - before
    # What is killed with its parent may need a moment; what stays stays.
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not children() - before, "processes end", 10.0)
    assert not children() - before, f"processes stay: {left}"


class Process(subprocess.Popen[str]):
    """One that speaks text, and that nobody waits for where a test has failed: it may have been meant to stay."""

    @override
    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        if kind is not None:
            self.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait(LEAVE_SECONDS)
            self.kill()
        super().__exit__(kind, *rest)


def patiently(module: str, *limits: str) -> list[str]:
    """The command that runs `main` of a module with these limits (`module.NAME`) raised to a minute, where it is not
    the test's affair that somebody is given up."""
    names = [limit.rpartition(".") for limit in limits]
    raised = [f"import {place}; {place}.{name} = 60.0" for place, _, name in names]
    return [sys.executable, "-c", "\n".join([*raised, f"from {module} import main; main()"])]


def perbench(*arguments: str, cwd: Path, before: str = "pass") -> Process:
    """Start the `perbench` command, with its output in pipes. `before`: Python to run first in its process."""
    # A shell that starts things in the background has them ignore SIGINT, nohup SIGHUP, and a child inherits that.
    heed = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        " signal.signal(signal.SIGHUP, signal.SIG_DFL)"
    )
    return Process(
        [sys.executable, "-c", f"{heed}\n{before}\nfrom perbench.cli import main; main()", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
