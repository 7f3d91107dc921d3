"""Which cgroup hierarchies a machine has, by what it says of its mounts."""

from pathlib import Path

from tests.cluster.cgroups import Hierarchy, hierarchies, missing

VERSION_1 = """\
25 19 0:22 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
26 25 0:23 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
27 25 0:24 / /sys/fs/cgroup/systemd rw,nosuid - cgroup cgroup rw,name=systemd
28 25 0:25 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
29 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
30 25 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
90 19 0:26 / /somewhere/else rw - cgroup cgroup rw,memory
"""
VERSION_2 = "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"


def test_version_1_with_the_empty_hierarchy_of_version_2() -> None:
    found = hierarchies(VERSION_1)
    assert [(hierarchy.mount.name, hierarchy.version) for hierarchy in found] == [
        ("cpu,cpuacct", 1),
        ("memory", 1),
        ("pids", 1),
        ("systemd", 1),
        ("unified", 2),
    ]
    assert found[0].controllers == ("cpu", "cpuacct")
    assert missing(tuple(each for each in found if each.version == 1)) == []


def test_version_2_alone() -> None:
    assert hierarchies(VERSION_2) == (Hierarchy(Path("/sys/fs/cgroup"), 2, ()),)


def test_controllers_of_version_2_are_what_its_root_says(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory\n")
    assert missing((Hierarchy(tmp_path, 2, ()),)) == ["pids"]


def test_a_machine_without_cgroups_lacks_them_all() -> None:
    assert missing(hierarchies("")) == ["cpu", "memory", "pids"]
