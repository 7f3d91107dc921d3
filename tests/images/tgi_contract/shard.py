"""`python -m tests.images.tgi_contract.shard`: llama.cpp's server as the model server behind the router.

The first line on standard input is the settings, JSON; the one line on standard output is the address. It ends on
SIGTERM, and is killed when the process that started it is gone.
"""

import json
import os
import signal
import sys
from typing import Any

from perbench.local import tether
from perbench.local.llamacpp_process import parameters


def main() -> int:
    """Serve until SIGTERM."""
    status = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the library prints belongs into the log
    settings: dict[str, Any] = json.loads(sys.stdin.readline())
    tether.tether(settings["parent"])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    import xllamacpp

    wanted = parameters(xllamacpp, settings)
    wanted.special = True  # the router lists the end token like any other
    wanted.kv_unified = True  # sequences share the context, as they share TGI's KV cache
    wanted.verbosity = settings["verbosity"]
    try:
        server = xllamacpp.Server(wanted)
    except (RuntimeError, ValueError) as error:
        sys.stderr.write(f"the model server could not be started: {error}\n")
        return 1
    status.write(json.dumps({"url": server.listening_address}) + "\n")
    status.close()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)  # its own shutdown waits for open streams


if __name__ == "__main__":
    sys.exit(main())
