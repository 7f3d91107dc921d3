"""One plan in local mode: one file per finished stage, progress as lines on standard output."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from perbench.failures import Failure, RunError
from perbench.files import WriteError
from perbench.plan import Plan
from perbench.progress import Progress
from perbench_bench.calibration import calibrate
from perbench_bench.ending import INTERRUPTED, internal_error, run_until_signal
from perbench_bench.file_store import FileStore
from perbench_bench.plan_run import PREFLIGHT_TOKENS, measure, missing_stages, preflight_prompt, too_few
from perbench_bench.session import open_session, preflight
from perbench_bench.tasks import ResolvedTask


def run_locally(plan: Plan, tasks: Sequence[ResolvedTask], output: Path) -> int:
    """Run all stages that have no file yet. The exit code."""
    store = FileStore(output, plan.stage_keys)
    if plan.calibrate_seconds is not None:
        record_calibration(plan.calibrate_seconds, store)
    try:
        failure = run_until_signal(_stages(plan, tasks, store))
    except asyncio.CancelledError:
        return INTERRUPTED
    except RunError as error:
        failure = error.failure
    except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, it is told as a failure
        failure = internal_error(error)
    if failure is None:
        return 0
    sys.stderr.write(f"perbench-bench: {failure.reason}: {failure.message}\n")
    store.store_failure(failure)
    return RunError.exit_code


def record_calibration(seconds: float, store: FileStore) -> None:
    """Once: an attempt that goes on with the stages does not measure the machine again."""
    if store.calibrated:
        return
    try:
        store.store_calibration(calibrate(seconds, lambda _load: None).record())
    except (RunError, WriteError) as error:  # the run itself will say what it could measure
        sys.stderr.write(f"perbench-bench: no calibration: {error}\n")


async def _stages(plan: Plan, tasks: Sequence[ResolvedTask], store: FileStore) -> Failure | None:
    missing = missing_stages(plan, tasks, await store.recorded())
    if refused := too_few(plan, missing):
        return refused
    if not missing:
        return None
    session = await open_session(plan.target, plan.load, plan.seed)
    session = await preflight(session, preflight_prompt(session, missing), PREFLIGHT_TOKENS)
    return await measure(session, plan, missing, store, say)


def say(progress: Progress) -> None:
    """One line of progress for whoever started us."""
    sys.stdout.write(progress.model_dump_json(by_alias=True) + "\n")
    sys.stdout.flush()
