"""A real Prometheus that reads a dcgm-exporter, and what a bench pod learns from it of a model's accelerators."""

import time
from collections.abc import Callable, Iterator

import pytest

from perbench.plan import Telemetry, TelemetryPod
from perbench_bench.device.accelerator_use import MIB, AcceleratorUse
from perbench_bench.device.prometheus import PrometheusHistory
from tests.support.dcgm_exporter import BUSY_PERCENT, FIRST_MIB, WATTS, Gpu, dcgm_exporter
from tests.support.processes import wait_until
from tests.support.prometheus import Prometheus, running
from tests.support.quiet import compared

OWN = {"namespace": "gpus", "pod": "dcgm-exporter-x", "container": "exporter", "job": "dcgm-exporter"}
"""Labels that prometheus-operator puts on a target."""
GPUS = (
    Gpu(0, "server-1"), Gpu(1, "server-1"), Gpu(2, "server-2"), Gpu(3, "server-2"), Gpu(4, "other"), Gpu(5),
    Gpu(6, "old", spelling=("pod_namespace", "pod_name")), Gpu(7, "server-1", namespace="another"),
    Gpu(8, "shared-1"), Gpu(8, "shared-2"),
)  # fmt: skip
WINDOW_SECONDS = 8


@pytest.fixture(scope="module", params=[False, True], ids=["honor_labels off", "honor_labels on"])
def prometheus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has read the exporter for a while; it collects twice in three seconds and is read every second."""
    with dcgm_exporter(GPUS, 1.5) as exporter:
        job = {
            "job_name": "dcgm", "scrape_interval": "1s", "honor_labels": request.param,
            "static_configs": [{"targets": [f"127.0.0.1:{exporter.port}"], "labels": OWN}],
        }  # fmt: skip
        with running(tmp_path_factory.mktemp("prometheus"), {"scrape_configs": [job]}) as found:
            yield found


def asked(url: str, *pods: str, accelerators: int = 2, seconds: float = WINDOW_SECONDS) -> AcceleratorUse:
    """What it says of the last seconds."""
    told = Telemetry(namespace="team", pods=tuple(TelemetryPod(name=pod) for pod in pods), prometheus_url=url)
    history = PrometheusHistory(told, accelerators, time.perf_counter_ns)
    now = time.perf_counter_ns()
    history.start()
    return history.stop((now - round(seconds * 1e9), now))


def measured(url: str, *pods: str, accelerators: int = 2) -> AcceleratorUse:
    """The same, of the first such window that it read the exporter often enough in: both may be kept waiting."""
    found: list[AcceleratorUse] = []

    def whole() -> bool:
        found.append(asked(url, *pods, accelerators=accelerators))
        return found[-1].settled

    wait_until(whole, "a window with every figure")
    return found[-1]


def said(use: Callable[[], AcceleratorUse], words: str) -> None:
    """Wait for this reason: what was not read in time is not there for a while, and that is a reason of its own."""
    wait_until(lambda: words in (use().held.reason or ""), words)


def test_the_accelerators_of_two_replicas(prometheus: Prometheus) -> None:
    def compare(use: AcceleratorUse) -> None:
        assert use.held.value is not None, use.held.reason
        collections = use.held.value / MIB / 2 - FIRST_MIB
        assert collections == int(collections), "of one pod, both devices added up"
        assert collections >= 3
        assert use.busy.value == pytest.approx(BUSY_PERCENT / 100)
        assert use.energy.value is not None, use.energy.reason
        assert 0.6 < use.energy.value / (4 * WATTS * WINDOW_SECONDS) < 1.6
        assert use.samples >= 3

    compared(lambda: measured(prometheus.url, "server-1", "server-2"), compare)


def test_an_accelerator_of_two_pods_gives_figures_of_neither(prometheus: Prometheus) -> None:
    shared = "shared-1: its accelerators are shared with pod team/shared-2: what each of them takes is not known"
    said(lambda: asked(prometheus.url, "shared-1", accelerators=1), shared)
    assert asked(prometheus.url, "shared-1", accelerators=1).refused


def test_the_old_names_of_labels_are_understood(prometheus: Prometheus) -> None:
    use = measured(prometheus.url, "old", accelerators=1)
    assert use.busy.value == pytest.approx(BUSY_PERCENT / 100)


def test_a_short_window_has_too_few_collections(prometheus: Prometheus) -> None:
    few = "within the window of 2 s, and 3 are needed"
    said(lambda: asked(prometheus.url, "server-1", seconds=1.5), few)


def test_a_pod_that_it_does_not_know_says_what_to_look_at(prometheus: Prometheus) -> None:
    unknown = (
        "missing: it has accelerators, and none by the pod's name in `pod` or `exported_pod`: does the exporter map"
        " them to pods (DCGM_EXPORTER_KUBERNETES=true)?"
    )
    said(lambda: asked(prometheus.url, "server-1", "missing"), unknown)


def test_one_that_has_no_figures_of_accelerators_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    with dcgm_exporter((), 1.0) as exporter:
        job = {
            "job_name": "dcgm",
            "scrape_interval": "1s",
            "static_configs": [{"targets": [f"127.0.0.1:{exporter.port}"]}],
        }
        with running(tmp_path_factory.mktemp("empty"), {"scrape_configs": [job]}) as found:
            said(
                lambda: asked(found.url, "server-1"),
                "server-1: it has no DCGM_FI_DEV_FB_USED: does it read dcgm-exporter?",
            )


def test_one_that_does_not_answer_is_a_reason() -> None:
    use = asked("http://127.0.0.1:1/prefix", "server-1")
    assert (use.held.reason or "").startswith("127.0.0.1:1/prefix/api/v1/query does not answer: ")


def test_what_is_no_prometheus_is_a_reason() -> None:
    with dcgm_exporter(GPUS, 1.0) as exporter:
        use = asked(f"http://127.0.0.1:{exporter.port}", "server-1")
    assert "answers HTTP 200, and not as Prometheus does" in (use.busy.reason or "")
