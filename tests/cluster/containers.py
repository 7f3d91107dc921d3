"""A node's containerd: the store it keeps images in between runs, what killed runs left in there, and new images."""

import contextlib
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import cache
from tests.cluster.api import wait_until
from tests.cluster.cache import Say
from tests.cluster.layout import NodeLayout
from tests.cluster.supervisor import ask

READY_SECONDS = 180.0
ANSWER_SECONDS = 20.0
IMPORT_SECONDS = 900.0
ENTER = ("--mount", "--net", "--pid", "--uts", "--ipc")


@contextlib.contextmanager
def claimed_store() -> Iterator[tuple[Path, int]]:
    """The first store that no other node uses, and a descriptor that keeps others out; the node gets a copy of it."""
    number = 0
    while True:
        folder = cache.root() / "stores" / str(number)
        lock = cache.try_lock(folder.with_suffix(".lock"))
        if lock is not None:
            break
        number += 1
    try:
        folder.mkdir(exist_ok=True)
        yield folder, lock
    finally:
        os.close(lock)


@dataclass(frozen=True)
class Containers:
    """containerd of a running node."""

    layout: NodeLayout
    init: int
    """Process id of the node's PID 1, as the machine counts."""

    def enter(self, *command: str, seconds: float = READY_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command inside the node, in all its namespaces."""
        return subprocess.run(
            ["nsenter", f"--target={self.init}", *ENTER, "--", *command],
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def ctr(self, *arguments: str, seconds: float = READY_SECONDS) -> str:
        """Ask containerd about what belongs to Kubernetes. Raises RuntimeError with what it says."""
        address = f"--address={self.layout.containerd_socket}"
        done = self.enter("ctr", address, "--namespace=k8s.io", *arguments, seconds=seconds)
        if done.returncode:
            raise RuntimeError(f"ctr {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def forget_dead(self) -> None:
        """Drop the containers, with their snapshots, of nodes that ran on this store before.

        Nodes are killed, so all of them are still on record. Kubernetes' part of containerd reads the records at its
        start alone, hence the restart.
        """
        wait_until(self._answers, "containerd answers", READY_SECONDS)
        old = self.ctr("containers", "list", "--quiet").split()
        if old:
            self.ctr("containers", "remove", *old)
            ask(self.layout.control_socket, "kill containerd")

    def wait(self) -> None:
        """Wait until containerd answers."""
        wait_until(self._answers, "containerd answers", READY_SECONDS)

    def _answers(self) -> bool:
        try:
            self.ctr("version", seconds=ANSWER_SECONDS)
        except (RuntimeError, subprocess.TimeoutExpired):
            return False
        return True

    def load(self, archives: Iterable[Path], say: Say) -> list[Path]:
        """Import the images of OCI archives that the store does not have yet; returns the archives it took."""
        there = self.ctr("images", "list")
        new = [path for path in archives if archive_digest(path) not in there]
        for path in new:
            started = time.monotonic()
            self._import(path)
            say(f"image {path.stem} loaded in {time.monotonic() - started:.1f} s")
        return new

    def _import(self, archive: Path) -> None:
        """Layers that belonged only to images whose tag has moved on are removed in the background: also one that the
        new image was about to build on. The second time it is not there from the start, and is unpacked."""
        try:
            self.ctr("images", "import", str(archive), seconds=IMPORT_SECONDS)
        except RuntimeError as error:
            if "parent snapshot" not in str(error):
                raise
            self.ctr("images", "import", str(archive), seconds=IMPORT_SECONDS)


def archive_digest(archive: Path) -> str:
    """The digest of the one image in an OCI archive."""
    with tarfile.open(archive) as tar:
        index = tar.extractfile("index.json")
        assert index is not None
        return str(json.load(index)["manifests"][0]["digest"])
