"""`perbench-bench PLAN.json`: all stages of one model in one round.

With --output DIR (local mode) one file per finished stage, and DIR/calibration.json where the plan asks for it. Exit 0:
every stage is recorded. 4: stopped, DIR/failure.json says why. 2: bad plan. 130: interrupted.

With --attempt N (the plan has `cluster`) they go into the cluster's objects. Exit 0: the end is recorded there, be it
an invalid measurement or a failure. 4: it could not be recorded. 2: bad plan, or no pod. 130: interrupted.
"""

import argparse
import signal
import sys
from pathlib import Path

from pydantic import ValidationError

from perbench.failures import UsageError, first_mistake
from perbench.plan import Plan
from perbench_bench.api_server import SERVICE_ACCOUNT, access_of_pod
from perbench_bench.ending import INTERRUPTED
from perbench_bench.local_mode import run_locally
from perbench_bench.session import origin_of
from perbench_bench.tasks import resolve


def main() -> None:
    """Entry point."""
    try:
        code = _run(_arguments())
    except UsageError as error:
        sys.stderr.write(f"perbench-bench: {error}\n")
        code = error.exit_code
    sys.exit(code)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="perbench-bench", description="Run the stages of one plan.")
    parser.add_argument("plan", type=Path, help="the plan (JSON)")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--output", type=Path, help="local mode: directory for one file per finished stage")
    where.add_argument("--attempt", type=int, help="in a cluster: the number of this attempt, from 0")
    parser.add_argument(
        "--service-account", type=Path, default=SERVICE_ACCOUNT, help="in a cluster: where its token is"
    )
    return parser.parse_args()


def _run(arguments: argparse.Namespace) -> int:
    plan = read_plan(arguments.plan)
    if (arguments.attempt is None) is not (plan.cluster is None):
        raise UsageError(f"{arguments.plan}: give --attempt for a plan with `cluster`, and --output for one without")
    folder = arguments.plan.parent
    if plan.cluster is not None:
        # The first process of a container is deaf to signals that it has no handler for.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
        from perbench_bench.cluster_mode import run_in_cluster  # noqa: PLC0415 - half a second that local mode is spared

        access = access_of_pod(service_account=arguments.service_account)
        return run_in_cluster(plan, folder, plan.cluster, arguments.attempt, access)
    origin_of(plan.target)
    return run_locally(plan, [resolve(task, folder) for task in plan.tasks], arguments.output)


def read_plan(path: Path) -> Plan:
    """Read a plan. Raises UsageError."""
    try:
        return Plan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise UsageError(f"{path}: not a plan: {first_mistake(error)}") from error


if __name__ == "__main__":
    main()
