"""A stage as a bench pod measures it, against a scripted model on loopback that stands for one on accelerators."""

import asyncio
from collections.abc import Callable

from perbench.api.models import Protocol
from perbench.api.tasks import TaskSpec
from perbench.plan import LoadPlan, MemorySource, Plan, StageKey, Target, Warmup
from perbench.results import StageRecord
from perbench_bench.device.footprint import ModelFiles
from perbench_bench.plan_run import measure, missing_stages
from perbench_bench.session import open_session
from perbench_bench.tasks import resolve
from tests.support.model_configs import LLAMA_3_8B
from tests.support.scripted_model import OUTPUT_TOKENS, ScriptedModel, scripted_model

GIB = 1 << 30
CONCURRENCY, ITEMS = 4, 32
FILES = ModelFiles(16 * GIB, LLAMA_3_8B)


class Kept:
    """A store that holds what it is given."""

    def __init__(self) -> None:
        self.stages: list[StageRecord] = []

    async def recorded(self) -> tuple[StageKey, ...]:
        """Nothing yet."""
        return ()

    async def store(self, record: StageRecord) -> None:
        """Hold it."""
        self.stages.append(record)


def measured_stage(page: Callable[[ScriptedModel], str], memory: MemorySource) -> StageRecord:
    """The record of one stage."""
    items = [{"input": f"question {number}", "answers": ["word"]} for number in range(ITEMS)]
    dataset = {"inline": items, "scoring": {"scorer": "Contains"}}
    task = TaskSpec.model_validate({"name": "words", "dataset": dataset, "maxTokens": OUTPUT_TOKENS})
    with scripted_model(page) as server:
        plan = Plan(
            run_id="0123456789",
            model="m",
            round=0,
            target=Target(url=server.url, protocol=Protocol.OPENAI, model="m"),
            load=LoadPlan(concurrency=CONCURRENCY, max_seconds=60, warmup=Warmup(requests=4, seconds=0)),
            repeats=1,
            tasks=(task,),
            memory=memory,
        )
        kept = Kept()
        asyncio.run(_measured(plan, kept))
    (record,) = kept.stages
    return record


async def _measured(plan: Plan, kept: Kept) -> None:
    tasks = [resolve(task, None) for task in plan.tasks]
    session = await open_session(plan.target, plan.load, plan.seed)
    assert await measure(session, plan, missing_stages(plan, tasks, ()), kept, lambda _: None, FILES) is None
