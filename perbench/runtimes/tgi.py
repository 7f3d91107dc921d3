"""Hugging Face's Text Generation Inference: `text-generation-launcher`, which starts shards and a router.

Seen on release 3.3.7, the last one (the router and the launcher are real in the recordings under tests/golden/tgi, the
model behind them is scripted):

- Every flag has a variable of its name. Ours go that way, so that both a flag and a variable of the user's win, and
  because the image's entry point splits its words at spaces.
- Without NUM_SHARD it takes every device it sees. A request above the concurrency limit fails at once.
- The port opens after warm-up, and `/health` then answers 200. It waits for the batch that is being computed, so a
  probe needs seconds. A router that is stuck stays healthy: the load generator has time limits of its own.
- After SIGTERM open requests may go on for GRACEFUL_TERMINATION_TIMEOUT, in the router and then in the shards.
- The launcher logs its arguments with the API key in them, so none is given. Plain logs carry colours.
- The end token is an event and is counted.
- An answer is computed in pieces of 1,024 tokens, and never ends within one for its length: a limit of 1,100 gives
  2,048. So other limits above 1,024 than multiples of it are refused (`perbench.api.defaults.is_kept_by_tgi`).
- `--enable-prefill-logprobs` is left off: nothing asks for the log-probabilities of prompts.
- `HOSTNAME` is a flag's variable too, and in a pod the pod's name, which is no address to listen at.
- Images since 3.1 hold Python below /root, which nobody but root may enter (huggingface/text-generation-inference#3082,
  still open when it was last looked at): images of this name run as root, without any capability. For one in which that
  is mended, podPatch says who it runs as; images of other names run as a user without a name.
"""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from perbench.api.load import PromptApi
from perbench.api.models import Protocol
from perbench.api.serving import Runtime as RuntimeName
from perbench.runtimes.base import ALL_ADDRESSES, HUB_HOME, NOBODY, Duty, Runtime
from perbench.runtimes.images import IMAGES
from perbench.runtimes.metrics import TGI as TGI_METRICS

ROOT = 0
ITS_NAME = "text-generation-inference"
"""The last part of the name of its publisher's images, and of copies of them in other registries."""
SLACK = 16
"""Requests beyond those of the load that are let in: one that was given up holds its place until its next token."""
GRACE_SECONDS = 20
SPLIT_BY_SHELL = frozenset(" \t\n*?[")


class TGI(Runtime):
    """`text-generation-launcher`."""

    name: ClassVar = RuntimeName.TGI
    images: ClassVar = IMAGES[RuntimeName.TGI]
    port: ClassVar = 8080
    health_path: ClassVar = "/health"
    metrics_path: ClassVar = "/metrics"
    metrics: ClassVar = TGI_METRICS
    protocols: ClassVar = {PromptApi.COMPLETION: Protocol.TGI, PromptApi.CHAT: Protocol.OPENAI_CHAT}
    stop_seconds: ClassVar = 2 * GRACE_SECONDS + 10
    counts_end_token: ClassVar = True
    can_force_length: ClassVar = False
    shares_memory: ClassVar = True
    own_flags: ClassVar = frozenset({"--port", "-p", "--hostname", "--model-id", "--revision", "--api-key"})
    own_variables: ClassVar = frozenset({"PORT", "HOSTNAME", "MODEL_ID", "REVISION", "API_KEY"})

    @override
    def user(self, image: str) -> int:
        name = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
        return ROOT if name == ITS_NAME else NOBODY

    @override
    def arguments(self, duty: Duty) -> tuple[str, ...]:
        return duty.args

    @override
    def environment(self, duty: Duty) -> Mapping[str, str]:
        return {
            "MODEL_ID": duty.place.name,
            **({"REVISION": duty.place.revision} if duty.place.revision else {}),
            "NUM_SHARD": str(max(1, duty.accelerators)),
            "MAX_CONCURRENT_REQUESTS": str(max(128, duty.most_in_flight + SLACK)),
            **({} if duty.prefix_cache else {"PREFIX_CACHING": "0"}),
            "PORT": str(self.port),
            "HOSTNAME": ALL_ADDRESSES,
            "GRACEFUL_TERMINATION_TIMEOUT": str(GRACE_SECONDS),
            "JSON_OUTPUT": "true",
            "USAGE_STATS": "off",
        }

    @override
    def home(self, duty: Duty) -> Mapping[str, str]:
        # Its images for CPUs have another place for the hub's files, which this turns back.
        return {**super().home(duty), "HUGGINGFACE_HUB_CACHE": f"{HUB_HOME}/hub"}

    @override
    def mistake(self, duty: Duty) -> str | None:
        split = next((word for word in duty.args if SPLIT_BY_SHELL.intersection(word)), None)
        if split is not None:
            return (
                f"serving.args: TGI's image splits {split!r} at spaces and expands *, ? and [: give it in serving.env,"
                " under the flag's name in capitals"
            )
        return super().mistake(duty)
