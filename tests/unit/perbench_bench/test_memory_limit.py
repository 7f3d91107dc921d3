"""What a server's container may use, out of trees like /proc."""

from pathlib import Path

import pytest

from perbench_bench.memory_limit import container_limit, group_of, parse_limit
from perbench_bench.memory_processes import GivenProcesses

MIB = 1024 * 1024


def process(proc: Path, pid: int, group: str, **limits: str) -> None:
    """A process whose tree of control groups has these files; `__` in a name is a slash."""
    tree = proc / str(pid) / "root" / "sys" / "fs" / "cgroup"
    tree.mkdir(parents=True)
    (proc / str(pid) / "cgroup").write_text(group)
    for name, text in limits.items():
        place = name.replace("__", "/").replace("memory_max", "memory.max")
        path = tree / place.replace("_in_bytes", ".limit_in_bytes")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("max\n", None), ("9223372036854771712\n", None), ("536870912\n", 512 * MIB), ("", None), ("-1", None)],
)
def test_the_file_of_a_limit(text: str, limit: int | None) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0::/\n", ("", ())),
        ("0::/user.slice/app.scope\n", ("", ("user.slice", "app.scope"))),
        ("0::/../cri-containerd-12.scope\n", ("", ())),
        ("5:cpu,cpuacct:/a\n4:memory:/docker/12\n0::/\n", ("memory", ("docker", "12"))),
        ("5:cpu,cpuacct:/a\n", ("", ())),
    ],
)
def test_the_group_of_a_process(text: str, found: tuple[str, tuple[str, ...]]) -> None:
    assert group_of(text) == found


def test_a_container_begins_at_its_own_group(tmp_path: Path) -> None:
    process(tmp_path, 7, "0::/../cri-containerd-12.scope\n", memory_max="536870912\n")
    assert container_limit(GivenProcesses([7], tmp_path)) == 512 * MIB


def test_groups_above_limit_as_well(tmp_path: Path) -> None:
    process(tmp_path, 7, "0::/user/app\n", user__memory_max="1048576\n", user__app__memory_max="max\n")
    assert container_limit(GivenProcesses([7], tmp_path)) == MIB


def test_version_1_is_read_in_its_own_tree(tmp_path: Path) -> None:
    process(tmp_path, 7, "4:memory:/docker/12\n0::/\n", memory__memory_in_bytes="2097152\n", memory_max="1048576\n")
    assert container_limit(GivenProcesses([7], tmp_path)) == 2 * MIB


def test_no_limit_and_nothing_to_read_are_no_limit(tmp_path: Path) -> None:
    process(tmp_path, 7, "0::/\n", memory_max="max\n")
    assert container_limit(GivenProcesses([7], tmp_path)) is None
    process(tmp_path, 8, "0::/\n")
    assert container_limit(GivenProcesses([8], tmp_path)) is None
    assert container_limit(GivenProcesses([9], tmp_path)) is None
    (tmp_path / "7" / "cgroup").unlink()
    (tmp_path / "7" / "cgroup").mkdir()  # an error that is not "not there"
    assert container_limit(GivenProcesses([7], tmp_path)) is None


def test_processes_of_several_containers_have_no_limit_in_common(tmp_path: Path) -> None:
    process(tmp_path, 7, "0::/../a\n", memory_max="1048576\n")
    process(tmp_path, 8, "0::/../a\n", memory_max="1048576\n")
    assert container_limit(GivenProcesses([7, 8], tmp_path)) == MIB
    process(tmp_path, 9, "0::/../b\n", memory_max="2097152\n")
    assert container_limit(GivenProcesses([7, 8, 9], tmp_path)) is None
