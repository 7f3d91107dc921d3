"""The record of a server's devices, out of what its metrics said, its requests held, and its files are like. Pure.

Footprint = weights + KV cache in use + graphs, of all ranks together. Each part comes from the best source that there
is; a part that has none leaves no figure, and says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perbench.plan import DeviceMemory
from perbench.resources import MemoryOrigin, MemoryQuality, MemoryRecord
from perbench_bench.device.kv_layout import NoLayoutError, bytes_per_token, config_type, element_bytes
from perbench_bench.device.runtimes import RuntimeFigures

METRICS = "the server's metrics"


@dataclass(frozen=True)
class ModelFiles:
    """What is known of the files that the server has loaded."""

    weight_bytes: int | None = None
    config: Mapping[str, Any] | None = None
    """config.json."""
    reason: str = "the model's files are not at the hub"
    """Why one of them is not known."""


@dataclass(frozen=True)
class ServerSeen:
    """One server in a window."""

    readings: Sequence[RuntimeFigures] = ()
    """Within the window."""
    before: RuntimeFigures = field(default_factory=RuntimeFigures)
    """Before it: what does not change is known from there, too."""
    running_tokens: int | None = None
    """The most that its requests held at once. None: not known, or not asked for."""

    @property
    def latest(self) -> RuntimeFigures:
        """The last reading."""
        return self.readings[-1] if self.readings else self.before


@dataclass(frozen=True)
class Part:
    """A part of the footprint. Without bytes: why."""

    source: str
    """Where it comes from; the reason, where there are no bytes."""
    bytes: int | None = None
    modelled: bool = True
    tokens: int | None = None


def record_of(servers: Mapping[str, ServerSeen], files: ModelFiles, known: DeviceMemory) -> MemoryRecord:
    """Of the largest of these servers, by address. One whose footprint is not known leaves it unknown for all."""
    records = {address: of_server(seen, files, known) for address, seen in servers.items()}
    if not records:
        return _without("the model has no address")
    missing = next((address for address, record in records.items() if record.footprint_bytes is None), None)
    if missing is not None:
        return records[missing].model_copy(update={"reason": f"{missing}: {records[missing].reason}"})
    largest = max(records.values(), key=lambda record: record.footprint_bytes or 0)
    several = f" (the largest of {len(records)} replicas)" if len(records) > 1 else ""
    return largest.model_copy(update={"source": largest.source + several})


def of_server(seen: ServerSeen, files: ModelFiles, known: DeviceMemory) -> MemoryRecord:
    """Of one server."""
    latest = seen.latest
    weights, cache = _weights(latest, files, known), _cache(seen, files, known)
    graphs = _of_all_ranks(latest.graphs, latest, known)
    missing = [f"{name}: {part.source}" for name, part in (("weights", weights), ("KV cache", cache)) if not part.bytes]
    footprint = None if missing else (weights.bytes or 0) + (cache.bytes or 0) + (graphs or 0)
    modelled = weights.modelled or cache.modelled
    reserved = _reserved(latest, known)
    return MemoryRecord(
        origin=MemoryOrigin.DEVICE,
        quality=None if footprint is None else MemoryQuality.MODELLED if modelled else MemoryQuality.MEASURED,
        footprint_bytes=footprint,
        reserved_bytes=reserved,
        weights_bytes=weights.bytes,
        kv_used_bytes=cache.bytes,
        kv_used_tokens=cache.tokens,
        kv_reserved_bytes=_of_all_ranks(latest.cache, latest, known),
        graphs_bytes=graphs,
        samples=len(seen.readings),
        source=f"weights: {weights.source}; KV cache: {cache.source}",
        reason="; ".join(missing) or None,
        reserved_reason=None if reserved is not None else f"{latest.server} does not say how much it holds",
    )


def _weights(latest: RuntimeFigures, files: ModelFiles, known: DeviceMemory) -> Part:
    if latest.weights is not None:
        all_speak = latest.ranks >= known.accelerators
        some = "" if all_speak else f", which show {latest.ranks} of {known.accelerators} ranks"
        return Part(METRICS + some, _of_all_ranks(latest.weights, latest, known), modelled=not all_speak)
    if files.weight_bytes is None:
        return Part(f"{latest.server} does not say, and the size of its files is not known: {files.reason}")
    unlike = known.unlike_files or _other_elements(files, known)
    if unlike is not None:
        return Part(f"{latest.server} does not say, and its files are of another size: {unlike}")
    return Part("as large as their files", files.weight_bytes)


def _cache(seen: ServerSeen, files: ModelFiles, known: DeviceMemory) -> Part:
    latest = seen.latest
    use = max((reading.use or 0.0 for reading in seen.readings), default=0.0)  # 0: no reading fell into a request
    whole = _of_all_ranks(latest.cache, latest, known)
    obstacle = next((reading.obstacle for reading in (*seen.readings, seen.before) if reading.obstacle), None)
    if whole is not None and use and obstacle is None:
        return Part(METRICS, round(use * whole), modelled=latest.ranks < known.accelerators)
    counted = max((reading.tokens or 0 for reading in seen.readings), default=0)
    tokens = counted or seen.running_tokens
    if not tokens:
        return Part(f"{latest.server} does not say how many tokens it kept, and its requests do not either")
    refused = obstacle or known.unlike_config or (files.reason if files.config is None else None)
    try:
        each = 0 if refused else bytes_per_token(files.config or {}, told=known.element_type, ranks=known.accelerators)
    except NoLayoutError as error:
        refused = str(error)
    if refused:
        return Part(f"bytes of a token are not known: {refused}", tokens=tokens)
    which = METRICS if counted else "the requests under way"
    return Part(f"tokens by {which} x {each} bytes by config.json", tokens * each, tokens=tokens)


def _reserved(latest: RuntimeFigures, known: DeviceMemory) -> int | None:
    if latest.weights is None or latest.cache is None:
        return None
    return _of_all_ranks(latest.weights + latest.cache + (latest.graphs or 0), latest, known)


def _of_all_ranks(bytes_: int | None, latest: RuntimeFigures, known: DeviceMemory) -> int | None:
    """Ranks that do not speak are taken to hold as much as those that do."""
    if bytes_ is None or not 0 < latest.ranks < known.accelerators:
        return bytes_
    return round(bytes_ * known.accelerators / latest.ranks)


def _other_elements(files: ModelFiles, known: DeviceMemory) -> str | None:
    """Why the server's numbers are longer or shorter than those in the files."""
    config = files.config or {}
    kept = config_type(config)
    if config.get("quantization_config") or kept is None:
        return None
    try:
        alike = element_bytes(config, str(kept)) == element_bytes(config, known.element_type)
    except NoLayoutError as error:
        return str(error)
    return None if alike else f"they hold {kept}, and the server computes in {known.element_type}"


def _without(reason: str) -> MemoryRecord:
    return MemoryRecord(
        origin=MemoryOrigin.DEVICE, footprint_bytes=None, reserved_bytes=None, samples=0, source=METRICS, reason=reason,
        reserved_reason=reason,
    )  # fmt: skip
