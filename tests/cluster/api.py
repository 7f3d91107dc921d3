"""Reading from an API server by hand, for what is waited for before anything else can be asked; and kubectl."""

import http.client
import json
import os
import re
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ASK_SECONDS = 15.0
PAUSE_SECONDS = 0.1
COMMAND_SECONDS = 300.0
"""For one command, which takes less than one: on a machine that stands still now and then much longer."""
AGAIN_SECONDS, AGAIN_PAUSE_SECONDS = 60.0, 1.0
"""A command that met an API server which does not answer for the moment is tried again for so long."""
UNSENT = re.compile(r"connection refused|TLS handshake timeout|dial tcp .* i/o timeout|network is unreachable")
"""What kubectl says where nobody has heard what it was to do."""
UNANSWERED = re.compile(
    r"etcdserver: |connection reset by peer|connection lost|unexpected EOF|: EOF|i/o timeout|server is currently unable"
    r"|unable to return a response in the time allotted|context deadline exceeded|request timed out|Too Many Requests"
)
"""What it says where that is not known. Things that are made would be made, or said to be there already."""
NOT_AGAIN = frozenset({"create", "exec", "delete"})


class Api:
    """An API server on loopback, asked as its administrator."""

    def __init__(self, port: int, pki: Path) -> None:
        self._server = f"https://127.0.0.1:{port}"
        self._context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._context.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def get(self, path: str) -> str:
        """The body at a path. Raises OSError, of which urllib's errors are subclasses."""
        try:
            with urllib.request.urlopen(f"{self._server}{path}", context=self._context, timeout=ASK_SECONDS) as answer:
                return str(answer.read().decode())
        except http.client.HTTPException as error:  # it broke off in the middle
            raise OSError(f"{path}: {error!r}") from error

    def answers(self, path: str) -> bool:
        """Whether there is a body at this path."""
        try:
            self.get(path)
        except OSError:
            return False
        return True

    def node_is_usable(self, name: str) -> bool:
        """Whether a node is ready, and pods may be put on it."""
        try:
            node = json.loads(self.get(f"/api/v1/nodes/{name}"))
        except OSError:
            return False
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"]["conditions"])
        return ready and not node["spec"].get("taints")


def wait_until(done: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait for a condition, with a deadline. Raises TimeoutError that names what was waited for."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(PAUSE_SECONDS)


@dataclass(frozen=True)
class Kubectl:
    """kubectl with one kubeconfig; `namespace` is that of commands which name no other."""

    program: Path
    kubeconfig: Path
    namespace: str = "default"
    cache: Path | None = None
    """Folder for what kubectl keeps; by default beside the kubeconfig, never in the user's home."""

    def run(
        self, *arguments: str, document: object = None, seconds: float = COMMAND_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever comes of it. `document` goes to its standard input, as JSON unless it is text."""
        text = document if isinstance(document, str) else json.dumps(document)
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str((self.cache or self.kubeconfig.parent) / "kubectl-cache"),
        }
        return subprocess.run(
            [self.program, f"--namespace={self.namespace}", *arguments],
            input=None if document is None else text,
            stdin=subprocess.DEVNULL if document is None else None,
            capture_output=True,
            text=True,
            env=environment,
            timeout=seconds,
            check=False,
        )

    def __call__(self, *arguments: str, document: object = None, seconds: float = COMMAND_SECONDS) -> str:
        """What a command that must succeed prints. Where the API server does not answer for the moment it is tried
        again. Raises RuntimeError with what kubectl says."""
        deadline = time.monotonic() + AGAIN_SECONDS
        while (done := self.run(*arguments, document=document, seconds=seconds)).returncode:
            if not _may_pass(arguments[0], done.stderr) or time.monotonic() > deadline:
                raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
            time.sleep(AGAIN_PAUSE_SECONDS)
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """An object, or a list of them, as `kubectl get` returns it in JSON."""
        return json.loads(self("get", *arguments, "--output=json"))

    def apply(self, *documents: object) -> None:
        """Apply objects."""
        self("apply", "--filename=-", document={"apiVersion": "v1", "kind": "List", "items": list(documents)})

    def in_namespace(self, namespace: str) -> "Kubectl":
        """The same in another namespace."""
        return replace(self, namespace=namespace)

    def as_user(self, kubeconfig: Path) -> "Kubectl":
        """The same as the user of another kubeconfig."""
        return replace(self, kubeconfig=kubeconfig)


def _may_pass(command: str, said: str) -> bool:
    """Whether a command that failed may be given again."""
    return bool(UNSENT.search(said) or (command not in NOT_AGAIN and UNANSWERED.search(said)))
