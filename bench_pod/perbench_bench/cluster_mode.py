"""One plan in a cluster: calibrate, wait for the model, check it, measure what is missing, say how it ended, linger.

Calibrating → Waiting → Measuring → Finished or Failed. The end counts when it stands in the progress object; the exit
code says only whether it does. An attempt that finds the API away for too long says nothing, and the next one goes on.
"""

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from perbench import __version__
from perbench.failures import Blame, Failure, RunError, UsageError, shorten
from perbench.objects.progress import BenchProgress, BenchState
from perbench.objects.results import ModelFacts
from perbench.plan import ClusterPlace, Plan
from perbench.results import StageRecord
from perbench_bench.api_server import Access
from perbench_bench.cluster_store import ClusterStore
from perbench_bench.config_maps import KEEP_TRYING_SECONDS, UNAVAILABLE, ConfigMaps
from perbench_bench.daemon import in_daemon
from perbench_bench.device.footprint import ModelFiles
from perbench_bench.ending import INTERRUPTED, internal_error, run_until_signal
from perbench_bench.exporter import Board, MetricsServer, RunLabels
from perbench_bench.first_generation import first_generation, load_hub_client
from perbench_bench.hub_config import model_files
from perbench_bench.hub_facts import HubAnswer, as_loaded, hub_facts, not_in_time
from perbench_bench.own_calibration import NoCalibrationError, calibrate_apart
from perbench_bench.plan_run import UNKNOWN_FILES, Stage, measure, missing_stages, preflight_prompt, too_few
from perbench_bench.progress_object import ProgressObject, ProgressWriter, SupersededError
from perbench_bench.readiness import wait_until_ready
from perbench_bench.server_facts import server_facts
from perbench_bench.session import Session, api_key_of, open_session, origin_of
from perbench_bench.tasks import resolve
from perbench_bench.teller import Teller

FAREWELL_SECONDS = 3.0
"""How long an interrupted pod tries to say so."""
STORE_SECONDS = 45.0
"""How long it waits for a stage that is being stored: within the pod's grace, and cheaper than to measure it again."""
HUB_SECONDS = 2.0
"""How long a model that is ready waits for the hub's answer, which was asked for when the pod started."""


def run_in_cluster(plan: Plan, folder: Path, place: ClusterPlace, attempt: int, access: Access) -> int:
    """Run all stages that are not recorded yet. `folder`: of the tasks' files. The exit code."""
    try:
        return run_until_signal(_run(plan, folder, place, attempt, ConfigMaps(access, place.namespace)))
    except asyncio.CancelledError:  # a second signal, or one before anything was said
        return INTERRUPTED


async def _run(plan: Plan, folder: Path, place: ClusterPlace, attempt: int, maps: ConfigMaps) -> int:
    return await ClusterRun(plan, folder, place, attempt, maps).run()


class ClusterRun:
    """One attempt at one launch. Made within the event loop it runs on.

    `patience`: how long an API that is away is waited for where something would be lost.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        place: ClusterPlace,
        attempt: int,
        maps: ConfigMaps,
        patience: float = KEEP_TRYING_SECONDS,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._place = place
        self._server = maps.server
        self._object = ProgressObject(maps, place.progress)
        self._warnings: list[str] = []
        self._files = UNKNOWN_FILES
        self._ending = False
        self._lost: RunError | None = None
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._writer = ProgressWriter(self._object.write, self._cannot_write, patience=patience)
        first = BenchProgress(
            round=plan.round, attempt=attempt, state=BenchState.WAITING, recorded=0, updated_at=datetime.now(UTC)
        )
        self._teller = Teller(self._writer, first, plan.repeats)
        self._board = Board(labels_of(plan, place, attempt), Counter(task for task, _ in plan.stage_keys))
        self._items: Mapping[str, int] = {}
        self._store = ClusterStore(
            maps,
            place.results,
            plan.round,
            lambda: self._object.check(self._teller.current),
            self._stored,
            patience,
        )

    async def run(self) -> int:
        """To its end, with its metrics shown from the first to the last moment. The exit code."""
        with self._shown():
            return await self._run()

    async def _run(self) -> int:
        talking = asyncio.create_task(self._teller.keep_talking())
        try:
            failure = await self._stages()
        except asyncio.CancelledError:
            return await self._broken_off()
        except RunError as error:
            if isinstance(error, SupersededError) or error.failure.reason == UNAVAILABLE:
                return _unrecorded(error.failure)  # of the latter the next attempt makes good
            failure = error.failure
        except UsageError as error:
            failure = Failure(blame=Blame.MEASUREMENT, reason="PlanRefused", message=shorten(str(error)))
        except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, it is told as a failure
            failure = internal_error(error)
        finally:
            talking.cancel()
        return await self._ended(failure)

    async def _stages(self) -> Failure | None:
        """The failure that ended it; None: every stage is recorded. Raises RunError, UsageError."""
        plan = self._plan
        held = await self._store.read()
        recorded = held.recorded(plan.round)
        first = BenchState.WAITING if plan.calibrate_seconds is None else BenchState.CALIBRATING
        self._teller.enter(first, recorded=len(recorded))
        await in_daemon(self._writer.settle)  # an object that cannot be written ends it here, before any load
        tasks = [resolve(task, self._folder) for task in plan.tasks]
        await self._store.store_tasks(tuple(task.record() for task in tasks))
        self._items = {task.name: task.count for task in tasks}
        for stage in held.stages.get(plan.round, ()):
            self._board.recorded(stage, self._items[stage.task])
        missing = missing_stages(plan, tasks, recorded)
        if refused := too_few(plan, missing):
            return refused
        if not missing:
            return None
        hub = asyncio.create_task(self._hub())
        try:
            session = await self._ready_session()
            session = await self._checked(session, missing, hub)
        finally:
            hub.cancel()
        self._teller.enter(BenchState.MEASURING, f"{len(missing)} of {len(plan.stage_keys)} stages to measure")
        report, look_on = self._teller.stage, self._board.look_on
        return await measure(session, plan, missing, self._store, report, self._files, look_on, self._server)

    async def _ready_session(self) -> Session:
        """Calibrate while the model starts, then wait for it."""
        plan, target = self._plan, self._plan.target
        origin, key = origin_of(target), api_key_of(target)
        if plan.calibrate_seconds is not None:
            await self._calibrate(plan.calibrate_seconds)
        self._teller.enter(BenchState.WAITING, f"for {target.url} to be ready")
        await wait_until_ready(origin, self._place, key, self._teller.remark)
        self._teller.remark("the first generation")
        return await open_session(target, plan.load, plan.seed)

    async def _hub(self) -> HubAnswer:
        """What the hub says, and the hub's client made ready, while the model loads."""
        answer = await in_daemon(lambda: hub_facts(self._plan.hub_model))
        await in_daemon(load_hub_client)
        return answer

    async def _calibrate(self, seconds: float) -> None:
        """While nothing else is done. Without it the run itself will say what it could measure."""
        try:
            found = await calibrate_apart(seconds)
        except NoCalibrationError as error:
            self._warnings.append(f"no calibration: {error}")
        else:
            await self._store.store_calibration(found.record())

    async def _checked(self, session: Session, missing: Sequence[Stage], hub: asyncio.Task[HubAnswer]) -> Session:
        """One real generation, and what is learnt of the model on the way."""
        address, key = session.addresses[0], api_key_of(session.target)
        server = await in_daemon(lambda: server_facts(session.origin, address, key))
        checked, complaint = await first_generation(session, preflight_prompt(session, missing))
        await asyncio.wait([hub], timeout=HUB_SECONDS)
        source, warning = hub.result() if hub.done() else not_in_time(self._plan.hub_model)
        facts = ModelFacts(
            source=as_loaded(source, server.revision),
            runtime_version=server.version,
            server_arguments=server.arguments,
            warnings=tuple(self._warnings + [one for one in (warning, complaint) if one]),
        )
        facts = await self._store.store_facts(facts, stated=server.revision is not None)
        self._board.learnt(runtime_version=server.version)
        self._files = await self._model_files(facts)
        return checked

    def _stored(self, record: StageRecord) -> None:
        self._teller.stored()
        self._board.recorded(record, self._items[record.task])

    @contextlib.contextmanager
    def _shown(self) -> Iterator[None]:
        """A port that cannot be had is no reason not to measure."""
        port = self._place.metrics_port
        try:
            server = MetricsServer(port, self._board).start()
        except OSError as error:
            warning = f"no metrics: port {port}: {error.strerror or error}"
            self._warnings.append(warning)
            sys.stderr.write(f"perbench-bench: {warning}\n")
            yield
            return
        sys.stderr.write(f"perbench-bench: metrics at port {server.server_port}\n")
        try:
            yield
        finally:
            server.close()

    async def _model_files(self, facts: ModelFacts) -> ModelFiles:
        """What the memory of accelerators is computed from, where it is."""
        plan = self._plan
        if plan.memory is None or plan.memory.device is None:
            return UNKNOWN_FILES
        return await in_daemon(lambda: model_files(plan.hub_model, facts.source))

    def _cannot_write(self, error: RunError) -> None:
        """Called in the writer's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: it is over anyway
            self._loop.call_soon_threadsafe(self._lose, error)

    def _lose(self, error: RunError) -> None:
        """Nothing can be said any more: a load whose end nobody learns is stopped."""
        if self._ending:
            return
        self._lost = error
        if self._task is not None:
            self._task.cancel()

    async def _broken_off(self) -> int:
        """Nothing is marked as failed: what stopped us knows why."""
        if self._lost is not None:
            return _unrecorded(self._lost.failure)
        self._ending = True
        await self._store.finish(STORE_SECONDS)
        self._teller.remark("interrupted", urgent=True)
        with contextlib.suppress(RunError, TimeoutError):
            await in_daemon(lambda: self._writer.settle(FAREWELL_SECONDS))
        return INTERRUPTED

    async def _ended(self, failure: Failure | None) -> int:
        """Say how it ended, and stay for a while: metrics of this pod are read every so often."""
        self._ending = True
        message = "" if failure else "every stage is recorded"
        self._teller.enter(BenchState.FAILED if failure else BenchState.FINISHED, message, failure=failure)
        recorded = False
        try:
            await in_daemon(self._writer.settle)
            recorded = True
            await asyncio.sleep(self._place.linger_seconds)
        except asyncio.CancelledError:
            return 0 if recorded else await self._last_word()
        except RunError as error:
            return _unrecorded(error.failure)
        return 0

    async def _last_word(self) -> int:
        """Told to go while the end was being written: that takes a moment, and saves another attempt."""
        try:
            await in_daemon(lambda: self._writer.settle(FAREWELL_SECONDS))
        except (RunError, TimeoutError, asyncio.CancelledError):
            return INTERRUPTED
        return 0


def labels_of(plan: Plan, place: ClusterPlace, attempt: int) -> RunLabels:
    """Whose metrics they are. What the server says of itself comes later."""
    about = {"run_id": plan.run_id, "round": str(plan.round), "attempt": str(attempt), "version": __version__}
    if place.runtime is not None:
        about["runtime"] = place.runtime
    return RunLabels(place.namespace, place.benchmark, plan.model, about)


def _unrecorded(failure: Failure) -> int:
    """The exit code of an attempt that could not say how it ended."""
    sys.stderr.write(f"perbench-bench: not recorded: {failure.reason}: {failure.message}\n")
    return RunError.exit_code
