"""Published expositions of dcgm-exporter, and what is made of them by hand."""

import re

import pytest

from perbench_bench.device.dcgm import (
    BUSY,
    ENERGY,
    ENGINE,
    MEMORY,
    POWER,
    Device,
    LineReader,
    NoFiguresError,
    PodName,
    Values,
    devices_of,
    values_of,
    wanted_lines,
)
from perbench_bench.server_metrics import samples_of
from tests.support.golden import ROOT

POD = PodName("dynamo-workload", "vllm-agg-0-vllmdecodeworker-s65j5")
SERVER = PodName("team", "server")
H100 = Device("GPU-c4529c8d-69c4-b61d-e0bc-7b2460096005")


def recorded(name: str) -> str:
    return (ROOT / "dcgm" / f"{name}.txt").read_text()


def values(text: str, pod: PodName = SERVER) -> Values:
    return values_of(samples_of(wanted_lines(text.encode())), pod)


def with_pod(text: str, labels: str = 'namespace="team",pod="server"') -> str:
    """The same, of a pod's GPUs."""
    return re.sub(r"\} ", f",{labels}}} ", text)


def test_of_eight_gpus_the_pods_own_is_read() -> None:
    found = values(recorded("8xh100-one-gpu-with-pod"), POD)
    assert devices_of(found) == (H100,)
    assert (found[H100, POWER], found[H100, BUSY]) == (113.611, 0)


def test_a_pod_of_the_same_name_in_another_namespace_is_another() -> None:
    with pytest.raises(NoFiguresError, match="said to be of other pods"):
        values(recorded("8xh100-one-gpu-with-pod"), PodName("default", POD.name))


@pytest.mark.parametrize(
    "labels",
    [
        'namespace="team",pod="server"',
        'pod_namespace="team",pod_name="server"',
        'exported_namespace="team",exported_pod="server",exported_container="main",namespace="gpus",pod="exporter-1"',
        'pod_namespace="team",pod_name="server",namespace="gpus",pod="exporter-1"',
    ],
)
def test_every_spelling_of_the_labels_is_read(labels: str) -> None:
    found = values(with_pod(recorded("t4-samples-only-busy"), labels))
    (device,) = devices_of(found)
    assert (found[device, MEMORY], found[device, BUSY]) == (5120, 91)
    assert (found[device, POWER], found[device, ENERGY]) == (68.244, 15152422938)


def test_help_and_types_are_left_out() -> None:
    found = values(with_pod(recorded("l4-full")))
    (device,) = devices_of(found)
    assert found[device, ENERGY] == 4742776


def test_the_exporters_own_pod_is_nobody_elses() -> None:
    """As Prometheus has an idle GPU, with honorLabels on and off."""
    for labels in (
        'namespace="gpus",pod="exporter-1"',
        'exported_pod="",exported_namespace="",namespace="gpus",pod="e"',
    ):
        with pytest.raises(NoFiguresError, match="said to be of other pods"):
            values(with_pod(recorded("t4-samples-only-busy"), labels))


def test_an_instance_is_not_added_to_its_whole() -> None:
    parts = with_pod(recorded("a100-mig-whole-gpu-and-instance"))
    found = values(parts)
    (device,) = devices_of(found)
    assert device.instance == "13"
    assert found[device, ENGINE] == 0.995687
    assert {name for _, name in found} == {ENGINE}, "memory, power and energy are those of the whole device"


@pytest.mark.parametrize("name", [POWER, ENERGY, BUSY])
def test_what_an_instance_has_no_figure_of_its_own_for_is_left_out(name: str) -> None:
    labels = 'gpu="0",UUID="GPU-1",GPU_I_ID="3",namespace="team",pod="server"'
    found = values(f"{name}{{{labels}}} 50\n{MEMORY}{{{labels}}} 2048\n")
    assert found == {(Device("GPU-1", "3"), MEMORY): 2048}


@pytest.mark.parametrize(
    "blank", ["9223372036854775794", "9223372036854775792", "2147483632", "140737488355328.0", "NaN"]
)
def test_a_blank_value_is_no_figure(blank: str) -> None:
    labels = 'gpu="0", UUID="GPU-1", namespace="team", pod="server"'
    found = values(f"{MEMORY}{{{labels}}} {blank}\n{POWER}{{{labels}}} 70\n")
    assert found == {(Device("GPU-1"), POWER): 70}


def test_spaces_after_commas_and_a_recorded_blank_are_read() -> None:
    text = with_pod(recorded("readme-blank-value")).replace("MEMORY_TEMP", "FB_USED")
    found = values(text)
    assert {name for _, name in found} == {"DCGM_FI_DEV_SM_CLOCK"}


def test_a_virtual_gpu_shows_memory_without_power() -> None:
    found = values(with_pod(recorded("vgpu-grid-a100-40c")))
    assert {name for _, name in found} >= {MEMORY, BUSY}
    assert not {name for _, name in found} & {POWER, ENERGY}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (recorded("l4-full"), "switch the exporter's Kubernetes mapping on"),
        (recorded("readme-empty-pod-labels"), "switch the exporter's Kubernetes mapping on"),
        (with_pod(recorded("l4-full"), 'namespace="team",pod="other"'), "said to be of other pods"),
        ("process_cpu_seconds_total 3\n", "there are no metrics of dcgm-exporter"),
        ("", "there are no metrics of dcgm-exporter"),
    ],
)
def test_where_nothing_is_the_pods_it_says_why(text: str, said: str) -> None:
    with pytest.raises(NoFiguresError, match=said):
        values(text)


def test_a_device_of_two_pods_is_nobodys_figure() -> None:
    text = with_pod(recorded("t4-samples-only-busy"))
    with pytest.raises(NoFiguresError, match="shared with pod team/other"):
        values(text + with_pod(recorded("t4-samples-only-busy"), 'namespace="team",pod="other"'))
    with pytest.raises(NoFiguresError, match="shared by time"):
        values(with_pod(recorded("t4-samples-only-busy"), 'vgpu="1",namespace="team",pod="server"'))


@pytest.mark.parametrize("name", ["8xh100-one-gpu-with-pod", "l4-full", "a100-mig-whole-gpu-and-instance"])
def test_page_after_page_is_read_as_each_alone(name: str) -> None:
    reader, lines = LineReader(), wanted_lines(recorded(name).encode())
    later = re.sub(rb" \S+$", b" 7 1700000000000", lines, flags=re.MULTILINE)
    for page in (lines, later, lines):
        assert reader.samples(page) == {
            name: [each._replace(timestamp=None) for each in samples] for name, samples in samples_of(page).items()
        }


@pytest.mark.parametrize("line", [b"DCGM_FI_DEV_FB_USED{", b'DCGM_FI_DEV_FB_USED{a="b"} many'])
def test_what_is_no_line_of_an_exposition_is_an_error(line: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        LineReader().samples(line + b"\n")
