"""What the kernel says about this process: control groups of both versions, limits on open files."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from perbench_bench.usage import memory_left_bytes, read_usage, throttled_ns

V1 = "nr_periods 10\nnr_throttled 2\nthrottled_time 5000000\n"
V2 = "usage_usec 12\nuser_usec 1\nsystem_usec 1\nnr_periods 10\nnr_throttled 2\nthrottled_usec 5000\n"


@pytest.mark.parametrize(
    ("groups", "file", "text"),
    [
        ("0::/kubepods/pod1\n", "kubepods/pod1/cpu.stat", V2),
        ("0::/kubepods/pod1\n", "cpu.stat", V2),  # a container sees its own group as the root
        ("3:cpu,cpuacct:/kubepods/pod1\n2:memory:/m\n0::/\n", "cpu,cpuacct/kubepods/pod1/cpu.stat", V1),
        ("3:cpu,cpuacct:/kubepods/pod1\n", "cpu,cpuacct/cpu.stat", V1),
        ("3:cpu,cpuacct:/kubepods/pod1\n", "cpu/kubepods/pod1/cpu.stat", V1),
    ],
)
def test_throttling_is_read_in_both_versions_of_control_groups(
    tmp_path: Path, groups: str, file: str, text: str
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    target = tmp_path / "groups" / file
    target.parent.mkdir(parents=True)
    target.write_text(text)
    assert throttled_ns(tmp_path / "proc", tmp_path / "groups") == 5_000_000


def test_a_group_without_figures_says_nothing(tmp_path: Path) -> None:
    assert throttled_ns(tmp_path, tmp_path) is None
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text("0::/\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 12\n")
    assert throttled_ns(tmp_path, tmp_path) is None, "no limit, no throttling to be read"


def test_usage_moves_on() -> None:
    before = read_usage()
    sum(i * i for i in range(200_000))
    after = read_usage()
    assert after.own_cpu_ns > before.own_cpu_ns
    assert after.wall_ns > before.wall_ns
    assert after.descriptors == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


ASK = """
import resource, sys
from perbench.failures import RunError
from perbench_bench.usage import make_room_for
resource.setrlimit(resource.RLIMIT_NOFILE, (40, {most}))
try:
    make_room_for(1000, least=100)
except RunError as error:
    sys.exit(f"{{error.failure.blame.value}} {{error.failure.reason}}: {{error}}")
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("most", "code", "said"),
    [
        (4096, 0, "1064\n"),
        (200, 0, "200\n"),
        (50, 1, "LoadGenerator TooFewDescriptors: 100 connections need 164 open files, and this process may have 50:"),
    ],
)
def test_the_limit_on_open_files_is_raised_as_far_as_it_goes(most: int, code: int, said: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ASK.format(most=most)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == code
    assert (ran.stdout + ran.stderr).startswith(said)


@pytest.mark.parametrize(
    ("file", "text", "left"),
    [
        ("memory.max", "5000\n", 5_000),
        ("memory.max", "max\n", 4_096_000),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", 4_096_000),
        ("memory/memory.limit_in_bytes", "7000\n", 7_000),
    ],
)
def test_memory_is_the_machines_or_the_containers(tmp_path: Path, file: str, text: str, left: int) -> None:
    assert memory_left_bytes(tmp_path, tmp_path) is None
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 4000 kB\n")
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    assert memory_left_bytes(tmp_path, tmp_path) == left
