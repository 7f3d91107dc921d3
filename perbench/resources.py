"""What a model's server took of its machine during a stage: memory, processor time, accelerators, energy. Part of the
stable format of results.json (`perbench.results`).

Sizes are bytes, times seconds, energy joules. `None` is "not measured", never 0.
"""

from enum import StrEnum

from perbench.base import Document


class MemoryOrigin(StrEnum):
    """Whose memory a figure is of."""

    PROCESSES = "Processes"
    DEVICE = "Device"
    DEVICE_TOTAL = "DeviceTotal"
    WORKING_SET = "WorkingSet"


class MemoryQuality(StrEnum):
    """Whether a figure was read, or computed from the model's layout."""

    MEASURED = "Measured"
    MODELLED = "Modelled"


class MemoryRecord(Document):
    """Memory of the model's server within the window: of one server; of several replicas, of the largest."""

    origin: MemoryOrigin = MemoryOrigin.PROCESSES
    """`Processes`: the host's memory. `Device`: that of its accelerators, all of them together, added up of parts that
    the server's metrics, its requests and its files tell. `DeviceTotal`: all that is in use there, as the accelerators'
    exporter says, with activations and libraries. `WorkingSet`: the host's memory as `metrics.k8s.io` tells that of the
    server's container, with page cache in use."""
    quality: MemoryQuality | None = None
    """Of the footprint and its parts. `Modelled`: some part of it follows from the model's layout or the size of its
    files. None: there is no footprint."""
    footprint_bytes: int | None
    """What was really used, at its peak. Processes: the sum of their proportional set sizes (PSS). Device: weights, KV
    cache in use, recorded graphs. DeviceTotal: what was held, of servers that hold only what they use. WorkingSet: the
    largest of its samples."""
    reserved_bytes: int | None
    """What was held. Processes: the sum of their largest resident sizes (VmHWM). Device: weights, the whole KV cache,
    recorded graphs. DeviceTotal: memory in use on the accelerators, at its peak."""
    reserved_origin: MemoryOrigin | None = None
    """Whose memory that was, where it was read elsewhere than the footprint. None: as `origin` says."""
    anonymous_peak_bytes: int | None = None
    """Processes: peak of the sum of resident pages without a file behind them (RssAnon and RssShmem)."""
    file_peak_bytes: int | None = None
    """Processes: peak of the sum of resident pages of mapped files (RssFile). What processes share counts in each of
    them."""
    weights_bytes: int | None = None
    """Device: the weights, as the server says; else the bytes of the model's files."""
    kv_used_bytes: int | None = None
    """Device: the KV cache in use, at its peak."""
    kv_used_tokens: int | None = None
    """Device: tokens in that, where it was computed from them."""
    kv_reserved_bytes: int | None = None
    """Device: the whole KV cache, as the server says."""
    graphs_bytes: int | None = None
    """Device: recorded graphs, as the server says."""
    samples: int
    """Readings within the window."""
    source: str
    """Where it was read."""
    reserved_source: str | None = None
    """Where what was held was read, if elsewhere."""
    reason: str | None = None
    """Why there is no footprint, where there is none."""
    reserved_reason: str | None = None
    """Why it is not known what was held, where it is not."""


class ResourceUse(Document):
    """What the model's server used within the measured window, all of its replicas together. A figure that is `None`
    without a reason was not asked for: there was nobody to ask."""

    cpu_seconds: float | None = None
    """Processor time, user and system, of all processes of the server, also of those that ended within the window."""
    cpu_source: str | None = None
    """Where it was read."""
    cpu_reason: str | None = None
    """Why it is not known, where it was asked for and is not."""
    accelerator_utilization: float | None = None
    """Share of the window in which the server's accelerators were at work, 0 to 1: the mean over the window and over
    all of them."""
    accelerator_source: str | None = None
    """Where it was read, and what counts as work there."""
    accelerator_reason: str | None = None
    """Why it is not known, where it was asked for and is not."""
    energy_joules: float | None = None
    """What the server's accelerators took, all of them together, in joules. Not that of its processors."""
    energy_source: str | None = None
    """Where it was read."""
    energy_reason: str | None = None
    """Why it is not known, where it was asked for and is not."""
