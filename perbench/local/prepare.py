"""Everything that can be wrong before anything is started, found at once. A rim: reads files, may download models."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from perbench.api.defaults import CONCURRENCY, Resolved, resolve_defaults
from perbench.api.identity import run_id
from perbench.api.reading import read_file
from perbench.api.resource import PERBenchmark
from perbench.api.serving import Runtime
from perbench.api.tasks import TaskSpec
from perbench.failures import UsageError
from perbench.local.cores import usable_cores
from perbench.local.llamacpp_model import find_llamacpp, longest_request
from perbench.local.models import EndpointModel, LocalModel
from perbench.local.plans import too_few_items, with_absolute_file
from perbench.local.serving import Served, served_models
from perbench.local.unused import cluster_dataset, refusals, unused_fields
from perbench.plan import StageKey
from perbench.planning import keys_of
from perbench.runtimes.llamacpp_local import Surroundings

if TYPE_CHECKING:
    from perbench_bench.tasks import ResolvedTask

T = TypeVar("T")

BENCH_MODULES = ("uvloop", "httptools", "orjson")
"""What the load generator needs beyond perbench itself."""

LOCAL_UID = "local"
"""What stands for the object's uid in the run id."""


@dataclass(frozen=True)
class Prepared:
    """A run that can start."""

    benchmark: PERBenchmark
    run_id: str
    resolved: Resolved
    models: Mapping[str, LocalModel]
    """By name, in the order of the file."""
    tasks: "tuple[ResolvedTask, ...]"
    plan_tasks: tuple[TaskSpec, ...]
    """The tasks as they travel in plans."""
    unused: tuple[str, ...] = ()
    """Fields that are given and mean nothing on this machine."""

    @property
    def keys(self) -> tuple[StageKey, ...]:
        """The stages of one launch."""
        return keys_of(self.plan_tasks, self.resolved)


def prepare(file: Path, substitute: Runtime | None, *, with_key: bool) -> Prepared:
    """Read and check everything a run needs. Raises UsageError with one line for each mistake.

    `with_key`: endpoints are sent the API key of the environment. A hub model is downloaded; RunError where the hub
    does not give it.
    """
    _check_client()
    benchmark = read_file(file)
    spec = benchmark.spec
    resolved = resolve_defaults(spec, local=True)
    mistakes = _Mistakes(file)
    served = mistakes.collect(lambda: served_models(spec, substitute)) or ()
    mistakes.lines += refusals(spec, substitute, with_key=with_key)
    tasks = _tasks([task for task in spec.tasks if not cluster_dataset(task)], file.parent, mistakes)
    mistakes.lines += too_few_items(tasks, resolved.concurrency)
    finder = _Finder(file.parent, resolved, tasks, with_key=with_key)
    models = {
        entry.name: mistakes.collect(partial(finder.find, entry)) for entry in served if entry.spec.volume is None
    }
    mistakes.raise_any()
    return Prepared(
        benchmark=benchmark,
        run_id=run_id(LOCAL_UID, spec, benchmark.run_request),
        resolved=resolved,
        models={name: model for name, model in models.items() if model is not None},
        tasks=tasks,
        plan_tasks=tuple(with_absolute_file(task, file.parent) for task in spec.tasks),
        unused=unused_fields(spec, substitute),
    )


class _Mistakes:
    """Collects what is wrong, so that all of it is told at once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.lines: list[str] = []

    def collect(self, step: Callable[[], T]) -> T | None:
        """The result of a step; None where it found a mistake, which is kept."""
        try:
            return step()
        except UsageError as error:
            self.lines.append(str(error))
            return None

    def raise_any(self) -> None:
        """Raise UsageError with one line per mistake; the same one is told once."""
        if self.lines:
            raise UsageError("\n".join(f"{self._file}: {line}" for line in dict.fromkeys(self.lines)))


def _check_client() -> None:
    """The load generator runs in a process of its own, where a missing package would show late."""
    missing = [name for name in BENCH_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"the load generator lacks {', '.join(missing)}: pip install 'perbench[local]'")


def _tasks(specs: Sequence[TaskSpec], base: Path, mistakes: _Mistakes) -> "tuple[ResolvedTask, ...]":
    from perbench_bench.tasks import resolve  # noqa: PLC0415 - local mode uses the bench pod's code only when it runs

    found = []
    for spec in specs:
        task = mistakes.collect(partial(resolve, spec, base))
        if task is not None:
            found.append(task)
    return tuple(found)


class _Finder:
    """Finds the files of models and reads how they are served."""

    def __init__(self, base: Path, resolved: Resolved, tasks: "Sequence[ResolvedTask]", *, with_key: bool) -> None:
        self._base = base
        self._api = resolved.api
        self._with_key = with_key
        self._around = Surroundings(
            cores=usable_cores(),
            concurrency=resolved.concurrency or CONCURRENCY,
            tokens_per_request=longest_request(tasks),
        )

    def find(self, served: Served) -> LocalModel:
        """The model, ready to be started. Raises UsageError; RunError where a hub fails."""
        if served.endpoint is not None:
            return EndpointModel(served.name, served.endpoint, with_key=self._with_key)
        return find_llamacpp(served, self._base, self._api, self._around)
