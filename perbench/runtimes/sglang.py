"""SGLang: `python3 -m sglang.launch_server`.

Read in 0.5.23: it listens on the loopback address unless told otherwise, answers 503 on `/health` while it starts, has
metrics only with `--enable-metrics`, and lets requests wait without limit. Whether its count of generated tokens
includes the end token has not been seen. A later flag wins over an earlier one.
"""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from perbench.api.load import PromptApi
from perbench.api.models import Protocol
from perbench.api.serving import Runtime as RuntimeName
from perbench.runtimes.base import ALL_ADDRESSES, Duty, Runtime
from perbench.runtimes.images import IMAGES
from perbench.runtimes.metrics import SGLANG as SGLANG_METRICS


class SGLang(Runtime):
    """`sglang.launch_server`."""

    name: ClassVar = RuntimeName.SGLANG
    images: ClassVar = IMAGES[RuntimeName.SGLANG]
    port: ClassVar = 30000
    health_path: ClassVar = "/health"
    metrics_path: ClassVar = "/metrics"
    metrics: ClassVar = SGLANG_METRICS
    protocols: ClassVar = {PromptApi.COMPLETION: Protocol.OPENAI, PromptApi.CHAT: Protocol.OPENAI_CHAT}
    stop_seconds: ClassVar = 30
    counts_end_token: ClassVar = None
    can_force_length: ClassVar = True
    shares_memory: ClassVar = True
    own_flags: ClassVar = frozenset(
        {"--host", "--port", "--model", "--model-path", "--revision", "--served-model-name", "--api-key"}
    )

    @override
    def command(self) -> tuple[str, ...]:
        return ("python3", "-m", "sglang.launch_server")

    @override
    def arguments(self, duty: Duty) -> tuple[str, ...]:
        return (
            *("--model-path", duty.place.name),
            *(("--revision", duty.place.revision) if duty.place.revision else ()),
            *("--served-model-name", duty.name, "--host", ALL_ADDRESSES, "--port", str(self.port)),
            *("--tp-size", str(max(1, duty.accelerators)), "--enable-metrics"),
            *("--sampling-defaults", "openai"),  # else what a request does not say is taken from the model's own file
            *(() if duty.prefix_cache else ("--disable-radix-cache",)),
            *duty.args,
        )

    @override
    def environment(self, duty: Duty) -> Mapping[str, str]:
        return {}
