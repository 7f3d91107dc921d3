"""Programs are built once: two builders wait for each other, and one that is killed leaves no half program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import binaries

ROOT = Path(__file__).parents[2]
# The smallest of the programs goes the way of all.
BUILD = "from tests.cluster import binaries; binaries.build(('pause',), lambda line: print(line, flush=True))"


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PERBENCH_CLUSTER_CACHE", str(tmp_path))
    return binaries.folder()


def builder(folder: Path) -> subprocess.Popen[str]:
    """A process that builds into an empty cache, with an empty cache of Go, so that it takes a while."""
    environment = {**os.environ, "GOCACHE": str(folder / "go")}
    return subprocess.Popen([sys.executable, "-c", BUILD], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def test_two_builders_and_one_that_was_killed(empty_cache: Path, tmp_path: Path) -> None:
    with builder(tmp_path) as killed:
        assert killed.stdout is not None
        said = iter(killed.stdout)
        assert next(said).startswith("building pause once into")
        assert next(said) == "building pause (1 of 1)\n"
        with builder(tmp_path) as waiting:
            assert waiting.stdout is not None
            assert next(waiting.stdout).startswith("waiting for another process that holds")
            killed.kill()
            rest = waiting.stdout.read()
    assert waiting.returncode == 0
    assert "built pause (1 of 1)" in rest
    assert [path.name for path in empty_cache.iterdir()] == ["pause"]
    assert os.access(empty_cache / "pause", os.X_OK)
    with builder(tmp_path) as again:
        assert again.communicate()[0] == ""
