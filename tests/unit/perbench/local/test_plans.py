from pathlib import Path

import pytest

from perbench.api.defaults import resolve_defaults
from perbench.api.models import Endpoint, Protocol
from perbench.api.resource import BenchmarkSpec
from perbench.api.tasks import TaskSpec
from perbench.local.plans import too_few_items, with_absolute_file, work_of
from perbench.plan import Plan
from perbench.planning import API_KEY_VARIABLE, endpoint_record, endpoint_target, keys_of, plan_of
from perbench.schedule import Launch
from perbench_bench.tasks import resolve

CHOICE = {"scorer": "Choice", "choices": ["yes", "no"]}
ITEMS = [{"input": f"Question {number}?", "answers": ["yes"]} for number in range(16)]


def spec(**load: object) -> BenchmarkSpec:
    return BenchmarkSpec.model_validate(
        {
            "models": [{"name": "m", "model": "packaged:smollm2-135m"}],
            "tasks": [
                {"name": "topics", "preset": "PackagedTopics", "limit": 16, "maxTokens": 4},
                {"name": "own", "dataset": {"inline": ITEMS, "scoring": CHOICE}, "maxTokens": 2},
            ],
            "load": {"concurrency": 4, **load},
        }
    )


ENDPOINT = Endpoint(url="http://host:8000", protocol=Protocol.OPENAI, model="served")
LAUNCH = Launch("m", 2, 0)


def test_a_plan_says_everything_and_reads_back_the_same() -> None:
    benchmark = spec(warmup={"requests": 8, "seconds": 0}, maxSeconds=60, repeats=2)
    resolved = resolve_defaults(benchmark, local=True)
    plan = plan_of("abc", LAUNCH, endpoint_target(ENDPOINT, with_key=True), resolved, benchmark.tasks, None)
    assert (plan.model, plan.round, plan.repeats) == ("m", 2, 2)
    assert (plan.load.concurrency, plan.load.max_seconds) == (4, 60)
    assert plan.load.warmup is not None
    assert (plan.load.warmup.requests, plan.load.warmup.seconds) == (8, 0)
    assert Plan.model_validate_json(plan.to_json()) == plan
    assert plan.stage_keys == keys_of(benchmark.tasks, resolved)
    assert plan.stage_keys == (("topics", 0), ("topics", 1), ("own", 0), ("own", 1))


def test_the_key_is_named_and_never_written() -> None:
    assert endpoint_target(ENDPOINT, with_key=True).api_key_variable == API_KEY_VARIABLE
    assert endpoint_target(ENDPOINT, with_key=False).api_key_variable is None


def test_only_tgi_cannot_be_told_to_go_on() -> None:
    tgi = Endpoint(url="http://host", protocol=Protocol.TGI)
    assert not endpoint_target(tgi, with_key=False).can_force_length
    assert endpoint_target(ENDPOINT, with_key=False).can_force_length


@pytest.mark.parametrize(("accelerators", "unit", "units"), [(None, "endpoint", 1), (4, "accelerator", 4)])
def test_an_endpoint_counts_by_its_accelerators_if_it_says_them(
    accelerators: int | None, unit: str, units: int
) -> None:
    record = endpoint_record("e", ENDPOINT.model_copy(update={"accelerators": accelerators}))
    assert (record.throughput_unit, record.units) == (unit, units)
    assert record.memory_basis is None
    assert record.source == {"kind": "Endpoint", "url": "http://host:8000", "protocol": "OpenAI", "model": "served"}


def test_files_are_found_from_any_directory() -> None:
    task = TaskSpec.model_validate({"name": "t", "dataset": {"file": "data/t.jsonl", "scoring": CHOICE}})
    moved = with_absolute_file(task, Path("/benchmarks"))
    assert moved.dataset is not None
    assert moved.dataset.file == "/benchmarks/data/t.jsonl"
    inline = spec().tasks[1]
    assert with_absolute_file(inline, Path("/benchmarks")) is inline


def test_a_task_with_too_few_items_is_named_with_what_it_needs() -> None:
    tasks = [resolve(task, None) for task in spec().tasks]
    assert too_few_items(tasks, 4) == ()
    lines = too_few_items(tasks, 5)
    assert len(lines) == 2
    assert lines[0].startswith("TooFewItems: task topics measures 16 items; concurrency 5 needs 20")


def test_the_work_of_a_launch_is_its_stages_with_warm_up_and_drain() -> None:
    benchmark = spec(repeats=1)
    tasks = [resolve(task, None) for task in benchmark.tasks]
    work = work_of("m", tasks, resolve_defaults(benchmark, local=True))
    assert list(work) == [("topics", 0), ("own", 0)]
    assert [stage.requests for stage in work.values()] == [2 * 4 + 16 + 4] * 2
    assert [stage.output_tokens for stage in work.values()] == [4, 2]
    # The default warm-up lasts ten seconds after a start, and not before later stages.
    assert [stage.least_seconds for stage in work.values()] == [10.0, 0.0]
