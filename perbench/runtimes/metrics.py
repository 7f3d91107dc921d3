"""What model servers call their own figures on `/metrics`, by version, and what each figure counts.

Seen on TGI 3.3.7, vLLM 0.32.0 and an older one, SGLang 0.5.10 and an older one, llama-server b11669. Looked at last on
2026-11-24. A server's figures are compared with the client's only as far as this module says what they count:

What they say of memory is understood by perbench_bench.device.runtimes.

- **TGI** (`tgi_`) answers with an empty page until its first request, and has no series for what never happened.
  `tgi_request_count` counts a request of the chat and completions routes twice; `tgi_request_success` and
  `tgi_request_failure` together count every request once, when it ends. `tgi_request_input_length` counts a prompt
  again for every further 1,024 tokens of its answer. No figure for the KV cache, cached tokens or preemptions.
- **vLLM** (`vllm:`) has a label `engine`: several engines of one server are added up. `request_success_total` counts at
  the end of an answer and leaves out what the client gave up, whose generated tokens do count. Prompt tokens include
  those from the cache.
- **SGLang** (`sglang:`, only with `--enable-metrics`) counts a request and its tokens at its end; the ranks of one
  tensor parallel group repeat each other. Prompt tokens include those from the cache. What it says of requests that run
  may be as old as its last log line. No counter of preemptions.
- **llama-server** (`llamacpp:`, only with `--metrics`) counts tokens, at the end of each request, and no requests.
  Prompt tokens leave out those from the cache. Its gauges `*_tokens_seconds` begin anew with every reading, so whoever
  else reads them sees other figures while a stage runs; they are not used here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

Spellings = tuple[str, ...]
"""One figure under the names it has had, the newest first. Empty: it is not exported."""


@dataclass(frozen=True)
class MetricNames:
    """The figures of one kind of server."""

    prefix: str
    """What all its names begin with."""
    running: Spellings
    """Gauge: requests that are being worked on."""
    waiting: Spellings
    """Gauge: requests that wait."""
    input_tokens: Spellings
    """Counter: prompt tokens."""
    output_tokens: Spellings
    """Counter: generated tokens."""
    requests: tuple[str, ...] = ()
    """Counters that, added up, count every request that ended once. Empty: requests are not counted once."""
    cached_tokens: Spellings = ()
    """Counter: prompt tokens that came out of a cache."""
    preemptions: Spellings = ()
    """Counter: requests put back into the queue for want of memory."""
    cache_use: Spellings = ()
    """Gauge: the share of the KV cache in use, 0 to 1."""
    used_tokens: Spellings = ()
    """Gauge: tokens in the KV cache that requests hold."""
    cache_tokens: Spellings = ()
    """Gauge: tokens that the KV cache has room for."""
    page_tokens: Spellings = ()
    """Gauge: tokens that are kept together."""
    other_pools: Spellings = ()
    """Gauges: the shares in use of further caches, of layers that keep something else. All are read."""
    cache_info: Spellings = ()
    """A gauge of 1 whose labels describe the KV cache."""
    weights_gib: Spellings = ()
    """Gauge: memory of the weights on each rank's device, GiB."""
    cache_gib: Spellings = ()
    """Gauge: memory of the whole KV cache on each rank's device, GiB."""
    graphs_gib: Spellings = ()
    """Gauge: memory of recorded graphs on each rank's device, GiB."""
    input_includes_cached: bool = True
    """Whether the prompt tokens include those out of a cache."""
    input_again_after: int | None = None
    """Tokens of an answer after which its prompt is counted again. None: never."""
    absent_is_zero: bool = False
    """A counter appears with the first thing it counts."""
    rank_label: str | None = None
    """Label of workers that all report the same; the one of rank 0 is read."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that is looked for."""
        return (
            *self.running, *self.waiting, *self.input_tokens, *self.output_tokens, *self.requests,
            *self.cached_tokens, *self.preemptions, *self.cache_use, *self.used_tokens, *self.cache_tokens,
            *self.page_tokens, *self.other_pools, *self.cache_info, *self.weights_gib, *self.cache_gib,
            *self.graphs_gib,
        )  # fmt: skip


TGI = MetricNames(
    prefix="tgi_",
    running=("tgi_batch_current_size",),
    waiting=("tgi_queue_size",),
    input_tokens=("tgi_request_input_length_sum",),
    output_tokens=("tgi_request_generated_tokens_sum",),
    requests=("tgi_request_success", "tgi_request_failure"),
    input_again_after=1024,
    absent_is_zero=True,
)
VLLM = MetricNames(
    prefix="vllm:",
    running=("vllm:num_requests_running",),
    waiting=("vllm:num_requests_waiting",),
    input_tokens=("vllm:prompt_tokens_total",),
    output_tokens=("vllm:generation_tokens_total",),
    requests=("vllm:request_success_total",),
    cached_tokens=(
        "vllm:prompt_tokens_cached_total",
        "vllm:prefix_cache_hits_total",
        "vllm:gpu_prefix_cache_hits_total",
    ),
    preemptions=("vllm:num_preemptions_total",),
    cache_use=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
    cache_info=("vllm:cache_config_info",),
)
SGLANG = MetricNames(
    prefix="sglang:",
    running=("sglang:num_running_reqs",),
    waiting=("sglang:num_queue_reqs",),
    input_tokens=("sglang:prompt_tokens_total",),
    output_tokens=("sglang:generation_tokens_total",),
    requests=("sglang:num_requests_total",),
    cached_tokens=("sglang:cached_tokens_total",),
    cache_use=("sglang:token_usage",),
    used_tokens=("sglang:kv_used_tokens", "sglang:num_used_tokens"),
    cache_tokens=("sglang:max_total_num_tokens",),
    page_tokens=("sglang:page_size",),
    other_pools=("sglang:swa_token_usage", "sglang:mamba_usage"),
    weights_gib=("sglang:weight_memory_usage_gb",),
    cache_gib=("sglang:kv_cache_memory_usage_gb",),
    graphs_gib=("sglang:graph_memory_usage_gb",),
    rank_label="tp_rank",
)
LLAMA_CPP = MetricNames(
    prefix="llamacpp:",
    running=("llamacpp:requests_processing",),
    waiting=("llamacpp:requests_deferred",),
    input_tokens=("llamacpp:prompt_tokens_total",),
    output_tokens=("llamacpp:tokens_predicted_total",),
    cached_tokens=("llamacpp:prompt_tokens_cached_total",),
    input_includes_cached=False,
)

FAMILIES: Sequence[MetricNames] = (TGI, VLLM, SGLANG, LLAMA_CPP)
"""Every kind of server whose figures are understood, whoever started it."""
