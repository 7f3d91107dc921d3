"""A run at work: its launches one after the other, and what is written of them. A rim."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from perbench.api.execution import OnModelFailure
from perbench.api.resource import to_data
from perbench.assembly import launch_of, to_do, with_launch, without_home
from perbench.evaluation import Evaluation, evaluate, status
from perbench.failures import Failure, RunError
from perbench.local.directory import RESULTS
from perbench.local.estimate import Pace, StageWork, remaining_seconds
from perbench.local.interruption import Interruption
from perbench.local.launch import Measured, Measurement, measure
from perbench.local.models import Running
from perbench.local.outcome import STOPS_THE_RUN, run_stopped
from perbench.local.plans import work_of
from perbench.local.prepare import Prepared
from perbench.local.progress_view import View
from perbench.local.store import Store
from perbench.plan import StageKey
from perbench.planning import plan_of
from perbench.progress import Progress, StagePhase
from perbench.report import render
from perbench.report.manifest import to_yaml
from perbench.results import LaunchRecord, ModelRecord, Results
from perbench.schedule import Launch, schedule


@dataclass
class Run:
    """One run. Mutable: `results` grows with every launch, and is all that the rest is written from."""

    prepared: Prepared
    store: Store
    view: View
    interruption: Interruption
    results: Results
    _pace: Pace = field(default_factory=Pace)

    def work(self) -> None:
        """Measure what is still to be measured. Raises RunError for what stops the whole run, and Interrupted."""
        self.write_results()
        while remaining := self.remaining():
            if self._stops():
                self._leave_out(launch for launch, _ in remaining)
                break
            launch = remaining[0][0]
            failure = self._launch(launch)
            if failure is not None and failure.reason in STOPS_THE_RUN:
                raise RunError(failure)
            self.write_results()
            self.view.ended(launch, failure, self._seconds_left())

    def _stops(self) -> Failure | None:
        """Why the other models are not measured any more: one has failed, and that is to end the run."""
        execution = self.prepared.benchmark.spec.execution
        if execution is None or execution.on_model_failure is not OnModelFailure.STOP:
            return None
        return next((model.failure for model in self.results.models if model.failure), None)

    def _leave_out(self, launches: Iterable[Launch]) -> None:
        """Put into `results` that these were not begun, or not gone on with."""
        first = self._stops()
        for launch in launches:
            model = next(model for model in self.results.models if model.name == launch.model)
            if first is None or model.failure is not None:
                continue
            record = launch_of(model, launch.round) or LaunchRecord(round=launch.round, order=launch.order)
            failure = run_stopped(first, launch.model)
            self._put(with_launch(model, record.model_copy(update={"failure": failure})))
            self.view.say(f"{launch.model}: {failure.message}")
        self.write_results()

    def remaining(self) -> tuple[tuple[Launch, tuple[StageKey, ...]], ...]:
        """Launches that still have stages to measure, in their order."""
        names = [model.name for model in self.results.models]
        records = {model.name: model for model in self.results.models}
        return to_do(schedule(names, self.prepared.resolved.rounds), records, self.prepared.keys)

    def remaining_work(self) -> tuple[int, list[StageWork]]:
        """Starts of servers and stages that are left."""
        remaining = self.remaining()
        starts = sum(self.prepared.models[launch.model].is_started for launch, _ in remaining)
        work = {name: work_of(name, self.prepared.tasks, self.prepared.resolved) for name in self.prepared.models}
        return starts, [work[launch.model][key] for launch, missing in remaining for key in missing]

    def _seconds_left(self) -> float:
        starts, stages = self.remaining_work()
        return remaining_seconds(starts, stages, self._pace)

    def _launch(self, launch: Launch) -> Failure | None:
        """Start a model, measure its missing stages, stop it, and keep what came of it in `results`."""
        model = self.prepared.models[launch.model]
        self.view.starting(launch, endpoint=not model.is_started)
        running: Running | None = None
        measured: Measured | None = None
        failure: Failure | None = None
        try:
            running = model.start(self.store.log(launch.model, launch.round, "server"))
            if running.ready_seconds is not None:
                self.view.ready(launch, running.ready_seconds)
                self._pace = self._pace.started(running.ready_seconds)
            measured = self._measure(launch, running)
            failure = measured.failure
        except RunError as error:
            failure = error.failure.model_copy(update={"model": launch.model})
        finally:
            if running is not None:
                with self.interruption.deferred():
                    running.stop()
            self._keep(launch, running, failure)
        return failure

    def _measure(self, launch: Launch, running: Running) -> Measured:
        prepared = self.prepared
        plan = plan_of(prepared.run_id, launch, running.target, prepared.resolved, prepared.plan_tasks, running.memory)
        follower = _Follower(self.view, launch, work_of(launch.model, prepared.tasks, prepared.resolved))
        measurement = Measurement(launch, plan, prepared.keys, running.failure)
        try:
            return measure(self.store, measurement, self.interruption, follower.heard)
        finally:
            for work, seconds in follower.finished:
                self._pace = self._pace.finished(work, seconds)

    def _keep(self, launch: Launch, running: Running | None, failure: Failure | None) -> None:
        """Put a launch into `results`, unless it was cut short before anything was recorded."""
        stages = self.store.stages(launch.model, launch.round)
        stopped = failure is not None and failure.reason in STOPS_THE_RUN
        if not stages and (failure is None or stopped):
            return
        record = LaunchRecord(
            round=launch.round,
            order=launch.order,
            ready_seconds=running.ready_seconds if running else None,
            calibration=self.store.calibration(launch.model, launch.round),
            stages=stages,
            failure=without_home(failure, Path.home()) if failure and not stopped else None,
        )

        model = next(model for model in self.results.models if model.name == launch.model)
        self._put(with_launch(running.recorded(model) if running else model, record))

    def _put(self, model: ModelRecord) -> None:
        """Replace what `results` says of a model."""
        models = tuple(model if model.name == other.name else other for other in self.results.models)
        self.results = self.results.model_copy(update={"models": models})

    def write_results(self) -> None:
        """Replace results.json; a signal waits until it is written."""
        with self.interruption.deferred():
            self.store.write_results(self.results)

    def finish(self) -> Evaluation:
        """Write everything at the end of the run: results.json last, as it is what says that the run has ended."""
        self.results = self.results.model_copy(update={"completion_time": datetime.now(UTC)})
        evaluation = self._write_documents()
        self.write_results()
        return evaluation

    def suspend(self, *, interrupted: bool, stopped: Failure | None = None) -> Evaluation:
        """Write everything of a run that is not at its end: results.json first, as the next command needs it."""
        self.results = self.results.model_copy(
            update={"completion_time": None, "interrupted": interrupted, "stopped": stopped}
        )
        self.write_results()
        return self._write_documents()

    def _write_documents(self) -> Evaluation:
        evaluation = evaluate(self.results)
        with self.interruption.deferred():
            self.store.write_status(self._status_text(evaluation))
        with self.interruption.deferred():
            self.store.write_report(render(self.results))
        return evaluation

    def _status_text(self, evaluation: Evaluation) -> str:
        benchmark = self.prepared.benchmark
        document = status(evaluation, request=benchmark.run_request, results_name=RESULTS)
        data = to_data(benchmark.model_copy(update={"status": document}))
        return to_yaml(data)


class _Follower:
    """Listens to one bench process: passes its progress on, and keeps how long its stages took."""

    def __init__(self, view: View, launch: Launch, work: Mapping[StageKey, StageWork]) -> None:
        self.finished: list[tuple[StageWork, float]] = []
        self._view = view
        self._launch = launch
        self._work = work
        self._began: dict[StageKey, float] = {}

    def heard(self, progress: Progress) -> None:
        """One line of the bench process."""
        key = (progress.task, progress.repeat)
        now = time.monotonic()
        began = self._began.setdefault(key, now)
        if progress.phase is StagePhase.RECORDED and key in self._work:
            self.finished.append((self._work[key], now - began))
        self._view.progressed(self._launch, progress)
