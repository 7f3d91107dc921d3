"""Pages of exporters that are out of order. A good one is read in test_telemetry.py."""

import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from perbench.plan import Telemetry, TelemetryPod
from perbench_bench.device.accelerator_use import AcceleratorUse
from perbench_bench.device.dcgm import LineReader, PodName, wanted_lines
from perbench_bench.device.exporter_pages import LOOK_SECONDS, ExporterPages, _Seen
from tests.support.dcgm_exporter import DcgmExporter, Gpu, dcgm_exporter, page
from tests.support.processes import wait_until
from tests.support.quiet import compared

PODS = (TelemetryPod(name="server-1", exporter="127.0.0.1"),)


def seen(shows: Callable[[], bytes] | None = None, pods: tuple[TelemetryPod, ...] = PODS) -> AcceleratorUse:
    """What comes of a moment in which the exporter shows this page; None: one of one GPU."""
    with dcgm_exporter((Gpu(0, "server-1"),), 1.0) as exporter:
        if shows is not None:
            exporter.answer = shows  # type: ignore[method-assign]
        telemetry = Telemetry(namespace="team", pods=pods, exporter_port=exporter.port)
        pages = ExporterPages(telemetry, 1, time.perf_counter_ns)
        began = time.perf_counter_ns()
        pages.start()
        return pages.stop((began, time.perf_counter_ns()))


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html></html>", "there are no metrics of dcgm-exporter"),
        (b"", "there are no metrics of dcgm-exporter"),
        (b'DCGM_FI_DEV_FB_USED{gpu="0",pod="server-1"} many\n', "/metrics is not in the exposition format"),
        (b" " * (9 << 20), "/metrics answers with more than 8388608 bytes"),
    ],
    ids=["another's", "empty", "broken", "too large"],
)
def test_a_page_that_is_none_leaves_a_reason(body: bytes, said: str) -> None:
    use = seen(lambda: body)
    for figure in (use.held, use.busy, use.energy):
        assert said in (figure.reason or "")


def test_a_node_without_an_exporter_leaves_the_operators_reason() -> None:
    lacking = TelemetryPod(name="server-2", exporter_reason="no pod with app=dcgm runs on its node")
    assert seen(pods=(lacking,)).held.reason == "server-2: no pod with app=dcgm runs on its node"


def pages_at(exporter: DcgmExporter, pods: tuple[TelemetryPod, ...] = PODS, accelerators: int = 1) -> ExporterPages:
    telemetry = Telemetry(namespace="team", pods=pods, exporter_port=exporter.port)
    return ExporterPages(telemetry, accelerators, time.perf_counter_ns)


def has_figures(use: AcceleratorUse) -> None:
    """Unless a machine that stalls has left a gap."""
    assert use.held.value is not None, use.held.reason


def look(exporter: DcgmExporter) -> None:
    """Wait until it has been looked at as it is now."""
    asked = exporter.asked
    wait_until(lambda: exporter.asked >= asked + 3, "it is looked at")


@pytest.mark.usefixtures("quick")
def test_each_window_begins_anew_and_the_thread_of_the_last_one_ends() -> None:
    """The second one knows nothing of what the first one saw, though it asks for all of both."""
    with dcgm_exporter((Gpu(0, "server-1"),), 0.1) as exporter:
        pages = pages_at(exporter)
        all_began = time.perf_counter_ns()

        def window() -> AcceleratorUse:
            began = time.perf_counter_ns()
            pages.start()
            time.sleep(1.0)
            return pages.stop((began, time.perf_counter_ns()))

        first = compared(window, has_figures)
        exporter.interval = 3600
        pages.start()
        second = pages.stop((all_began, time.perf_counter_ns()))
        assert second.samples <= 1 < first.samples
        assert "collected" in (second.held.reason or "")
        assert_silent(exporter)


@pytest.mark.usefixtures("quick")
def test_accelerators_that_another_pod_has_for_a_while_are_shared_for_the_window() -> None:
    own, other = Gpu(0, "server-1"), Gpu(0, "other")
    with dcgm_exporter((own,), 0.1) as exporter:
        pages = pages_at(exporter)
        began = time.perf_counter_ns()
        pages.start()
        for gpus in ((own,), (own, other), (own,)):
            exporter.gpus = gpus
            look(exporter)
        use = pages.stop((began, time.perf_counter_ns()))
    assert use.refused
    assert use.energy.reason == (
        "server-1: its accelerators are shared with pod team/other: what each of them takes is not known"
    )


@pytest.mark.usefixtures("quick")
def test_what_was_shared_before_the_window_does_not_count() -> None:
    own, former = Gpu(0, "server-1"), Gpu(0, "former")
    with dcgm_exporter((own, former), 0.1) as exporter:
        pages = pages_at(exporter)

        def window() -> AcceleratorUse:
            exporter.gpus = (own, former)
            pages.start()
            exporter.gpus = (own,)
            look(exporter)
            began = time.perf_counter_ns()
            time.sleep(1.0)
            use = pages.stop((began, time.perf_counter_ns()))
            assert not use.refused
            return use

        compared(window, has_figures)


@pytest.mark.usefixtures("quick")
def test_a_mapping_that_is_gone_at_the_end_costs_no_more_than_the_end() -> None:
    with dcgm_exporter((Gpu(0, "server-1"),), 0.1) as exporter:
        pages = pages_at(exporter)

        def window() -> AcceleratorUse:
            exporter.gpus = (Gpu(0, "server-1"),)
            began = time.perf_counter_ns()
            pages.start()
            time.sleep(1.0)
            ended = time.perf_counter_ns()
            exporter.gpus = (Gpu(0),)
            return pages.stop((began, ended))

        compared(window, has_figures)


def test_exporters_that_do_not_answer_are_waited_for_together() -> None:
    """As many as there are: what is never answered costs a few seconds at both ends of the window, and no more."""
    with listening_in_vain(40) as (port, addresses):
        pods = tuple(TelemetryPod(name=address, exporter=address) for address in addresses)
        telemetry = Telemetry(namespace="team", pods=pods, exporter_port=port)
        pages = ExporterPages(telemetry, 1, time.perf_counter_ns)
        began = time.monotonic()
        pages.start()
        use = pages.stop((0, time.perf_counter_ns()))
        assert time.monotonic() - began < 20 * LOOK_SECONDS, "one after another it would be 160 s"
    assert "answer" in (use.held.reason or "")


def test_an_hour_of_pages_is_kept_small() -> None:
    """Eight accelerators, a new collection every second."""
    seen, pod = _Seen(), PodName("team", "server-1")
    gpus, reader = [Gpu(number, "server-1") for number in range(8)], LineReader()
    tracemalloc.start()
    for second in range(600):
        seen.take(float(second), reader.samples(wanted_lines(page(gpus, second).encode())), pod)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(seen.looks) == 600
    assert kept * 6 < 8 << 20
    seen.take(600.0, reader.samples(wanted_lines(page(gpus, 599).encode())), pod)
    seen.take(601.0, reader.samples(wanted_lines(page(gpus, 599).encode())), pod)
    assert [look.seconds for look in seen.looks[-2:]] == [599, 601], "of what was seen again first and last"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page is missed for a machine that stalls."""
    for limit in ("TIMEOUT_SECONDS", "LOOK_SECONDS"):
        monkeypatch.setattr(f"perbench_bench.device.exporter_pages.{limit}", 60.0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, patient: None) -> None:  # noqa: ARG001  asked for by name
    monkeypatch.setattr("perbench_bench.device.exporter_pages.EVERY_SECONDS", 0.02)


@contextmanager
def listening_in_vain(count: int) -> Iterator[tuple[int, list[str]]]:
    """So many addresses that take connections at one port and never answer."""
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.1.1", 0)))
        port = int(first.getsockname()[1])
        addresses = [f"127.0.1.{number}" for number in range(1, count + 1)]
        for address in addresses[1:]:
            stack.enter_context(socket.create_server((address, port)))
        yield port, addresses


def assert_silent(exporter: DcgmExporter) -> None:
    asked = exporter.asked
    time.sleep(0.2)
    assert exporter.asked == asked
