"""An entry of `spec.models` that is served here by llama.cpp: found, started, described. A rim."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perbench.api.load import PromptApi
from perbench.failures import Failure
from perbench.local.server import LocalServer, ServerStart, check_installed, start_server
from perbench.local.serving import Served
from perbench.local.sources import ModelFile, find_model
from perbench.masking import shown_variables
from perbench.plan import MemorySource, Target
from perbench.results import ModelRecord
from perbench.runtimes.llamacpp import LlamaCpp
from perbench.runtimes.llamacpp_local import (
    SYNTHETIC_MARGIN,
    LocalSettings,
    Surroundings,
    local_environment,
    local_settings,
    prompt_tokens_at_most,
    request_tokens,
)

if TYPE_CHECKING:
    from pydantic import JsonValue

    from perbench_bench.tasks import ResolvedTask

READY_SECONDS = 600.0
"""How long a model may take to load: one of many gigabytes from a slow disk takes minutes."""


def find_llamacpp(served: Served, base: Path, api: PromptApi, around: Surroundings) -> "LlamaCppModel":
    """Read how the model is served and find its file. `base`: the directory of the benchmark's file.

    Raises UsageError, and RunError where the hub fails.
    """
    serving, model = served.serving, served.spec.model
    if serving is None or model is None:
        raise ValueError(f"{served.name} is an endpoint")
    where = f"model {served.name}"
    check_installed()
    settings = local_settings(serving.args or (), around, f"{where}: serving.args")
    variables = {variable.name: variable.value for variable in serving.env or ()}
    environment = local_environment(variables, f"{where}: serving.env")
    file = find_model(model, served.spec.revision, base, where)
    return LlamaCppModel(served, api, file, ServerStart(file.path, settings, environment))


def longest_request(tasks: "Iterable[ResolvedTask]") -> int:
    """The context that any request of the tasks may need, in tokens."""
    needs = [0]
    for task in tasks:
        if task.synthetic is not None:
            needs.append(int(task.synthetic.input_tokens * SYNTHETIC_MARGIN) + task.max_tokens)
        needs += [prompt_tokens_at_most(item.prompt) + task.max_tokens for item in (*task.items, *task.spare)]
    return request_tokens(max(needs), 0)


@dataclass(frozen=True)
class LlamaCppModel:
    """A model with its file and its settings."""

    served: Served
    api: PromptApi
    file: ModelFile
    start_with: ServerStart
    is_started: bool = True

    @property
    def settings(self) -> LocalSettings:
        """How its server runs."""
        return self.start_with.settings

    @property
    def record(self) -> ModelRecord:
        """What is known of it before it is started."""
        return ModelRecord(
            name=self.served.name,
            source=self.file.record(),
            runtime=LlamaCpp.name.value,
            substituted_for=self.served.substituted_for.value if self.served.substituted_for else None,
            server_arguments=self.settings.arguments(),
            throughput_unit="server",
        )

    def start(self, log: Path) -> "RunningLlamaCpp":
        """Start it and wait until it answers. Raises RunError, and UsageError where xllamacpp has gone."""
        return RunningLlamaCpp(self, start_server(self.start_with, log, READY_SECONDS))


@dataclass(frozen=True)
class RunningLlamaCpp:
    """A model that answers."""

    model: LlamaCppModel
    server: LocalServer

    @property
    def target(self) -> Target:
        """Where, and how it is spoken to."""
        runtime = LlamaCpp()
        return Target(
            url=self.server.url,
            protocol=runtime.protocols[self.model.api],
            model=self.model.served.name,
            extra_body=dict(runtime.request_additions()),
            counts_end_token=runtime.counts_end_token,
            can_force_length=runtime.can_force_length,
        )

    @property
    def memory(self) -> MemorySource:
        """Its process."""
        return MemorySource(process_ids=(self.server.pid,))

    @property
    def ready_seconds(self) -> float:
        """From its start to its first sign of readiness."""
        return self.server.listening.ready_seconds

    def recorded(self, record: ModelRecord) -> ModelRecord:
        """Its record with what only a running server tells: version, context of a slot, niceness granted."""
        listening = self.server.listening
        arguments: dict[str, JsonValue] = {
            **self.model.settings.arguments(),
            "--parallel": listening.slots,
            "contextPerSlot": listening.slot_context,
            "nice": listening.nice,
            "autogroupNice": listening.autogroup_nice,
            "environment": {**shown_variables(self.model.start_with.environment)},
        }
        update = {"runtime_version": f"xllamacpp {listening.version}", "server_arguments": arguments}
        return record.model_copy(update=update)

    def failure(self) -> Failure | None:
        """Why its process has ended. None while it runs."""
        return self.server.failure()

    def stop(self) -> None:
        """End its process."""
        self.server.stop()
