import subprocess
import sys
import time
from pathlib import Path

import pytest

from perbench_bench.cpu_series import Ages
from perbench_bench.memory import (
    MemoryReader,
    ProcessEndedError,
    ProcessMemory,
    ProcReader,
    Sample,
    Window,
    now_of,
    parse_process,
    parse_sizes,
    pause_after,
    record_of,
)
from perbench_bench.memory_now import MemoryNow
from perbench_bench.memory_processes import GivenProcesses
from tests.support.processes import Process, wait_until

MIB = 1024 * 1024

STATUS = """\
Name:\tpython
State:\tS (sleeping)
Pid:\t4711
VmPeak:\t  902144 kB
VmHWM:\t  446464 kB
VmRSS:\t  409600 kB
RssAnon:\t  307200 kB
RssFile:\t  100352 kB
RssShmem:\t    2048 kB
Threads:\t7
"""
ZOMBIE = "Name:\tpython\nState:\tZ (zombie)\nPid:\t4711\nThreads:\t1\n"
ROLLUP = """\
55d0c0a00000-7ffd1b3f9000 ---p 00000000 00:00 0                          [rollup]
Rss:              409600 kB
Pss:              398336 kB
Pss_Dirty:        307200 kB
Pss_Anon:         307200 kB
Pss_File:          90112 kB
Shared_Clean:      19456 kB
"""


def process(
    pss: int | None = 100, anonymous: int = 80, file: int = 40, resident: int = 105, resident_peak: int = 130
) -> ProcessMemory:
    return ProcessMemory(
        pss=None if pss is None else pss * MIB,
        resident=resident * MIB,
        anonymous=anonymous * MIB,
        file=file * MIB,
        resident_peak=resident_peak * MIB,
    )


def window(*samples: Sample, reset_refused: str | None = None, ended: ProcessEndedError | None = None) -> Window:
    opened = Window(peak_is_of_window=reset_refused is None, reset_refused=reset_refused, ended=ended)
    for sample in samples:
        opened.add(sample)
    return opened


class Proc:
    """A directory like /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, pid: int, *children: int, status: str = STATUS, rollup: str | None = ROLLUP) -> None:
        directory = self.root / str(pid)
        task = directory / "task" / str(pid)
        task.mkdir(parents=True)
        (task / "children").write_text("".join(f"{child} " for child in children))
        (directory / "status").write_text(status)
        (directory / "clear_refs").write_text("")
        if rollup is not None:
            (directory / "smaps_rollup").write_text(rollup)


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_sizes_are_read_in_bytes_and_other_fields_left_out() -> None:
    assert parse_sizes("Pss:   12 kB\nThreads:\t7\nState:\tS (sleeping)\n[rollup]\n") == {"Pss": 12 * 1024}


def test_a_process_from_the_texts_of_its_files() -> None:
    expected = ProcessMemory(
        pss=389 * MIB, resident=400 * MIB, anonymous=302 * MIB, file=98 * MIB, resident_peak=436 * MIB
    )
    assert parse_process(STATUS, ROLLUP) == expected


def test_a_zombie_has_ended() -> None:
    assert parse_process(ZOMBIE, "") is None


def test_the_tree_of_a_server_is_summed(proc: Proc) -> None:
    proc.add(10, 11)
    proc.add(11, 12)
    proc.add(12)
    proc.add(99)
    sample = ProcReader(GivenProcesses([10], proc.root)).sample()
    assert len(sample.processes) == 3
    assert sample.pss == 3 * 389 * MIB


def test_a_child_that_ends_while_it_is_looked_for_is_no_end_of_the_server(proc: Proc) -> None:
    proc.add(10, 11, 12)
    proc.add(11, status=ZOMBIE, rollup="")
    assert len(ProcReader(GivenProcesses([10], proc.root)).sample().processes) == 1


def test_a_process_that_ended_is_named(proc: Proc) -> None:
    proc.add(10, status=ZOMBIE, rollup="")
    with pytest.raises(ProcessEndedError, match="process 10 of the server has ended"):
        ProcReader(GivenProcesses([10], proc.root)).sample()
    with pytest.raises(ProcessEndedError, match="process 77"):
        ProcReader(GivenProcesses([77], proc.root)).sample()


def test_the_footprint_is_the_peak_of_the_sums_and_not_the_sum_of_the_peaks() -> None:
    record = record_of(
        window(Sample((process(100), process(300))), Sample((process(200), process(150))), Sample((process(50),)))
    )
    assert record.footprint_bytes == 400 * MIB
    assert record.reserved_bytes == 130 * MIB
    assert record.anonymous_peak_bytes == 160 * MIB
    assert record.file_peak_bytes == 80 * MIB
    assert record.samples == 3
    assert record.reason is None


def test_what_strangers_map_as_well_counts_whole() -> None:
    record = record_of(window(Sample((process(100, resident=190),)), Sample((process(110, resident=200),))))
    assert record.footprint_bytes == 200 * MIB
    assert "other processes map the same files" in record.source


def test_common_libraries_alone_do_not_change_the_basis() -> None:
    record = record_of(window(Sample((process(100, resident=111),))))
    assert record.footprint_bytes == 100 * MIB
    assert "Pss" in record.source


def test_several_processes_share_with_each_other() -> None:
    record = record_of(window(Sample((process(100, resident=190), process(100, resident=190)))))
    assert record.footprint_bytes == 200 * MIB


def test_without_pss_one_process_is_its_resident_pages_and_the_source_says_so() -> None:
    record = record_of(window(Sample((process(None),)), Sample((process(None, resident=130),))))
    assert record.footprint_bytes == 130 * MIB
    assert "VmRSS" in record.source
    assert "cannot be read" in record.source


def test_without_pss_several_processes_have_no_footprint_but_their_parts() -> None:
    record = record_of(window(Sample((process(None), process(100)))))
    assert record.footprint_bytes is None
    assert record.reason is not None
    assert "more than once" in record.reason
    assert record.anonymous_peak_bytes == 160 * MIB


def test_one_unreadable_moment_is_enough_to_withhold_pss() -> None:
    record = record_of(window(Sample((process(500),)), Sample((process(None, resident=15),))))
    assert record.footprint_bytes == 105 * MIB


def test_a_process_that_ended_in_the_middle_leaves_no_figure() -> None:
    record = record_of(window(Sample((process(),)), ended=ProcessEndedError(10)))
    assert (record.footprint_bytes, record.reserved_bytes) == (None, None)
    assert record.reason == "process 10 of the server has ended: its peak in the whole window is not known"


def test_the_view_of_a_moment_is_the_last_look_beside_the_peaks() -> None:
    opened = window(Sample((process(300, resident_peak=400), process(100))), Sample((process(150, resident=160),)))
    assert now_of(opened, 512 * MIB) == MemoryNow(
        current={"Footprint": 150 * MIB, "Reserved": 160 * MIB},
        peak={"Footprint": 400 * MIB, "Reserved": 130 * MIB},
        limit=512 * MIB,
    )


def test_a_view_leaves_out_what_is_not_known() -> None:
    opened = window(Sample((process(None), process(None))), reset_refused="no")
    assert now_of(opened, None) == MemoryNow(current={"Reserved": 210 * MIB})
    assert now_of(window(), 5) == MemoryNow()
    assert now_of(window(Sample((process(),)), ended=ProcessEndedError(1)), 5) == MemoryNow()


def test_a_view_counts_as_the_record_does() -> None:
    shared = window(Sample((process(50, resident=200),)), Sample((process(40, resident=150),)))
    view = now_of(shared, None)
    assert (view.current["Footprint"], view.peak["Footprint"]) == (150 * MIB, 200 * MIB)


def test_the_view_outlives_its_window_until_the_next_look(proc: Proc) -> None:
    proc.add(10)
    reader = MemoryReader(GivenProcesses((10,), proc.root))
    assert reader.now() == MemoryNow()
    reader.start()
    reader.stop()
    (proc.root / "10" / "smaps_rollup").write_text("Pss: 1 kB\n")
    assert reader.now().current["Footprint"] == 389 * MIB
    assert reader.now().limit is None


def test_the_ages_of_a_window_are_of_the_moment_they_are_told(proc: Proc, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of one after a look that was going on."""
    proc.add(10)
    reader = MemoryReader(GivenProcesses((10,), proc.root))
    waited, asked = [], []
    monkeypatch.setattr(reader, "_end", lambda: waited.append(time.monotonic()))
    monkeypatch.setattr(reader, "so_far", lambda measured, moment: asked.append((measured, moment)))
    reader.stop(Ages(2.0, 1.0))
    ((measured, moment),) = asked
    assert measured == Ages(2.0, 1.0)
    assert moment <= waited[0]


def test_the_peak_is_set_back_at_each_start(proc: Proc) -> None:
    proc.add(10, 11)
    proc.add(11)
    reader = MemoryReader(GivenProcesses((10,), proc.root))
    reader.start()
    record = reader.stop().memory
    assert (proc.root / "10" / "clear_refs").read_text() == "5\n"
    assert (proc.root / "11" / "clear_refs").read_text() == "5\n"
    assert record.reserved_bytes == 2 * 436 * MIB


def test_where_the_peak_cannot_be_set_back_it_counts_only_after_the_start(proc: Proc) -> None:
    proc.add(10)
    refs = proc.root / "10" / "clear_refs"
    refs.unlink()
    refs.mkdir()  # writing is refused, whoever we are
    reader = MemoryReader(GivenProcesses((10,), proc.root))
    reader.start()
    assert reader.stop().memory.reserved_bytes == 436 * MIB
    reader.start()
    record = reader.stop().memory
    assert record.reserved_bytes is None
    assert record.footprint_bytes == 389 * MIB
    assert record.reason is None
    assert "cannot be set back" in (record.reserved_reason or "")


def test_a_machine_without_proc_gives_a_reason_and_no_figure(tmp_path: Path) -> None:
    reader = MemoryReader(GivenProcesses((10,), tmp_path / "nothing"))
    reader.start()
    record = reader.stop().memory
    assert record.footprint_bytes is None
    assert record.reason is not None


def test_a_large_server_is_looked_at_less_often_but_once_a_second() -> None:
    assert pause_after(0.002, 0.5) == pytest.approx(0.498)
    assert pause_after(0.008, 0.5) == pytest.approx(0.792)
    assert pause_after(0.4, 0.5) == pytest.approx(0.6)
    assert pause_after(3.0, 0.5) == pytest.approx(0.1)


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


def test_a_real_process_is_seen_at_its_peak() -> None:
    command = [sys.executable, "-c", GROW]
    with Process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        reader = MemoryReader(GivenProcesses((process.pid,)), interval=0.1)
        reader.start()
        before = reader.stop().memory
        reader.start()
        process.stdin.write("\n")
        process.stdout.readline()
        wait_until(lambda: ((reader.latest and reader.latest.pss) or 0) > 50 * MIB, "a sample shows the growth")
        process.stdin.write("\n")
        process.stdout.readline()
        during = reader.stop().memory
        reader.start()
        after = reader.stop().memory
        process.stdin.write("\n")
    assert before.footprint_bytes is not None
    assert during.footprint_bytes is not None
    assert during.footprint_bytes - before.footprint_bytes > 50 * MIB
    assert during.reserved_bytes is not None
    assert during.reserved_bytes >= during.footprint_bytes
    # The peak was set back before the last window, or the resident size that was given back would still show.
    assert after.reserved_bytes is not None
    assert during.reserved_bytes - after.reserved_bytes > 50 * MIB


def test_a_real_process_that_is_killed_in_the_window_leaves_a_reason() -> None:
    with subprocess.Popen([sys.executable, "-c", GROW], stdin=subprocess.PIPE) as process:
        reader = MemoryReader(GivenProcesses((process.pid,)), interval=0.1)
        reader.start()
        process.kill()
        process.wait()
        record = reader.stop().memory
    assert record.footprint_bytes is None
    assert record.reason is not None
    assert f"process {process.pid}" in record.reason
