"""What a Prometheus was recorded to answer. A real one is asked in tests/charts/test_dcgm_prometheus.py."""

import json

import pytest

from perbench_bench.device.dcgm import MEMORY, Device, NoFiguresError, PodName, SharedError
from perbench_bench.device.prometheus import NoAnswerError, PrometheusApi, Series, looks_of, refuse_other_owners
from tests.support.golden import ROOT


def recorded() -> list[Series]:
    """Memory of two nodes at one moment, as samples of a range have it."""
    answer = json.loads((ROOT / "dcgm/prometheus-fb-used.json").read_text())
    return [Series(metric=each["metric"], values=(each["value"],)) for each in answer["data"]["result"]]


def test_of_sixteen_gpus_the_pods_own_is_read() -> None:
    (look,) = looks_of(recorded(), PodName("dynamo-workload", "vllm-agg-0-vllmdecodeworker-s65j5"))
    assert look.values == {(Device("GPU-c4529c8d-69c4-b61d-e0bc-7b2460096005"), MEMORY): 74166}
    assert look.seconds == 1773114089.444


def test_idle_gpus_are_not_those_of_a_pod_though_they_have_labels() -> None:
    """With honorLabels they have the exporter's own pod."""
    with pytest.raises(NoFiguresError, match="said to be of other pods"):
        looks_of(recorded(), PodName("team", "server-1"))


def test_readings_are_in_order_of_their_time() -> None:
    metric = {"__name__": MEMORY, "UUID": "GPU-1", "exported_namespace": "team", "exported_pod": "p", "pod": "exporter"}
    first, second = (
        Series(metric=metric, values=((20.0, 5.0), (30.0, 6.0))),
        Series(metric=metric, values=((10.0, 4.0),)),
    )
    found = [(look.seconds, *look.values.values()) for look in looks_of([first, second], PodName("team", "p"))]
    assert found == [(10, 4), (20, 5), (30, 6)]


def of_gpu(pod: str, *moments: float, **labels: str) -> Series:
    metric = {"__name__": MEMORY, "UUID": "GPU-1", "namespace": "team", "pod": pod, **labels}
    return Series(metric=metric, values=tuple((moment, 5.0) for moment in moments))


def test_another_pod_at_the_same_reading_shares_the_device() -> None:
    own = PodName("team", "p")
    with pytest.raises(SharedError, match="shared with pod team/other"):
        refuse_other_owners([of_gpu("p", 10, 20, 30), of_gpu("other", 20)], own)
    refuse_other_owners([of_gpu("p", 20, 30), of_gpu("other", 10)], own)  # it had it before
    refuse_other_owners([of_gpu("p", 20, 30, GPU_I_ID="1"), of_gpu("other", 20, GPU_I_ID="2")], own)


def test_questions_end_when_their_time_is_over() -> None:
    with pytest.raises(NoAnswerError, match=r"127\.0\.0\.1:1/p/api/v1/query took longer than 0 s in all"):
        PrometheusApi("http://127.0.0.1:1/p/", patience=0.0).query("up", 0.0)
