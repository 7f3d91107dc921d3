"""`spec.serving`: how models are served."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from perbench.api.rules import ApiObject, ListMap
from perbench.api.text import VARIABLE


class Runtime(StrEnum):
    """The model servers perbench knows how to start."""

    TGI = "TGI"
    VLLM = "VLLM"
    SGLANG = "SGLang"
    LLAMA_CPP = "LlamaCpp"
    CUSTOM = "Custom"


class EnvVar(ApiObject):
    """One environment variable of the model server."""

    name: Annotated[str, Field(pattern=VARIABLE, min_length=1, max_length=128)]
    """Name of the variable; unique in the list."""
    value: Annotated[str, Field(max_length=4096)]
    """Its value. Text: quote numbers, `true` and `off`. It is readable by all who may read this object: no secrets."""


class Serving(ApiObject):
    """How a model is served. Under a model it overrides what the benchmark says for all."""

    runtime: Runtime | None = None
    """The model server: `TGI`, `VLLM`, `SGLang`, `LlamaCpp` or `Custom`. Default TGI."""
    args: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...] | None, Field(max_length=64)] = (
        None
    )
    """The server's own flags, one word per entry: `["-np", "4"]`. In local mode those named in the documentation of
    local serving; any other is refused."""
    env: Annotated[tuple[EnvVar, ...] | None, Field(max_length=64), ListMap("name")] = None
    """Environment variables of the server."""
