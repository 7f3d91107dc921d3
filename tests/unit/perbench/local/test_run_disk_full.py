"""A disk that is full: one clear line, Infrastructure is to blame, what was measured is kept, and the run goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.benchmarks import endpoint, file_task, write_benchmark
from tests.support.runs import Ended, run
from tests.support.servers import sport_server

LIMITED = """
import os, resource, sys
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))
"""
"""No file of the command or its children may grow beyond this many bytes: a write fails as on a full disk. They compile
nothing: Python would keep the half of a module that had room, and everybody's next import of it fails."""

FULL = """
import errno, os
synchronise = os.fsync
def full(descriptor):
    name = os.readlink(f"/proc/self/fd/{{descriptor}}")
    if ".{0}." in name and os.path.isdir(os.path.dirname(name) + "/stages/a/0"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    synchronise(descriptor)
os.fsync = full
"""
"""Once something has been measured, there is no room for the file of this name."""

ITEMS = 96
"""So many that a stage is several times as long as the documents before it."""


@pytest.fixture
def url() -> Iterator[str]:
    with sport_server() as server:
        yield server.url


def benchmark(path: Path, url: str) -> Path:
    return write_benchmark(path, [endpoint("a", url)], [file_task("first", path.parent, ITEMS)])


def check(file: Path, stopped: Ended, cannot: str, recorded: int) -> None:
    """It stopped with one line, and goes on from there when there is room."""
    assert stopped.exit_code == 4
    assert stopped.err.startswith(f"perbench: cannot write {cannot}: ")
    assert stopped.err.endswith(
        f" (Infrastructure: DiskFull); {recorded} of 1 stages are recorded and kept; make room and continue with:"
        " perbench run x.yaml\n"
    )
    assert stopped.err.count("\n") == 1
    assert len(list((stopped.directory / "stages").glob("a/0/*.json"))) == recorded
    assert not list(stopped.directory.glob(".*.*.*"))
    after = run(file)
    assert after.exit_code in {0, 3}
    assert after.stages("a") == ["first"]
    assert (f"first: {ITEMS} requests" in after.out) is (recorded == 0)
    assert not list(after.directory.glob("*/results.json"))


def test_before_anything_is_measured(tmp_path: Path, url: str) -> None:
    file = benchmark(tmp_path / "x.yaml", url)
    check(file, run(file, before=LIMITED.format(500)), "results.json", recorded=0)


def test_while_the_load_generator_records_a_stage(tmp_path: Path, url: str) -> None:
    file = benchmark(tmp_path / "x.yaml", url)
    stopped = run(file, before=LIMITED.format(12_000))
    # The status is short enough to be written.
    assert stopped.failure == ("Infrastructure", "DiskFull", "a")
    assert stopped.results.stopped is not None
    assert stopped.results.completion_time is None
    check(file, stopped, "first.0.json", recorded=0)


@pytest.mark.parametrize("name", ["results.json", "status.yaml", "report.html"])
def test_when_a_document_has_no_room(tmp_path: Path, url: str, name: str) -> None:
    file = benchmark(tmp_path / "x.yaml", url)
    check(file, run(file, before=FULL.format(name)), name, recorded=1)
