"""A whole node: control plane, kubelet with containerd, kube-proxy and DNS, in namespaces and cgroups of its own."""

import contextlib
import json
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import binaries, cgroups, components, configs, keeper, requirements
from tests.cluster.api import Api, Kubectl
from tests.cluster.cache import Say
from tests.cluster.containers import Containers, claimed_store
from tests.cluster.control_plane import new_name, prepare, user_kubeconfig, wait_ready
from tests.cluster.layout import NODE_NAME, NodeLayout
from tests.cluster.supervisor import ask

API_PORT = 6443
"""Of the API server inside the node."""


@dataclass(frozen=True)
class Node:
    """A running node, with its administrator's kubectl."""

    layout: NodeLayout
    kubectl: Kubectl
    containers: Containers

    @property
    def kubeconfig(self) -> Path:
        """Of the administrator."""
        return self.layout.kubeconfig

    def kubeconfig_for(self, user: str, *groups: str) -> Path:
        """A kubeconfig of any user in any groups, by a client certificate."""
        return user_kubeconfig(self.layout, user, groups)

    def ask(self, command: str) -> str:
        """A command to the supervisor of the components: `stop kubelet`, `start kubelet`, `kill etcd`, `pids`."""
        return ask(self.layout.control_socket, command)

    def offer(self, resource: str, count: int, labels: dict[str, str]) -> None:
        """Let the node have `count` of an extended resource, such as nvidia.com/gpu, and labels that say what it is.

        Pods are scheduled by it and get no device. It lasts until the node stops.
        """
        quantity = {resource: str(count)}
        patch = json.dumps({"status": {"capacity": quantity, "allocatable": quantity}})
        self.kubectl("patch", "node", NODE_NAME, "--subresource=status", f"--patch={patch}")
        self.kubectl("label", "node", NODE_NAME, "--overwrite", *(f"{key}={value}" for key, value in labels.items()))


@contextlib.contextmanager
def running(archives: Iterable[Path], say: Say) -> Iterator[Node]:
    """A node with these images while the block runs; it ends with this process. Raises CannotRunError."""
    name = new_name("node")
    try:
        yield start(name, archives, say, owned=True)
    finally:
        keeper.stop(name)


def start(name: str, archives: Iterable[Path], say: Say, owned: bool) -> Node:
    """Start a node with these images. `owned`: it ends with this process.

    Raises CannotRunError where no node can be, RuntimeError where this one is there already or does not start, and
    TimeoutError where a part of it does not get ready.
    """
    requirements.check(requirements.node())
    programs = binaries.build(tuple(binaries.PROGRAMS), say)
    swept = keeper.sweep()
    if swept:
        say(f"removed what was left of {', '.join(swept)}")
    started = time.monotonic()

    def done(what: str) -> None:
        say(f"{what} after {time.monotonic() - started:.1f} s")

    layout = _launch(name, programs, owned)
    containers = Containers(layout, _init_process(layout))
    for part in components.FIRST:
        ask(layout.control_socket, f"start {part}")
    containers.forget_dead()
    api = Api(layout.api_port, layout.pki)
    wait_ready(lambda: api.answers("/readyz"), "the API server is ready", layout)
    done("API server ready")
    for part in json.loads((layout.folder / "components.json").read_text()):
        ask(layout.control_socket, f"start {part}")
    kubectl = Kubectl(programs / "kubectl", layout.kubeconfig)
    kubectl("apply", f"--filename={layout.folder}/rbac.json")
    containers.wait()
    containers.load(archives, say)
    wait_ready(lambda: api.node_is_usable(NODE_NAME), "the node is ready", layout)
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    wait_ready(lambda: api.answers(account), "the default service account", layout)
    done("node ready")
    return Node(layout, kubectl, containers)


def attach(name: str) -> Node:
    """The node of this name, which runs and was started by another process."""
    layout = _read(keeper.registry() / name)
    return Node(
        layout, Kubectl(layout.programs / "kubectl", layout.kubeconfig), Containers(layout, _init_process(layout))
    )


def _launch(name: str, programs: Path, owned: bool) -> NodeLayout:
    """Everything up to a supervisor, in its namespaces, that waits for commands."""
    with contextlib.ExitStack() as stack:
        folder, lock = stack.enter_context(keeper.claimed(name))
        store, store_lock = stack.enter_context(claimed_store())
        # Whoever holds this socket accepts at its port, in whichever network namespace.
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        layout = NodeLayout(name, folder, programs, listener.getsockname()[1], store=store)
        prepare(layout, components.node(layout, listener.fileno()), API_PORT)
        for file, text in configs.files(layout).items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text)
        (folder / "layout.json").write_text(json.dumps(layout.described()))
        cgroups.create(layout.cgroup)
        keeper.start(folder, keeper.NODE, (lock, store_lock, listener.fileno()), owned)
    return layout


def _read(folder: Path) -> NodeLayout:
    return NodeLayout.from_description(json.loads((folder / "layout.json").read_text()))


def _init_process(layout: NodeLayout) -> int:
    """The node's PID 1, as the machine counts: the only child of `unshare`, which is the only child of the keeper."""
    pid = int((layout.folder / "keeper.pid").read_text())
    for _ in range(2):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pid = int(children[0])
    return pid
