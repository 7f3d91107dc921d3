"""The run at hand: all that was settled when it began. A value."""

from collections.abc import Mapping
from dataclasses import dataclass

from perbench.api.defaults import Resolved, execution_of
from perbench.api.execution import Deadlines, ExecutionSpec, KeepModels
from perbench.api.resource import BenchmarkSpec
from perbench.plan import StageKey
from perbench.results import ModelRecord
from perbench_operator import children as make
from perbench_operator.names import RunIdentity
from perbench_operator.platform import Platform
from perbench_operator.serving import Served


@dataclass(frozen=True)
class Run:
    """The run at hand, with all that was settled when it started."""

    identity: RunIdentity
    spec: BenchmarkSpec
    resolved: Resolved
    platform: Platform
    served: Mapping[str, Served | None]
    """By model; None: an endpoint."""
    keys: tuple[StageKey, ...]
    models: tuple[str, ...]
    """Names, in the order that the spec had when the run began: a list with keys may be reordered meanwhile."""

    def record(self, model: str) -> ModelRecord:
        """How a model is served, as its results object is to say."""
        spec = next(entry for entry in self.spec.models if entry.name == model)
        return make.model_record(spec, self.served[model])

    @property
    def execution(self) -> ExecutionSpec:
        """How it is carried out, every field filled."""
        return execution_of(self.spec)

    @property
    def keeps_failures(self) -> bool:
        """Whether models that failed stay in place."""
        return self.execution.keep_models is KeepModels.ON_FAILURE

    @property
    def deadlines(self) -> Deadlines:
        """How long each step may take."""
        return self.execution.deadlines or Deadlines()
