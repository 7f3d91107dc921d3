"""`perbench-bench PLAN.json --output DIR`: all stages of one model in one round, one file per finished stage.
DIR/calibration.json where the plan asks for it.

Exit 0: every stage is recorded. 4: stopped, DIR/failure.json says why. 2: bad plan. 130: interrupted.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import traceback
from pathlib import Path

import uvloop
from pydantic import ValidationError

from perbench.failures import Blame, Failure, RunError, UsageError, shorten
from perbench.files import WriteError, write_atomically, write_error
from perbench.plan import Plan
from perbench.progress import Progress
from perbench_bench.calibration import calibrate
from perbench_bench.memory import MemoryReader
from perbench_bench.prompts import few_items, fit_prompt_length, fit_record, requests_of_items, synthetic_requests
from perbench_bench.session import Session, open_session, origin_of, preflight
from perbench_bench.stage import run_stage
from perbench_bench.stage_plan import StagePlace, StagePlan
from perbench_bench.tasks import ResolvedTask, resolve
from perbench_bench.tasks.synthetic import LengthFit, prompt
from perbench_bench.unloaded import unloaded_load, unloaded_task, with_items_of

INTERRUPTED = 130
CALIBRATION = "calibration.json"
PREFLIGHT_TOKENS = 8


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="perbench-bench", description="Run the stages of one plan.")
    parser.add_argument("plan", type=Path, help="the plan (JSON)")
    parser.add_argument("--output", type=Path, required=True, help="directory for one file per finished stage")
    arguments = parser.parse_args()
    try:
        plan = read_plan(arguments.plan)
        origin_of(plan.target)
        tasks = [resolve(task, arguments.plan.parent) for task in plan.tasks]
    except UsageError as error:
        sys.stderr.write(f"perbench-bench: {error}\n")
        sys.exit(error.exit_code)
    if plan.calibrate_seconds is not None:
        record_calibration(plan.calibrate_seconds, arguments.output)
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


def record_calibration(seconds: float, output: Path) -> None:
    """OUTPUT/calibration.json, once: an attempt that goes on with the stages does not measure the machine again."""
    file = output / CALIBRATION
    if file.exists():
        return
    try:
        found = calibrate(seconds, lambda _load: None)
        write_atomically(file, found.model_dump_json(by_alias=True))
    except (RunError, WriteError) as error:  # the run itself will say what it could measure
        sys.stderr.write(f"perbench-bench: no calibration: {error}\n")


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
    with contextlib.suppress(WriteError):  # where nothing can be written, the line above has to do
        write_atomically(output / "failure.json", failure.model_dump_json(by_alias=True))
    return RunError.exit_code


async def run_plan(plan: Plan, tasks: list[ResolvedTask], output: Path) -> Failure | None:
    """Run all stages that have no file yet. Returns the failure that ended it, None when all are recorded."""
    missing = _missing(plan, tasks, output)
    for task, _ in missing:
        if refused := few_items(task.count, plan.load.concurrency):
            return refused
    if not missing:
        return None
    session = await open_session(plan.target, plan.load, plan.seed)
    memory = MemoryReader(plan.memory) if plan.memory else None
    session = await preflight(session, _any_prompt(session, missing[0][0]), PREFLIGHT_TOKENS)
    fits: dict[str, LengthFit] = {}
    for number, (task, repeat) in enumerate(missing):
        if task.synthetic is not None and task.name not in fits:
            fits[task.name] = await fit_prompt_length(session, task)
        place = StagePlace(plan.round, repeat, first=number == 0)
        stage = stage_plan(session, plan, task, place, fits.get(task.name))
        result = await run_stage(session, stage, memory, say)
        if result.aborted:
            return result.aborted
        record = with_items_of(result.record, task)
        write_atomically(_file(output, task, repeat), record.model_dump_json(by_alias=True))
    return None


def _missing(plan: Plan, tasks: list[ResolvedTask], output: Path) -> list[tuple[ResolvedTask, int | None]]:
    """The stages that have no file yet, in order; makes the directory and forgets an earlier failure."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / "failure.json").unlink(missing_ok=True)
    except OSError as error:
        raise write_error(output, error) from error
    by_name = {task.name: task for task in tasks}
    stages = [(by_name[name], repeat) for name, repeat in plan.stage_keys]
    return [(task, repeat) for task, repeat in stages if not _file(output, task, repeat).exists()]


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


def _any_prompt(session: Session, task: ResolvedTask) -> str:
    return task.items[0].prompt if task.synthetic is None else prompt(session.seed, 0, 16)


def _file(output: Path, task: ResolvedTask, repeat: int | None) -> Path:
    return output / f"{task.name}.{'unloaded' if repeat is None else repeat}.json"


def say(progress: Progress) -> None:
    """One line of progress for whoever started us."""
    sys.stdout.write(progress.model_dump_json(by_alias=True) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
