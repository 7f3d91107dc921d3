"""llama.cpp's `llama-server`: in a container as it is, in local mode out of the `xllamacpp` wheel.

Seen on xllamacpp 2026.10.11549 and llama-server b11669: an answer that ends at once counts one token, so the end token
is counted; `/health` answers 503 while the model loads; after SIGTERM an open stream ends within 30 s; requests beyond
its slots wait without limit.
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import JsonValue
from typing_extensions import override

from perbench.api.load import PromptApi
from perbench.api.models import Protocol
from perbench.api.serving import Runtime as RuntimeName
from perbench.runtimes.base import ALL_ADDRESSES, HUB_HOME, SCRATCH, Duty, Runtime, has_flag, hub_home
from perbench.runtimes.images import IMAGES
from perbench.runtimes.llamacpp_local import MAX_SLOTS, context_for
from perbench.runtimes.metrics import LLAMA_CPP

SLOTS = ("-np", "--parallel")
SLOTS_VARIABLE = "LLAMA_ARG_N_PARALLEL"
CONTEXT = ("-c", "--ctx-size")
CONTEXT_VARIABLE = "LLAMA_ARG_CTX_SIZE"
LAYERS = ("-ngl", "--gpu-layers", "--n-gpu-layers")
LAYERS_VARIABLE = "LLAMA_ARG_N_GPU_LAYERS"
ALL_LAYERS = "999"
"""More than any model has."""


class LlamaCpp(Runtime):
    """`llama-server`. As in local mode it has a slot for each request in flight, unless the user says otherwise.

    It splits its context evenly over the slots. Without `-c` that is what the model was trained for, so as far as it is
    known what requests need, the context is made for that.
    """

    name: ClassVar = RuntimeName.LLAMA_CPP
    images: ClassVar = IMAGES[RuntimeName.LLAMA_CPP]
    port: ClassVar = 8080
    health_path: ClassVar = "/health"
    metrics_path: ClassVar = "/metrics"
    metrics: ClassVar = LLAMA_CPP
    protocols: ClassVar = {PromptApi.COMPLETION: Protocol.OPENAI, PromptApi.CHAT: Protocol.OPENAI_CHAT}
    stop_seconds: ClassVar = 40
    counts_end_token: ClassVar = True
    can_force_length: ClassVar = True
    shares_memory: ClassVar = False
    takes_revision: ClassVar = False
    own_flags: ClassVar = frozenset(
        {"--host", "--port", "-m", "--model", "-hf", "-hfr", "--hf-repo", "-mu", "--model-url", "--api-key"}
    )

    @override
    def arguments(self, duty: Duty) -> tuple[str, ...]:
        own_slots = has_flag(duty.args, SLOTS) or SLOTS_VARIABLE in duty.variables
        own_context = has_flag(duty.args, CONTEXT) or CONTEXT_VARIABLE in duty.variables
        slots = None if duty.concurrency is None or own_slots else min(duty.concurrency, MAX_SLOTS)
        tokens = None if own_context else duty.request_tokens
        own_layers = has_flag(duty.args, LAYERS) or LAYERS_VARIABLE in duty.variables
        return (
            *(("--model",) if duty.place.is_path else ("--hf-repo",)),
            *(duty.place.name, "--host", ALL_ADDRESSES, "--port", str(self.port), "--metrics"),
            *(() if slots is None else ("--parallel", str(slots))),
            *(() if slots is None or tokens is None else ("--ctx-size", str(context_for(slots, tokens)))),
            *(("--gpu-layers", ALL_LAYERS) if duty.accelerators and not own_layers else ()),
            *(() if duty.prefix_cache else ("--no-cache-prompt", "--cache-ram", "0")),
            *(("--offline",) if duty.offline and not duty.place.is_path else ()),
            *duty.args,
        )

    @override
    def environment(self, duty: Duty) -> Mapping[str, str]:
        return {}

    @override
    def home(self, duty: Duty) -> Mapping[str, str]:
        return {"HOME": SCRATCH, "LLAMA_CACHE": f"{HUB_HOME}/llama.cpp", **hub_home(duty)}

    @override
    def request_additions(self, *, prefix_cache: bool = False) -> Mapping[str, JsonValue]:
        return {"cache_prompt": prefix_cache}

    @override
    def mistake(self, duty: Duty) -> str | None:
        if duty.place.revision is not None:
            return "revision: llama-server always takes the main branch: leave revision out, or serve from a volume"
        return super().mistake(duty)
