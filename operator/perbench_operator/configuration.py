"""The operator's own settings: one YAML file, which the chart writes into a ConfigMap."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from perbench.api.text import OBJECT_NAME
from perbench.base import Document
from perbench.failures import UsageError

Scope = tuple[Annotated[str, Field(pattern=OBJECT_NAME, min_length=1, max_length=63)], ...]
"""The namespaces that are watched. Empty: all of them."""


class LogLevel(StrEnum):
    """How much the operator logs."""

    DEBUG = "Debug"
    INFO = "Info"
    WARNING = "Warning"


class OperatorConfiguration(Document):
    """What the operator is told when it starts."""

    namespaces: Scope = ()
    """Namespaces whose benchmarks are watched. Empty: all, which needs a ClusterRole."""
    probe_port: Annotated[int, Field(ge=1, le=65535)] = 8081
    """Where /healthz and /readyz answer."""
    log_level: LogLevel = LogLevel.INFO
    """How much is logged."""


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
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise UsageError(f"{path}: {where}: {first['msg']}") from error
