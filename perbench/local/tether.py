"""`python tether.py PARENT COMMAND…`: become COMMAND, and be killed when PARENT ends, however it ends.

Done in the child after the fork and not by `preexec_fn`, which is unsafe beside threads. Run as a file, so that nothing
else is imported on the way.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""`prctl` option, from linux/prctl.h. It survives exec."""


def tether(parent: int) -> None:
    """Ask the kernel to kill this process when `parent` is gone. Raises SystemExit when it is gone already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        raise SystemExit(1)


if __name__ == "__main__":
    tether(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is the point; the command is our own
