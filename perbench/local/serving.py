"""Which model is served by what in local mode. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from perbench.api.defaults import serving_of
from perbench.api.models import Endpoint, ModelSpec
from perbench.api.resource import BenchmarkSpec
from perbench.api.serving import Runtime, Serving
from perbench.failures import UsageError

LOCAL_RUNTIMES = (Runtime.LLAMA_CPP,)
"""What local mode can start."""


@dataclass(frozen=True)
class Served:
    """One entry of `spec.models` as it will be served here."""

    spec: ModelSpec
    serving: Serving | None
    """None: an endpoint, nothing is started."""
    substituted_for: Runtime | None = None
    """The runtime the file asked for, where another one serves, or the same one out of another place than its image."""

    @property
    def name(self) -> str:
        """Its name in `spec.models`."""
        return self.spec.name

    @property
    def endpoint(self) -> Endpoint | None:
        """The server that already runs, if it is one."""
        return self.spec.endpoint


def parse_runtime(text: str | None) -> Runtime | None:
    """Read `--runtime`. Raises UsageError for what local mode cannot start."""
    if text is None:
        return None
    found = next((runtime for runtime in LOCAL_RUNTIMES if runtime.value.lower() == text.lower()), None)
    if found is None:
        raise UsageError(f"--runtime {text}: local mode starts {_names(LOCAL_RUNTIMES)} only")
    return found


def served_models(spec: BenchmarkSpec, substitute: Runtime | None) -> tuple[Served, ...]:
    """Decide for each model what serves it. Raises UsageError naming every runtime that cannot be started here."""
    served = tuple(_served(spec, model, substitute) for model in spec.models)
    refused = [entry for entry in served if entry.serving and entry.serving.runtime not in LOCAL_RUNTIMES]
    if refused:
        raise UsageError(_refusal(refused))
    return served


def _served(spec: BenchmarkSpec, model: ModelSpec, substitute: Runtime | None) -> Served:
    serving = serving_of(spec, model)
    if serving is None or substitute is None or (serving.runtime is substitute and serving.image is None):
        return Served(model, serving)
    return Served(model, serving.model_copy(update={"runtime": substitute}), substituted_for=serving.runtime)


def _refusal(refused: Sequence[Served]) -> str:
    asked = dict.fromkeys(entry.serving.runtime for entry in refused if entry.serving and entry.serving.runtime)
    names = ", ".join(entry.name for entry in refused)
    return (
        f"serving.runtime {_names(tuple(asked))} cannot be started on this machine ({names}; the default is TGI):"
        f" set {LOCAL_RUNTIMES[0].value}, or run with --runtime {LOCAL_RUNTIMES[0].value}, which is recorded as a"
        " substitute and never compared with results of a cluster"
    )


def _names(runtimes: Sequence[Runtime]) -> str:
    return ", ".join(runtime.value for runtime in runtimes)
