"""Everything that can be wrong before anything is started, found at once. A rim: reads files, may download models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from perbench.api.defaults import Resolved, resolve_defaults
from perbench.api.identity import run_id
from perbench.api.reading import read_file
from perbench.api.resource import PERBenchmark
from perbench.api.serving import Runtime
from perbench.api.tasks import TaskSpec
from perbench.failures import UsageError
from perbench.local.assemble import StageKey
from perbench.local.models import EndpointModel, LocalModel
from perbench.local.plans import stage_keys, too_few_items, with_absolute_file
from perbench.local.serving import Served, served_models

if TYPE_CHECKING:
    from perbench_bench.tasks import ResolvedTask

T = TypeVar("T")

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

    @property
    def keys(self) -> tuple[StageKey, ...]:
        """The stages of one launch."""
        return stage_keys(self.plan_tasks, self.resolved.repeats)


def prepare(file: Path, substitute: Runtime | None, *, with_key: bool) -> Prepared:
    """Read and check everything a run needs. Raises UsageError with one line for each mistake.

    `with_key`: endpoints are sent the API key of the environment.
    """
    benchmark = read_file(file)
    spec = benchmark.spec
    resolved = resolve_defaults(spec, local=True)
    mistakes: list[str] = []
    served = _or_mistake(lambda: served_models(spec, substitute), mistakes) or ()
    tasks = _tasks(spec.tasks, file.parent, mistakes)
    mistakes += too_few_items(tasks, resolved.concurrency)
    models = {entry.name: _or_mistake(_found(entry, file.parent, with_key=with_key), mistakes) for entry in served}
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return Prepared(
        benchmark=benchmark,
        run_id=run_id(LOCAL_UID, spec, benchmark.run_request),
        resolved=resolved,
        models={name: model for name, model in models.items() if model is not None},
        tasks=tasks,
        plan_tasks=tuple(with_absolute_file(task, file.parent) for task in spec.tasks),
    )


def _found(served: Served, base: Path, *, with_key: bool) -> Callable[[], LocalModel]:
    """Find the files of a model, when called."""

    def find() -> LocalModel:
        if served.endpoint is not None:
            return EndpointModel(served.name, served.endpoint, with_key=with_key)
        raise UsageError("no servers yet")

    return find


def _tasks(specs: Sequence[TaskSpec], base: Path, mistakes: list[str]) -> "tuple[ResolvedTask, ...]":
    from perbench_bench.tasks import resolve  # noqa: PLC0415 - local mode uses the bench pod's code only when it runs

    found = (_or_mistake(lambda task=task: resolve(task, base), mistakes) for task in specs)
    return tuple(task for task in found if task is not None)


def _or_mistake(step: Callable[[], T], mistakes: list[str]) -> T | None:
    try:
        return step()
    except UsageError as error:
        mistakes.append(str(error))
        return None
