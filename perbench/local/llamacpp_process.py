"""`python -m perbench.local.llamacpp_process`: llama.cpp's server as a process of its own.

The first line on standard input is the settings, JSON. The server then runs until SIGTERM, or until standard input
ends, which says that whoever started it is gone. Its one line on standard output, JSON, says that it listens. This
process is what is measured: it imports nothing but the standard library and xllamacpp.
"""

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from perbench.local import tether

LOG_LEVEL = 3
"""llama.cpp's "info": how the model was loaded, and what went wrong; a few lines for each request."""
FAILED_EXIT = 1


def main() -> int:
    """Start, say so, wait for the end."""
    status = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the library prints belongs into the log
    line = sys.stdin.readline()
    if not line:
        return FAILED_EXIT  # whoever started it is gone already
    settings: dict[str, Any] = json.loads(line)
    if settings["tethered"]:
        tether.tether(settings["parent"])
    # Every thread from here on inherits the mask, so that the signal waits until this one takes it.
    stop_signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    threading.Thread(target=_end_with_input, daemon=True).start()
    niceness = step_back(settings["nice"])
    try:
        server, version = _serve(settings)
    except (RuntimeError, ValueError) as error:
        sys.stderr.write(f"the server could not be started: {error}\n")
        return FAILED_EXIT
    status.write(json.dumps({"url": server.listening_address, "version": version, **niceness}) + "\n")
    status.close()
    signal.sigwait(stop_signals)
    os._exit(0)  # nothing is worth waiting for: the server's own shutdown waits for open streams, up to 30 s


def step_back(nice: int) -> dict[str, int | None]:
    """Let others have the cores first. Returns what was granted.

    Niceness counts within a scheduling group only, and a session of its own is such a group where the kernel groups by
    session (sched(7), autogroup): then the group has to step back as well.
    """
    granted: dict[str, int | None] = {"nice": None, "autogroupNice": None}
    with contextlib.suppress(OSError):
        granted["nice"] = os.nice(nice)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(nice), encoding="ascii")
        granted["autogroupNice"] = nice
    return granted


def _serve(settings: dict[str, Any]) -> tuple[Any, str]:
    import xllamacpp  # noqa: PLC0415 - slow; the tether must hold before

    return xllamacpp.Server(parameters(xllamacpp, settings)), xllamacpp.__version__


def parameters(library: Any, settings: dict[str, Any]) -> Any:  # noqa: ANN401 - xllamacpp has no types
    """The library's parameters for `settings`."""
    params = library.CommonParams()
    params.model.path = settings["model"]
    params.hostnames = ["127.0.0.1"]
    params.port = settings["port"]
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["context"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.cache_type_k = getattr(library.ggml_type, f"GGML_TYPE_{settings['cache_type_k'].upper()}")
    params.cache_type_v = getattr(library.ggml_type, f"GGML_TYPE_{settings['cache_type_v'].upper()}")
    attention = {"on": "ENABLED", "off": "DISABLED", "auto": "AUTO"}[settings["flash_attention"]]
    params.flash_attn_type = getattr(library.llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{attention}")
    params.n_batch = settings["batch"]
    params.n_ubatch = settings["ubatch"]
    # What is always so in local mode: no prefix cache, nothing adjusted behind our back, the CPU.
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.n_ctx_checkpoints = 0
    params.fit_params = False
    params.n_gpu_layers = 0
    params.endpoint_metrics = True
    params.verbosity = LOG_LEVEL
    return params


def _end_with_input() -> None:
    """Wait for the end of standard input. While the model loads this thread may stand still: the tether does not."""
    while os.read(0, 4096):
        pass
    os._exit(FAILED_EXIT)


if __name__ == "__main__":
    sys.exit(main())
