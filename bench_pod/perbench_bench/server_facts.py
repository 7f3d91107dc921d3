"""What a model server says of itself: its version, and the arguments in effect as far as it tells them.

Which server it is shows in what its routes answer: TGI /info, SGLang /server_info (older: /get_server_info), llama.cpp
/props, vLLM /version. Only fields listed here are taken: SGLang's answer holds API keys as well.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import JsonValue

from perbench.failures import shorten
from perbench.results import SIZED_AT_START
from perbench_bench.engine.http1 import HttpError, Origin, get_bytes
from perbench_bench.fetch import fetch, tls_of

ROUTE_SECONDS = 5.0
ALL_SECONDS = 10.0

TGI_ARGUMENTS = (
    "model_id", "model_sha", "docker_label", "sha", "max_concurrent_requests", "max_client_batch_size",
    "validation_workers",
)  # fmt: skip
TGI_SIZES = ("max_input_tokens", "max_total_tokens")
"""Without a flag TGI makes them for the memory that it finds free, and does not say whether there was one."""
SGLANG_ARGUMENTS = (
    "model_path", "revision", "dtype", "quantization", "kv_cache_dtype", "context_length", "tp_size", "dp_size",
    "pp_size", "ep_size", "mem_fraction_static", "max_running_requests", "max_queued_requests", "max_total_tokens",
    "max_prefill_tokens", "chunked_prefill_size", "schedule_policy", "attention_backend", "sampling_backend",
    "disable_radix_cache", "disable_cuda_graph", "cuda_graph_max_bs", "speculative_algorithm",
)  # fmt: skip
# Without a flag llama.cpp's context is what the model was trained for, or what fits.
LLAMACPP_ARGUMENTS = ("total_slots", "model_ftype")


@dataclass(frozen=True)
class ServerFacts:
    """What one server said."""

    version: str | None = None
    arguments: Mapping[str, JsonValue] = field(default_factory=dict)
    revision: str | None = None
    """The commit it says it has loaded."""


Reader = Callable[[Mapping[str, Any]], ServerFacts | None]


def of_tgi(said: Mapping[str, Any]) -> ServerFacts | None:
    """/info. Its version has not moved with its releases, so the image's label stands beside it."""
    if "max_total_tokens" not in said or "router" not in said:
        return None
    label = said.get("docker_label") or said.get("sha")
    version = f"{said.get('version')} ({label})" if label else _text(said.get("version"))
    sizes = {SIZED_AT_START: _picked(said, TGI_SIZES)}
    return ServerFacts(_text(version), _picked(said, TGI_ARGUMENTS) | sizes, _text(said.get("model_sha")))


def of_sglang(said: Mapping[str, Any]) -> ServerFacts | None:
    """/server_info, /get_server_info."""
    if "version" not in said or "mem_fraction_static" not in said:
        return None
    return ServerFacts(_text(said["version"]), _picked(said, SGLANG_ARGUMENTS))


def of_llamacpp(said: Mapping[str, Any]) -> ServerFacts | None:
    """/props."""
    if "total_slots" not in said:
        return None
    settings = said.get("default_generation_settings")
    context = settings.get("n_ctx") if isinstance(settings, dict) else None
    sized: dict[str, JsonValue] = {SIZED_AT_START: {"n_ctx": context}} if isinstance(context, int) else {}
    return ServerFacts(_text(said.get("build_info")), _picked(said, LLAMACPP_ARGUMENTS) | sized)


def of_vllm(said: Mapping[str, Any]) -> ServerFacts | None:
    """/version. Its arguments it tells nobody."""
    return ServerFacts(_text(said["version"])) if isinstance(said.get("version"), str) else None


ROUTES: tuple[tuple[str, Reader], ...] = (
    ("/info", of_tgi),
    ("/server_info", of_sglang),
    ("/get_server_info", of_sglang),
    ("/props", of_llamacpp),
    ("/version", of_vllm),
)


def server_facts(origin: Origin, address: str, api_key: str | None) -> ServerFacts:
    """Ask the routes one after the other. Blocks for up to 10 s; empty where none says anything."""
    latest = time.monotonic() + ALL_SECONDS
    tls = tls_of(origin)
    for path, read in ROUTES:
        seconds = min(ROUTE_SECONDS, latest - time.monotonic())
        if seconds <= 0:
            break
        try:
            status, body = fetch(origin, address, get_bytes(origin, path, api_key), seconds, tls)
            said = orjson.loads(body) if status == 200 else None
        except (OSError, HttpError, orjson.JSONDecodeError):
            continue
        if isinstance(said, dict) and (found := read(said)):
            return found
    return ServerFacts()


def _picked(said: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, JsonValue]:
    """Plain values of these names; texts of a server are capped."""
    picked: dict[str, JsonValue] = {}
    for name in names:
        value = said.get(name)
        if isinstance(value, bool | int | float):
            picked[name] = value
        elif isinstance(value, str) and value:
            picked[name] = shorten(value, 200)
    return picked


def _text(value: object) -> str | None:
    return shorten(value, 100) if isinstance(value, str) and value else None
