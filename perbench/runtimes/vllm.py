"""vLLM: `vllm serve`.

Seen on 0.32.0 on the CPU (its recordings), read in 0.33: the port opens when the model is ready; an answer that ends
at once counts one token, so the end token is counted; requests wait without limit beyond `--max-num-seqs`, whose own
default depends on the device (256, or 1,024 on the largest). It does not start where that is more than the tokens of
one step (`--max-num-batched-tokens`, 2,048 by default on most), and sets memory aside for so many. After SIGTERM the
engine ends at once and open requests get no answer. A later flag wins over an earlier one. Its image has a user `vllm`
since spring 2026 (vllm-project/vllm#40275) and runs as root without being told.
"""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from perbench.api.load import PromptApi
from perbench.api.models import Protocol
from perbench.api.serving import Runtime as RuntimeName
from perbench.runtimes.base import ALL_ADDRESSES, SCRATCH, Duty, Runtime
from perbench.runtimes.images import IMAGES
from perbench.runtimes.metrics import VLLM as VLLM_METRICS

USER = 2000
SEQUENCES = 256
"""Its own default on most devices. Given, so that it is the same on all; more where a closed loop has more, since the
load that was asked for is then to be worked on and not to wait."""
MOST_SEQUENCES = 1024
"""Its own default on the largest devices. What a load has beyond waits at the server, and the results say so; whoever
wants more gives the flag, and what else it needs, in `serving.args`."""


class VLLM(Runtime):
    """`vllm serve`."""

    name: ClassVar = RuntimeName.VLLM
    images: ClassVar = IMAGES[RuntimeName.VLLM]
    port: ClassVar = 8000
    health_path: ClassVar = "/health"
    metrics_path: ClassVar = "/metrics"
    metrics: ClassVar = VLLM_METRICS
    protocols: ClassVar = {PromptApi.COMPLETION: Protocol.OPENAI, PromptApi.CHAT: Protocol.OPENAI_CHAT}
    stop_seconds: ClassVar = 30
    counts_end_token: ClassVar = True
    can_force_length: ClassVar = True
    shares_memory: ClassVar = True
    own_flags: ClassVar = frozenset({"--host", "--port", "--model", "--revision", "--served-model-name", "--api-key"})
    own_variables: ClassVar = frozenset({"VLLM_API_KEY"})

    @override
    def user(self, image: str) -> int:
        return USER

    @override
    def command(self) -> tuple[str, ...]:
        return ("vllm", "serve")

    @override
    def arguments(self, duty: Duty) -> tuple[str, ...]:
        revision = duty.place.revision
        return (
            duty.place.name,
            *(("--revision", revision, "--tokenizer-revision", revision) if revision else ()),
            *("--served-model-name", duty.name, "--host", ALL_ADDRESSES, "--port", str(self.port)),
            *("--tensor-parallel-size", str(max(1, duty.accelerators))),
            *("--max-num-seqs", str(min(max(SEQUENCES, duty.concurrency or 0), MOST_SEQUENCES))),
            *("--generation-config", "vllm"),  # else what a request does not say is taken from the model's own file
            "--enable-prefix-caching" if duty.prefix_cache else "--no-enable-prefix-caching",
            *duty.args,
        )

    @override
    def environment(self, duty: Duty) -> Mapping[str, str]:
        return {"VLLM_NO_USAGE_STATS": "1"}

    @override
    def home(self, duty: Duty) -> Mapping[str, str]:
        return {**super().home(duty), "VLLM_CACHE_ROOT": f"{SCRATCH}/vllm"}
