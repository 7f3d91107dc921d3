"""`perbench-bench PLAN.json --output DIR`: all stages of one model in one round, one file per finished stage.

Exit 0: every stage is recorded. 4: stopped, DIR/failure.json says why. 2: bad plan. 130: interrupted.
"""

import argparse
import asyncio
import signal
import sys
import traceback
from pathlib import Path

import uvloop
from pydantic import ValidationError

from perbench.failures import Blame, Failure, RunError, UsageError, shorten
from perbench.files import write_atomically
from perbench.plan import Plan
from perbench.progress import Progress
from perbench_bench.memory import MemoryReader
from perbench_bench.prompts import StageRequests, few_items, fit_prompt_length, requests_of_items, synthetic_requests
from perbench_bench.session import Session, open_session, preflight
from perbench_bench.stage import StagePlace, StagePlan, run_stage
from perbench_bench.tasks import ResolvedTask, resolve
from perbench_bench.tasks.synthetic import LengthFit, synthetic_prompt

INTERRUPTED = 130
PREFLIGHT_TOKENS = 8


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="perbench-bench", description="Run the stages of one plan.")
    parser.add_argument("plan", type=Path, help="the plan (JSON)")
    parser.add_argument("--output", type=Path, required=True, help="directory for one file per finished stage")
    arguments = parser.parse_args()
    try:
        plan = read_plan(arguments.plan)
        tasks = [resolve(task, arguments.plan.parent) for task in plan.tasks]
    except UsageError as error:
        sys.stderr.write(f"perbench-bench: {error}\n")
        sys.exit(error.exit_code)
    sys.exit(uvloop.run(_run_until_signal(plan, tasks, arguments.output)))


def read_plan(path: Path) -> Plan:
    """Read a plan. Raises UsageError."""
    try:
        return Plan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise UsageError(f"{path}: not a plan: {where}: {first['msg']}") from error


async def _run_until_signal(plan: Plan, tasks: list[ResolvedTask], output: Path) -> int:
    work = asyncio.create_task(run_plan(plan, tasks, output))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    try:
        failure = await work
    except asyncio.CancelledError:
        return INTERRUPTED
    except RunError as error:
        failure = error.failure
    except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, it is told as a failure
        traceback.print_exc()
        message = shorten(f"internal error of the load generator: {type(error).__name__}: {error}")
        failure = Failure(blame=Blame.LOAD_GENERATOR, reason="InternalError", message=message)
    if failure is None:
        return 0
    sys.stderr.write(f"perbench-bench: {failure.reason}: {failure.message}\n")
    write_atomically(output / "failure.json", failure.model_dump_json(by_alias=True))
    return RunError.exit_code


async def run_plan(plan: Plan, tasks: list[ResolvedTask], output: Path) -> Failure | None:
    """Run all stages that have no file yet. Returns the failure that ended it, None when all are recorded."""
    missing = _missing(plan, tasks, output)
    for task, _ in missing:
        if refused := few_items(task.items, plan.load.concurrency):
            return refused
    if not missing:
        return None
    session = await open_session(plan.target, plan.load.request_timeout_seconds, plan.seed)
    memory = MemoryReader(plan.memory) if plan.memory else None
    await preflight(session, _any_prompt(session, missing[0][0]), PREFLIGHT_TOKENS)
    fits: dict[str, LengthFit] = {}
    for number, (task, repeat) in enumerate(missing):
        requests = await _requests(session, task, repeat, fits)
        place = StagePlace(plan.round, repeat, first=number == 0)
        fit = fits[task.name].record() if task.name in fits else {}
        stage = StagePlan(task, place, plan.load, requests, fit)
        result = await run_stage(session, stage, memory, say)
        if result.aborted:
            return result.aborted
        write_atomically(_file(output, task, repeat), result.record.model_dump_json(by_alias=True))
    return None


def _missing(plan: Plan, tasks: list[ResolvedTask], output: Path) -> list[tuple[ResolvedTask, int]]:
    """The stages that have no file yet, in order; makes the directory and forgets an earlier failure."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "failure.json").unlink(missing_ok=True)
    stages = [(task, repeat) for task in tasks for repeat in range(plan.repeats)]
    return [(task, repeat) for task, repeat in stages if not _file(output, task, repeat).exists()]


async def _requests(session: Session, task: ResolvedTask, repeat: int, fits: dict[str, LengthFit]) -> StageRequests:
    if task.synthetic is None:
        return requests_of_items(session, task)
    if task.name not in fits:
        fits[task.name] = await fit_prompt_length(session, task)
    return synthetic_requests(session, task, fits[task.name].words_for(task.synthetic.input_tokens), repeat)


def _any_prompt(session: Session, task: ResolvedTask) -> str:
    return task.items[0].prompt if task.synthetic is None else synthetic_prompt(session.seed, 0, 16)


def _file(output: Path, task: ResolvedTask, repeat: int) -> Path:
    return output / f"{task.name}.{repeat}.json"


def say(progress: Progress) -> None:
    """One line of progress for whoever started us."""
    sys.stdout.write(progress.model_dump_json(by_alias=True) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
