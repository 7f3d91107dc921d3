"""What `perbench run` does, from the file to the exit code. A rim."""

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from perbench.api.resource import to_data
from perbench.assembly import with_stored
from perbench.failures import Failure, RunError
from perbench.files import WriteError
from perbench.local.directory import REPORT, RESULTS, STATUS, Found, Identity, decide
from perbench.local.estimate import estimate_sentence
from perbench.local.interruption import Interrupted, Interruption
from perbench.local.outcome import FAILED_EXIT, INTERRUPTED_EXIT, interrupted_sentence, stopped_sentence
from perbench.local.output import lasting
from perbench.local.plans import measured_requests
from perbench.local.prepare import Prepared, prepare
from perbench.local.progress_view import Shape, choose_view
from perbench.local.provenance import provenance
from perbench.local.run import Run
from perbench.local.serving import parse_runtime
from perbench.local.store import Store
from perbench.local.unused import unused_sentence
from perbench.masking import shown_spec
from perbench.planning import API_KEY_VARIABLE
from perbench.report.terminal import table
from perbench.results import Results
from perbench.schedule import schedule

RESULTS_DIRECTORY = Path("perbench-results")


@dataclass(frozen=True)
class Request:
    """The command as it was typed."""

    file: Path
    output_dir: Path | None = None
    runtime: str | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """What to type after `perbench run` to go on."""
        arguments = [str(self.file)]
        if self.output_dir is not None:
            arguments += ["--output-dir", str(self.output_dir)]
        if self.runtime is not None:
            arguments += ["--runtime", self.runtime]
        return tuple(arguments)


def run_command(request: Request, stdout: TextIO | None, interruption: Interruption) -> int:
    """Run a benchmark and give the exit code.

    Raises UsageError before anything is started, RunError where the run had to stop, Interrupted before it began.
    """
    prepared = prepare(request.file, parse_runtime(request.runtime), with_key=API_KEY_VARIABLE in os.environ)
    out = lasting(stdout)
    store = Store(request.output_dir or RESULTS_DIRECTORY / prepared.benchmark.metadata.name)
    with store.locked():
        run = _open(prepared, store, out, interruption)
        return _carry_out(run, request, out)


def _open(prepared: Prepared, store: Store, out: TextIO, interruption: Interruption) -> Run:
    """Look at what the output directory holds, make room or go on from there."""
    fresh = _fresh_results(prepared)
    found = store.found()
    disposition = decide(found, _identity(fresh))
    with interruption.deferred():
        store.dispose(disposition)
    results = _continued(fresh, found, store, prepared) if disposition.continues else fresh
    requests = measured_requests(prepared.tasks, prepared.resolved)
    shape = Shape(prepared.resolved.rounds, prepared.resolved.repeats, requests)
    view = choose_view(out, shape, os.environ.get("TERM"))
    if unused := unused_sentence(prepared.unused):
        view.say(unused)
    if disposition.sentence:
        view.say(f"{store.root}: {disposition.sentence}")
    run = Run(prepared, store, view, interruption, results)
    starts, stages = run.remaining_work()
    if stages:
        view.say(estimate_sentence(starts, stages))
    return run


def _fresh_results(prepared: Prepared) -> Results:
    return Results(
        name=prepared.benchmark.metadata.name,
        run_id=prepared.run_id,
        spec=shown_spec(to_data(prepared.benchmark.spec)),
        resolved=prepared.resolved,
        start_time=datetime.now(UTC),
        provenance=provenance(),
        tasks=tuple(task.record() for task in prepared.tasks),
        models=tuple(model.record for model in prepared.models.values()),
    )


def _identity(results: Results) -> Identity:
    return Identity(
        run_id=results.run_id,
        tasks=results.tasks,
        sources={model.name: model.source for model in results.models},
        substitutions={model.name: model.substituted_for for model in results.models},
        provenance=results.provenance,
    )


def _continued(fresh: Results, found: Found, store: Store, prepared: Prepared) -> Results:
    """The run as an earlier command left it."""
    previous = found.results
    if previous is None:
        return fresh
    before = {model.name: model for model in previous.models}
    launches = schedule([model.name for model in fresh.models], prepared.resolved.rounds)
    stored = {
        model.name: {number: store.stages(model.name, number) for number in range(prepared.resolved.rounds)}
        for model in fresh.models
    }
    models = tuple(with_stored(model, before.get(model.name), stored[model.name], launches) for model in fresh.models)
    return fresh.model_copy(update={"start_time": previous.start_time, "models": models})


def _carry_out(run: Run, request: Request, out: TextIO) -> int:
    try:
        with run.view:
            run.work()
        evaluation = run.finish()
        out.write(f"\n{table(evaluation)}\n")
        out.writelines(f"{run.store.root / name}\n" for name in (STATUS, RESULTS, REPORT))
        out.flush()
    except Interrupted:
        return _interrupted(run, request)
    except RunError as error:
        raise _stopped(run, error.failure, request) from error
    code = evaluation.verdict.exit_code
    return FAILED_EXIT if code is None else code


def _interrupted(run: Run, request: Request) -> int:
    try:
        evaluation = run.suspend(interrupted=True)
    except WriteError as error:
        raise _stopped(run, error.failure, request) from error
    recorded, planned = evaluation.completed_stages, evaluation.planned_stages
    run.view.say(interrupted_sentence(recorded, planned, request.arguments))
    return INTERRUPTED_EXIT


def _stopped(run: Run, failure: Failure, request: Request) -> RunError:
    """What is said of a run that could not go on, after as much as possible was written."""
    with suppress(WriteError):
        run.suspend(interrupted=False, stopped=failure)
    recorded = sum(len(launch.stages) for model in run.results.models for launch in model.launches)
    planned = len(run.prepared.keys) * run.prepared.resolved.rounds * len(run.prepared.models)
    message = stopped_sentence(failure, recorded, planned, request.arguments)
    return RunError(failure.model_copy(update={"message": message}))
