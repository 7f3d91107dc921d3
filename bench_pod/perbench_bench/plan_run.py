"""The stages of one plan against a server that answers, one after the other; where they go is the store's affair."""

from collections.abc import Callable, Collection, Sequence

from perbench.failures import Failure
from perbench.plan import Plan, StageKey
from perbench.progress import Progress
from perbench_bench.api_server import ApiServer
from perbench_bench.device.footprint import ModelFiles
from perbench_bench.memory_source import memory_of
from perbench_bench.onlooker import Onlooker, nobody
from perbench_bench.prompts import few_items, fit_prompt_length, fit_record, requests_of_items, synthetic_requests
from perbench_bench.session import Session
from perbench_bench.stage import run_stage
from perbench_bench.stage_plan import StagePlace, StagePlan
from perbench_bench.stage_store import StageStore
from perbench_bench.tasks import ResolvedTask
from perbench_bench.tasks.synthetic import LengthFit, prompt
from perbench_bench.unloaded import unloaded_load, unloaded_task, with_items_of

PREFLIGHT_TOKENS = 8
UNKNOWN_FILES = ModelFiles()

Stage = tuple[ResolvedTask, int | None]
"""A task and its repeat; None: the extra stage of one request at a time."""


def missing_stages(plan: Plan, tasks: Sequence[ResolvedTask], recorded: Collection[StageKey]) -> tuple[Stage, ...]:
    """The stages that are still to be measured, in order."""
    by_name = {task.name: task for task in tasks}
    return tuple((by_name[name], repeat) for name, repeat in plan.stage_keys if (name, repeat) not in recorded)


def too_few(plan: Plan, missing: Sequence[Stage]) -> Failure | None:
    """Why no load can be made of a task, if one has too few items."""
    refused = (few_items(task.count, plan.load.concurrency) for task, _ in missing)
    return next((failure for failure in refused if failure), None)


def preflight_prompt(session: Session, missing: Sequence[Stage]) -> str:
    """What the preflight asks: something of the first stage's kind."""
    task = missing[0][0]
    return task.items[0].prompt if task.synthetic is None else prompt(session.seed, 0, 16)


async def measure(
    session: Session,
    plan: Plan,
    missing: Sequence[Stage],
    store: StageStore,
    report: Callable[[Progress], None],
    files: ModelFiles = UNKNOWN_FILES,
    onlooker: Onlooker = nobody,
    api: ApiServer | None = None,
) -> Failure | None:
    """Measure and keep all of them. `api`: the API server, in a cluster.

    Returns the failure that ended it, None when all are kept. Raises RunError.
    """
    memory = memory_of(plan.memory, session.addresses, files, session.clock, api)
    fits: dict[str, LengthFit] = {}
    for number, (task, repeat) in enumerate(missing):
        if task.synthetic is not None and task.name not in fits:
            fits[task.name] = await fit_prompt_length(session, task)
        place = StagePlace(plan.round, repeat, first=number == 0)
        stage = stage_plan(session, plan, task, place, fits.get(task.name))
        result = await run_stage(session, stage, memory, report, onlooker)
        if result.aborted:
            return result.aborted
        await store.store(with_items_of(result.record, task))
    return None


def stage_plan(session: Session, plan: Plan, task: ResolvedTask, place: StagePlace, fit: LengthFit | None) -> StagePlan:
    """What one stage sends; `fit` where the task is synthetic."""
    unloaded = plan.unloaded_requests if place.repeat is None else None
    put = task if unloaded is None else unloaded_task(task, unloaded)
    if task.synthetic is not None and fit is not None:
        words = fit.words_for(task.synthetic.input_tokens)
        block = plan.repeats if place.repeat is None else place.repeat
        requests = synthetic_requests(session, task, words, block, put.count)
    else:
        requests = requests_of_items(session, put)
    return StagePlan(
        task=put,
        place=place,
        load=plan.load if unloaded is None else unloaded_load(plan.load),
        requests=requests,
        prompt_fit=fit_record(fit) if fit else {},
        judge_steadiness=unloaded is None,
    )
