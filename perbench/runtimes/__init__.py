"""Model servers: one class for each, with all that perbench knows of it. Pure: no files, no sockets, no processes."""

from collections.abc import Mapping

from perbench.api.serving import Runtime as RuntimeName
from perbench.runtimes.base import Runtime
from perbench.runtimes.llamacpp import LlamaCpp

RUNTIMES: Mapping[RuntimeName, Runtime] = {runtime.name: runtime for runtime in (LlamaCpp(),)}
"""Every model server perbench can start."""
