"""Model servers: one class for each, with all that perbench knows of it. Pure: no files, no sockets, no processes."""

from collections.abc import Mapping

from perbench.api.serving import Runtime as RuntimeName
from perbench.runtimes.base import Runtime
from perbench.runtimes.custom import Custom
from perbench.runtimes.llamacpp import LlamaCpp
from perbench.runtimes.sglang import SGLang
from perbench.runtimes.tgi import TGI
from perbench.runtimes.vllm import VLLM

RUNTIMES: Mapping[RuntimeName, Runtime] = {
    runtime.name: runtime for runtime in (TGI(), VLLM(), SGLang(), LlamaCpp(), Custom())
}
"""Every model server perbench can start."""


def runtime_of(name: RuntimeName) -> Runtime:
    """All that is known of a model server."""
    return RUNTIMES[name]
