"""A node to work with: `python -m tests.cluster up`, and `down`. One for each checkout of the repository."""

import argparse
import hashlib
import sys
import time
from pathlib import Path

from tests.cluster import charts, images, keeper, node
from tests.cluster.cache import CannotRunError
from tests.cluster.node import Node
from tests.cluster.supervisor import answers


def main() -> int:
    """Do what is asked for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("what", choices=("up", "down"))
    arguments = parser.parse_args()
    try:
        return up() if arguments.what == "up" else down()
    except (CannotRunError, RuntimeError, TimeoutError) as error:
        sys.stderr.write(f"cluster: {error}\n")
        return 1


def up() -> int:
    """Bring the node up, or up to date; the last two lines of output are for a shell."""
    started = time.monotonic()
    name = own_name()
    archives = images.prepare(images.available(), say)
    fresh: list[Path] = []
    if keeper.alive(name) and answers(keeper.registry() / name / "control.sock"):
        say(f"{name} is up already")
        running = node.attach(name)
        fresh = running.containers.load(archives, say)
    else:
        running = _start(name, archives)
    try:
        charts.install(running.layout.programs / "helm", running.kubectl, say)
        if fresh:
            charts.restart(running.kubectl)
    except RuntimeError as error:
        stays = f"the node stays up to look at: export KUBECONFIG={running.kubeconfig}; `make cluster-down` removes it"
        raise RuntimeError(f"{error}\n{stays}") from error
    say(f"{name} is up after {time.monotonic() - started:.1f} s; `make cluster-down` removes it. In a shell:")
    sys.stdout.write(f"export KUBECONFIG={running.kubeconfig}\nexport PATH={running.layout.programs}:$PATH\n")
    return 0


def _start(name: str, archives: list[Path]) -> Node:
    keeper.stop(name)
    try:
        return node.start(name, archives, say, owned=False)
    except BaseException:
        keeper.stop(name)
        raise


def down() -> int:
    """Remove the node, and whatever clusters on this machine left that nobody answers for any more."""
    name = own_name()
    before = keeper.remains(name)
    keeper.stop(name)
    for line in before:
        say(f"removed {line}")
    for swept in keeper.sweep():
        say(f"removed what was left of {swept}")
    left = keeper.remains(name)
    for line in left:
        say(f"LEFT: {line}")
    if not left:
        say(f"nothing is left of {name}: no process, cgroup, mount or file (built programs and images stay cached)")
    return 1 if left else 0


def own_name() -> str:
    """Of this checkout's node."""
    return f"{keeper.PREFIX}main-{hashlib.sha256(str(images.REPOSITORY).encode()).hexdigest()[:6]}"


def say(line: str) -> None:
    """One line of progress, on standard output."""
    sys.stdout.write(f"cluster: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
