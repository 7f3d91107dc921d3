"""What an exporter says beside what is known otherwise: by hand, and in whole stages beside an exporter on loopback."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from perbench.plan import DeviceMemory, MemorySource, Telemetry, TelemetryPod
from perbench.resources import MemoryOrigin, MemoryQuality, MemoryRecord, ResourceUse
from perbench.results import StageRecord
from perbench_bench.device.accelerator_use import MIB, AcceleratorUse, Figure
from perbench_bench.device.reader import DeviceReader
from perbench_bench.device.telemetry import AcceleratorTelemetry, resource_use, telemetry_of, with_held
from perbench_bench.engine.http1 import Origin
from perbench_bench.load_run import LoadRun
from perbench_bench.metrics_watch import MetricsWatch
from tests.support.dcgm_exporter import BUSY_PERCENT, FIRST_MIB, WATTS, Gpu, dcgm_exporter
from tests.support.device_stages import FILES, measured_stage
from tests.support.quiet import compared
from tests.support.scripted_model import ScriptedModel, scripted_model

NONE = Figure.none("not shown")
ALL = AcceleratorUse(Figure(70e9, "FB_USED"), Figure(0.9, "UTIL"), Figure(3000.0, "ENERGY"), samples=8)
MODELLED = MemoryRecord(
    origin=MemoryOrigin.DEVICE, quality=MemoryQuality.MODELLED, footprint_bytes=20, reserved_bytes=None, samples=5,
    source="parts", reserved_reason="TGI does not say how much it holds",
)  # fmt: skip
UNKNOWN = MemoryRecord(
    origin=MemoryOrigin.DEVICE, footprint_bytes=None, reserved_bytes=None, samples=5, source="parts",
    reason="no layout", reserved_reason="the server does not say how much it holds",
)  # fmt: skip


class Source:
    """One that says what it is told to."""

    def __init__(self, name: str, says: AcceleratorUse) -> None:
        self.name = name
        self.says = says
        self.windows: list[tuple[int, int]] = []
        self.started = 0

    def start(self) -> None:
        self.started += 1

    def stop(self, window: tuple[int, int]) -> AcceleratorUse:
        self.windows.append(window)
        return self.says


def test_the_next_source_is_asked_for_what_the_first_did_not_know() -> None:
    first = Source("exporter", AcceleratorUse(ALL.held, NONE, NONE, samples=3))
    second = Source("Prometheus", AcceleratorUse(Figure(1.0, "other"), ALL.busy, Figure.none("no power")))
    telemetry = AcceleratorTelemetry([first, second])
    telemetry.start()
    use = telemetry.stop((5, 9))
    assert (first.started, second.started, second.windows) == (1, 1, [(5, 9)])
    assert use.held == Figure(70e9, "FB_USED (exporter)")
    assert use.busy == Figure(0.9, "UTIL (Prometheus)")
    assert use.energy == Figure.none("exporter: not shown; Prometheus: no power")
    assert use.samples == 3


def test_nobody_else_is_asked_where_one_knows_everything() -> None:
    second = Source("Prometheus", ALL)
    AcceleratorTelemetry([Source("exporter", ALL), second]).stop((0, 1))
    assert second.windows == []


def test_where_one_sees_that_they_are_shared_nobody_elses_figures_count() -> None:
    shared = AcceleratorUse.nothing("shared with pod team/other", refused=True)
    prometheus = Source("Prometheus", ALL)
    use = AcceleratorTelemetry([Source("exporter", shared), prometheus]).stop((0, 1))
    assert use.held == Figure.none("exporter: shared with pod team/other")
    assert prometheus.windows == [], "it would give the figures of all of them"
    some = AcceleratorUse(ALL.held, NONE, NONE, samples=3)
    later = AcceleratorTelemetry([Source("exporter", some), Source("Prometheus", shared)]).stop((0, 1))
    assert later.held == Figure.none("Prometheus: shared with pod team/other")


def test_of_shared_accelerators_nobody_is_asked() -> None:
    telemetry = AcceleratorTelemetry([Source("exporter", ALL)], "shared by time")
    assert not telemetry.asks
    assert telemetry.stop((0, 1)).energy == Figure.none("shared by time")


def test_who_is_asked_is_what_the_plan_says() -> None:
    def names(**places: object) -> list[str]:
        telemetry = Telemetry.model_validate({"namespace": "team", "pods": [], **places})
        return [source.name for source in telemetry_of(telemetry, 1, lambda: 0)._sources]

    both = {"exporter_port": 9400, "prometheus_url": "http://p"}
    assert names(**both) == ["dcgm-exporter on its node", "Prometheus"]
    assert names(prometheus_url="http://p") == ["Prometheus"]
    assert names(**both, obstacle="shared") == []


def test_what_is_held_stands_beside_a_footprint_of_another_origin() -> None:
    record = with_held(MODELLED, ALL, preallocates=True)
    assert (record.footprint_bytes, record.origin, record.source) == (20, MemoryOrigin.DEVICE, "parts")
    assert (record.reserved_bytes, record.reserved_reason) == (70_000_000_000, None)
    assert (record.reserved_origin, record.reserved_source) == (MemoryOrigin.DEVICE_TOTAL, "FB_USED")


def test_what_a_server_holds_ahead_is_no_footprint() -> None:
    record = with_held(UNKNOWN, ALL, preallocates=True)
    assert (record.footprint_bytes, record.reason, record.reserved_bytes) == (None, "no layout", 70_000_000_000)


def test_of_a_server_that_takes_what_it_needs_it_is_the_footprint_where_nothing_is_better() -> None:
    record = with_held(UNKNOWN, ALL, preallocates=False)
    assert (record.footprint_bytes, record.quality) == (70_000_000_000, MemoryQuality.MEASURED)
    assert (record.origin, record.source, record.samples, record.reason) == (
        MemoryOrigin.DEVICE_TOTAL, "FB_USED", 8, None,
    )  # fmt: skip
    assert with_held(MODELLED, ALL, preallocates=False).footprint_bytes == 20


def test_where_it_is_not_known_no_other_figure_takes_its_place() -> None:
    own = MODELLED.model_copy(update={"reserved_bytes": 96, "reserved_reason": None})
    record = with_held(own, AcceleratorUse.nothing("not mapped"), preallocates=True)
    assert (record.reserved_bytes, record.reserved_reason, record.footprint_bytes) == (None, "not mapped", 20)
    lacking = with_held(UNKNOWN, AcceleratorUse.nothing("not mapped"), preallocates=False)
    assert (lacking.footprint_bytes, lacking.reason) == (None, "no layout; not mapped")


def test_the_record_of_what_was_used_has_figures_or_reasons() -> None:
    assert resource_use(ALL) == ResourceUse(
        accelerator_utilization=0.9, accelerator_source="UTIL", energy_joules=3000.0, energy_source="ENERGY"
    )
    assert resource_use(AcceleratorUse.nothing("not mapped")) == ResourceUse(
        accelerator_reason="not mapped", energy_reason="not mapped"
    )


def test_the_view_of_a_moment_has_no_figure_of_another_kind() -> None:
    """What SGLang says it holds is not shown where the exporter is asked; what that said is, once it is known."""
    with scripted_model(
        lambda _: 'sglang:weight_memory_usage_gb{tp_rank="0"} 7\nsglang:kv_cache_memory_usage_gb 5\n'
    ) as (server):
        watch = MetricsWatch(Origin.parse(server.url), ["127.0.0.1"], None, time.perf_counter_ns)
        watch.begin()
        reader = DeviceReader(
            ["127.0.0.1"], DeviceMemory(accelerators=1), FILES, AcceleratorTelemetry([Source("e", ALL)])
        )
        alone = DeviceReader(["127.0.0.1"], DeviceMemory(accelerators=1), FILES)
        for one in (reader, alone):
            one.start(watch)
        watch.stop()
        assert "Reserved" in alone.now().peak
        assert "Reserved" not in reader.now().peak
        load = SimpleNamespace(
            feed=SimpleNamespace(window_start=1, window_end=2), seen=SimpleNamespace(rows={}, spare_in_window=[])
        )
        reader.stop(cast("LoadRun", load))
        assert reader.now().peak["Reserved"] == 70_000_000_000
        reader.start(watch)
        assert "Reserved" not in reader.now().peak


def test_footprints_of_one_launch_are_of_one_kind() -> None:
    """A server that has said that it takes all ahead does so in the stages too in which its metrics cannot be read."""
    window = cast(
        "LoadRun",
        SimpleNamespace(
            feed=SimpleNamespace(window_start=1, window_end=2), seen=SimpleNamespace(rows={}, spare_in_window=[])
        ),
    )
    own = DeviceMemory(accelerators=1, unlike_files="its own affair", unlike_config="its own", preallocates=False)
    unread = cast("MetricsWatch", SimpleNamespace(before=(), lines=lambda _skip=0: []))
    words = (b"llamacpp:requests_processing 0\nllamacpp:requests_deferred 0\n",)
    read = cast("MetricsWatch", SimpleNamespace(before=words, lines=lambda _skip=0: [(1, words)]))

    def stage_of(reader: DeviceReader, metrics: MetricsWatch) -> MemoryRecord:
        reader.start(metrics)
        record = reader.stop(window).memory
        assert record is not None
        return record

    known = DeviceReader(["127.0.0.1"], own, FILES, AcceleratorTelemetry([Source("exporter", ALL)]))
    assert [stage_of(known, each).footprint_bytes for each in (read, unread)] == [None, None]
    silent = DeviceReader(["127.0.0.1"], own, FILES, AcceleratorTelemetry([Source("exporter", ALL)]))
    assert [stage_of(silent, each).footprint_bytes for each in (unread, unread)] == [70_000_000_000] * 2
    silent._kind = MemoryOrigin.DEVICE
    record = stage_of(silent, unread)
    assert (record.footprint_bytes, record.quality) == (None, None)
    assert record.reason == "it would be of another kind (DeviceTotal) than in the stages before (Device)"
    assert record.reserved_bytes == 70_000_000_000


def llamacpp(server: ScriptedModel) -> str:
    return f"llamacpp:requests_processing {len(server.held)}\nllamacpp:requests_deferred 0\n"


def nothing(_: ScriptedModel) -> str:
    return "<html>nothing here</html>"


def stage(
    monkeypatch: pytest.MonkeyPatch, page: Callable[[ScriptedModel], str], known: DeviceMemory, *gpus: Gpu,
    answers: bool = True,
) -> StageRecord:  # fmt: skip
    """A stage beside an exporter that collects four times a second, and is looked at twenty times a second."""
    monkeypatch.setattr("perbench_bench.device.exporter_pages.EVERY_SECONDS", 0.05)
    with dcgm_exporter(gpus, 0.25) as exporter:
        address = "127.0.0.1" if answers else "127.0.0.2"
        port = exporter.port if answers else 1
        telemetry = Telemetry(
            namespace="team", pods=(TelemetryPod(name="server-1", exporter=address),), exporter_port=port
        )
        return measured_stage(page, MemorySource(device=known, telemetry=telemetry))


def is_held(record: StageRecord) -> None:
    """What is held is known, unless a machine that stalls has left a gap."""
    assert record.memory is not None
    assert record.memory.reserved_bytes is not None, record.memory.reserved_reason


def test_a_stage_beside_an_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = (Gpu(0, "server-1"), Gpu(1, "server-1"), Gpu(2, "other"), Gpu(3))

    def compare(record: StageRecord) -> None:
        memory, use = record.memory, record.use
        assert memory is not None
        assert use is not None
        assert (memory.origin, memory.quality) == (MemoryOrigin.DEVICE, MemoryQuality.MODELLED)
        assert memory.reserved_bytes is not None
        assert memory.reserved_bytes > 2 * FIRST_MIB * MIB
        assert memory.reserved_source == "DCGM_FI_DEV_FB_USED (dcgm-exporter on its node)"
        assert use.accelerator_utilization == pytest.approx(BUSY_PERCENT / 100)
        assert use.energy_joules is not None
        assert 3 / 4 < use.energy_joules / (2 * WATTS * record.window_seconds) < 4 / 3
        assert (use.accelerator_reason, use.energy_reason, use.cpu_reason) == (None, None, None)

    compared(lambda: stage(monkeypatch, llamacpp, DeviceMemory(accelerators=2), *gpus), compare)


def test_of_a_server_of_ones_own_it_is_the_footprint(monkeypatch: pytest.MonkeyPatch) -> None:
    own = DeviceMemory(accelerators=1, unlike_files="its own affair", unlike_config="its own", preallocates=False)
    record = compared(lambda: stage(monkeypatch, nothing, own, Gpu(0, "server-1")), is_held)
    assert record.memory is not None
    assert record.memory.origin is MemoryOrigin.DEVICE_TOTAL
    assert record.memory.footprint_bytes == record.memory.reserved_bytes
    assert record.memory.samples >= 3


def test_one_in_the_words_of_a_server_that_takes_all_ahead_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    own = DeviceMemory(accelerators=1, unlike_files="its own affair", unlike_config="its own", preallocates=False)
    record = compared(lambda: stage(monkeypatch, llamacpp, own, Gpu(0, "server-1")), is_held)
    assert record.memory is not None
    assert record.memory.footprint_bytes is None


@pytest.mark.parametrize(
    ("gpus", "answers", "said"),
    [
        ((Gpu(0), Gpu(1)), True, "switch the exporter's Kubernetes mapping on"),
        ((Gpu(0, "other"),), True, "said to be of other pods"),
        ((Gpu(0, "server-1"),), True, "shows 1 accelerators of it, and it has 2"),
        ((Gpu(0, "server-1"),), False, "127.0.0.2:1/metrics does not answer"),
    ],
)
def test_an_exporter_that_knows_nothing_leaves_a_reason_and_a_stage(
    monkeypatch: pytest.MonkeyPatch, gpus: tuple[Gpu, ...], answers: bool, said: str
) -> None:

    def compare(record: StageRecord) -> None:
        assert record.memory is not None
        assert record.use is not None
        assert record.memory.footprint_bytes is not None
        for reason in (record.memory.reserved_reason, record.use.accelerator_reason, record.use.energy_reason):
            assert said in (reason or "")

    compared(lambda: stage(monkeypatch, llamacpp, DeviceMemory(accelerators=2), *gpus, answers=answers), compare)
