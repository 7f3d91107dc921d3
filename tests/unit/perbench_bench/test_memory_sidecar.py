"""`perbench-memory` as a process, beside real processes; and what is made of the answers of several."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from perbench.plan import DeviceMemory, MemorySource
from perbench.resources import MemoryRecord, ResourceUse
from perbench_bench import memory_replicas
from perbench_bench.cpu_series import Ages
from perbench_bench.device.footprint import ModelFiles
from perbench_bench.device.reader import DeviceReader
from perbench_bench.memory import MemoryReader
from perbench_bench.memory_now import JSON, TAKEN_JSON, MemoryNow, Taken, of_all
from perbench_bench.memory_processes import PodProcesses
from perbench_bench.memory_replicas import Said, SidecarMemory, Unread, of_replicas, understood
from perbench_bench.memory_sidecar import MemoryServer, ages_of, window_path
from perbench_bench.memory_source import HostMemory, memory_of
from tests.support.processes import Process, wait_until
from tests.support.quiet import compared

MIB = 1024 * 1024
GROW = """
import sys
sys.stdin.readline()
held = bytearray(b"x" * (64 << 20))
print("grown", flush=True)
sys.stdin.readline()
del held
print("shrunk", flush=True)
sys.stdin.readline()
"""


@contextmanager
def growing() -> Iterator[Process]:
    command = [sys.executable, "-c", GROW]
    with Process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        try:
            yield process
        finally:
            process.kill()


def step(process: Process) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdout.readline()


def pod(folder: Path, *pids: int) -> Path:
    """A /proc that shows only these processes, as that of a pod does."""
    folder.mkdir(exist_ok=True)
    for pid in pids:
        (folder / str(pid)).symlink_to(f"/proc/{pid}")
    return folder


@contextmanager
def sidecar(proc: Path) -> Iterator[tuple[int, int]]:
    """A reader over this /proc: its port and process id."""
    command = [sys.executable, "-m", "perbench_bench.memory_sidecar", "--port", "0", "--proc", str(proc)]
    with Process(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield int(process.stderr.readline().split()[-1]), process.pid
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reader is given up for a machine that stalls."""
    monkeypatch.setattr(memory_replicas, "TIMEOUT_SECONDS", 60.0)


def test_the_servers_processes_are_read_from_outside_them(tmp_path: Path) -> None:
    with growing() as server, growing() as helper, sidecar(pod(tmp_path / "proc", server.pid, helper.pid)) as (port, _):
        memory = SidecarMemory(["127.0.0.1"], port)
        memory.start()
        before = memory.stop().memory
        memory.start()
        step(server)
        least = (before.footprint_bytes or 0) + 50 * MIB
        wait_until(lambda: memory.now().current.get("Footprint", 0) > least, "it has looked meanwhile")
        step(server)
        during = memory.stop().memory
        memory.start()
        after = memory.stop().memory
    assert before.footprint_bytes is not None
    assert during.footprint_bytes is not None
    assert during.footprint_bytes - before.footprint_bytes > 50 * MIB
    assert during.samples >= 3
    assert during.reserved_bytes is not None
    assert after.reserved_bytes is not None
    assert during.reserved_bytes - after.reserved_bytes > 50 * MIB
    assert after.footprint_bytes is not None
    assert during.footprint_bytes - after.footprint_bytes > 50 * MIB
    assert (during.reason, "perbench-memory" in during.source) == (None, True)


BURN = """
import os, sys
for line in sys.stdin:
    until = sum(os.times()[:2]) + 0.25
    while sum(os.times()[:2]) < until:
        pass
    print(sum(os.times()[:2]), flush=True)
"""


def test_processor_time_is_that_of_the_window_and_not_of_what_was_around_it(tmp_path: Path) -> None:
    """The load is the same before, within and after the window, as that of a stage, on a machine that lets it be so."""
    command = [sys.executable, "-c", BURN]

    def measure() -> tuple[ResourceUse, float]:
        """What is said of the window, and what the server says itself."""
        folder = tmp_path / f"proc-{time.monotonic_ns()}"
        with Process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as server:

            def burn(times: int) -> float:
                assert server.stdin is not None
                assert server.stdout is not None
                said = 0.0
                for _ in range(times):
                    server.stdin.write("now\n")
                    said = float(server.stdout.readline())
                return said

            begun = burn(1)
            with sidecar(pod(folder, server.pid)) as (port, _):
                memory = SidecarMemory(["127.0.0.1"], port)
                memory.start()
                before, opened = burn(4), time.monotonic()
                after, closed = burn(8), time.monotonic()
                whole = burn(4)
                now = time.monotonic()
                found = memory.stop(Ages(now - opened, now - closed))
                again = memory.stop()
                live = memory.now()
            assert server.stdin is not None
            server.stdin.close()
        assert found.use is not None
        assert "in /proc/PID/stat (perbench-memory beside" in (found.use.cpu_source or "")
        assert again.use is not None
        assert (again.use.cpu_seconds, again.use.cpu_reason) == (None, "127.0.0.1: the load has not been measured")
        assert live.cpu_seconds == pytest.approx(whole - begun, abs=0.1)
        return found.use, after - before

    def compare(both: tuple[ResourceUse, float]) -> None:
        use, own = both
        assert use.cpu_seconds == pytest.approx(own, abs=0.3), f"half of the whole; {use.cpu_reason}"

    compared(measure, compare)


def test_a_window_is_told_by_how_long_ago_it_was() -> None:
    assert ages_of(window_path(Ages(12.5, 2.0)).partition("?")[2]) == Ages(12.5, 2.0)
    assert ages_of(window_path(None).partition("?")[2]) is None
    for wrong in ("opened=1", "opened=1&closed=2", "opened=2&closed=-1", "opened=nan&closed=1", "opened=inf&closed=1",
                  "opened=x&closed=1", "opened=2&closed=1&more=3", "?"):  # fmt: skip
        with pytest.raises(ValueError):  # noqa: PT011 - whatever the text
            ages_of(wrong)


def test_a_question_that_is_long_on_its_way_leaves_a_reason() -> None:
    def use(way: float, window: float, held: float = 0.0) -> ResourceUse | None:
        body = TAKEN_JSON.dump_json(replace(taken(record()), held=held))
        found = understood(Said(body, way + held), Ages(window + 3.0, 3.0))
        assert isinstance(found, Taken)
        assert found.memory == record(), "memory is of the whole window all the same"
        return found.use

    assert use(0.04, 1.0) == use(0.9, 60.0) == use(0.04, 1.0, held=5.0) == taken(record()).use
    late = use(0.4, 10.0)
    assert late is not None
    assert (late.cpu_seconds, late.cpu_source) == (None, "cgroup")
    assert late.cpu_reason == "the question for it was 0.40 s on its way, and the window is not known well enough"


def test_the_ages_of_a_window_are_those_of_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes between the end of the load and the question."""
    asked: list[str] = []

    class Reader(Answers):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

    begun = threading.Thread.start

    def late(thread: threading.Thread) -> None:
        time.sleep(0.3)
        begun(thread)

    with ThreadingHTTPServer(("127.0.0.1", 0), Reader) as server:
        Answers.hold.set()
        serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        serving.start()
        memory = SidecarMemory(["127.0.0.1"], server.server_port)
        memory.start()
        monkeypatch.setattr(threading.Thread, "start", late)
        memory.stop(Ages(12.0, 2.0))
        monkeypatch.undo()
        server.shutdown()
        serving.join()
    told = ages_of(asked[-1].partition("?")[2])
    assert told is not None
    assert told.opened >= 12.3
    assert told.opened - told.closed == pytest.approx(10.0)


def test_a_server_that_has_ended_leaves_a_reason(tmp_path: Path) -> None:
    with growing() as server, sidecar(pod(tmp_path / "proc", server.pid)) as (port, _):
        memory = SidecarMemory(["127.0.0.1"], port)
        memory.start()
        server.kill()
        server.wait()
        record = memory.stop().memory
    assert record.footprint_bytes is None
    assert record.reason is not None
    assert "the server has ended" in record.reason


def test_a_reader_that_was_started_anew_has_no_window(tmp_path: Path) -> None:
    with growing() as server, sidecar(pod(tmp_path / "proc", server.pid)) as (port, _):
        record = SidecarMemory(["127.0.0.1"], port).stop().memory
    assert record.footprint_bytes is None
    assert "started anew" in (record.reason or "")


def test_a_reader_that_is_not_there_is_a_reason() -> None:
    memory = SidecarMemory(["127.0.0.1"], 9)
    memory.start()
    record = memory.stop().memory
    assert (record.footprint_bytes, record.reserved_bytes, record.samples) == (None, None, 0)
    assert record.reason is not None
    assert record.reason.startswith("127.0.0.1: the reader of memory does not answer")


def test_a_reader_says_what_is_known_at_this_moment(tmp_path: Path) -> None:
    with growing() as server, sidecar(pod(tmp_path / "proc", server.pid)) as (port, _):
        memory = SidecarMemory(["127.0.0.1"], port)
        assert memory.now() == MemoryNow()
        memory.start()
        wait_until(lambda: bool(memory.now().current), "it has answered")
        before = memory.now()
        step(server)
        wait_until(lambda: memory.now().current["Footprint"] - before.current["Footprint"] > 50 * MIB, "it has grown")
        step(server)
        record = memory.stop().memory
        after = memory.now()
    assert set(before.current) == set(before.peak) == {"Footprint", "Reserved"}
    assert after.peak == {"Footprint": record.footprint_bytes, "Reserved": record.reserved_bytes}


class Answers(BaseHTTPRequestHandler):
    """A reader of memory whose view is asked for again and again."""

    asked = 0
    hold = threading.Event()

    def do_GET(self) -> None:
        type(self).asked += 1
        self.hold.wait(60)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(JSON.dump_json(MemoryNow(current={"Footprint": self.asked})))

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def test_nobody_waits_for_a_slow_reader_and_nobody_asks_it_twice() -> None:
    Answers.asked = 0
    Answers.hold.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        memory = SidecarMemory(["127.0.0.1"], server.server_port)
        began = time.monotonic()
        memory.start()
        assert [memory.now() for _ in range(3)] == [MemoryNow()] * 3
        wait_until(lambda: Answers.asked > 0, "it is asked")
        assert Answers.asked == 1
        Answers.hold.set()
        wait_until(lambda: bool(memory.now().current), "the late answer is kept")
        for _ in range(100):
            memory.now()
        assert Answers.asked <= 2 + (time.monotonic() - began) / memory_replicas.ASK_EVERY_SECONDS
        server.shutdown()
        thread.join()
    assert memory.now().current.keys() == {"Footprint"}


def test_another_server_at_the_port_is_a_reason() -> None:
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def do_POST(self) -> None:
            self.do_GET()

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        memory = SidecarMemory(["127.0.0.1"], server.server_port)
        memory.start()
        record = memory.stop().memory
        server.shutdown()
        thread.join()
    assert "something else" in (record.reason or "")


def test_the_reader_is_light_and_quickly_there(tmp_path: Path) -> None:
    program = "import sys, perbench_bench.memory_sidecar; print('numpy' in sys.modules, 'httptools' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False False\n"
    with growing() as server, sidecar(pod(tmp_path / "proc", server.pid)) as (_, pid):
        status = Path(f"/proc/{pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert resident < 64 * 1024, "KiB"


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with sidecar(pod(tmp_path / "proc")) as (port, _):
        command = [sys.executable, "-m", "perbench_bench.memory_sidecar", "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"port {port}" in done.stderr


def fake(root: Path, pid: int, name: str, parent: int = 0) -> None:
    directory = root / str(pid)
    directory.mkdir(parents=True)
    (directory / "comm").write_text(name + "\n")
    (directory / "status").write_text(f"Name:\t{name}\nPPid:\t{parent}\nVmRSS:\t 1024 kB\nVmHWM:\t 2048 kB\n")


def test_pause_and_the_reader_itself_are_not_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getpid", lambda: 40)
    for pid, name, parent in ((1, "pause", 0), (7, "server", 0), (8, "worker", 7), (39, "sh", 0), (40, "python", 39)):
        fake(tmp_path, pid, name, parent)
    (tmp_path / "meminfo").write_text("")
    assert PodProcesses(tmp_path).now() == (7, 8)


def in_container(root: Path, pid: int, container: str, **environment: str) -> None:
    fake(root, pid, f"process-{pid}")
    (root / str(pid) / "cgroup").write_text(f"0::/../{container}\n")
    (root / str(pid) / "environ").write_text("".join(f"{name}={value}\0" for name, value in environment.items()))


def test_of_several_containers_the_servers_counts(tmp_path: Path) -> None:
    in_container(tmp_path, 7, "exporter", PERBENCH_SERVERS="no")
    in_container(tmp_path, 8, "model", HOME="/tmp", PERBENCH_SERVER="a")
    in_container(tmp_path, 9, "model")  # a worker without an environment
    processes = PodProcesses(tmp_path, "PERBENCH_SERVER")
    assert (processes.now(), processes.mixed) == ((8, 9), False)
    (tmp_path / "8" / "environ").write_text("")  # its title has been written over it
    assert (processes.now(), processes.mixed) == ((8, 9), False), "it is known by then"
    for pid in (8, 9):
        shutil.rmtree(tmp_path / str(pid))
    assert processes.now() == (), "the server has ended, whoever goes on"


def test_containers_that_nothing_tells_apart_count_together_and_that_is_said(tmp_path: Path) -> None:
    in_container(tmp_path, 7, "exporter")
    in_container(tmp_path, 8, "model")
    processes = PodProcesses(tmp_path, "PERBENCH_SERVER")
    assert (processes.now(), processes.mixed) == ((7, 8), True)
    server = MemoryServer(0, tmp_path, "PERBENCH_SERVER")
    with server:
        server.begin()
        assert "of every container of the pod" in server.so_far().memory.source


def test_one_container_needs_no_telling(tmp_path: Path) -> None:
    in_container(tmp_path, 7, "model")
    processes = PodProcesses(tmp_path, "PERBENCH_SERVER")
    assert (processes.now(), processes.mixed) == ((7,), False)


def test_a_first_process_that_is_not_pause_is_the_server(tmp_path: Path) -> None:
    fake(tmp_path, 1, "text-generation")
    assert PodProcesses(tmp_path).now() == (1,)


def record(
    footprint: int | None = 100, peak: int | None = 120, reason: str | None = None, samples: int = 9
) -> MemoryRecord:
    return MemoryRecord(
        footprint_bytes=footprint, reserved_bytes=peak, anonymous_peak_bytes=50, file_peak_bytes=60,
        samples=samples, source="Pss", reason=reason, reserved_reason=None if peak else reason,
    )  # fmt: skip


def taken(memory: MemoryRecord, cpu_seconds: float | None = 2.0, reason: str | None = None) -> Taken:
    use = ResourceUse(cpu_seconds=cpu_seconds, cpu_source="cgroup", cpu_reason=reason)
    return Taken(memory, use, MemoryNow({"Footprint": 1}, cpu_seconds=cpu_seconds))


def test_of_several_replicas_the_largest_counts() -> None:
    both = {"10.0.0.1": taken(record(100, 130)), "10.0.0.2": taken(record(110, 120, samples=7))}
    found = of_replicas(both).memory
    assert (found.footprint_bytes, found.reserved_bytes, found.samples) == (110, 130, 7)
    assert "largest of 2 replicas" in found.source
    assert found.reason is None


def test_a_replica_that_is_not_known_leaves_the_figure_unknown() -> None:
    one = taken(record())
    found = of_replicas({"10.0.0.1": one, "10.0.0.2": Unread("gone")}).memory
    assert (found.footprint_bytes, found.reason) == (None, "10.0.0.2: gone")
    found = of_replicas({"10.0.0.1": one, "10.0.0.2": taken(record(None, 120, "Pss cannot be read"))}).memory
    assert (found.footprint_bytes, found.reserved_bytes) == (None, 120)
    assert found.anonymous_peak_bytes == 50
    assert found.reason == "10.0.0.2: Pss cannot be read"
    assert of_replicas({}).memory.reason == "the model has no address"


def test_processor_time_of_several_replicas_is_added_up() -> None:
    found = of_replicas({"10.0.0.1": taken(record(), 2.5), "10.0.0.2": taken(record(), 4.0)})
    assert found.use == ResourceUse(
        cpu_seconds=6.5, cpu_source="cgroup (perbench-memory beside the server, the sum of 2 replicas)"
    )
    assert found.now.cpu_seconds == 6.5
    found = of_replicas({"10.0.0.1": taken(record(), 2.5), "10.0.0.2": taken(record(), None, "it fell")})
    assert found.use is not None
    assert (found.use.cpu_seconds, found.use.cpu_reason) == (None, "10.0.0.2: it fell")
    assert found.memory.footprint_bytes == 100, "memory is known all the same"
    found = of_replicas({"10.0.0.1": taken(record()), "10.0.0.2": Unread("gone")})
    assert found.use is not None
    assert (found.use.cpu_seconds, found.use.cpu_reason) == (None, "10.0.0.2: gone")


def test_the_view_of_several_is_that_of_the_largest() -> None:
    one = MemoryNow(current={"Footprint": 5, "Reserved": 9}, peak={"Footprint": 7}, limit=20)
    other = MemoryNow(current={"Footprint": 6}, peak={"Footprint": 6}, limit=10)
    assert of_all([one, other]) == MemoryNow(current={"Footprint": 6}, peak={"Footprint": 7}, limit=10)
    assert of_all([MemoryNow(cpu_seconds=2.0), MemoryNow(cpu_seconds=3.0)]).cpu_seconds == 5.0
    assert of_all([MemoryNow(cpu_seconds=2.0), MemoryNow()]).cpu_seconds is None
    assert of_all([one, MemoryNow()]) == MemoryNow()
    assert of_all([]) == MemoryNow()


def test_a_plan_says_where_memory_is_read() -> None:
    def reader(source: MemorySource | None) -> object:
        return memory_of(source, ["127.0.0.1"], ModelFiles())

    assert reader(None) is None
    assert isinstance(reader(MemorySource(process_ids=(1,))), HostMemory)
    assert isinstance(reader(MemorySource(sidecar_port=9)), HostMemory)
    assert isinstance(reader(MemorySource(device=DeviceMemory(accelerators=1))), DeviceReader)


def readers() -> set[threading.Thread]:
    """Those that look now; other threads come and go."""
    return {thread for thread in threading.enumerate() if thread.name == "memory"}


def test_a_window_begun_twice_is_one_window(tmp_path: Path) -> None:
    with growing() as server:
        reader = MemoryReader(PodProcesses(pod(tmp_path / "proc", server.pid)), interval=0.05)
        before = readers()
        for _ in range(3):
            reader.start()
        assert len(readers() - before) == 1
        wait_until(lambda: reader.so_far().memory.samples > 3, "it looks")
        assert reader.stop().memory.samples > 3
