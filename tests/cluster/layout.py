"""Where a cluster keeps its things and which addresses it has: one value that everything else is a function of."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NODE_NAME = "perb-node"
NODE_ADDRESS = "10.99.0.1"
"""Of the node inside its own network namespace. Nothing outside can reach it, and it reaches nothing outside."""
POD_RANGE = "10.88.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
KUBERNETES_ADDRESS = "10.96.0.1"
"""Of the Service `kubernetes`, the first of the range."""
CLUSTER_DOMAIN = "cluster.local"
PAUSE_IMAGE = "perb.local/pause:1"
SOCKET_PATH_LIMIT = 107
"""Characters that Linux takes as the path of a Unix socket."""


@dataclass(frozen=True)
class Layout:
    """A cluster's folder, wiped with it, and the programs it is made of."""

    name: str
    """Unique on the machine; names the folder and, of a node, its cgroup."""
    folder: Path
    programs: Path
    api_port: int
    """Where the API is served: on 127.0.0.1 of the machine."""
    etcd_port: int = 2379
    """The port after it is for etcd's peers."""

    @property
    def pki(self) -> Path:
        """Certificates, keys and kubeconfigs."""
        return self.folder / "pki"

    @property
    def log(self) -> Path:
        """One file per component."""
        return self.folder / "log"

    @property
    def control_socket(self) -> Path:
        """Where the supervisor takes commands."""
        return self.folder / "control.sock"

    @property
    def kubeconfig(self) -> Path:
        """Of the administrator, for use from this machine."""
        return self.folder / "kubeconfig"

    def program(self, name: str) -> str:
        """The path of a program that was built."""
        return str(self.programs / name)


@dataclass(frozen=True)
class NodeLayout(Layout):
    """A whole node: a control plane, and a kubelet with containers."""

    store: Path = Path()
    """Root of containerd: images and snapshots. Kept between runs."""

    def described(self) -> dict[str, object]:
        """The layout as JSON has it."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}

    @classmethod
    def from_description(cls, document: dict[str, Any]) -> "NodeLayout":
        """The layout that `described` described."""
        paths = {name: Path(document[name]) for name in ("folder", "programs", "store")}
        return cls(**{**document, **paths})

    @property
    def cgroup(self) -> str:
        """The node's own cgroup in every hierarchy: `sys` holds its components, `kubepods` its pods."""
        return self.name

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.folder / "containerd.sock"
