"""llama.cpp's server with the words of `llama-server`, out of the `xllamacpp` wheel: the entry point of an image.

The flags that local mode maps are read by its own table (perbench/runtimes/llamacpp_local.py); those here are what a
container needs besides. Any other flag is refused, as `llama-server` does; so are its environment variables, which the
wheel does not read. Without a flag the value is `llama-server`'s own.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perbench.failures import UsageError
from perbench.local.llamacpp_process import LOG_LEVEL, parameters
from perbench.runtimes.llamacpp_local import FLAGS, LocalSettings, Surroundings, local_environment, local_settings

REFUSED_EXIT = 1
DEFAULT_SLOTS = 4
STANDARD_CACHE_MIB = 8192
MAPPED = {name: flag for flag in FLAGS for name in flag.names}
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


@dataclass(frozen=True)
class Start:
    """How the server is started."""

    settings: LocalSettings
    model: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    metrics: bool = False
    cache_prompt: bool = True
    cache_mib: int = STANDARD_CACHE_MIB
    gpu_layers: int = 0
    """Taken, and said to have no effect: as `llama-server` without a graphics card does."""


def read(words: Sequence[str], cores: int) -> Start:
    """The words after `llama-server`. Raises UsageError with what it would print."""
    own: dict[str, Any] = {}
    mapped: list[str] = []
    rest = iter(words)
    for word in rest:
        match word:
            case "--metrics":
                own["metrics"] = True
            case "--cache-prompt" | "--no-cache-prompt":
                own["cache_prompt"] = word == "--cache-prompt"
            case "-m" | "--model" | "--host":
                own["host" if word == "--host" else "model"] = _value(word, rest)
            case "--port" | "-cram" | "--cache-ram":
                own["port" if word == "--port" else "cache_mib"] = _number(word, _value(word, rest))
            case "-ngl" | "--gpu-layers" | "--n-gpu-layers":
                own["gpu_layers"] = _number(word, _value(word, rest))
            case _ if word in MAPPED:
                mapped += [word, _value(word, rest)]
            case _:
                raise UsageError(f"invalid argument: {word}")
    if not own.get("model"):
        raise UsageError("this image needs a model: --model FILE")
    return replace(Start(_settings(mapped, cores)), **own)


def _settings(mapped: list[str], cores: int) -> LocalSettings:
    given = {MAPPED[word].setting for word in mapped[::2]}
    if "context" not in given:
        mapped = [*mapped, "-c", "0"]
    if "threads" not in given:
        mapped = [*mapped, "-t", str(cores)]
    around = Surroundings(cores=cores, concurrency=DEFAULT_SLOTS, tokens_per_request=0)
    return local_settings(mapped, around, "llama-server")


def _value(word: str, rest: Any) -> str:
    value = next(rest, None)
    if value is None:
        raise UsageError(f"expected value for argument: {word}")
    return str(value)


def _number(word: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or (word == "--port" and int(text) > 65535):
        raise UsageError(f"error while handling argument {word!r}: {text}")
    return int(text)


def configured(library: Any, start: Start) -> Any:
    """The library's parameters."""
    wanted = parameters(library, {**start.settings.model_dump(), "model": start.model, "port": start.port})
    wanted.hostnames = [start.host]
    wanted.endpoint_metrics = start.metrics
    wanted.cache_prompt = start.cache_prompt
    wanted.cache_ram_mib = start.cache_mib
    wanted.verbosity = LOG_LEVEL
    return wanted


def serve(start: Start, variables: Mapping[str, str]) -> int:
    """Serve until SIGTERM; then as `llama-server` does, which waits for open streams."""
    os.environ.update(variables)
    if not Path(start.model).is_file():
        sys.stderr.write(f"error: failed to load model, '{start.model}'\n")
        return REFUSED_EXIT
    if start.gpu_layers:
        sys.stderr.write("warning: no usable GPU found, --gpu-layers option will be ignored\n")
    # Every thread from here on inherits the mask, so that the signal waits until this one takes it.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    import xllamacpp  # after the variables, which it reads when it is loaded

    try:
        server = xllamacpp.Server(configured(xllamacpp, start))
    except (RuntimeError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED_EXIT
    signal.sigwait(STOP_SIGNALS)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # a second one ends it at once
    del server
    return 0


def main(words: Sequence[str]) -> int:
    """Read, then serve."""
    given = {name: value for name, value in os.environ.items() if name.startswith("LLAMA_ARG_")}
    try:
        variables = local_environment(given, "environment")
        start = read(words, len(os.sched_getaffinity(0)))
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED_EXIT
    return serve(start, variables)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
