"""The operator's own settings: one YAML file, which the chart writes into a ConfigMap."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from perbench.api.text import OBJECT_NAME
from perbench.base import Document
from perbench.failures import UsageError, first_mistake
from perbench_operator.platform import Platform

Scope = tuple[Annotated[str, Field(pattern=OBJECT_NAME, min_length=1, max_length=63)], ...]
"""The namespaces that are watched. Empty: all of them."""
MaxConcurrentModels = Annotated[int, Field(ge=1, le=1000)]


class LogLevel(StrEnum):
    """How much the operator logs."""

    DEBUG = "Debug"
    INFO = "Info"
    WARNING = "Warning"


HTTP_URL = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"
"""An address without user, query and fragment."""


class GrafanaTarget(Document):
    """The Grafana that is given dashboards, and in which runs are marked."""

    url: Annotated[str, Field(pattern=HTTP_URL, max_length=2048)]
    """Its address."""
    token_file: Path
    """The token of a service account is in it. It is read at every use."""
    dashboards: bool = True
    """Whether the dashboards are pushed. Not where ConfigMaps bring them."""
    folder: Annotated[str, Field(pattern=r"\S", max_length=189)] = "perbench"
    """The title of the dashboards' folder."""
    prometheus_url: Annotated[str | None, Field(pattern=HTTP_URL, max_length=2048)] = None
    """Where Grafana reaches Prometheus: a data source is made of it. None: there is one."""
    program: Annotated[tuple[str, ...], Field(min_length=1)] = ("/opt/perbench-grafana/bin/perbench",)
    """What speaks to Grafana: `perbench` in an environment of its own, with first arguments."""


class OperatorConfiguration(Document):
    """What the operator is told when it starts."""

    namespaces: Scope = ()
    """Namespaces whose benchmarks are watched. Empty: all, which needs a ClusterRole."""
    probe_port: Annotated[int, Field(ge=1, le=65535)] = 8081
    """Where /healthz and /readyz answer."""
    metrics_port: Annotated[int, Field(ge=1, le=65535)] = 8082
    """Where /metrics answers."""
    log_level: LogLevel = LogLevel.INFO
    """How much is logged."""
    max_concurrent_models: MaxConcurrentModels = 4
    """Models of all benchmarks together that are served at the same time."""
    read_nodes: bool = True
    """Whether nodes may be read, for the product of their accelerators."""
    grafana: GrafanaTarget | None = None
    """None: Grafana is told nothing."""
    platform: Platform
    """What the runs that start from now on are given."""


def read_configuration(path: Path) -> OperatorConfiguration:
    """The settings in a file. Raises UsageError, one line."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    try:
        return OperatorConfiguration.model_validate({} if data is None else data, by_name=False, by_alias=True)
    except ValidationError as error:
        raise UsageError(f"{path}: {first_mistake(error)}") from error
