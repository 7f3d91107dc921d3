"""Processor time so far: out of the texts of the kernel, and of real processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typing_extensions import override

from perbench_bench.cpu_processes import TICKS, Loss, Stat, loss_between, parse_stat
from perbench_bench.cpu_series import CpuLostError, CpuUnknownError
from perbench_bench.cpu_time import OF_PROCESSES, CpuClock, parse_group, parse_usage
from perbench_bench.memory_processes import GivenProcesses
from tests.support.processes import Process

STAT = (
    "4711 (a name) (1) R {parent} 2 3 0 -1 4194304 1000 2000 0 0 {utime} {stime} {cutime} {cstime} "
    "20 0 7 0 12345 0 0 0 0 0\n"
)
CPU_STAT = "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 0\n"
POD = "11:cpu,cpuacct:/kubepods/burstable/pod1/{0}\n4:memory:/kubepods/burstable/pod1/{0}\n0::/\n"


def stat(utime: int, stime: int, cutime: int, cstime: int, parent: int = 1) -> str:
    return STAT.format(utime=utime, stime=stime, cutime=cutime, cstime=cstime, parent=parent)


def process(
    proc: Path, name: str, *ticks: int, group: str = "0::/\n", tree: dict[str, str] | None = None, child: int = 0,
    parent: int = 1,
) -> None:  # fmt: skip
    directory = proc / name
    (directory / "task" / name).mkdir(parents=True)
    (directory / "task" / name / "children").write_text(f"{child} " if child else "")
    (directory / "cgroup").write_text(group)
    if ticks:
        (directory / "stat").write_text(stat(*ticks, parent=parent))
    for path, text in (tree or {}).items():
        file = directory / "root" / "sys" / "fs" / "cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_the_texts() -> None:
    assert parse_stat(stat(1, 20, 300, 4000, parent=7)) == Stat(parent=7, begun=12345, own=21, waited=4300)
    with pytest.raises(ValueError, match="4711"):
        parse_stat("4711 (short) R 1")
    assert parse_usage("cpu.stat", CPU_STAT) == 2.5
    assert parse_usage("cpuacct.usage", "2500000000\n") == 2.5
    with pytest.raises(KeyError):
        parse_usage("cpu.stat", "user_usec 1\n")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0::/user.slice\n", ("", "/user.slice")),
        ("3:cpuset:/\n2:cpu,cpuacct:/a/b\n0::/c\n", ("cpu,cpuacct", "/a/b")),
        ("2:cpuacct:/\n1:cpu:/x\n", ("cpuacct", "/")),
        ("", ("", "")),
    ],
)
def test_the_group_that_counts_processor_time(text: str, found: tuple[str, str]) -> None:
    assert parse_group(text) == found


def test_processes_are_summed_with_the_children_they_waited_for(tmp_path: Path) -> None:
    process(tmp_path, "10", 100, 50, 20, 5, child=11)
    process(tmp_path, "11", 30, 10, 0, 0, parent=10)
    process(tmp_path, "99", 1000, 1000, 0, 0)
    clock = CpuClock(GivenProcesses((10,), tmp_path))
    assert clock.source == OF_PROCESSES
    assert clock.seconds() == 215 / TICKS
    (tmp_path / "11" / "stat").unlink()
    (tmp_path / "10" / "task" / "10" / "children").write_text("")
    (tmp_path / "10" / "stat").write_text(stat(100, 50, 50, 15))
    assert clock.seconds() == 215 / TICKS, "what has ended has left its time behind"


def test_a_child_that_nobody_waited_for_is_noticed_whatever_the_others_use_meanwhile(tmp_path: Path) -> None:
    process(tmp_path, "10", 100, 0, 0, 0, child=11)
    process(tmp_path, "11", 200, 0, 0, 0, parent=10)
    clock = CpuClock(GivenProcesses((10,), tmp_path))
    assert clock.seconds() == 300 / TICKS
    (tmp_path / "10" / "task" / "10" / "children").write_text("")
    (tmp_path / "10" / "stat").write_text(stat(1000, 0, 0, 0))
    with pytest.raises(CpuLostError, match=r"process 11 has ended, nobody waited for it, and 2\.00 s"):
        clock.seconds()


class Ending(GivenProcesses):
    """A child ends, and is waited for, between the first look for processes and their being read."""

    def __init__(self, proc: Path) -> None:
        super().__init__((10,), proc)
        self.looks = 0

    @override
    def now(self) -> tuple[int, ...]:
        found = super().now()
        self.looks += 1
        if self.looks == 4:  # the clock looks once for a group, and a reading is two looks
            (self.proc / "11" / "stat").unlink()
            (self.proc / "10" / "task" / "10" / "children").write_text("")
        if self.looks == 5:
            (self.proc / "10" / "stat").write_text(stat(100, 0, 200, 0))
        return found


def test_a_child_that_ends_while_it_is_read_is_no_loss(tmp_path: Path) -> None:
    process(tmp_path, "10", 100, 0, 0, 0, child=11)
    process(tmp_path, "11", 200, 0, 0, 0, parent=10)
    clock = CpuClock(Ending(tmp_path))
    assert [clock.seconds() for _ in range(3)] == [300 / TICKS] * 3


class Never(GivenProcesses):
    """Each time another child has ended between being looked up and being read."""

    @override
    def now(self) -> tuple[int, ...]:
        return (*super().now(), 4)


def test_processes_that_end_faster_than_they_are_read_are_no_loss_either(tmp_path: Path) -> None:
    process(tmp_path, "10", 100, 0, 0, 0)
    with pytest.raises(CpuUnknownError, match="ended each time they were read") as caught:
        CpuClock(Never((10,), tmp_path)).seconds()
    assert not isinstance(caught.value, CpuLostError)


@pytest.mark.parametrize(
    ("now", "loss"),
    [
        ({1: Stat(0, 5, 10, 0), 2: Stat(1, 6, 20, 7), 3: Stat(2, 7, 30, 0)}, None),
        ({1: Stat(0, 5, 90, 0), 2: Stat(1, 6, 20, 37)}, None),
        ({1: Stat(0, 5, 90, 0), 2: Stat(1, 6, 20, 36)}, Loss(3, 1)),
        ({1: Stat(0, 5, 10, 57), 9: Stat(1, 8, 0, 0)}, None),
        ({1: Stat(0, 5, 10, 27)}, Loss(3, 30)),
        ({1: Stat(0, 5, 10, 27), 3: Stat(0, 7, 31, 0)}, None),
        ({1: Stat(0, 5, 10, 0), 2: Stat(1, 6, 20, 7), 3: Stat(2, 99, 30, 0)}, Loss(3, 30)),
        ({2: Stat(1, 6, 20, 7), 3: Stat(2, 7, 30, 0)}, Loss(1, 10)),
    ],
    ids=["all", "waited for", "not all of it", "both waited for", "a grandchild not", "it has gone to another",
         "its id was given anew", "a server itself"],
)  # fmt: skip
def test_what_a_process_has_used_goes_to_the_one_that_waited_for_it(now: dict[int, Stat], loss: Loss | None) -> None:
    before = {1: Stat(0, 5, 10, 0), 2: Stat(1, 6, 20, 7), 3: Stat(2, 7, 30, 0)}
    assert loss_between(before, now) == loss


def test_a_container_of_version_2_is_read_at_the_top_of_what_it_sees(tmp_path: Path) -> None:
    process(tmp_path, "self", group="0::/\n")
    process(tmp_path, "10", 1, 1, 1, 1, group="0::/../cri-12.scope\n", tree={"cpu.stat": CPU_STAT}, child=11)
    process(tmp_path, "11", 1, 1, 1, 1, group="0::/../cri-12.scope\n")
    clock = CpuClock(GivenProcesses((10,), tmp_path))
    assert (clock.source, clock.seconds()) == ("control group of the server's container", 2.5)


def test_a_container_of_version_1_is_read_likewise_and_at_its_path_where_that_is_seen(tmp_path: Path) -> None:
    process(tmp_path, "self", group=POD.format("reader"))
    top = {"cpu,cpuacct/cpuacct.usage": "2500000000\n"}
    process(tmp_path, "10", 1, 1, 1, 1, group=POD.format("model"), tree=top)
    assert CpuClock(GivenProcesses((10,), tmp_path)).seconds() == 2.5
    host = {"cpu,cpuacct/kubepods/burstable/pod1/model/cpuacct.usage": "1500000000\n", **top}
    process(tmp_path, "12", 1, 1, 1, 1, group=POD.format("model"), tree=host)
    assert CpuClock(GivenProcesses((12,), tmp_path)).seconds() == 1.5, "the top is the whole machine's"


@pytest.mark.parametrize("ours", ["0::/app\n", None])
def test_a_group_that_is_not_the_servers_alone_is_not_taken(tmp_path: Path, ours: str | None) -> None:
    if ours is not None:
        process(tmp_path, "self", group=ours)
    process(tmp_path, "10", 100, 0, 0, 0, group="0::/app\n", tree={"app/cpu.stat": CPU_STAT})
    assert CpuClock(GivenProcesses((10,), tmp_path)).source == OF_PROCESSES


def test_processes_of_several_containers_are_summed(tmp_path: Path) -> None:
    process(tmp_path, "self", group="0::/\n")
    process(tmp_path, "10", 100, 0, 0, 0, group="0::/../a\n", tree={"cpu.stat": CPU_STAT}, child=11)
    process(tmp_path, "11", 50, 0, 0, 0, group="0::/../b\n", tree={"cpu.stat": CPU_STAT})
    assert CpuClock(GivenProcesses((10,), tmp_path)).seconds() == 150 / TICKS


def test_what_cannot_be_read_any_more_is_said(tmp_path: Path) -> None:
    process(tmp_path, "self", group="0::/\n")
    process(tmp_path, "10", 1, 1, 1, 1, group="0::/../cri-12.scope\n", tree={"cpu.stat": CPU_STAT})
    clock = CpuClock(GivenProcesses((10,), tmp_path))
    (tmp_path / "10" / "root" / "sys" / "fs" / "cgroup" / "cpu.stat").write_text("usage_usec soon\n")
    with pytest.raises(CpuUnknownError, match="control group of the server's container cannot be read: it says"):
        clock.seconds()
    (tmp_path / "10" / "stat").unlink()
    with pytest.raises(CpuUnknownError, match="no process of the server is shown"):
        CpuClock(GivenProcesses((77,), tmp_path)).seconds()


BURN = """
import json, os, sys
def burn(seconds):
    until = sum(os.times()[:2]) + seconds
    while sum(os.times()[:2]) < until:
        pass
for line in sys.stdin:
    if line.startswith("child"):
        pid = os.fork()
        if not pid:
            burn(0.3)
            os._exit(0)
        os.waitpid(pid, 0)
    else:
        burn(0.3)
    print(json.dumps(sum(os.times()[:4])), flush=True)
"""


def test_a_real_server_is_read_as_it_sees_itself() -> None:
    """What ran in it and in a child that came and went between two readings."""
    with Process(
        [sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        clock = CpuClock(GivenProcesses((server.pid,)))
        found = []
        for word in ("self", "child", "self"):
            server.stdin.write(f"{word}\n")
            said = json.loads(server.stdout.readline())
            found.append((clock.seconds(), said))
        server.stdin.close()
    for read, said in found:
        assert read == pytest.approx(said, abs=5 / TICKS)
    assert found[1][0] - found[0][0] >= 0.25


UNWAITED = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
def burn(seconds):
    until = sum(os.times()[:2]) + seconds
    while sum(os.times()[:2]) < until:
        pass
done, begun = os.pipe()
end, ending = os.pipe()
pid = os.fork()
if not pid:
    os.close(ending)
    burn(0.3)
    os.write(begun, b"x")
    os.read(end, 1)
    os._exit(0)
os.read(done, 1)
print("used", flush=True)
sys.stdin.readline()
os.close(ending)
burn(0.6)
while os.path.exists(f"/proc/{pid}"):
    pass
print("ended", flush=True)
sys.stdin.readline()
"""


def test_a_real_child_that_nobody_waits_for_is_noticed() -> None:
    """Though the server itself has used more meanwhile than is lost."""
    with Process(
        [sys.executable, "-c", UNWAITED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stdout.readline() == "used\n"
        clock = CpuClock(GivenProcesses((server.pid,)))
        assert clock.seconds() >= 0.25
        server.stdin.write("\n")
        assert server.stdout.readline() == "ended\n"
        with pytest.raises(CpuLostError, match="nobody waited for it"):
            clock.seconds()
        server.stdin.close()
