"""The configuration file of every component, as text: file name → content, as a function of the layout."""

import json

from tests.cluster.layout import (
    CLUSTER_DOMAIN,
    NODE_ADDRESS,
    NODE_NAME,
    PAUSE_IMAGE,
    POD_RANGE,
    NodeLayout,
)

RBAC = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            ],
        },
        *(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": user},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
            }
            for user, role in (("system:coredns", "system:coredns"), ("system:kube-proxy", "system:node-proxier"))
        ),
    ],
}
"""Rights of the components that the API server's own bootstrap policy does not bind."""


def files(layout: NodeLayout) -> dict[str, str]:
    """Every configuration file of a node, by its path in the node's folder."""
    return {
        "containerd.toml": containerd(layout),
        "cni/10-pods.conflist": json.dumps(pod_network(layout), indent=1),
        "kubelet.json": json.dumps(kubelet(layout), indent=1),
        "kube-proxy.json": json.dumps(kube_proxy(layout), indent=1),
        "Corefile": corefile(layout),
        # Pods inherit no resolver of the machine: names outside the cluster do not exist here.
        "resolv.conf": "",
        "rbac.json": json.dumps(RBAC, indent=1),
    }


def containerd(layout: NodeLayout) -> str:
    """Images stay in the store; all else is in the node's folder.

    Where root may not lower oom_score_adj (no CAP_SYS_RESOURCE), every sandbox fails without `restrict_oom_score_adj`.
    """
    return f"""version = 2
root = "{layout.store}"
state = "{layout.folder}/containerd"
oom_score = 0

[grpc]
address = "{layout.containerd_socket}"

[ttrpc]
address = "{layout.containerd_socket}.ttrpc"

[plugins."io.containerd.internal.v1.opt"]
path = "{layout.folder}/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{layout.folder}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def pod_network(layout: NodeLayout) -> dict[str, object]:
    """One bridge. Addresses that are lent are noted in the node's folder: a killed node gives none back."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "isDefaultGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_RANGE}]], "dataDir": f"{layout.folder}/addresses"},
    }
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}


def kubelet(layout: NodeLayout) -> dict[str, object]:
    """A kubelet that keeps to its own cgroup and folder, never removes images and evicts late."""
    pki = layout.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{pki}/kubelet-serving.crt",
        "tlsPrivateKeyFile": f"{pki}/kubelet-serving.key",
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "enforceNodeAllocatable": ["pods"],
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": f"{layout.folder}/resolv.conf",
        "podLogsDir": f"{layout.folder}/pod-logs",
        "volumePluginDir": f"{layout.folder}/volume-plugins",
        "maxPods": 60,
        # No registry is in reach, so an image that was collected would be gone.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }


def kube_proxy(layout: NodeLayout) -> dict[str, object]:
    """nftables, and none of the connection-tracking settings: those belong to the machine."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": NODE_NAME,
        "clientConnection": {"kubeconfig": f"{layout.pki}/kube-proxy.kubeconfig"},
        "clusterCIDR": POD_RANGE,
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
            "udpTimeout": "0s",
            "udpStreamTimeout": "0s",
        },
        "nftables": {"syncPeriod": "30s", "minSyncPeriod": "100ms"},
    }


def corefile(layout: NodeLayout) -> str:
    """The cluster's names, and at once NXDOMAIN for all others.

    The two are blocks of their own: in one block the template would answer before the cluster is asked.
    """
    zones = f"{CLUSTER_DOMAIN} in-addr.arpa ip6.arpa"
    return f"""{zones.replace(" ", ":53 ")}:53 {{
    bind {NODE_ADDRESS}
    errors
    ready 127.0.0.1:8181
    kubernetes {zones} {{
        kubeconfig {layout.pki}/coredns.kubeconfig
        pods insecure
        ttl 5
    }}
    cache 5
    loadbalance
}}
.:53 {{
    bind {NODE_ADDRESS}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""
