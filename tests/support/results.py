"""Builders of results: small, literal, without chance. What a run of the quickstart's shape would write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from perbench.api.defaults import Resolved
from perbench.api.load import PromptApi, WarmupSpec
from perbench.failures import Blame, Failure
from perbench.resources import MemoryOrigin, MemoryQuality, MemoryRecord, ResourceUse
from perbench.results import (
    ClientRecord,
    Finding,
    LaunchRecord,
    ModelRecord,
    Outcome,
    RequestColumns,
    Results,
    StageRecord,
    TaskKind,
    TaskRecord,
    TokensPerChunk,
)
from perbench.statistics import histogram

START = datetime(2026, 4, 2, 9, 30, tzinfo=UTC)
MEBIBYTE = 1024 * 1024

SATURATED = Finding(
    code="LoadGeneratorSaturated",
    invalidates=True,
    measured=1.8,
    threshold=0.5,
    unit="ms",
    rule="median error added by the client",
    advice="give the client a core of its own: fewer server threads",
)
NOT_STEADY = Finding(
    code="NotSteady",
    invalidates=False,
    measured=14.0,
    threshold=10.0,
    unit="%",
    rule="difference of the mean request duration between the halves of the window",
    advice="measure more items or warm up longer",
)

TOPICS = TaskRecord(name="topics", kind=TaskKind.CLASSIFICATION, items=24, sha256="a" * 64, max_tokens=4)
ANSWERS = TaskRecord(name="answers", kind=TaskKind.GENERATION, items=24, sha256="b" * 64, max_tokens=16)


@dataclass(frozen=True)
class Shape:
    """How a model behaves on a task: mean seconds and output tokens per request, right answers, memory."""

    seconds: float
    tokens: int
    right: int
    memory_mebibytes: float | None = 400.0
    failed: int = 0
    drift: Sequence[float] = (1.0, 1.02, 0.97)
    """Factor on the times of each round."""
    memory_drift: Sequence[float] = (0.0, 1.0, 2.0)
    """Mebibytes on top, in each round."""
    findings: Mapping[int, tuple[Finding, ...]] = field(default_factory=dict)
    """By round."""


def stage(task: TaskRecord, shape: Shape, number: int = 0, repeat: int = 0, concurrency: int = 4) -> StageRecord:
    """One stage: request i takes 0.9, 1.0 or 1.1 times the mean; `right` items score 1, the last `failed` fail."""
    n = task.items
    ok = [index < n - shape.failed for index in range(n)]
    factor = shape.drift[number % len(shape.drift)]
    seconds = [shape.seconds * factor * (0.9 + 0.1 * (index % 3)) for index in range(n)]
    window = sum(seconds) / concurrency
    return StageRecord(
        task=task.name,
        round=number,
        repeat=repeat,
        started_at=START + timedelta(minutes=number),
        concurrency=concurrency,
        warmup_requests=8,
        filler_requests=3,
        window_seconds=window,
        output_tokens_in_window=sum(ok) * shape.tokens,
        requests_in_window=sum(ok),
        requests=_columns(task, shape, ok, seconds, number),
        itl=histogram.histogram([shape.seconds * 1000 * factor / shape.tokens], [sum(ok) * (shape.tokens - 1)]),
        chunk_gap=histogram.histogram([shape.seconds * 1000 * factor / shape.tokens], [sum(ok) * (shape.tokens - 1)]),
        tokens_per_chunk=TokensPerChunk.ESTIMATED,
        tokens_per_chunk_ratio=1.0,
        memory=_memory(shape, number),
        client=CLIENT,
        findings=shape.findings.get(number, ()),
    )


def requests(e2e_ms: Sequence[float | None], **columns: Sequence[object]) -> RequestColumns:
    """Columns of requests that took `e2e_ms`; None failed. Columns that are not given hold what a plain answer has."""
    n = len(e2e_ms)
    plain: dict[str, Sequence[object]] = {
        "item": range(n),
        "outcome": [Outcome.SERVER_ERROR if time is None else Outcome.SUCCESS for time in e2e_ms],
        "sent_seconds": [0.1 * index for index in range(n)],
        "ttft_ms": [None if time is None else time / 4 for time in e2e_ms],
        "ttft_sent_ms": [None if time is None else time / 4 for time in e2e_ms],
        "connect_ms": [0.0] * n,
        "e2e_ms": e2e_ms,
        "tpot_ms": [None] * n,
        "input_tokens": [None] * n,
        "output_tokens": [None if time is None else 10 for time in e2e_ms],
        "cached_tokens": [None] * n,
        "finish": ["stop"] * n,
        "score": [1.0] * n,
        "answer": [None] * n,
    }
    return RequestColumns.model_validate({name: tuple(values) for name, values in (plain | columns).items()})


def literal_stage(task: TaskRecord, columns: RequestColumns, number: int = 0, **changes: object) -> StageRecord:
    """A stage of these requests; the window is 10 s long, and one request of 10 tokens ended in it."""
    base = stage(task, Shape(1.0, 3, 0), number)
    plain = {"requests": columns, "window_seconds": 10.0, "output_tokens_in_window": 10, "requests_in_window": 1}
    return base.model_copy(update=plain | changes)


def literal_model(*stages: StageRecord, **changes: object) -> ModelRecord:
    """A model with these stages, one launch per round."""
    numbers = sorted({entry.round for entry in stages})
    launches = tuple(
        LaunchRecord(
            round=number, order=0, ready_seconds=1.0, stages=tuple(entry for entry in stages if entry.round == number)
        )
        for number in numbers
    )
    return model("m", {}, (), rounds=0).model_copy(update={"launches": launches, **changes})


CLIENT = ClientRecord(
    error_p50_ms=0.08,
    error_p99_ms=0.4,
    error_tail_percentile=58.0,
    read_delay_p50_ms=0.03,
    run_queue_wait_ms=0.01,
    concurrency_delivered=3.99,
    cpu_ms_per_request=1.2,
    peak_rss_bytes=60 * MEBIBYTE,
)


def _columns(
    task: TaskRecord, shape: Shape, ok: Sequence[bool], seconds: Sequence[float], number: int
) -> RequestColumns:
    n = task.items
    stops = "length" if shape.tokens >= task.max_tokens else "stop"
    return RequestColumns(
        item=tuple(range(n)),
        outcome=tuple(Outcome.SUCCESS if good else Outcome.SERVER_ERROR for good in ok),
        sent_seconds=tuple(index * 0.1 for index in range(n)),
        ttft_ms=tuple(time * 250 + 1 if good else None for time, good in zip(seconds, ok, strict=True)),
        ttft_sent_ms=tuple(time * 250 if good else None for time, good in zip(seconds, ok, strict=True)),
        connect_ms=(0.0,) * n,
        e2e_ms=tuple(time * 1000 if good else None for time, good in zip(seconds, ok, strict=True)),
        tpot_ms=tuple(time * 750 / shape.tokens if good else None for time, good in zip(seconds, ok, strict=True)),
        input_tokens=tuple(40 if good else None for good in ok),
        output_tokens=tuple(shape.tokens if good else None for good in ok),
        cached_tokens=tuple(0 if good else None for good in ok),
        finish=tuple(stops if good else None for good in ok),
        score=tuple(None if task.kind == TaskKind.SYNTHETIC else float(index < shape.right) for index in range(n)),
        # One of 24 answers changes in the last round: 4.2 %, under the limit of Nondeterministic.
        answer=tuple(f"answer {index}{' again' if index == 5 and number == 2 else ''}" for index in range(n)),
    )


def _memory(shape: Shape, number: int) -> MemoryRecord:
    if shape.memory_mebibytes is None:
        return MemoryRecord(
            footprint_bytes=None,
            reserved_bytes=None,
            samples=0,
            source="none",
            reason="the server runs elsewhere, and its memory cannot be read",
        )
    peak = int((shape.memory_mebibytes + shape.memory_drift[number % len(shape.memory_drift)]) * MEBIBYTE)
    return MemoryRecord(footprint_bytes=peak, reserved_bytes=peak + 30 * MEBIBYTE, samples=40, source="smaps_rollup")


def model(
    name: str,
    shapes: Mapping[str, Shape],
    tasks: Sequence[TaskRecord] = (TOPICS, ANSWERS),
    rounds: int = 3,
    repeats: int = 1,
    **changes: object,
) -> ModelRecord:
    """A model with all stages of all rounds."""
    launches = tuple(
        LaunchRecord(
            round=number,
            order=0,
            ready_seconds=2.5 + number / 10,
            stages=tuple(stage(task, shapes[task.name], number, repeat) for task in tasks for repeat in range(repeats)),
        )
        for number in range(rounds)
    )
    record = ModelRecord(
        name=name,
        source={"kind": "Packaged", "file": "smollm2-135m-q4.gguf", "sha256": "c" * 64, "bytes": 105_454_432},
        runtime="LlamaCpp",
        substituted_for=None,
        runtime_version="b11669",
        server_arguments={"slots": 4, "threads": 1, "cacheTypeK": "f16"},
        throughput_unit="server",
        units=1,
        launches=launches,
    )
    return record.model_copy(update=changes)


def with_unloaded_stages(record: ModelRecord, factor: float, findings: tuple[Finding, ...] = ()) -> ModelRecord:
    """The model with a stage of one request at a time in each round: times are `factor` times those under load."""

    def unloaded(loaded: StageRecord) -> StageRecord:
        columns = loaded.requests.model_copy(
            update={
                "e2e_ms": tuple(time and time * factor for time in loaded.requests.e2e_ms),
                "score": (None,) * len(loaded.requests.item),
            }
        )
        return loaded.model_copy(
            update={"repeat": None, "concurrency": 1, "requests": columns, "findings": findings, "filler_requests": 0}
        )

    def of(launch: LaunchRecord) -> LaunchRecord:
        loaded = tuple(stage for stage in launch.stages if stage.repeat is not None)
        extra = tuple(unloaded(stage) for stage in loaded if stage.repeat == 0)
        return launch.model_copy(update={"stages": (*loaded, *extra)})

    return record.model_copy(update={"launches": tuple(of(launch) for launch in record.launches)})


def failed_model(name: str, failure: Failure, before: ModelRecord | None = None) -> ModelRecord:
    """A model that failed: in its first launch before it was ready, or after the launches of `before`."""
    base = before or model(name, {}, (), rounds=0)
    launches = (
        *base.launches,
        LaunchRecord(round=len(base.launches), order=0, failure=failure),
    )
    return base.model_copy(update={"name": name, "launches": launches})


def results(
    models: Sequence[ModelRecord],
    tasks: Sequence[TaskRecord] = (TOPICS, ANSWERS),
    rounds: int = 3,
    repeats: int = 1,
    per: Mapping[str, str] | None = None,
    **changes: object,
) -> Results:
    """A finished run of these models."""
    spec = {
        "models": [{"name": record.name, "model": "packaged:smollm2-135m"} for record in models],
        "serving": {"runtime": "LlamaCpp"},
        "tasks": [{"name": task.name, "preset": "PackagedTopics", "limit": task.items} for task in tasks],
        "load": {"api": "Completion", "concurrency": 4, "repeats": repeats, "warmup": {"requests": 8, "seconds": 0}},
        "execution": {"rounds": rounds},
        **({"per": dict(per)} if per else {}),
    }
    base = Results(
        name="quickstart",
        run_id="0123456789",
        spec=spec,
        resolved=Resolved(
            api=PromptApi.COMPLETION,
            concurrency=4,
            warmup=WarmupSpec(requests=8, seconds=0),
            repeats=repeats,
            max_seconds=1800,
            rounds=rounds,
            reference=str((per or {}).get("reference", models[0].name)),
        ),
        start_time=START,
        completion_time=START + timedelta(minutes=5, seconds=12),
        provenance=PROVENANCE,
        tasks=tuple(tasks),
        models=tuple(models),
    )
    return base.model_copy(update=changes)


PROVENANCE = {
    "perbench": "0.1.0",
    "python": "3.12.8",
    "platform": "Linux-6.8-x86_64",
    "cpu": "Example CPU, 2 cores",
    "cores": 2,
    "memoryBytes": 8 * 1024**3,
}

STEADY, FALLING, RISING = (1.0, 1.02, 0.97), (1.04, 1.0, 0.96), (0.98, 1.0, 1.03)
ONE_SLOT = {"topics": Shape(1.0, 3, 18, 380.0), "answers": Shape(2.0, 12, 15, 384.0)}
FOUR_SLOTS = {
    "topics": Shape(0.8, 3, 18, 410.0, drift=FALLING, memory_drift=(0.5, 0.0, 2.5)),
    "answers": Shape(1.5, 12, 15, 416.0, drift=RISING, memory_drift=(1.0, 2.0, 0.0)),
}
SMALL_CACHE = {
    "topics": Shape(0.9, 3, 17, 350.0, drift=RISING, memory_drift=(1.2, 1.8, 0.0)),
    "answers": Shape(1.8, 12, 14, 352.0, drift=FALLING, memory_drift=(0.0, 2.4, 0.6)),
}
TWO_THREADS = {
    "topics": Shape(0.7, 3, 18, 430.0, drift=RISING, memory_drift=(2.0, 0.4, 0.6)),
    "answers": Shape(1.4, 12, 15, 440.0, drift=FALLING, memory_drift=(1.6, 0.0, 1.4)),
}

NAMES = ("one-slot", "four-slots", "small-cache", "two-threads")


def four_models() -> tuple[ModelRecord, ...]:
    """The models of the succeeded run."""
    shapes = (ONE_SLOT, FOUR_SLOTS, SMALL_CACHE, TWO_THREADS)
    return tuple(model(name, shape) for name, shape in zip(NAMES, shapes, strict=True))


def succeeded() -> Results:
    """Four models, two tasks, three rounds, nothing wrong."""
    return results(four_models())


OUT_OF_MEMORY = Failure(
    blame=Blame.TARGET,
    reason="ServerExited",
    message="the server exited with code 1 while loading: failed to allocate 512 MiB for the KV cache",
    exit_code=1,
    model="two-threads",
)


def one_launch() -> Results:
    """Four models, started once, each task measured three times."""
    models = []
    for record in four_models():
        stages = (stage for launch in record.launches for stage in launch.stages)
        repeats = tuple(stage.model_copy(update={"round": 0, "repeat": stage.round}) for stage in stages)
        models.append(
            record.model_copy(update={"launches": (record.launches[0].model_copy(update={"stages": repeats}),)})
        )
    return results(models, rounds=1, repeats=3)


EVERY_SETTING = {
    "weights": {"accuracy": 2},
    "latencyBasis": "Unloaded",
    "memoryBasis": "Reserved",
    "qualityFloor": "0.6",
    "bounds": {"accuracy": {"low": 0, "high": 1}},
}


def with_every_setting() -> Results:
    """Four models with stages without load, a floor that one of them misses, weights, one fixed axis, a price, and
    what the servers used: of the host, of accelerators, of nobody known, of nobody asked."""
    host, accelerated, silent, elsewhere = (with_unloaded_stages(record, 0.5) for record in four_models())
    base = results([
        with_use(host, cpu_seconds=0.9, cpu_source="cgroup"),
        with_use(
            accelerated, cpu_source="cgroup", cpu_reason="no reading at the window's close",
            accelerator_utilization=0.875, accelerator_source="DCGM", energy_joules=310.0, energy_source="DCGM",
        ),
        with_use(silent, cpu_seconds=1.8, cpu_source="cgroup", energy_source="DCGM", energy_reason="no such device"),
        elsewhere,
    ])  # fmt: skip
    prices = {"prices": [{"unit": "server", "dollarsPerHour": "0.40"}]}
    spec = {**base.spec, "per": EVERY_SETTING, "capacity": prices}
    return base.model_copy(
        update={"spec": spec, "resolved": base.resolved.model_copy(update={"unloaded_requests": 24})}
    )


def on_accelerators() -> Results:
    """Memory of the host; measured of accelerators; modelled of accelerators; not known."""
    host, measured, modelled, silent = four_models()
    return results((
        host,
        with_memory(measured, quality=MemoryQuality.MEASURED, source="the server's metrics"),
        with_memory(
            modelled, quality=MemoryQuality.MODELLED, reserved_bytes=None,
            reserved_reason="vLLM does not say how much it holds",
            source="weights: as large as their files; KV cache: tokens by the server's metrics x 131072 bytes",
        ),
        with_memory(
            silent, quality=None, footprint_bytes=None, reserved_bytes=None,
            reason="KV cache: bytes of a token are not known: its attention is latent (MLA)",
            reserved_reason="vLLM does not say how much it holds",
        ),
    ))  # fmt: skip


def with_memory(record: ModelRecord, **changes: object) -> ModelRecord:
    """The model on accelerators, all its memory records changed."""
    launches = []
    for launch in record.launches:
        stages = tuple(_with_memory(stage, changes) for stage in launch.stages)
        launches.append(launch.model_copy(update={"stages": stages}))
    return record.model_copy(update={"launches": tuple(launches)})


def _with_memory(entry: StageRecord, changes: Mapping[str, object]) -> StageRecord:
    assert entry.memory is not None
    memory = entry.memory.model_copy(update={"origin": MemoryOrigin.DEVICE, **changes})
    return entry.model_copy(update={"memory": memory})


def with_use(record: ModelRecord, **per_second: float | str) -> ModelRecord:
    """The model with what its server used: seconds and joules for each second of the window, shares as they are."""

    def used(entry: StageRecord) -> StageRecord:
        totals = {"cpu_seconds", "energy_joules"}
        figures = {
            name: value * entry.window_seconds if name in totals and isinstance(value, float) else value
            for name, value in per_second.items()
        }
        return entry.model_copy(update={"use": ResourceUse.model_validate(figures)})

    launches = tuple(
        launch.model_copy(update={"stages": tuple(map(used, launch.stages))}) for launch in record.launches
    )
    return record.model_copy(update={"launches": launches})


def with_failed_model() -> Results:
    """The last of four models never became ready."""
    return results((*four_models()[:3], failed_model("two-threads", OUT_OF_MEMORY)))


def with_invalid_stage() -> Results:
    """The load generator was starved in one of three rounds of one model on one task."""
    starved = {**FOUR_SLOTS, "answers": replace(FOUR_SLOTS["answers"], findings={1: (SATURATED,)})}
    models = list(four_models())
    models[1] = model("four-slots", starved)
    return results(models)


def one_model() -> Results:
    """A single model: nothing to compare it with."""
    return results((model("one-slot", ONE_SLOT),))


def interrupted() -> Results:
    """Stopped in the third round: two of four models are not at their end."""
    models = list(four_models())
    for index in (2, 3):
        models[index] = models[index].model_copy(update={"launches": models[index].launches[:2]})
    return results(models, completion_time=None, interrupted=True)


def long_names() -> Results:
    """Names of the greatest length, without a place to break them, and the greatest figures."""
    task = TOPICS.model_copy(update={"name": "t" * 40})
    shapes = [Shape(12_345.6 * (number + 1), 3, 18, 1_234_567.0 * (number + 1)) for number in range(4)]
    models = [model(letter * 40, {task.name: shape}, (task,)) for letter, shape in zip("abcd", shapes, strict=True)]
    return results(models, (task,), name="n" * 253)


HOSTILE = '<script>alert("x")</script>{{ 7*7 }}\x1b[31m\u202e&'


def hostile() -> Results:
    """Names, answers, messages and provenance that try to be more than text."""
    first, *others = four_models()[:3]
    good = [first, *(record.model_copy(update={"name": f"{record.name} {HOSTILE}"}) for record in others)]
    failure = Failure(blame=Blame.TARGET, reason="ServerExited", message=HOSTILE, exit_code=1)
    base = results((*good, failed_model(HOSTILE, failure)))
    finding = NOT_STEADY.model_copy(update={"rule": HOSTILE, "advice": HOSTILE, "unit": "<b>"})
    launch = good[0].launches[0]
    noted = launch.model_copy(
        update={"stages": tuple(s.model_copy(update={"findings": (finding,)}) for s in launch.stages)}
    )
    models = (good[0].model_copy(update={"launches": (noted, *good[0].launches[1:])}), *base.models[1:])
    return base.model_copy(
        update={"name": HOSTILE, "models": models, "provenance": {HOSTILE: HOSTILE, "list": [HOSTILE, {"a": HOSTILE}]}}
    )
