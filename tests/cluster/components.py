"""The command line of every component, as functions of the layout."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.cluster.layout import NODE_ADDRESS, NODE_NAME, SERVICE_RANGE, Layout, NodeLayout

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
ISSUER = "https://kubernetes.default.svc.cluster.local"
ADMISSION = "NodeRestriction,OwnerReferencesPermissionEnforcement"
"""In addition to the default plugins. The second one is what OpenShift and careful clusters switch on: who sets an
owner reference that blocks deletion needs the right to finalize the owner."""

FIRST = ("etcd", "containerd", "kube-apiserver", "forward")
"""What starts at once; the others follow when the API server answers, which costs them no retries."""


@dataclass(frozen=True)
class Component:
    """A process that the supervisor runs: its arguments, its environment, descriptors that it inherits."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))
    descriptors: tuple[int, ...] = ()


def control_plane(layout: Layout, controllers: bool) -> dict[str, Component]:
    """etcd and an API server on loopback; `controllers`: and the controller manager, which collects garbage."""
    loopback = ("--bind-address=127.0.0.1", f"--secure-port={layout.api_port}", "--authorization-mode=RBAC")
    parts = {
        "etcd": Component(etcd(layout)),
        "kube-apiserver": Component((*api_server(layout), *loopback)),
    }
    if controllers:
        # Nobody asks for the health of this one, so it takes no port of the machine.
        parts["kube-controller-manager"] = Component((*controller_manager(layout), "--secure-port=0"))
    return parts


def node(layout: NodeLayout, listener: int) -> dict[str, Component]:
    """All of a node. `listener`: the descriptor of a socket of the machine that the API is to be reached at."""
    pki, port = layout.pki, 6443
    api = (
        *api_server(layout),
        *("--bind-address=0.0.0.0", f"--secure-port={port}", "--authorization-mode=Node,RBAC"),
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
    )
    scheduler = (
        layout.program("kube-scheduler"),
        f"--kubeconfig={pki}/kube-scheduler.kubeconfig",
        *("--leader-elect=false", "--bind-address=127.0.0.1"),
    )
    forward = (sys.executable, "-m", "tests.cluster.forward", str(listener), str(port))
    return {
        "etcd": Component(etcd(layout)),
        "containerd": Component(("containerd", "--config", f"{layout.folder}/containerd.toml")),
        "kube-apiserver": Component(api),
        "forward": Component(forward, {**ENVIRONMENT, "PYTHONPATH": ":".join(sys.path)}, (listener,)),
        "kubelet": Component(kubelet(layout)),
        "kube-controller-manager": Component((*controller_manager(layout), "--bind-address=127.0.0.1")),
        "kube-scheduler": Component(scheduler),
        "kube-proxy": Component((layout.program("kube-proxy"), f"--config={layout.folder}/kube-proxy.json")),
        "coredns": Component((layout.program("coredns"), "-conf", f"{layout.folder}/Corefile")),
    }


def etcd(layout: Layout) -> tuple[str, ...]:
    """Its data goes with the cluster's folder, and nobody needs it after a crash of the machine: no fsync."""
    client, peer = (f"http://127.0.0.1:{port}" for port in (layout.etcd_port, layout.etcd_port + 1))
    return (
        layout.program("etcd"),
        *("--name=only", f"--data-dir={layout.folder}/etcd", "--unsafe-no-fsync", "--log-level=warn"),
        *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
        *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=only={peer}"),
    )


def api_server(layout: Layout) -> tuple[str, ...]:
    """What the API servers of a control plane and of a node have in common."""
    pki = layout.pki
    return (
        layout.program("kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{layout.etcd_port}",
        *(f"--cert-dir={layout.folder}/apiserver", "--allow-privileged=true", "--profiling=false"),
        f"--enable-admission-plugins={ADMISSION}",
        # Without a default route it cannot guess an address of its own; without a node nobody uses it.
        f"--advertise-address={NODE_ADDRESS}",
        *(f"--client-ca-file={pki}/ca.crt", f"--service-cluster-ip-range={SERVICE_RANGE}"),
        *(f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key"),
        *(f"--service-account-issuer={ISSUER}", f"--service-account-key-file={pki}/sa.pub"),
        f"--service-account-signing-key-file={pki}/sa.key",
        # Aggregated APIs, such as those of custom metrics, are asked with these.
        *(f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt", "--enable-aggregator-routing=true"),
        *("--requestheader-allowed-names=front-proxy-client", "--requestheader-username-headers=X-Remote-User"),
        *("--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-"),
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
    )


def controller_manager(layout: Layout) -> tuple[str, ...]:
    """The default controllers; where the API is stands in their kubeconfig."""
    pki = layout.pki
    return (
        layout.program("kube-controller-manager"),
        f"--kubeconfig={pki}/kube-controller-manager.kubeconfig",
        *("--leader-elect=false", "--use-service-account-credentials=true", "--profiling=false"),
        *(f"--root-ca-file={pki}/ca.crt", f"--service-account-private-key-file={pki}/sa.key"),
        *(f"--cluster-signing-cert-file={pki}/ca.crt", f"--cluster-signing-key-file={pki}/ca.key"),
        *("--allocate-node-cidrs=false", f"--flex-volume-plugin-dir={layout.folder}/volume-plugins"),
        # Its own start is throttled by the defaults of 20 and 30: seconds until the first service account.
        *("--kube-api-qps=500", "--kube-api-burst=1000"),
    )


def kubelet(layout: NodeLayout) -> tuple[str, ...]:
    """The rest of its settings are in its configuration file."""
    return (
        layout.program("kubelet"),
        *(f"--config={layout.folder}/kubelet.json", f"--kubeconfig={layout.pki}/kubelet.kubeconfig"),
        *(f"--root-dir={layout.folder}/kubelet", f"--cert-dir={layout.folder}/kubelet-pki"),
        *(f"--hostname-override={NODE_NAME}", f"--node-ip={NODE_ADDRESS}"),
        # Without it cAdvisor asks the machine's containerd, and metrics of single containers are missing.
        f"--containerd={layout.containerd_socket}",
    )
