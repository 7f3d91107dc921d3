"""Throw-away certificate authorities and what they sign, by openssl: P-256 keys, valid for days."""

import base64
import json
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.layout import CLUSTER_DOMAIN, KUBERNETES_ADDRESS, NODE_ADDRESS, NODE_NAME

DAYS = "30"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
API_NAMES = (
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    f"DNS:kubernetes.default.svc.{CLUSTER_DOMAIN}",
    "DNS:localhost",
    "IP:127.0.0.1",
    f"IP:{NODE_ADDRESS}",
    f"IP:{KUBERNETES_ADDRESS}",
)
ADMIN = ("admin", ("system:masters",))
CLIENTS = {
    "admin": ADMIN,
    "apiserver-kubelet-client": ("kube-apiserver-kubelet-client", ("system:masters",)),
    "kube-controller-manager": ("system:kube-controller-manager", ()),
    "kube-scheduler": ("system:kube-scheduler", ()),
    "kubelet": (f"system:node:{NODE_NAME}", ("system:nodes",)),
    "kube-proxy": ("system:kube-proxy", ()),
    "coredns": ("system:coredns", ()),
}
"""File name → user and groups: who the components are to the API server."""


def make(folder: Path) -> None:
    """All certificates and keys of a cluster, into a folder that only its owner reads."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for authority in ("ca", "front-proxy-ca"):
        _authority(folder, authority)
    _sign(folder, "apiserver", "ca", subject("kube-apiserver"), "serverAuth", API_NAMES)
    names = (f"DNS:{NODE_NAME}", "IP:127.0.0.1", f"IP:{NODE_ADDRESS}")
    _sign(folder, "kubelet-serving", "ca", subject(NODE_NAME), "serverAuth", names)
    _sign(folder, "front-proxy-client", "front-proxy-ca", subject("front-proxy-client"), "clientAuth")
    for name, (user, groups) in CLIENTS.items():
        client(folder, name, user, groups)
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", folder / "sa.key")
    _openssl("pkey", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub")


def client(folder: Path, name: str, user: str, groups: Sequence[str] = ()) -> None:
    """`name.crt` and `name.key`, with which a request comes from this user in these groups."""
    _sign(folder, name, "ca", subject(user, groups), "clientAuth")


def signing_request(key: Path, user: str, groups: Sequence[str]) -> str:
    """Make a key, and return the request, in PEM, that somebody else signs it as this user in these groups."""
    return _openssl("req", *NEW_KEY, "-subj", subject(user, groups), "-keyout", key)


def subject(user: str, groups: Sequence[str] = ()) -> str:
    """A subject as openssl writes it: Kubernetes takes the user from CN and groups from O."""
    parts = [*(f"O={group}" for group in groups), f"CN={user}"]
    return "".join("/" + part.replace("\\", "\\\\").replace("/", "\\/") for part in parts)


def kubeconfig(folder: Path, name: str, server: str) -> str:
    """A kubeconfig, in JSON, that holds the client certificate `name` and needs no other file."""

    def data(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode()

    user = {"client-certificate-data": data(f"{name}.crt"), "client-key-data": data(f"{name}.key")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "perbench", "cluster": {"server": server, "certificate-authority-data": data("ca.crt")}},
        ],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "perbench", "context": {"cluster": "perbench", "user": name}}],
        "current-context": "perbench",
    }
    return json.dumps(document, indent=1)


def write_kubeconfig(path: Path, text: str) -> None:
    """Write a kubeconfig, readable by its owner alone."""
    path.touch(mode=0o600)
    path.write_text(text)


def _authority(folder: Path, name: str) -> None:
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
    files = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt")
    _openssl("req", "-x509", *NEW_KEY, "-days", DAYS, "-subj", subject(name), *usage, *files)


def _sign(folder: Path, name: str, authority: str, who: str, usage: str, names: Sequence[str] = ()) -> None:
    key, request, certificate = (folder / f"{name}.{suffix}" for suffix in ("key", "csr", "crt"))
    _openssl("req", *NEW_KEY, "-subj", who, "-keyout", key, "-out", request)
    lines = ["keyUsage=critical,digitalSignature", f"extendedKeyUsage={usage}"]
    lines += [f"subjectAltName={','.join(names)}"] if names else []
    signer = ("-CA", folder / f"{authority}.crt", "-CAkey", folder / f"{authority}.key")
    serial = f"0x{secrets.token_hex(8)}"
    extensions = ("-extfile", "/dev/stdin")
    _openssl(
        *("x509", "-req", "-in", request, *signer, "-set_serial", serial, "-days", DAYS, "-out", certificate),
        *extensions,
        text="\n".join(lines),
    )
    request.unlink()


def _openssl(*arguments: str | Path, text: str = "") -> str:
    done = subprocess.run(["openssl", *arguments], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
