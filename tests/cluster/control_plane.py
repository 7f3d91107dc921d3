"""A control plane for tests, without root: etcd, kube-apiserver and, where it is there, the controller manager."""

import contextlib
import json
import re
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster import binaries, components, keeper, pki, requirements
from tests.cluster.api import Api, Kubectl, wait_until
from tests.cluster.cache import Say
from tests.cluster.layout import Layout
from tests.cluster.supervisor import ask

READY_SECONDS = 300.0
"""An API server is ready within 7 s; on a machine that is busy otherwise after much longer."""


LOWEST_PORT = 10_000
GIVEN_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane, with its administrator's kubectl."""

    layout: Layout
    kubectl: Kubectl
    collects_garbage: bool
    """Whether there is a controller manager: without one (envtest) nothing deletes what an owner leaves."""

    @property
    def kubeconfig(self) -> Path:
        """Of the administrator."""
        return self.layout.kubeconfig

    def kubeconfig_for(self, user: str, *groups: str) -> Path:
        """A kubeconfig of any user in any groups, by a client certificate."""
        return user_kubeconfig(self.layout, user, groups)

    def kubectl_for(self, user: str, *groups: str) -> Kubectl:
        """kubectl as any user."""
        return self.kubectl.as_user(self.kubeconfig_for(user, *groups))


def user_kubeconfig(layout: Layout, user: str, groups: Sequence[str]) -> Path:
    """A kubeconfig of any user in any groups, in the cluster's folder, signed by the cluster's own authority."""
    name = f"user-{re.sub(r'[^A-Za-z0-9.-]', '-', user)}-{secrets.token_hex(3)}"
    pki.client(layout.pki, name, user, groups)
    path = layout.folder / f"{name}.kubeconfig"
    pki.write_kubeconfig(path, pki.kubeconfig(layout.pki, name, server(layout.api_port)))
    return path


def server(port: int) -> str:
    """The address of an API server on loopback."""
    return f"https://127.0.0.1:{port}"


def new_name(kind: str) -> str:
    """A name that no other cluster has."""
    return f"{keeper.PREFIX}{kind}-{secrets.token_hex(3)}"


@contextlib.contextmanager
def running(say: Say) -> Iterator[ControlPlane]:
    """A control plane while the block runs. Raises CannotRunError."""
    requirements.check(requirements.control_plane())
    programs = binaries.control_plane(say)
    keeper.sweep()
    name = new_name("api")
    try:
        yield _start(name, programs)
    finally:
        keeper.stop(name)


def _start(name: str, programs: Path) -> ControlPlane:
    controllers = (programs / "kube-controller-manager").is_file()
    api_port, etcd_port = free_ports()
    with keeper.claimed(name) as (folder, lock):
        layout = Layout(name, folder, programs, api_port, etcd_port)
        prepare(layout, components.control_plane(layout, controllers), api_port)
        keeper.start(folder, keeper.CONTROL_PLANE, (lock,), owned=True)
    for part in ("etcd", "kube-apiserver"):
        ask(layout.control_socket, f"start {part}")
    api = Api(api_port, layout.pki)
    wait_ready(lambda: api.answers("/readyz"), "the API server is ready", layout)
    if controllers:
        ask(layout.control_socket, "start kube-controller-manager")
    wait_ready(lambda: api.answers("/api/v1/namespaces/default"), "the namespace default", layout)
    return ControlPlane(layout, Kubectl(programs / "kubectl", layout.kubeconfig), controllers)


def prepare(layout: Layout, parts: dict[str, components.Component], component_port: int) -> None:
    """Write what every cluster needs before it starts. `component_port`: of the API server, for its components."""
    pki.make(layout.pki)
    for name in pki.CLIENTS:
        text = pki.kubeconfig(layout.pki, name, server(component_port))
        pki.write_kubeconfig(layout.pki / f"{name}.kubeconfig", text)
    pki.write_kubeconfig(layout.kubeconfig, pki.kubeconfig(layout.pki, "admin", server(layout.api_port)))
    described = {name: asdict(part) for name, part in parts.items()}
    (layout.folder / "components.json").write_text(json.dumps(described, indent=1))


def wait_ready(done: Callable[[], bool], what: str, layout: Layout) -> None:
    """Wait for a part of a cluster. Raises TimeoutError with the end of every log that has one."""
    try:
        wait_until(done, what, READY_SECONDS)
    except TimeoutError as error:
        logs = [f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in sorted(layout.log.glob("*"))]
        raise TimeoutError("\n".join([str(error), *logs])) from error


def free_ports() -> tuple[int, int]:
    """A port for the API server, and the first of two neighbours for etcd, all free on loopback a moment ago.

    They lie below those that the kernel gives to whoever connects, or asks for any: one of these may be taken before
    it is listened at.
    """
    while True:
        first = LOWEST_PORT + secrets.randbelow(_highest_port() - LOWEST_PORT)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + 3):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first, first + 1


def _highest_port() -> int:
    """Of those that are looked at, where the kernel leaves room below those that it gives."""
    given = int(GIVEN_PORTS.read_text().split()[0])
    return given - 3 if given > 2 * LOWEST_PORT else 3 * LOWEST_PORT
