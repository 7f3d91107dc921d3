"""The process that a cluster lives and ends with: it starts the supervisor, and removes everything when it is told to.

    python -m tests.cluster.keeper NAME KIND [OWNER]

It inherits the cluster's lock: as long as that is held, somebody answers for the cluster. OWNER is the reading end of a
pipe that the process the cluster belongs to holds open; when that process ends, however it ends, the cluster goes.
SIGTERM ends it too. Where the keeper itself is killed, the kernel kills what it started, and what is left
of folders and cgroups is removed by the next start or stop on this machine (`sweep`).
"""

import contextlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.cluster import cache, cgroups, isolation
from tests.cluster.layout import SOCKET_PATH_LIMIT
from tests.cluster.supervisor import adopt_orphans, answers, die_with_parent

PREFIX = "perb-"
"""Begins the name of every cluster, and so of every cgroup."""
CONTROL_PLANE, NODE = "control-plane", "node"
START_SECONDS, STOP_SECONDS = 120.0, 120.0
REMOVAL_SECONDS = 30.0
"""These guard against waiting for ever alone: all of it takes a second or two, and much longer on a busy machine."""
SHOWN_CHARACTERS = 70
LONGEST_SOCKET = "/containerd.sock.ttrpc"


def registry() -> Path:
    """The folder of all clusters of this user: short, as sockets are in there, and gone after a restart."""
    return Path(tempfile.gettempdir()).absolute() / f"perbench-clusters-{os.getuid()}"


@contextlib.contextmanager
def claimed(name: str) -> Iterator[tuple[Path, int]]:
    """A new folder for a cluster of this name, and the descriptor of its lock.

    After the block the lock is held by the keeper, if one was started. Raises RuntimeError where the name is in use.
    """
    folder = registry() / name
    if len(str(folder) + LONGEST_SOCKET) > SOCKET_PATH_LIMIT:
        raise cache.CannotRunError(f"{folder} is too long a path for sockets: set TMPDIR to a shorter one")
    registry().mkdir(mode=0o700, exist_ok=True)
    lock = cache.try_lock(_lock_path(name))
    if lock is None:
        raise RuntimeError(f"{name} runs already, or is being started")
    try:
        _remove_files(name)
        folder.mkdir(mode=0o700)
        yield folder, lock
    finally:
        os.close(lock)


def start(folder: Path, kind: str, descriptors: Sequence[int], owned: bool) -> None:
    """Start a keeper for a claimed folder that has its components.json; returns when the supervisor takes commands.

    `descriptors`: what the cluster holds as long as it lives: its lock first, then others' locks, sockets to inherit.
    `owned`: it ends with this process. Raises RuntimeError with the end of its log.
    """
    reading, writing = os.pipe() if owned else (None, None)
    owner = [] if reading is None else [reading]
    with (folder / "keeper.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.keeper", folder.name, kind, *map(str, owner)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(*descriptors, *owner),
            start_new_session=True,
        )
    for descriptor in owner:
        os.close(descriptor)
    _kept[folder.name] = process, writing
    deadline = time.monotonic() + START_SECONDS
    while not answers(folder / "control.sock"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{folder.name} did not start: {(folder / 'keeper.log').read_text()[-2000:]}")
        time.sleep(0.02)


_kept: dict[str, tuple[subprocess.Popen[bytes], int | None]] = {}
"""Clusters that this process started: the keeper, and the writing end of the pipe where the cluster belongs to it."""


def stop(name: str) -> None:
    """End a cluster, if it runs, and remove what it leaves. Raises RuntimeError naming what stays."""
    deadline = time.monotonic() + STOP_SECONDS
    while (lock := cache.try_lock(_lock_path(name))) is None:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((registry() / name / "keeper.pid").read_text()), signal.SIGTERM)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{name} does not stop; see {registry() / name / 'keeper.log'}")
        time.sleep(0.05)
    try:
        _remove_files(name)
    finally:
        _release(name, lock)
        keeper, writing = _kept.pop(name, (None, None))
        if keeper is not None:
            keeper.wait()
        if writing is not None:
            os.close(writing)
    # A keeper that this process did not start gives its lock up with its last file, a moment before it ends.
    while any(f"tests.cluster.keeper {name} " in command for _, command in _commands()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the keeper of {name} does not end")
        time.sleep(0.02)


def sweep() -> list[str]:
    """Remove what is left of clusters that nobody answers for any more; returns their names."""
    swept = []
    for path in sorted(registry().glob(f"{PREFIX}*.lock")):
        lock = cache.try_lock(path)
        if lock is not None:
            try:
                _remove_files(path.stem)
            finally:
                _release(path.stem, lock)
            swept.append(path.stem)
    return swept


def alive(name: str) -> bool:
    """Whether somebody answers for the cluster."""
    path = _lock_path(name)
    if not path.exists():
        return False
    lock = cache.try_lock(path)
    if lock is not None:
        os.close(lock)
    return lock is None


def remains(name: str) -> list[str]:
    """Files, cgroups, mounts and processes that a cluster has on this machine."""
    folder = registry() / name
    found = [str(path) for path in (folder, _lock_path(name)) if path.exists()]
    found += cgroups.existing(name)
    found += [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line]
    inside = cgroups.processes(name)
    mine = [each for each in _commands() if each[0] in inside or name in each[1]]
    return found + [f"process {pid}: {command[:SHOWN_CHARACTERS]}" for pid, command in mine]


def _commands() -> Iterator[tuple[int, str]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield int(path.parent.name), path.read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _lock_path(name: str) -> Path:
    return registry() / f"{name}.lock"


def _remove_files(name: str) -> None:
    left = cgroups.remove(name)
    folder, deadline = registry() / name, time.monotonic() + REMOVAL_SECONDS
    # A process that has just been killed may still be writing.
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
    left += [str(folder)] if folder.exists() else []
    if left:
        raise RuntimeError(f"{name} is not removed as a whole, these stay: {', '.join(left)}")


def _release(name: str, lock: int) -> None:
    _forget(name)
    os.close(lock)


def _forget(name: str) -> None:
    _lock_path(name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        registry().rmdir()


def main() -> None:
    """Keep one cluster until its owner ends or SIGTERM comes."""
    name, kind = sys.argv[1:3]
    owner = [int(word) for word in sys.argv[3:]]
    folder = registry() / name
    (folder / "keeper.pid").write_text(str(os.getpid()))
    adopt_orphans()
    supervisor = _start_supervisor(folder, kind)
    _wait_for_end(owner)
    supervisor.kill()
    # What it ran dies with it and falls to this process. All of it has to be gone before its files are.
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    _remove_files(name)
    _forget(name)


def _start_supervisor(folder: Path, kind: str) -> subprocess.Popen[bytes]:
    def before() -> None:
        die_with_parent()
        if kind == NODE:
            cgroups.join(folder.name)

    module = "tests.cluster.supervisor"
    command: list[str] = []
    if kind == NODE:
        module = "tests.cluster.isolation"
        command = ["unshare", *isolation.NAMESPACES, "--fork", "--kill-child=KILL"]
    command += [sys.executable, "-m", module, str(folder)]
    return subprocess.Popen(command, close_fds=False, start_new_session=True, preexec_fn=before)  # noqa: PLW1509


def _wait_for_end(owner: list[int]) -> None:
    wake, woken = socket.socketpair()
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        for descriptor in (wake.fileno(), *owner):
            selector.register(descriptor, selectors.EVENT_READ)
        selector.select()


if __name__ == "__main__":
    main()
