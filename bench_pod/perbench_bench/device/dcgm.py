"""What NVIDIA's exporter (dcgm-exporter) says of the accelerators of a pod. Pure.

Read in its documentation, its source (internal/pkg/transformation) and in published expositions, tests/golden/dcgm:

- A sample is of a pod by its labels `namespace` and `pod`; `pod_namespace` and `pod_name` with --use-old-namespace;
  behind a Prometheus that does not honour them `exported_namespace` and `exported_pod`; `pod` is then the exporter's.
- An accelerator without a pod has no such labels, or empty ones; behind a Prometheus that honours them, the exporter's.
- With MIG there are samples of each instance (`GPU_I_ID`) beside those of the whole device, under one UUID.
- A figure that DCGM does not have is a number all the same: one of its blank values.
- A device that several pods share by time has one sample for each (`vgpu`), all with the figures of the whole device.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.samples import Sample

from perbench_bench.server_metrics import Samples, samples_of

PORT = 9400
MEMORY = "DCGM_FI_DEV_FB_USED"
"""MiB in use. What the driver keeps for itself is apart (FB_RESERVED), and not counted."""
BUSY = "DCGM_FI_DEV_GPU_UTIL"
"""Percent of the time in which any kernel ran, over the last sampling period of the driver. Not of MIG instances."""
ENGINE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
"""The same as a share, over the time since the last collection; of MIG instances too."""
ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
"""mJ since the driver was loaded, of the whole device."""
POWER = "DCGM_FI_DEV_POWER_USAGE"
"""W, of the whole device."""
PULSE = ("DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_SM_CLOCK")
"""Read only because they change: by that one sees that the exporter has collected anew."""
LARGEST: Mapping[str, float] = {MEMORY: 1 << 24, BUSY: 100.0, ENGINE: 1.01, ENERGY: 1e15, POWER: 1e5}
"""What is beyond it is no figure."""
NAMES = (*LARGEST, *PULSE)
OF_INSTANCES = frozenset({MEMORY, ENGINE, *PULSE})
"""What a MIG instance has a figure of its own for."""
BLANK_64, BLANK_FLOAT, BLANK_32 = 0x7FFFFFFFFFFFFFF0, 140737488355328.0, 0x7FFFFFF0
"""The first of DCGM's blank values of each type; three others follow it (not found, not supported, not permitted)."""
BLANKS = 4
SERIES_KNOWN = 4096

_OWNERS = (("exported_namespace", "exported_pod"), ("pod_namespace", "pod_name"), ("namespace", "pod"))
_WANTED = re.compile(rb"^(?:%s)[{ ][^\n]*" % b"|".join(name.encode() for name in NAMES), re.MULTILINE)


class NoFiguresError(Exception):
    """The exporter has no figures of a pod; says why."""


class SharedError(NoFiguresError):
    """A pod's accelerators are others' too, so that no figure of them is its own."""


@dataclass(frozen=True, slots=True)
class PodName:
    """Which pod."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True, order=True)
class Device:
    """An accelerator, or a part of one."""

    uuid: str
    instance: str = ""
    """Of MIG. Empty: the whole device."""


Values = Mapping[tuple[Device, str], float]
"""By device and metric, in the exporter's units."""


def wanted_lines(body: bytes) -> bytes:
    """The lines of an exposition that are read, without comments. Cheap: for while a load runs."""
    return b"\n".join(_WANTED.findall(body)) + b"\n"


class LineReader:
    """Understands page after page of one exporter, cheaply: from page to page only the values change, so that what
    stands before them is parsed once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Sample] = {}

    def samples(self, lines: bytes) -> Samples:
        """The samples in what `wanted_lines` picked. Raises ValueError: a line is none of the exposition format."""
        found: dict[str, list[Sample]] = {}
        for line in filter(None, lines.split(b"\n")):
            end = line.rfind(b"}") + 1 or line.find(b" ")
            series, value = line[:end], line[end:].split()  # a timestamp may follow
            sample = self._series(series)
            found.setdefault(sample.name, []).append(Sample(sample.name, sample.labels, float(value[0])))
        return found

    def _series(self, series: bytes) -> Sample:
        known = self._known.get(series)
        if known is None:
            ((known,),) = samples_of(series + b" 0\n").values()
            if len(self._known) >= SERIES_KNOWN:  # pods come and go, and their names with them
                self._known.clear()
            self._known[series] = known
        return known


def owner(labels: Mapping[str, str]) -> PodName | None:
    """The pod that a sample is of. None: of none."""
    for namespace, pod in _OWNERS:
        if labels.get(pod):
            return PodName(labels.get(namespace, ""), labels[pod])
    return None


def values_of(samples: Samples, pod: PodName) -> Values:
    """The figures of one pod's accelerators at one moment. Raises NoFiguresError."""
    every = [sample for name in NAMES for sample in samples.get(name, ())]
    own = [sample for sample in every if owner(sample.labels) == pod]
    if not own:
        raise NoFiguresError(_nobody(every))
    refuse_shared(every, own)
    parted = {_device(sample).uuid for sample in own if _device(sample).instance}
    found: dict[tuple[Device, str], float] = {}
    for sample in own:
        device = _device(sample)
        whole_of_parts = device.uuid in parted and not device.instance
        if not whole_of_parts and _is_figure(sample, device):
            key = (device, sample.name)
            found[key] = max(sample.value, found.get(key, sample.value))
    return found


def refuse_shared(every: Sequence[Sample], own: Sequence[Sample]) -> None:
    """Raise SharedError where others compute on the accelerators that a pod's own samples are of."""
    devices, mine = {_device(sample) for sample in own}, owner(own[0].labels)
    others = {owner(sample.labels) for sample in every if _device(sample) in devices} - {mine, None}
    other = next(iter(sorted(f"{one.namespace}/{one.name}" for one in others if one)), None)
    if other is not None:
        raise SharedError(f"its accelerators are shared with pod {other}: what each of them takes is not known")
    if any(sample.labels.get("vgpu") for sample in own):
        raise SharedError("its accelerators are shared by time: what each pod takes of them is not known")


def devices_of(values: Values) -> tuple[Device, ...]:
    """The accelerators that have figures, in order."""
    return tuple(sorted({device for device, _ in values}))


def _is_figure(sample: Sample, device: Device) -> bool:
    if device.instance and sample.name not in OF_INSTANCES:
        return False
    value = sample.value
    blank = value >= BLANK_64 or any(first <= value < first + BLANKS for first in (BLANK_32, BLANK_FLOAT))
    return not blank and 0 <= value <= LARGEST.get(sample.name, BLANK_64)


def _device(sample: Sample) -> Device:
    labels = sample.labels
    return Device(
        labels.get("UUID") or f"{labels.get('Hostname', '')}/{labels.get('gpu', '')}", labels.get("GPU_I_ID", "")
    )


def _nobody(every: Sequence[Sample]) -> str:
    if not every:
        return f"there are no metrics of dcgm-exporter ({MEMORY} …)"
    if all(owner(sample.labels) is None for sample in every):
        return (
            "no accelerator is said to be of any pod: switch the exporter's Kubernetes mapping on "
            "(DCGM_EXPORTER_KUBERNETES=true)"
        )
    return "its accelerators are said to be of other pods"
