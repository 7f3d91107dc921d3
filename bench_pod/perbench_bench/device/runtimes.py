"""What each kind of server says of the memory of its accelerators: a class for each. Pure.

| | weights | whole KV cache | KV cache in use | graphs |
|---|---|---|---|---|
| SGLang | bytes | bytes, tokens | share of it, tokens | bytes |
| vLLM | no | blocks, tokens; bytes where they were set | share of it | no |
| TGI | no | no | no | no |
| llama-server | no | no | no | no |

So the footprint and what is held are measured of SGLang alone; of the others the footprint is modelled, and what they
hold is not known.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar

from prometheus_client.samples import Sample
from typing_extensions import override

from perbench.runtimes.metrics import LLAMA_CPP, SGLANG, TGI, VLLM, MetricNames, Spellings
from perbench_bench.server_metrics import Samples, family_of, figure_of, samples_of, series

GIB = 1 << 30
"""What SGLang calls GB: it divides by 1 << 30 throughout."""
HISTORY = "model_name"
"""A label that may have had another value before: series that differ in it alone are of one rank."""
PLAIN_CACHES = frozenset({"auto", "bfloat16", "float16", "half"})
"""vLLM's words for a KV cache of the model's own type (`auto`) or of 16 bits."""
UNKNOWN = "the server"
"""What one is called whose words nobody here knows."""
NEARLY = 1e-3
"""How far a count of blocks that was written as a share may be off a whole number."""


@dataclass(frozen=True, slots=True)
class RuntimeFigures:
    """One reading of one server. None: it does not say so. Bytes are added up over the ranks that speak."""

    server: str = UNKNOWN
    """What it is called."""
    ranks: int = 0
    """Devices that say how much they hold."""
    weights: int | None = None
    cache: int | None = None
    """The whole KV cache."""
    graphs: int | None = None
    use: float | None = None
    """The share of the KV cache that is in use."""
    tokens: int | None = None
    """Tokens in use, rounded up to blocks."""
    waiting: bool = False
    """Whether requests wait at the server."""
    obstacle: str | None = None
    """Why tokens in use cannot be turned into bytes."""

    @property
    def preallocates(self) -> bool:
        """Whether it is of a kind that takes its whole KV cache when it starts: all that are known here are."""
        return self.server != UNKNOWN


class RuntimeMemory(ABC):
    """What one kind of server says."""

    names: ClassVar[MetricNames]
    called: ClassVar[str]

    @abstractmethod
    def figures(self, samples: Samples) -> RuntimeFigures:
        """Of one reading."""


class SGLangMemory(RuntimeMemory):
    """Bytes for each rank, as gauges. A server of one tensor parallel group may let its first rank speak alone.

    On devices that torch does not allocate for (MLX) the gauges are 0, which is no figure.
    """

    names: ClassVar = SGLANG
    called: ClassVar = "SGLang"

    @override
    def figures(self, samples: Samples) -> RuntimeFigures:
        names = self.names
        used, room = (_of_first_rank(samples, found) for found in (names.used_tokens, names.cache_tokens))
        page = max(1, int(_of_first_rank(samples, names.page_tokens) or 1))
        shares = [sample.value for sample in series(samples, names.cache_use)]
        share = used / room if used is not None and room else max(shares, default=None)
        if used is None and share is not None and room is not None:
            used = share * room
        obstacle = self._obstacle(samples)
        return RuntimeFigures(
            server=self.called,
            ranks=len(_ranks(series(samples, (*names.weights_gib, *names.cache_gib)))),
            weights=_bytes(samples, names.weights_gib),
            cache=_bytes(samples, names.cache_gib),
            graphs=_bytes(samples, names.graphs_gib, zero=True),
            use=share if obstacle is None else None,
            tokens=None if used is None else ceil(used / page - NEARLY) * page,
            obstacle=obstacle,
        )

    def _obstacle(self, samples: Samples) -> str | None:
        """Why its share in use is not that of one cache."""
        names = self.names
        others = [sample for name in names.other_pools for sample in series(samples, (name,)) if sample.value > 0]
        groups = {sample.labels.get("dp_rank") for sample in series(samples, names.cache_use)}
        if others:
            return f"it keeps more than one kind of cache ({others[0].name})"
        return "it computes in several groups, each with a cache (dp_rank)" if len(groups) > 1 else None


class VLLMMemory(RuntimeMemory):
    """Blocks and tokens in the labels of an info metric, for each engine, and the share in use.

    One block stands for nothing and is left out of the share. Bytes are there only where the size of the cache was
    given in bytes (`--kv-cache-memory-bytes`), and are those of one device.
    """

    names: ClassVar = VLLM
    called: ClassVar = "vLLM"

    @override
    def figures(self, samples: Samples) -> RuntimeFigures:
        shares = {sample.labels.get("engine", ""): sample.value for sample in series(samples, self.names.cache_use)}
        engines = {sample.labels.get("engine", ""): sample.labels for sample in series(samples, self.names.cache_info)}
        used = [_vllm_tokens(labels, shares.get(engine)) for engine, labels in engines.items()]
        known = [tokens for tokens in used if tokens is not None]
        other = next((labels["cache_dtype"] for labels in engines.values() if "cache_dtype" in labels), "auto")
        given = [size for labels in engines.values() if (size := _number(labels.get("kv_cache_memory_bytes")))]
        return RuntimeFigures(
            server=self.called,
            ranks=len(given),
            cache=sum(given) or None,
            use=max(shares.values(), default=None),
            tokens=sum(known) if known and len(known) == len(used) else None,
            obstacle=None if other in PLAIN_CACHES else f"its KV cache is of another type ({other:.40})",
        )


class TGIMemory(RuntimeMemory):
    """Nothing. Its KV cache fills what is free from readiness on."""

    names: ClassVar = TGI
    called: ClassVar = "TGI"

    @override
    def figures(self, samples: Samples) -> RuntimeFigures:
        return RuntimeFigures(server=self.called)


class LlamaCppMemory(RuntimeMemory):
    """Nothing."""

    names: ClassVar = LLAMA_CPP
    called: ClassVar = "llama-server"

    @override
    def figures(self, samples: Samples) -> RuntimeFigures:
        return RuntimeFigures(server=self.called)


RUNTIMES: Sequence[RuntimeMemory] = (SGLangMemory(), VLLMMemory(), TGIMemory(), LlamaCppMemory())
"""Every kind of server whose words are understood, whoever started it."""


def figures_of(lines: bytes) -> RuntimeFigures:
    """What one reading of one server says, of the lines picked of it. Raises ValueError, as `samples_of`."""
    samples = samples_of(lines)
    family = family_of(samples)
    runtime = next((runtime for runtime in RUNTIMES if runtime.names is family), None)
    if runtime is None:
        return RuntimeFigures()
    found = runtime.figures(samples)
    return replace(found, waiting=bool(figure_of(samples, runtime.names, runtime.names.waiting)))


def _vllm_tokens(labels: dict[str, str], share: float | None) -> int | None:
    blocks, size = _number(labels.get("num_gpu_blocks")), _number(labels.get("block_size"))
    if share is None or not blocks or not size:
        return None
    room = _number(labels.get("kv_cache_size_tokens")) or blocks * size
    if room != blocks * size:  # layers of several kinds, or caches of several devices: blocks do not count tokens
        return ceil(share * room / size) * size
    for counted in (blocks - 1, blocks):
        used = share * counted
        if abs(used - round(used)) < NEARLY:
            return round(used) * size
    return ceil(share * blocks) * size


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _of_first_rank(samples: Samples, spellings: Spellings) -> float | None:
    """Ranks of one group count the same tokens."""
    found = [sample.value for sample in series(samples, spellings) if sample.labels.get("tp_rank", "0") == "0"]
    return max(found, default=None)


def _ranks(found: Sequence[Sample]) -> dict[tuple[tuple[str, str], ...], float]:
    """The figure of each rank (and phase), by its labels."""
    return {
        tuple(sorted((name, value) for name, value in sample.labels.items() if name != HISTORY)): sample.value
        for sample in found
    }


def _bytes(samples: Samples, spellings: Spellings, *, zero: bool = False) -> int | None:
    """The figures of all ranks added up. `zero`: nothing is a figure, too."""
    found = _ranks(series(samples, spellings))
    total = round(sum(found.values()) * GIB)
    return total if found and (total or zero) else None
