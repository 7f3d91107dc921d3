"""The child process: programs that do not do what they should; the real one is in tests/apiserver/test_operator.py."""

import asyncio
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perbench.grafana.annotations import RunAnnotation
from perbench.grafana.orders import Order, Problem, ProblemKind, Report
from perbench_operator.configuration import GrafanaTarget
from perbench_operator.grafana.child import Child
from tests.support.processes import until

BEGUN = RunAnnotation(
    namespace="team", benchmark="bench", run_id="0", start=datetime(2026, 4, 2, 9, 0, tzinfo=UTC), text="is on"
)
ORDER = Order(dashboards=True, annotations=(BEGUN,))
ONE = '{"annotation": 0}'


def tell(program: str, seconds: float = 60.0, **more: object) -> tuple[tuple[Report, ...], Problem]:
    target = GrafanaTarget.model_validate(
        {"url": "https://grafana", "token_file": "/token", "program": (sys.executable, "-c", program), **more}
    )
    return asyncio.run(Child(target, seconds).tell(ORDER))


def test_it_gets_the_order_and_what_it_needs_to_know() -> None:
    program = (
        "import sys; order = sys.stdin.read(); "
        "print('{\"changes\": [\"' + ' '.join(sys.argv[1:]) + '\"]}'); sys.exit(order)"
    )
    (report,), problem = tell(program, folder="Model serving", prometheus_url="http://prometheus:9090")
    arguments = "grafana tell --url https://grafana --token-file /token --folder Model serving"
    assert report.changes == (f"{arguments} --prometheus-url http://prometheus:9090",)
    assert Order.model_validate_json(problem.message) == ORDER


def test_reports_are_read_as_they_come_and_a_program_that_hangs_is_killed(tmp_path: Path) -> None:
    program = (
        f"import os, pathlib, sys, time; pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid())); "
        f"print({ONE!r}, flush=True); time.sleep(600)"
    )
    began = time.monotonic()
    reports, problem = tell(program, 8.0)
    assert time.monotonic() - began < 60
    assert reports == (Report(annotation=0),)
    assert problem == Problem(
        kind=ProblemKind.UNREACHABLE,
        message="https://grafana has not answered everything within 8 s",
        of_everything=True,
    )
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


def test_what_it_says_at_its_end_is_the_problem() -> None:
    program = "import sys; sys.stderr.write('noise\\nperbench: /token: cannot be read\\n'); sys.exit(2)"
    found = Problem(kind=ProblemKind.REFUSED, message="/token: cannot be read", of_everything=True)
    assert tell(program) == ((), found)


def test_a_program_that_says_nothing() -> None:
    reports, problem = tell("import sys; sys.exit(3)")
    assert (reports, problem.message) == ((), f"{sys.executable} ended with 3 and said nothing")


@pytest.mark.parametrize("output", ["'no report'", "'x' * 200_000", '\'{"annotation": 0, "more": 1}\''])
def test_a_program_that_says_something_else(output: str) -> None:
    reports, problem = tell(f"print({ONE!r}); print({output}); import time; time.sleep(600)")
    assert reports == (Report(annotation=0),)
    assert problem.kind is ProblemKind.REFUSED
    assert problem.message.startswith(f"{sys.executable} cannot be run for Grafana: ")


def test_much_noise_does_not_hold_it_up() -> None:
    program = f"import sys; sys.stderr.write('x' * 2_000_000 + '\\nlast'); print({ONE!r})"
    reports, problem = tell(program)
    assert (reports, problem.message) == ((Report(annotation=0),), "last")


def test_a_program_that_is_not_there() -> None:
    target = GrafanaTarget(url="https://grafana", token_file=Path("/token"), program=("/nowhere/perbench",))
    reports, problem = asyncio.run(Child(target).tell(ORDER))
    assert (reports, problem.kind) == ((), ProblemKind.REFUSED)
    assert problem.message.startswith("/nowhere/perbench cannot be run for Grafana: ")


def test_told_to_stop_it_takes_the_program_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    program = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(600)"
    target = GrafanaTarget(url="https://grafana", token_file=Path("/token"), program=(sys.executable, "-c", program))

    async def cancelled() -> None:
        task = asyncio.create_task(Child(target).tell(ORDER))
        await until(lambda: pid.exists() and bool(pid.read_text()))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert not Path(f"/proc/{pid.read_text()}").exists()
